//! Which ports exist, which are free, and which comes next.

use std::ops::RangeInclusive;
use std::time::Instant;

use rand_chacha::rand_core::Rng;

use super::assign::{ExternalChoice, MappingRequest};
use super::config::Protocol;
use super::pool::{Parity, Pool};
use super::queue::Timeout;
use super::{DropReason, Nat};
use crate::{Address, Endpoint};

impl Nat {
    pub(super) fn next_in_sequence(
        &mut self,
        request: MappingRequest,
        index: usize,
        step: u16,
        per_host: bool,
        range: &RangeInclusive<u16>,
        parity: Parity,
    ) -> Option<u16> {
        let last = if per_host {
            self.hosts
                .get(request.internal.address)
                .and_then(|host| host.cursor)
        } else {
            self.cursor
        };
        let start = last
            .and_then(|last| last.checked_add(step))
            // The last port may lie in another range: low and high ports share one sequence.
            .filter(|start| range.contains(start))
            .unwrap_or_else(|| *range.start());
        let port = self
            .pool(request.protocol, index)
            .next_free(start, range, parity)?;
        if per_host {
            self.hosts.entry(request.internal.address).cursor = Some(port);
        } else {
            self.cursor = Some(port);
        }
        Some(port)
    }

    pub(super) fn random_free(
        &mut self,
        protocol: Protocol,
        index: usize,
        range: &RangeInclusive<u16>,
        parity: Parity,
    ) -> Option<u16> {
        // The draw is followed by a search. Draws alone could miss the last free port of a full
        // pool for ever.
        let start = self.random_in(range);
        self.pool(protocol, index).next_free(start, range, parity)
    }

    /// Returns the ports of a host's block at an external address. The host gets the block with
    /// its first mapping there.
    pub(super) fn block(
        &mut self,
        internal: Address,
        index: usize,
        size: u16,
    ) -> Result<RangeInclusive<u16>, DropReason> {
        let block = |start: u16| start..=start.saturating_add(size - 1);
        let host = self.hosts.get(internal);
        let mut mine = host.into_iter().flat_map(|host| host.blocks.iter());
        if let Some((_, start)) = mine.find(|(at, _)| *at == index) {
            return Ok(block(*start));
        }
        let range = self.config.ports.range.clone();
        let blocks = (usize::from(*range.end() - *range.start()) + 1) / usize::from(size);
        // RFC 6888 REQ-15: ports should be hard to guess, so blocks are not handed out in order.
        let first = self.random_below(blocks);
        let start = (0..blocks)
            .map(|offset| (first + offset) % blocks)
            .map(|number| range.start() + (number * usize::from(size)) as u16)
            .find(|start| !self.hosts.blocks.contains(&(index, *start)))
            .ok_or(DropReason::PortExhausted)?;
        self.hosts.blocks.insert((index, start));
        self.hosts.entry(internal).blocks.push((index, start));
        Ok(block(start))
    }

    pub(super) fn take(
        &mut self,
        protocol: Protocol,
        index: usize,
        port: Option<u16>,
    ) -> Result<ExternalChoice, DropReason> {
        let port = port.ok_or(DropReason::PortExhausted)?;
        let address = self.external(index)?;
        self.pool(protocol, index).take(port);
        Ok(ExternalChoice::pooled(Endpoint::new(address, port)))
    }

    /// Returns the ports that an inside port may be mapped to.
    pub(super) fn range_for(&self, port: u16) -> RangeInclusive<u16> {
        let range = &self.config.ports.range;
        if !self.config.ports.keep_range {
            return range.clone();
        }
        let class = if port < 1024 { 0..=1023 } else { 1024..=65535 };
        let (low, high) = (
            *range.start().max(class.start()),
            *range.end().min(class.end()),
        );
        // A NAT may have no ports of the class of the inside port. It then uses others, because
        // RFC 4787 REQ-3a only recommends to keep the class.
        if low <= high {
            low..=high
        } else {
            range.clone()
        }
    }

    pub(super) fn parity_for(&self, port: u16) -> Parity {
        if self.config.ports.parity {
            Parity::of(port)
        } else {
            Parity::Any
        }
    }

    pub(crate) fn pool(&mut self, protocol: Protocol, index: usize) -> &mut Pool {
        let at = index * PROTOCOLS + protocol as usize;
        self.pools.entry(at).or_insert_with(Pool::new)
    }

    /// Returns a port to its pool after its hold-down.
    pub(crate) fn release(&mut self, at: Instant, protocol: Protocol, external: Endpoint) {
        let Some(index) = self.external_index(external.address) else {
            return;
        };
        let hold_down = self.config.ports.hold_down;
        let pool = index * PROTOCOLS + protocol as usize;
        let port = external.port;
        // RFC 6888 REQ-8: packets for the old mapping must not reach the host of a new one. The
        // limit keeps ports that rest from exhausting the pool.
        if hold_down.is_zero() || self.resting_ports >= self.config.limits.resting_ports {
            self.free_port(pool, port);
        } else {
            self.resting_ports += 1;
            let due = Timeout::Port { pool, port };
            self.queue.push(at + hold_down, due);
        }
    }

    pub(crate) fn free_port(&mut self, pool: usize, port: u16) {
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.free(port);
        }
    }

    pub(super) fn random_in(&mut self, range: &RangeInclusive<u16>) -> u16 {
        let count = usize::from(range.end().saturating_sub(*range.start())) + 1;
        range.start() + self.random_below(count) as u16
    }

    /// Returns a random number below `count`. The bias of a 64-bit draw over so few values is too
    /// small to measure.
    pub(crate) fn random_below(&mut self, count: usize) -> usize {
        (self.rng.next_u64() % count.max(1) as u64) as usize
    }
}

/// How many pools an external address has: one per protocol.
pub(super) const PROTOCOLS: usize = 3;
