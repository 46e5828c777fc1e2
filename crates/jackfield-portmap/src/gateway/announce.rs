//! Announces to all hosts inside that leases are lost: after a restart, and when the outside
//! address has changed ([RFC 6886 §3.2.1](https://www.rfc-editor.org/rfc/rfc6886#section-3.2.1),
//! [RFC 6887 §14.1](https://www.rfc-editor.org/rfc/rfc6887#section-14.1)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::Nat;
use jackfield_nat::packet::Datagram;

use super::Gateway;
use crate::{ANNOUNCE_PORT, SERVER_PORT, nat_pmp, pcp};

/// The announcements that are still to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Announcer {
    /// When the next one is due, and how many have been sent.
    next: Option<(Instant, u32)>,
}

impl Announcer {
    pub(super) fn begin(&mut self, now: Instant) {
        self.next = Some((now, 0));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }

    /// Returns whether an announcement is due. The pauses double from a quarter of a second, as
    /// RFC 6886 §3.2.1 asks: multicast is not retransmitted, so announcements are repeated.
    fn due(&mut self, now: Instant, most: u32) -> bool {
        let Some((at, made)) = self.next.filter(|(at, _)| *at <= now) else {
            return false;
        };
        let made_now = made + 1;
        self.next = (made_now < most).then(|| {
            let pause = FIRST_PAUSE * (1 << made.min(16));
            (at.max(now) + pause, made_now)
        });
        made < most
    }
}

impl Gateway {
    pub(super) fn announce(&mut self, now: Instant, nat: &Nat) {
        if !self.announcements.due(now, self.config.announcements) {
            return;
        }
        let Some(own) = nat.config().inside else {
            return;
        };
        let dialects = self.config.dialects;
        // Each host may have another outside address. The announcement can name one only, that of
        // the gateway itself; its epoch is what matters.
        if let (true, IpAddr::V4(_)) = (self.speaks_nat_pmp(nat), own) {
            let bytes = self.external_address(now, nat, own).encode();
            self.multicast(own, bytes);
        }
        if dialects.pcp {
            let response = pcp::Response {
                result: pcp::ResultCode::Success,
                lifetime: 0,
                epoch: self.epoch(now),
                body: pcp::Body::Announce,
                options: Vec::new(),
            };
            self.multicast(own, response.encode());
        }
    }

    /// Returns the outside address of a host.
    pub(super) fn external_address(
        &self,
        now: Instant,
        nat: &Nat,
        host: IpAddr,
    ) -> nat_pmp::Response {
        let (result, ip) = match nat.external_of(host) {
            Some(IpAddr::V4(ip)) => (nat_pmp::ResultCode::Success, ip),
            Some(IpAddr::V6(_)) | None => {
                (nat_pmp::ResultCode::NetworkFailure, Ipv4Addr::UNSPECIFIED)
            }
        };
        nat_pmp::Response {
            result,
            epoch: self.epoch(now),
            answer: nat_pmp::Answer::ExternalAddress(ip),
        }
    }

    fn multicast(&mut self, own: IpAddr, data: Vec<u8>) {
        // All nodes of the link: 224.0.0.1 (RFC 6886 §3.2.1, RFC 6887 §14.1) and ff02::1.
        let all_nodes = match own {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        };
        self.counters.announced += 1;
        self.outbox.push_back(Datagram {
            source: SocketAddr::new(own, SERVER_PORT),
            destination: SocketAddr::new(all_nodes, ANNOUNCE_PORT),
            data,
        });
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
