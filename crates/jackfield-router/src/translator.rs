//! What the lanes of a router share behind one lock: the NAT, its uplink and its gateway.

use std::ops::Range;
use std::time::Instant;

use jackfield_nat::packet::{Offload, Packet};
use jackfield_nat::{Nat, Side, Verdict};
use jackfield_portmap::Gateway;

use super::Tap;
use super::uplink::Uplink;

/// The NAT and what is around it. It touches no interface: packets to be written are left in
/// `out`, in order, and the lane that holds the lock takes them.
#[derive(Debug)]
pub(super) struct Translator {
    pub(super) nat: Nat,
    pub(super) uplink: Uplink,
    pub(super) tap: Option<Tap>,
    /// Leases the NAT's ports to hosts inside; `None` without port mapping.
    pub(super) gateway: Option<Gateway>,
    /// Packets that are to be written.
    pub(super) out: Vec<Outgoing>,
    /// The deadline that the timer task sleeps until.
    pub(super) awaited: Option<Instant>,
}

/// A packet that is to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) to: Side,
    pub(super) offload: Offload,
    pub(super) bytes: Bytes,
}

/// Where a packet's bytes are, with room of [`Offload::LENGTH`] in front.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In the buffer of packets from this side, where it was read to.
    Of(Side, Range<usize>),
    /// In memory of its own.
    Own(Vec<u8>),
}

impl Translator {
    pub(super) fn new(nat: Nat, uplink: Uplink) -> Self {
        Self {
            nat,
            uplink,
            tap: None,
            gateway: None,
            out: Vec::new(),
            awaited: None,
        }
    }

    /// Takes in a packet: all of `buffer` from `at` on but for [`Packet::HEADROOM`] in front.
    pub(super) fn take(
        &mut self,
        now: Instant,
        from: Side,
        offload: Offload,
        buffer: &mut [u8],
        at: usize,
    ) {
        // The gateway is on the inside of the NAT: what is for it crosses neither the NAT nor the
        // uplink.
        if self.gateway.is_some() && self.gateway_takes(now, from, offload, buffer) {
            return;
        }
        let packet = buffer.get(Packet::HEADROOM..).unwrap_or_default();
        if !self.uplink.admits(packet) {
            return;
        }
        // The uplink lies outside of the NAT. A packet from outside crosses it before the NAT sees
        // it, and one from inside after, in `put`.
        if from == Side::Outside && !self.uplink.enter(now, from, offload, packet) {
            return;
        }
        self.translate(now, from, offload, buffer, Some(at));
    }

    /// Translates a packet. It stays where it is if that is a lane's buffer, at `at`; otherwise it
    /// is copied.
    fn translate(
        &mut self,
        now: Instant,
        from: Side,
        mut offload: Offload,
        buffer: &mut [u8],
        at: Option<usize>,
    ) {
        let origin = buffer.as_ptr().addr();
        let mut packet = Packet::with_headroom(buffer, Packet::HEADROOM);
        if self.nat.config().mtu.is_some() {
            // A fragment's checksum covers the whole packet, so it has to be complete before the
            // NAT cuts it to pieces.
            offload.complete(packet.bytes_mut());
        }
        // The NAT changes the packet in place, and a capture shows it as it came.
        let before = self.tap.is_some().then(|| packet.bytes().to_vec());
        let verdict = match from {
            Side::Inside => self.nat.outbound(now, &mut packet),
            Side::Outside => self.nat.inbound(now, &mut packet),
        };
        if let (Some(tap), Some(before)) = (&mut self.tap, before) {
            tap.record(from, &before, Some(&verdict.to_string()));
        }
        let to = match (verdict, from) {
            (Verdict::Forward, Side::Inside) => Some(Side::Outside),
            (Verdict::Forward, Side::Outside) => Some(Side::Inside),
            (Verdict::Hairpin, _) => Some(from),
            (Verdict::Hold(_) | Verdict::Drop(_), _) => None,
        };
        if let Some(to) = to {
            offload.renew(packet.bytes_mut());
            let bytes = packet.bytes();
            // NAT64 makes packets longer and shorter, at their front.
            let start = at.map(|at| at + (bytes.as_ptr().addr() - origin));
            let framed = start.and_then(|start| start.checked_sub(Offload::LENGTH));
            let length = Offload::LENGTH + bytes.len();
            let place = framed.map(|framed| Bytes::Of(from, framed..framed + length));
            self.put(now, to, offload, bytes, place);
        }
        self.send_own(now);
    }

    /// Sends what the NAT sends of its own accord.
    fn send_own(&mut self, now: Instant) {
        while let Some(transmit) = self.nat.poll_transmit() {
            self.send(now, transmit.side, &transmit.bytes);
        }
    }

    /// Sends a packet that the NAT or the gateway made.
    pub(super) fn send(&mut self, now: Instant, to: Side, packet: &[u8]) {
        self.put(now, to, Offload::NONE, packet, None);
    }

    fn put(
        &mut self,
        now: Instant,
        to: Side,
        offload: Offload,
        packet: &[u8],
        place: Option<Bytes>,
    ) {
        if let Some(tap) = &mut self.tap {
            tap.record(to, packet, None);
        }
        let arrives = to == Side::Inside || self.uplink.enter(now, Side::Inside, offload, packet);
        if arrives {
            let bytes = place.unwrap_or_else(|| Bytes::Own(framed(packet)));
            self.out.push(Outgoing { to, offload, bytes });
        }
    }

    /// Returns when something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let leases = self.gateway.as_ref().and_then(Gateway::next_timeout);
        let next = [self.nat.next_timeout(), self.uplink.next(), leases];
        next.into_iter().flatten().min()
    }

    /// Does what is due: the NAT's timers, and packets that reach the end of the uplink.
    pub(super) fn keep_time(&mut self, now: Instant) {
        self.nat.handle_timeout(now);
        self.tend_leases(now);
        self.send_own(now);
        while let Some(packet) = self.uplink.arrived(now) {
            match packet.from {
                Side::Inside => self.out.push(Outgoing {
                    to: Side::Outside,
                    offload: packet.offload,
                    bytes: Bytes::Own(framed(&packet.bytes)),
                }),
                Side::Outside => {
                    let mut buffer = vec![0; Packet::HEADROOM];
                    buffer.extend(packet.bytes);
                    self.translate(now, packet.from, packet.offload, &mut buffer, None);
                }
            }
        }
    }
}

/// Copies a packet, with room in front.
fn framed(packet: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(Offload::LENGTH + packet.len());
    framed.extend_from_slice(&[0; Offload::LENGTH]);
    framed.extend_from_slice(packet);
    framed
}
