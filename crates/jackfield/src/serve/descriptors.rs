//! How many files the process may have open, and what they are for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Raises the limit of open files to the hard one, and lowers the maxima in `config` to what fits.
///
/// Each TCP connection and each relay socket is a descriptor. Where one kind could take them all,
/// a client of that kind would keep all others out, so each has a part of its own, and some are
/// kept for listeners and files.
pub(super) fn fit(config: &mut Config) {
    let Some(limit) = raise() else {
        return; // The system sets no limit.
    };
    let parts = Parts::of(limit);
    let (connections, relays) = (config.connections.max, config.turn.allocations);
    config.connections.max = connections.min(parts.connections);
    config.turn.allocations = relays.min(u32::try_from(parts.relays).unwrap_or(u32::MAX));
    if config.connections.max < connections || config.turn.allocations < relays {
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
    relays: usize,
}

impl Parts {
    /// Half of what is not kept goes to TCP connections and half to relays.
    fn of(limit: u64) -> Self {
        let kept = (limit / 8).clamp(MIN_KEPT, MAX_KEPT);
        let half = usize::try_from(limit.saturating_sub(kept) / 2).unwrap_or(usize::MAX);
        Self {
            connections: half.max(1),
            relays: half.max(1),
        }
    }
}

/// Descriptors for listeners, event queues, logs and what else is no client's. Each shard takes
/// some five and each listened address two more a shard.
const MIN_KEPT: u64 = 64;
/// No machine needs more than this, however high the limit is.
const MAX_KEPT: u64 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_relays_together_leave_some_descriptors() {
        for limit in [100, 1024, 20_000, 1_048_576] {
            let parts = Parts::of(limit);
            let used = (parts.connections + parts.relays) as u64;
            assert!(used + MIN_KEPT <= limit, "{limit}: {parts:?}");
        }
        assert_eq!(
            Parts::of(1024),
            Parts {
                connections: 448,
                relays: 448
            }
        );
    }

    #[test]
    fn a_limit_that_is_tiny_leaves_a_place() {
        assert_eq!(
            Parts::of(10),
            Parts {
                connections: 1,
                relays: 1
            }
        );
    }
}
