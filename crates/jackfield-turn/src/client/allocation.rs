//! The allocation: asked for, refreshed ahead of its time, deleted ([RFC 8656 §7, §8]).
//!
//! [RFC 8656 §7, §8]: https://www.rfc-editor.org/rfc/rfc8656#section-7

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_stun::attribute::{AlternateDomain, AlternateServer, XorMappedAddress};
use jackfield_stun::{ErrorCode, Message};

use super::request::{Operation, RETRY};
use super::{Client, Event, Failure, Output, Timer};
use crate::Relayed;
use crate::attribute::{Lifetime, XorRelayedAddress};

/// How far the allocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A driver makes another connection.
    Connecting,
    /// The server was asked.
    Allocating,
    /// The server said yes.
    Allocated(Allocation),
    /// The server was asked to delete it.
    Closing,
    /// It is no more.
    Ended,
}

/// What the server gave us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allocation {
    relayed: Relayed,
    mapped: SocketAddr,
    /// When it ends unless it is refreshed.
    expires: Instant,
}

impl Client {
    /// Returns the relayed transport addresses, while there is an allocation.
    #[must_use]
    pub fn relayed(&self) -> Option<Relayed> {
        self.allocation().map(|allocation| allocation.relayed)
    }

    /// Returns where the server sees us, while there is an allocation.
    #[must_use]
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.mapped)
    }

    /// Asks the server to delete the allocation; [`Event::Closed`] says when it did.
    ///
    /// The request is the next output, so a driver without time may send it and go.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Allocated(_) => {
                self.forget_all();
                self.state = State::Closing;
                self.ask(now, Operation::Delete);
            }
            State::Connecting | State::Allocating => self.end(Event::Closed),
            State::Closing | State::Ended => {}
        }
    }

    /// Refreshes the allocation now rather than when it is due, if there is one. A server that sees
    /// us at another address, since a NAT has forgotten the old one, answers that it does not know
    /// the allocation; [`Event::Failed`] says so.
    pub fn refresh_now(&mut self, now: Instant) {
        if matches!(self.state, State::Allocated(_)) {
            self.refresh(now);
        }
    }

    pub(super) fn allocate(&mut self, now: Instant) {
        self.ask(now, Operation::Allocate);
    }

    pub(super) fn allocation(&self) -> Option<Allocation> {
        match self.state {
            State::Allocated(allocation) => Some(allocation),
            State::Connecting | State::Allocating | State::Closing | State::Ended => None,
        }
    }

    /// Takes a success response to Allocate.
    pub(super) fn allocated(&mut self, now: Instant, message: &Message<'_>) {
        let Some((relayed, mapped, lifetime)) = read_allocated(message) else {
            self.fail(Failure::Malformed);
            return;
        };
        tracing::debug!(path = %self.path, ?relayed, "Allocation made");
        self.state = State::Allocated(Allocation {
            relayed,
            mapped,
            expires: now,
        });
        self.schedule_refresh(now, lifetime);
        if let Some(pause) = self.keepalive() {
            self.timers.set(Timer::Keepalive, now + pause);
        }
        self.event(Event::Allocated {
            relayed,
            mapped,
            lifetime,
        });
    }

    /// Takes the failure of an Allocate request: a refusal, or silence.
    pub(super) fn allocation_refused(&mut self, why: Failure) {
        // The server still knows our address from an earlier life: another port of ours will do
        // (RFC 8656 §7.4).
        if why == Failure::Refused(ErrorCode::ALLOCATION_MISMATCH)
            && self.reconnects < self.config.limits.reconnects
        {
            self.connect(self.path.remote, None);
        } else {
            self.fail(why);
        }
    }

    /// Takes a 300 response: the server wants us to go elsewhere ([RFC 8489 §10]).
    ///
    /// [RFC 8489 §10]: https://www.rfc-editor.org/rfc/rfc8489#section-10
    pub(super) fn redirected(&mut self, message: &Message<'_>) {
        let server: Option<AlternateServer> = message.get().ok().flatten();
        let Some(AlternateServer(server)) = server else {
            self.fail(Failure::Malformed);
            return;
        };
        let in_circles = self.visited.contains(&server);
        if in_circles || self.reconnects >= self.config.limits.reconnects {
            self.fail(Failure::TooManyRedirects);
            return;
        }
        let domain: Option<AlternateDomain<'_>> = message.get().ok().flatten();
        self.visited.push(server);
        self.connect(server, domain.map(|AlternateDomain(name)| name.to_owned()));
    }

    fn connect(&mut self, server: SocketAddr, domain: Option<String>) {
        self.reconnects += 1;
        self.forget_all();
        // Another server has nonces of its own.
        self.challenge = None;
        self.state = State::Connecting;
        self.outputs.push_back(Output::Connect { server, domain });
    }

    pub(super) fn refresh(&mut self, now: Instant) {
        self.ask(now, Operation::Refresh);
    }

    /// Takes a success response to Refresh.
    pub(super) fn refreshed(&mut self, now: Instant, message: &Message<'_>) {
        let lifetime = read_lifetime(message).unwrap_or(DEFAULT_LIFETIME);
        self.schedule_refresh(now, lifetime);
        self.event(Event::Refreshed { lifetime });
    }

    /// Takes a refusal of Refresh: a server in trouble is asked again while the allocation lasts.
    pub(super) fn refresh_failed(&mut self, now: Instant, why: Failure) {
        let is_passing = why.is_passing();
        if is_passing {
            self.timers.set(Timer::Refresh, now + RETRY);
        } else {
            self.fail(why);
        }
    }

    /// Takes that the server has deleted the allocation.
    pub(super) fn deleted(&mut self) {
        self.end(Event::Closed);
    }

    /// Sets the next refresh well ahead of the allocation's end, so that one that is lost can be
    /// asked again.
    fn schedule_refresh(&mut self, now: Instant, lifetime: Duration) {
        let State::Allocated(allocation) = &mut self.state else {
            return;
        };
        allocation.expires = now + lifetime;
        self.timers.set(Timer::Expiry, now + lifetime);
        self.timers.set(Timer::Refresh, now + ahead(lifetime));
    }
}

/// Returns when something that lasts for `lifetime` is refreshed: a minute ahead of its end, or at
/// half of it.
pub(super) fn ahead(lifetime: Duration) -> Duration {
    lifetime
        .saturating_sub(Duration::from_secs(60))
        .max(lifetime / 2)
}

fn read_allocated(message: &Message<'_>) -> Option<(Relayed, SocketAddr, Duration)> {
    let mut relayed = Relayed::default();
    for address in message.all::<XorRelayedAddress>() {
        let XorRelayedAddress(address) = address.ok()?;
        let slot = if address.is_ipv4() {
            &mut relayed.v4
        } else {
            &mut relayed.v6
        };
        slot.get_or_insert(address);
    }
    if relayed == Relayed::default() {
        return None;
    }
    let XorMappedAddress(mapped) = message.get().ok()??;
    Some((relayed, mapped, read_lifetime(message)?))
}

/// Reads LIFETIME: at least a second, at most a day, so that no server makes us refresh all the
/// time or never.
fn read_lifetime(message: &Message<'_>) -> Option<Duration> {
    let Lifetime(seconds) = message.get().ok()??;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()).min(MAX_LIFETIME))
}

/// The lifetime of an allocation whose request has no LIFETIME (RFC 8656 §3.2).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

const MAX_LIFETIME: Duration = Duration::from_secs(86_400);
