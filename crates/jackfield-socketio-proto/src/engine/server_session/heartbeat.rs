//! The heartbeat of a session: when a ping is due, and when its answer is.

use std::time::{Duration, Instant};

use super::ServerSessionConfig;
use crate::engine::{Packet, Version};

/// The heartbeat's next deadline.
#[derive(Debug, Clone, Copy)]
pub(super) enum Heartbeat {
    /// Revision 4: a ping is due.
    PingAt(Instant),
    /// Revision 4: the answer to a ping is due.
    PongBy {
        deadline: Instant,
        /// A packet other than the pong has put the deadline off; it does so once.
        extended: bool,
    },
    /// Revision 3: the client's next ping is due.
    ClientPingBy(Instant),
}

/// What a heartbeat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// Revision 3: a pong that was not asked for, which shows the client that the server is there.
    Pong,
    Timeout,
}

impl Heartbeat {
    pub(super) fn new(now: Instant, version: Version, config: &ServerSessionConfig) -> Self {
        match version {
            Version::V4 => Self::PingAt(now + config.ping_interval),
            // In revision 3 the client pings, at an interval by its own clock: the timeout is its
            // margin.
            Version::V3 => Self::ClientPingBy(now + config.ping_interval + config.ping_timeout),
        }
    }

    pub(super) const fn deadline(&self) -> Instant {
        match self {
            Self::PingAt(at) | Self::PongBy { deadline: at, .. } | Self::ClientPingBy(at) => *at,
        }
    }

    /// Moves on if the deadline has come.
    ///
    /// `unread` says that the client's answers are not read at the moment: then it is asked again,
    /// and not given up.
    pub(super) fn due(&mut self, now: Instant, unread: bool, config: &ServerSessionConfig) -> Due {
        if now < self.deadline() {
            return Due::Nothing;
        }
        match self {
            Self::PongBy { deadline, .. } if unread => {
                *deadline = now + config.ping_timeout;
                Due::Ping
            }
            Self::ClientPingBy(deadline) if unread => {
                *deadline = now + config.ping_timeout;
                Due::Pong
            }
            Self::PingAt(at) => {
                // The period runs from when the ping was due, unless the driver itself was held up.
                let late = now.saturating_duration_since(*at) > MAX_LATENESS;
                let sent = if late { now } else { *at };
                *self = Self::PongBy {
                    deadline: sent + config.ping_timeout,
                    extended: false,
                };
                Due::Ping
            }
            Self::PongBy { .. } | Self::ClientPingBy(_) => Due::Timeout,
        }
    }

    /// Notes a heartbeat from the client: its pong in revision 4, its ping in revision 3.
    pub(super) fn refresh(&mut self, now: Instant, config: &ServerSessionConfig) {
        *self = match self {
            Self::PingAt(_) | Self::PongBy { .. } => Self::PingAt(now + config.ping_interval),
            Self::ClientPingBy(_) => {
                Self::ClientPingBy(now + config.ping_interval + config.ping_timeout)
            }
        };
    }

    /// Gives the client its time anew: its answers are read again.
    pub(super) fn note_reading(&mut self, now: Instant, config: &ServerSessionConfig) {
        match self {
            Self::PingAt(_) => {}
            Self::PongBy { deadline, .. } | Self::ClientPingBy(deadline) => {
                *deadline = (*deadline).max(now + config.ping_timeout);
            }
        }
    }

    /// Notes any packet: a client that is busy uploading gets one more period for its pong.
    pub(super) fn note_packet(
        &mut self,
        now: Instant,
        packet: &Packet,
        config: &ServerSessionConfig,
    ) {
        // Only once, or a client that sends and never reads could live without a pong for ever.
        if let Self::PongBy { deadline, extended } = self
            && !*extended
            && !matches!(packet, Packet::Pong(_))
        {
            *deadline = now + config.ping_timeout;
            *extended = true;
        }
    }
}

/// A driver that calls later than this was held up, and its clients could not have answered in
/// time.
const MAX_LATENESS: Duration = Duration::from_secs(1);
