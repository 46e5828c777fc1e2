//! The router's part of port mapping: packets to and from the gateway.

use std::time::Instant;

use jackfield_nat::Side;
use jackfield_nat::packet::{Offload, Packet};
use jackfield_portmap::{Dialects, Gateway, GatewayConfig};

use super::translator::Translator;

impl Translator {
    /// Leases the NAT's ports to hosts inside from now on, or in other protocols, or not at all if
    /// there are none.
    pub(super) fn map_ports(&mut self, config: GatewayConfig) {
        let now = Instant::now();
        match &mut self.gateway {
            Some(gateway) if config.dialects == Dialects::NONE => {
                gateway.end_all(now, &mut self.nat);
                self.send_of_gateway(now);
                self.gateway = None;
            }
            Some(gateway) => gateway.set_dialects(now, &self.nat, config.dialects),
            None if config.dialects == Dialects::NONE => {}
            None => {
                let mut seed = [0; 32];
                // Without randomness, ports that a host leaves to the gateway can be guessed; all
                // else works.
                if let Err(error) = getrandom::fill(&mut seed) {
                    tracing::warn!(%error, "Leased ports are not random");
                }
                self.gateway = Some(Gateway::new(now, config, &self.nat, seed));
            }
        }
    }

    /// Hands a packet to the gateway if it is for it; returns whether it was. The packet has
    /// [`Packet::HEADROOM`] in front.
    #[inline]
    pub(super) fn gateway_takes(
        &mut self,
        now: Instant,
        from: Side,
        mut offload: Offload,
        buffer: &mut [u8],
    ) -> bool {
        let packet = buffer.get_mut(Packet::HEADROOM..).unwrap_or_default();
        let Some(gateway) = &mut self.gateway else {
            return false;
        };
        if !gateway.is_for(&self.nat, from, packet) {
            return false;
        }
        if let Some(tap) = &mut self.tap {
            tap.record(from, packet, Some("gateway"));
        }
        offload.finish(packet);
        gateway.handle_packet(now, &mut self.nat, packet);
        self.send_of_gateway(now);
        true
    }

    /// Does what is due at the gateway.
    pub(super) fn tend_leases(&mut self, now: Instant) {
        if let Some(gateway) = &mut self.gateway {
            gateway.handle_timeout(now, &mut self.nat);
            self.send_of_gateway(now);
        }
    }

    fn send_of_gateway(&mut self, now: Instant) {
        while let Some(packet) = self.gateway.as_mut().and_then(Gateway::poll_packet) {
            self.send(now, Side::Inside, &packet);
        }
    }
}
