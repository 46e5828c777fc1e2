//! The addresses that every core gets to know: sockets, listeners, and where they are seen outside.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use jackfield_ice::{MdnsName, gather};

use super::core::Core;
use super::shared::{Shared, lock, sleep_until};

/// The addresses that every core gets to know. It is locked before a session's core, never after.
#[derive(Debug, Default)]
pub(super) struct Topology {
    pub(super) sockets: Vec<SocketAddr>,
    pub(super) listeners: Vec<SocketAddr>,
    /// Addresses without a UDP socket.
    pub(super) addresses: Vec<IpAddr>,
    /// The names that are shown in place of addresses.
    pub(super) names: Vec<(IpAddr, MdnsName)>,
    /// Where STUN servers see sockets.
    pub(super) mapped: Vec<(SocketAddr, SocketAddr)>,
    /// Whether every STUN server has answered or was given up.
    pub(super) is_gathered: bool,
}

impl<C: Core> Shared<C> {
    /// Asks the STUN servers.
    pub(super) async fn run_gatherer(self: Arc<Self>) {
        loop {
            let until = self.drain_gatherer();
            tokio::select! {
                () = sleep_until(until) => lock(&self.gatherer).handle_timeout(Instant::now()),
                () = self.gatherer_changed.notified() => {}
            }
        }
    }

    fn drain_gatherer(&self) -> Option<Instant> {
        loop {
            let output = lock(&self.gatherer).poll_output();
            match output {
                gather::Output::Transmit(transmit) => {
                    if let Some(socket) = self.socket(transmit.path)
                        && !socket.send(transmit.path.remote, transmit.bytes)
                    {
                        self.counters.dropped_transmits.add();
                    }
                }
                // It has no TURN servers.
                gather::Output::Connect { .. } | gather::Output::Close(_) => {}
                gather::Output::Event(event) => self.gathered(&event),
                gather::Output::Wait(until) => return until,
            }
        }
    }

    fn gathered(&self, event: &gather::Event) {
        match event {
            gather::Event::Reflexive { base, address, .. } => self.add_mapped(*base, *address),
            gather::Event::ReflexiveLost { base, address } => self.remove_mapped(*base, *address),
            gather::Event::Complete => {
                let mut topology = self.topology();
                topology.is_gathered = true;
                for slot in self.all_sessions() {
                    self.call(&slot, Core::end_of_sockets);
                }
            }
            gather::Event::Error(error) => {
                tracing::info!(
                    server = error.url,
                    code = error.code,
                    text = error.text,
                    "STUN server gave no address"
                );
                self.counters.stun_errors.add();
            }
            _ => {}
        }
    }

    /// Takes where a socket is seen outside, and tells every session.
    pub(super) fn add_mapped(&self, local: SocketAddr, outside: SocketAddr) {
        let mut topology = self.topology();
        topology.mapped.push((local, outside));
        for slot in self.all_sessions() {
            self.call(&slot, |core, now| {
                core.add_mapped_address(now, local, outside);
            });
        }
    }

    /// Takes that a socket is no longer seen there, and tells every session.
    pub(super) fn remove_mapped(&self, local: SocketAddr, outside: SocketAddr) {
        let mut topology = self.topology();
        let mapped = &mut topology.mapped;
        let known = mapped.iter().position(|mapped| *mapped == (local, outside));
        if let Some(known) = known {
            mapped.remove(known);
        }
        let left = mapped.iter().filter(|(socket, _)| *socket == local);
        let left: Vec<SocketAddr> = left.map(|(_, outside)| *outside).collect();
        if known.is_none() || left.contains(&outside) {
            return;
        }
        for slot in self.all_sessions() {
            self.call(&slot, |core, now| {
                core.remove_mapped_address(now, local);
                for outside in &left {
                    core.add_mapped_address(now, local, *outside);
                }
            });
        }
    }

    /// Returns the addresses of the UDP sockets, the preferred ones first.
    pub(super) fn local_sockets(&self) -> Vec<SocketAddr> {
        self.topology().sockets.clone()
    }

    pub(super) fn topology(&self) -> MutexGuard<'_, Topology> {
        lock(&self.topology)
    }
}
