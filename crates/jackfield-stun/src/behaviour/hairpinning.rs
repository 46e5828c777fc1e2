//! The hairpinning test.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::Mapping;

use super::discovery::SocketId;
use super::exchange::{Exchanges, Outcome, Probe, Purpose};
use super::finding::{Finding, Reason};

/// What the hairpinning test does ([RFC 5780 §4.5]).
///
/// [RFC 5780 §4.5]: https://www.rfc-editor.org/rfc/rfc5780#section-4.5
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A side asks the server for its outside endpoint.
    First(usize),
    /// A side sends to the other's.
    Across(usize),
}

/// Two sockets send to each other's outside endpoints. Both send, so that each has sent to who
/// shall get in.
#[derive(Debug, Clone, Default)]
pub(super) struct Test {
    sides: [Side; 2],
    reached: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Side {
    socket: Option<SocketId>,
    mapped: Option<SocketAddr>,
    /// Why there is no mapping.
    failed: Option<Reason>,
    across: Option<Across>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Across {
    Waiting,
    Ended,
}

impl Test {
    /// Begins one of the two sides.
    pub(super) fn start(
        &mut self,
        now: Instant,
        side: usize,
        socket: SocketId,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        if let Some(side) = self.sides.get_mut(side) {
            side.socket = Some(socket);
        }
        let purpose = Purpose::Hairpinning(Step::First(side));
        exchanges.ask(now, Probe::new(socket, server, purpose));
    }

    /// Takes the outcome of a step.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        step: Step,
        outcome: Outcome,
        exchanges: &mut Exchanges,
    ) {
        match step {
            Step::First(side) => {
                if let Some(side) = self.sides.get_mut(side) {
                    match outcome {
                        Outcome::Answered(answer) => side.mapped = Some(answer.mapped),
                        Outcome::Refused => side.failed = Some(Reason::Refused),
                        Outcome::Silent | Outcome::Looped => side.failed = Some(Reason::NoAnswer),
                    }
                }
                self.send_across(now, exchanges);
            }
            Step::Across(side) => {
                if let Some(side) = self.sides.get_mut(side) {
                    side.across = Some(Across::Ended);
                }
                if outcome == Outcome::Looped {
                    self.reached = true;
                    exchanges
                        .forget(|purpose| matches!(purpose, Purpose::Hairpinning(Step::Across(_))));
                }
            }
        }
    }

    fn send_across(&mut self, now: Instant, exchanges: &mut Exchanges) {
        let [one, two] = &mut self.sides;
        let (Some(to_one), Some(to_two)) = (one.mapped, two.mapped) else {
            return;
        };
        for (index, side, to) in [(0, one, to_two), (1, two, to_one)] {
            if let Some(socket) = side.socket {
                side.across = Some(Across::Waiting);
                let purpose = Purpose::Hairpinning(Step::Across(index));
                exchanges.ask(now, Probe::new(socket, to, purpose));
            }
        }
    }

    /// Returns what was seen; silence says something only if the outside endpoints are those that
    /// others see too.
    pub(super) fn finding(
        &self,
        nat: Finding<bool>,
        mapping: Finding<Mapping>,
        several_externals: bool,
    ) -> Finding<bool> {
        if nat == Finding::Known(false) {
            return Finding::Unknown(Reason::NoNat);
        }
        if self.reached {
            return Finding::Known(true);
        }
        let [one, two] = &self.sides;
        if one.socket.is_none() || two.socket.is_none() {
            return Finding::Unknown(Reason::NoSocket);
        }
        if let Some(reason) = one.failed.or(two.failed) {
            return Finding::Unknown(reason);
        }
        match (one.across, two.across) {
            (Some(Across::Ended), Some(Across::Ended)) if several_externals => {
                Finding::Unknown(Reason::SeveralExternalAddresses)
            }
            (Some(Across::Ended), Some(Across::Ended)) => match mapping {
                Finding::Known(Mapping::EndpointIndependent) => Finding::Known(false),
                Finding::Known(_) => Finding::Unknown(Reason::NeedsStableMapping),
                Finding::Unknown(reason) => Finding::Unknown(reason),
            },
            _ => Finding::Unknown(Reason::NotFinished),
        }
    }
}
