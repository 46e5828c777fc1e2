use std::io;
use std::time::Instant;

use jackfield_nat::packet::Packet;
use jackfield_nat::portmap::Gateway;
use jackfield_nat::{Nat, Side, Verdict};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::cable::{Cable, Fate};
use super::handle::{Handle, Order, Report};
use super::offload::Offload;
use super::port::Port;
use super::{Link, Tap, Tun};

/// How a router works.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// What the way between the NAT and the outside does to packets.
    pub link: Link,
    /// Whether packets may come and leave as trains. They do not come so where the NAT has an MTU of its own or the link
    /// loses packets: those take a packet at a time.
    pub trains: bool,
    /// How many packets or trains are read from one side before the other side has its turn, at least 1.
    pub batch: usize,
    /// How many bytes may be under way on a link with latency.
    pub bytes_under_way: usize,
    /// What decides which packets get lost.
    pub seed: u64,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            link: Link::default(),
            trains: true,
            batch: 64,
            bytes_under_way: 64 << 20,
            seed: 0,
        }
    }
}

/// A NAT between two interfaces.
#[derive(Debug)]
pub struct Router {
    pub(super) nat: Nat,
    inside: Port,
    outside: Port,
    cable: Cable,
    orders: mpsc::Receiver<Order>,
    started: Instant,
    pub(super) tap: Option<Tap>,
    /// What leases the NAT's ports to hosts inside.
    pub(super) gateway: Option<Gateway>,
    trains: bool,
    batch: usize,
    buffer: Box<[u8]>,
}

impl Router {
    /// Puts a NAT between two interfaces; it moves nothing until [`Router::run`].
    ///
    /// # Errors
    /// Fails when an interface cannot be waited for. Has to be called within a tokio runtime.
    pub fn new(
        nat: Nat,
        inside: Tun,
        outside: Tun,
        config: &RouterConfig,
    ) -> io::Result<(Self, Handle)> {
        let (handle, orders) = Handle::new();
        let router = Self {
            nat,
            inside: Port::new(inside, config.trains)?,
            outside: Port::new(outside, config.trains)?,
            cable: Cable::new(config.link, config.bytes_under_way, config.seed),
            orders,
            started: Instant::now(),
            tap: None,
            gateway: None,
            trains: config.trains,
            batch: config.batch.max(1),
            buffer: vec![0; Packet::HEADROOM + LONGEST_PACKET].into_boxed_slice(),
        };
        router.set_trains();
        Ok((router, handle))
    }

    /// Captures packets from now on.
    pub fn capture(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Moves packets until `stop` resolves; returns how it went.
    ///
    /// # Errors
    /// Fails when an interface can no longer be read, as when it was removed.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> io::Result<Report> {
        tokio::pin!(stop);
        let mut given_up = false;
        loop {
            let leases = self.gateway.as_ref().and_then(Gateway::next_timeout);
            let next = [self.nat.next_timeout(), self.cable.next(), leases];
            let next = next.into_iter().flatten().min();
            tokio::select! {
                biased;
                () = &mut stop => return Ok(self.report()),
                order = self.orders.recv(), if !given_up => match order {
                    Some(order) => self.obey(order),
                    None => given_up = true,
                },
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
                ready = self.inside.readable() => ready?,
                ready = self.outside.readable() => ready?,
            }
            // Whatever it was that woke us, both sides have their turn: neither starves the other.
            let now = Instant::now();
            self.pump(now, Side::Inside)?;
            self.pump(now, Side::Outside)?;
            self.keep_time();
            self.inside.flush();
            self.outside.flush();
            if let Some(tap) = &mut self.tap {
                tap.flush();
            }
        }
    }

    /// Reads what has come to a side, up to a batch.
    fn pump(&mut self, now: Instant, from: Side) -> io::Result<()> {
        for _ in 0..self.batch {
            let port = match from {
                Side::Inside => &mut self.inside,
                Side::Outside => &mut self.outside,
            };
            let Some((length, offload)) = port.read(&mut self.buffer, Packet::HEADROOM)? else {
                break;
            };
            // The buffer is lent to the translation and comes back.
            let mut buffer = std::mem::take(&mut self.buffer);
            let end = Packet::HEADROOM + length;
            self.came(
                now,
                from,
                offload,
                buffer.get_mut(..end).unwrap_or_default(),
            );
            self.buffer = buffer;
        }
        Ok(())
    }

    /// Takes in a packet that has [`Packet::HEADROOM`] in front.
    fn came(&mut self, now: Instant, from: Side, offload: Offload, buffer: &mut [u8]) {
        if self.gateway.is_some() && self.gateway_takes(now, from, offload, buffer) {
            return;
        }
        let packet = buffer.get(Packet::HEADROOM..).unwrap_or_default();
        if !self.cable.admits(packet) {
            return;
        }
        if from == Side::Outside && self.cable.enter(now, from, offload, packet) == Fate::Gone {
            return;
        }
        self.translate(now, from, offload, buffer);
    }

    fn translate(&mut self, now: Instant, from: Side, mut offload: Offload, buffer: &mut [u8]) {
        let mut packet = Packet::with_headroom(buffer, Packet::HEADROOM);
        if self.nat.config().mtu.is_some() {
            // What the NAT cuts to pieces has to be complete before.
            offload.complete(packet.bytes_mut());
        }
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
            (Verdict::Held(_) | Verdict::Drop(_), _) => None,
        };
        if let Some(to) = to {
            offload.renew(packet.bytes_mut());
            self.send(now, to, offload, packet.bytes());
        }
        self.send_own(now);
    }

    /// Sends what the NAT sends of its own accord.
    fn send_own(&mut self, now: Instant) {
        while let Some(transmit) = self.nat.poll_transmit() {
            self.send(now, transmit.side, Offload::default(), &transmit.bytes);
        }
    }

    pub(super) fn send(&mut self, now: Instant, to: Side, offload: Offload, packet: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.record(to, packet, None);
        }
        match to {
            Side::Inside => self.inside.write(offload, packet),
            Side::Outside => {
                if self.cable.enter(now, Side::Inside, offload, packet) == Fate::Arrived {
                    self.outside.write(offload, packet);
                }
            }
        }
    }

    /// Does what is due: the NAT's timers, and packets that reach their end of the cable.
    fn keep_time(&mut self) {
        let now = Instant::now();
        self.nat.handle_timeout(now);
        self.tend_leases(now);
        self.send_own(now);
        while let Some(parcel) = self.cable.arrived(now) {
            match parcel.from {
                Side::Inside => self.outside.write(parcel.offload, &parcel.bytes),
                Side::Outside => {
                    let mut buffer = vec![0; Packet::HEADROOM];
                    buffer.extend(parcel.bytes);
                    self.translate(now, parcel.from, parcel.offload, &mut buffer);
                }
            }
        }
    }

    // Whoever gave an order and went away does not wait for the answer.
    fn obey(&mut self, order: Order) {
        match order {
            Order::Report(done) => {
                let _ = done.send(Box::new(self.report()));
            }
            Order::Reboot(done) => {
                self.nat.reboot();
                let _ = done.send(());
            }
            Order::Reconfigure(config, done) => {
                self.nat.reconfigure(*config);
                self.set_trains();
                let _ = done.send(());
            }
            Order::MapPorts(config, done) => {
                self.map_ports(*config);
                let _ = done.send(());
            }
            Order::SetLink(link, done) => {
                self.cable.link = link;
                self.set_trains();
                let _ = done.send(());
            }
        }
    }

    fn set_trains(&self) {
        let whole = self.nat.config().mtu.is_none() && self.cable.link.loss_per_million == 0;
        self.inside.set_trains(self.trains && whole);
        self.outside.set_trains(self.trains && whole);
    }

    fn report(&self) -> Report {
        Report {
            at: Instant::now(),
            started: self.started,
            mappings: self.nat.mappings().collect(),
            flows: self.nat.flow_count(),
            nat: self.nat.counters().clone(),
            link: self.cable.link,
            link_counters: self.cable.counters,
            leases: self.gateway.iter().flat_map(Gateway::leases).collect(),
            port_mapping: self.gateway.as_ref().map(|it| *it.counters()),
            inside: self.inside.counters,
            outside: self.outside.counters,
        }
    }
}

/// The longest IPv4 packet, and the longest train that a kernel makes without being asked for longer ones.
const LONGEST_PACKET: usize = 65_535 + 40;
