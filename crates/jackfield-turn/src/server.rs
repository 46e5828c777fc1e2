use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::{Epoch, FiveTuple};

use crate::{AllocationId, BindError, Config, Output, Relay, Stats};

/// A TURN and STUN server for the clients of one shard ([RFC 8656], [RFC 8489]), without sockets.
///
/// A driver feeds it what arrives and takes what [`Server::poll_output`] gives, after each input or batch of inputs.
/// Calls on network bytes return no errors: what cannot be answered is dropped and counted in [`Stats`].
///
/// [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656
/// [RFC 8489]: https://www.rfc-editor.org/rfc/rfc8489
#[derive(Debug)]
pub struct Server {
    outputs: VecDeque<Output>,
    stats: Stats,
}

impl Server {
    /// Makes a server. The same configuration, seed and inputs give the same outputs.
    ///
    /// `seed` is for relay ports, reservation tokens and hash tables: 32 random bytes, different for each shard.
    pub fn new(config: Config, epoch: Epoch, seed: [u8; 32]) -> Self {
        let _ = (config, epoch, seed);
        Self {
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Replaces the tie between monotonic and calendar time, after the wall clock was stepped.
    pub fn set_epoch(&mut self, epoch: Epoch) {
        let _ = epoch;
    }

    /// Takes what a client sent: one datagram, or one message of a stream as `jackfield_stun::framing` cuts it.
    ///
    /// Data for a peer comes straight back, borrowed; send it before the next call.
    pub fn handle_client<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<Relay<'b>> {
        let _ = (now, path, bytes);
        None
    }

    /// Takes the end of a client's connection (TCP, TLS, DTLS): its allocation ends with it.
    pub fn handle_client_closed(&mut self, now: Instant, path: FiveTuple) {
        let _ = (now, path);
    }

    /// Takes a datagram that `peer` sent to the relay socket bound to `relayed`.
    pub fn handle_peer<'b>(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        bytes: &'b [u8],
    ) -> Option<Relay<'b>> {
        let _ = (now, relayed, peer, bytes);
        None
    }

    /// Takes the answer to [`Output::Bind`]: the address bound to, which is the one asked for, or why not.
    pub fn handle_bound(
        &mut self,
        now: Instant,
        id: AllocationId,
        relayed: Result<SocketAddr, BindError>,
    ) {
        let _ = (now, id, relayed);
    }

    /// Ends what is due by `now`: allocations, permissions, channels, reservations.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Ends an allocation for the operator.
    pub fn deallocate(&mut self, now: Instant, id: AllocationId) {
        let _ = (now, id);
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Wait(None))
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
