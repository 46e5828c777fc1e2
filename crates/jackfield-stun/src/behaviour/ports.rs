//! How a NAT chooses external ports.

use super::finding::{Finding, Reason};
use super::report::{Observation, PortAssignment};

/// Returns how the ports of several sockets were chosen.
pub(super) fn assignment(
    observations: &[Observation],
    nat: Finding<bool>,
) -> Finding<PortAssignment> {
    match nat {
        Finding::Known(false) => return Finding::Unknown(Reason::NoNat),
        Finding::Unknown(reason) => return Finding::Unknown(reason),
        Finding::Known(true) => {}
    }
    if observations.len() < FEWEST {
        return Finding::Unknown(Reason::TooFewAnswers);
    }
    let kept = observations
        .iter()
        .filter(|observation| observation.local.port() == observation.mapped.port());
    if kept.count() * 2 > observations.len() {
        return Finding::Known(PortAssignment::Preserved);
    }
    let mut ports: Vec<u16> = observations
        .iter()
        .map(|observation| observation.mapped.port())
        .collect();
    ports.sort_unstable();
    let gaps = ports
        .iter()
        .zip(ports.iter().skip(1))
        .map(|(low, high)| high - low);
    // Mappings for other destinations may lie between; the one gap of a sequence that began again
    // at its start is wide.
    if gaps.filter(|gap| *gap > LARGEST_GAP).count() <= 1 {
        Finding::Known(PortAssignment::Sequential)
    } else {
        Finding::Known(PortAssignment::Random)
    }
}

/// Sockets that it takes to see an order.
const FEWEST: usize = 4;

/// Ports of a sequence are not farther apart, with what else a discovery does at the same time.
const LARGEST_GAP: u16 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn orders_of_ports_are_recognised() {
        use PortAssignment::{Preserved, Random, Sequential};
        for (mapped, expected) in [
            ([40_000, 40_001, 40_002, 40_003, 40_004], Preserved),
            ([40_000, 40_001, 40_002, 9_000, 12_000], Preserved),
            ([2_007, 2_001, 2_020, 2_003, 2_011], Sequential),
            ([65_534, 65_535, 1_024, 1_025, 1_026], Sequential),
            ([2_007, 31_001, 52_020, 1_103, 9_011], Random),
        ] {
            let observations: Vec<Observation> = (40_000..)
                .zip(mapped)
                .map(|(local, mapped)| Observation {
                    local: SocketAddr::from(([10, 0, 0, 2], local)),
                    mapped: SocketAddr::from(([203, 0, 113, 1], mapped)),
                    in_the_clear: None,
                })
                .collect();
            let found = assignment(&observations, Finding::Known(true));
            assert_eq!(found, Finding::Known(expected), "{mapped:?}");
        }
    }
}
