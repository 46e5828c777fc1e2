//! The test for IP fragments.

use std::net::SocketAddr;
use std::time::Instant;

use super::discovery::SocketId;
use super::exchange::{Exchanges, Outcome, Probe, Purpose};
use super::finding::{Finding, Reason};
use super::report::Fragments;

/// What the fragment test does ([RFC 5780 §4.7]).
///
/// [RFC 5780 §4.7]: https://www.rfc-editor.org/rfc/rfc5780#section-4.7
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A plain request shows that there is a way.
    First,
    /// One with padding goes in fragments.
    Padded,
}

/// A socket sends a request in fragments, and asks for an answer in fragments.
#[derive(Debug, Clone)]
pub(super) struct Test {
    finding: Finding<Fragments>,
}

impl Test {
    pub(super) fn new() -> Self {
        Self {
            finding: Finding::Unknown(Reason::NoSocket),
        }
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        socket: SocketId,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        self.finding = Finding::Unknown(Reason::NotFinished);
        exchanges.ask(
            now,
            Probe::new(socket, server, Purpose::Fragments(Step::First)),
        );
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        step: Step,
        outcome: Outcome,
        (server, padding): (SocketAddr, Option<u16>),
        exchanges: &mut Exchanges,
    ) {
        match (step, outcome) {
            (Step::First, Outcome::Answered(answer)) => exchanges.ask(
                now,
                Probe {
                    padding,
                    ..Probe::new(answer.from, server, Purpose::Fragments(Step::Padded))
                },
            ),
            (Step::First, Outcome::Silent | Outcome::Looped) => {
                self.finding = Finding::Unknown(Reason::NoAnswer);
            }
            (_, Outcome::Refused) => self.finding = Finding::Unknown(Reason::Refused),
            (Step::Padded, Outcome::Answered(answer)) if answer.padding >= IN_FRAGMENTS => {
                self.finding = Finding::Known(Fragments::BothWays);
            }
            (Step::Padded, Outcome::Answered(_)) => {
                self.finding = Finding::Known(Fragments::Outbound);
            }
            (Step::Padded, Outcome::Silent | Outcome::Looped) => {
                self.finding = Finding::Known(Fragments::Dropped);
            }
        }
    }

    pub(super) fn finding(&self) -> Finding<Fragments> {
        self.finding
    }
}

/// Bytes of padding that do not fit into an Ethernet frame with the rest of an answer: three
/// addresses of IPv4 and headers.
const IN_FRAGMENTS: u16 = 1_404;
