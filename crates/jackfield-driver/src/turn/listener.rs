//! UDP sockets that clients send to.

use std::rc::Rc;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, PacketType, Transport};

use super::engine::Engine;
use crate::udp::{Datagram, UdpSocket};

/// Hands the core what clients send to `socket`, until the shard stops.
pub(super) async fn serve(
    engine: &Rc<Engine>,
    socket: UdpSocket,
    mut other: impl FnMut(PacketType, Datagram<'_>),
) {
    let listener = Listener::new(engine, socket);
    let mut shutdown = engine.context.shutdown();
    loop {
        tokio::select! {
            // A socket that is ready is the common case, and is looked at first.
            biased;
            () = listener.socket.readable() => {}
            () = shutdown.requested() => return,
        }
        if listener.receive(&mut other) {
            // There may be more, but others have work too.
            tokio::task::yield_now().await;
        }
    }
}

/// A socket that is known to its engine for as long as this lives.
struct Listener<'a> {
    engine: &'a Rc<Engine>,
    socket: Rc<UdpSocket>,
}

impl<'a> Listener<'a> {
    fn new(engine: &'a Rc<Engine>, socket: UdpSocket) -> Self {
        let socket = Rc::new(socket);
        engine.add_listener(&socket);
        Self { engine, socket }
    }

    /// Takes one batch; returns whether it was full.
    fn receive(&self, other: &mut impl FnMut(PacketType, Datagram<'_>)) -> bool {
        let mut batch = self.engine.batch.borrow_mut();
        let Ok(messages) = self.socket.try_receive(&mut batch) else {
            // Counted by the socket; most say that there was nothing.
            return true;
        };
        let now = Instant::now();
        for datagram in batch.datagrams() {
            match PacketType::of(datagram.bytes) {
                // RFC 5766's channel numbers begin as QUIC's short headers do; the core knows
                // whether this client has bound one.
                PacketType::Stun | PacketType::TurnChannel | PacketType::QuicShort => {
                    self.client(now, &datagram);
                }
                kind => other(kind, datagram),
            }
        }
        messages == batch.capacity()
    }

    fn client(&self, now: Instant, datagram: &Datagram<'_>) {
        let path = FiveTuple {
            transport: Transport::Udp,
            local: datagram.local,
            remote: datagram.remote,
        };
        self.engine.client(now, path, datagram.bytes);
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.engine.remove_listener(&self.socket);
    }
}
