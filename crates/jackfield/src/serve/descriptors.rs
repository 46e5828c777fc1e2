//! How many files the process may have open, and what they are for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Raises the limit of open files to the hard one, and lowers the maxima in `config` to what fits.
///
/// A TCP connection is a descriptor, and an allocation up to two: one for each address family.
/// Where one kind could take them all, its clients would keep the others out. So each kind has a
/// part of its own, and some descriptors are kept for listeners and files.
pub(super) fn fit(config: &mut Config) {
    let Some(limit) = raise() else {
        return; // The system sets no limit.
    };
    let parts = Parts::of(limit);
    let (connections, allocations) = (config.connections.max, config.turn.allocations);
    config.connections.max = connections.min(parts.connections);
    config.turn.allocations = allocations.min(parts.allocations);
    if config.turn.allocations < allocations {
        // One network keeps its part of the whole: it would otherwise get all there is.
        let part = u64::from(config.turn.allocations_per_network)
            * u64::from(config.turn.allocations)
            / u64::from(allocations);
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        config.turn.allocations_per_network = part.max(MIN_PER_NETWORK);
    }
    if config.connections.max < connections || config.turn.allocations < allocations {
        tracing::info!(
            open_files = limit,
            connections = config.connections.max,
            allocations = config.turn.allocations,
            "The system lets us open fewer files than the limits ask for; raise it (ulimit -n, \
             LimitNOFILE=) for more clients"
        );
    }
}

/// Returns the limit that holds now, or `None` without one.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "Cannot raise the limit of open files");
            current
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    connections: usize,
    allocations: u32,
}

impl Parts {
    /// A third of what is not kept goes to TCP connections, and two thirds to allocations.
    fn of(limit: u64) -> Self {
        let kept = (limit / 8).clamp(MIN_KEPT, MAX_KEPT);
        let third = (limit.saturating_sub(kept) / 3).max(1);
        Self {
            connections: usize::try_from(third).unwrap_or(usize::MAX),
            allocations: u32::try_from(third).unwrap_or(u32::MAX),
        }
    }
}

/// Descriptors for listeners, event queues, logs and what else is no client's. Each shard takes
/// some five and each listened address two more a shard.
const MIN_KEPT: u64 = 64;
/// Allocations that are enough for some people behind one address.
const MIN_PER_NETWORK: u32 = 30;
/// No machine needs more than this, however high the limit is.
const MAX_KEPT: u64 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_allocations_of_two_sockets_leave_some_descriptors() {
        for limit in [100, 1024, 20_000, 1_048_576] {
            let parts = Parts::of(limit);
            let used = parts.connections as u64 + 2 * u64::from(parts.allocations);
            assert!(used + MIN_KEPT <= limit, "{limit}: {parts:?}");
        }
        assert_eq!(
            Parts::of(1024),
            Parts {
                connections: 298,
                allocations: 298
            }
        );
    }

    #[test]
    fn a_limit_that_is_tiny_leaves_a_place() {
        assert_eq!(
            Parts::of(10),
            Parts {
                connections: 1,
                allocations: 1
            }
        );
    }
}
