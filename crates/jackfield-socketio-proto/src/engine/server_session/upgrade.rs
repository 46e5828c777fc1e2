//! The move from polling to a WebSocket: probe, noop, upgrade.

use std::time::{Duration, Instant};

use super::{LinkId, Output, ServerSession, State};
use crate::engine::{CloseReason, Outgoing, Packet, PacketError};

/// A WebSocket that a polling client tries.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) link: LinkId,
    /// It carries no bytes, only text.
    base64_only: bool,
    /// The client must have completed the upgrade by then.
    deadline: Instant,
    /// The probe was answered; polls are ended so that the client can pause polling.
    answered: bool,
    /// When a waiting poll is ended by a noop.
    noop_at: Option<Instant>,
    /// The answer to the probe, until the WebSocket takes it.
    pub(super) outbox: Option<Outgoing>,
}

impl ServerSession {
    /// Takes a WebSocket that names this session; it becomes the probe of an upgrade.
    ///
    /// The WebSocket is closed at once, by [`Output::CloseLink`], if the session has another
    /// probe, has been upgraded, is closed, or upgrades are switched off. `base64_only` is the
    /// `b64` parameter of its request: it shall carry text alone.
    #[must_use]
    pub fn handle_link(&mut self, now: Instant, base64_only: bool) -> LinkId {
        let link = self.next_link();
        // One probe at a time: two could both complete, and the client reads from one.
        let free = self.link.is_none() && self.probe.is_none() && self.state == State::Open;
        if free && self.config.allow_upgrades {
            self.probe = Some(Probe {
                link,
                base64_only,
                deadline: now + self.config.upgrade_timeout,
                answered: false,
                noop_at: None,
                outbox: None,
            });
        } else {
            self.outputs.push_back(Output::CloseLink(link));
        }
        link
    }

    pub(super) fn handle_probe_packet(
        &mut self,
        now: Instant,
        packet: Result<Packet, PacketError>,
    ) {
        match packet {
            Ok(Packet::Ping(content)) if content == "probe" => self.answer_probe(now),
            Ok(Packet::Upgrade) => self.complete_upgrade(),
            // A failed probe leaves the session on polling, which still works.
            Ok(_) | Err(_) => self.drop_probe(),
        }
    }

    fn answer_probe(&mut self, now: Instant) {
        let waiting = self.polling.is_waiting();
        let Some(probe) = &mut self.probe else {
            return;
        };
        probe.outbox = Some(Outgoing::text("3probe"));
        probe.answered = true;
        probe.noop_at = Some(now + NOOP_INTERVAL);
        self.outputs.push_back(Output::Flush(probe.link));
        // The client stops polling before it upgrades, so the GET that waits has to end.
        if waiting {
            self.answer_poll_with_noop();
        }
    }

    fn complete_upgrade(&mut self) {
        let Some(probe) = self.probe.take() else {
            return;
        };
        // From here on no GET is taken, so one that waits would never be answered.
        self.answer_poll_with_noop();
        self.link = Some(probe.link);
        self.base64_only = probe.base64_only;
        if let Some(answer) = probe.outbox {
            // The client did not wait for the answer to its probe.
            self.buffered += answer.cost();
            self.buffer.push_front(answer);
        }
        self.outputs.push_back(Output::Upgraded(probe.link));
        self.flush();
        if matches!(self.state, State::Closing(_)) {
            self.end(CloseReason::ForcedClose);
        }
    }

    /// Lets a poll that arrives during a probe wait no longer than the noop interval.
    pub(super) fn hurry_poll(&mut self, now: Instant) {
        if let Some(probe) = &mut self.probe
            && probe.answered
        {
            probe.noop_at = Some(now + NOOP_INTERVAL);
        }
    }

    pub(super) fn expire_probe(&mut self, now: Instant) {
        let Some(probe) = &mut self.probe else {
            return;
        };
        if probe.deadline <= now {
            self.drop_probe();
            self.outputs.push_back(Output::UpgradeTimedOut);
        } else if probe.noop_at.is_some_and(|at| at <= now) {
            probe.noop_at = None;
            self.answer_poll_with_noop();
        }
    }

    pub(super) fn probe_deadline(&self) -> Option<Instant> {
        let probe = self.probe.as_ref()?;
        Some(
            probe
                .noop_at
                .map_or(probe.deadline, |at| at.min(probe.deadline)),
        )
    }

    /// Closes the probe; the session goes on polling.
    pub(super) fn drop_probe(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.outputs.push_back(Output::CloseLink(probe.link));
        }
    }
}

/// Between two noops that end polls while a probe is under way; without a pause a client would
/// poll in a tight loop.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);
