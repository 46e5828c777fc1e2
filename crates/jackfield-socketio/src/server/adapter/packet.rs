//! One event for many sockets, as data.

use std::borrow::Borrow;
use std::time::Duration;

use bytestring::ByteString;
use jackfield_socketio_proto::packet::EventBody;

use super::AckSink;
use crate::engine::Wire;
use crate::server::{EmitError, Socket};

/// An event for many sockets, as data that may come from another process and go to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastPacket {
    /// The namespace, `/` for the main one.
    pub namespace: ByteString,
    /// The event.
    pub body: EventBody,
    /// Whether the packet may be lost: it goes only to clients that are ready to take it at once.
    pub volatile: bool,
    /// How long acknowledgements are waited for; `None` if none are wanted.
    pub ack_timeout: Option<Duration>,
}

impl BroadcastPacket {
    /// Sends the packet to sockets of this process. It is encoded and framed once, and all of them
    /// share the bytes.
    pub fn deliver<S: Borrow<Socket>>(&self, sockets: impl IntoIterator<Item = S>) -> Delivery {
        let wire = Wire::event(&self.namespace, None, &self.body);
        let mut delivery = Delivery::default();
        for socket in sockets {
            self.send(&wire, socket.borrow(), &mut delivery);
        }
        delivery
    }

    /// Sends the packet to sockets of this process and passes on the acknowledgements of their
    /// clients, of which `acks` learns how many are due.
    pub fn deliver_with_ack<S: Borrow<Socket>>(
        &self,
        sockets: impl IntoIterator<Item = S>,
        acks: &AckSink,
    ) -> Delivery {
        let mut delivery = Delivery::default();
        let mut sockets = sockets.into_iter().peekable();
        let mut asked = Vec::new();
        if let Some(first) = sockets.peek() {
            // The id is this process's own: ids of several processes would collide in a client's
            // packets.
            let id = first.borrow().next_ack_id();
            let wire = Wire::event(&self.namespace, Some(id), &self.body);
            for socket in sockets {
                // The client may answer before the call returns, so its answer is expected first.
                asked.push(socket.borrow().expect_ack(id, acks.waiter()));
                self.send(&wire, socket.borrow(), &mut delivery);
            }
        }
        acks.keep(asked);
        delivery
    }

    fn send(&self, wire: &Wire, socket: &Socket, delivery: &mut Delivery) {
        let sent = if self.volatile {
            socket.send_volatile(wire)
        } else {
            socket.send_wire(wire)
        };
        match sent {
            Ok(()) => delivery.sent += 1,
            Err(EmitError::Full) => delivery.full += 1,
            Err(_) => delivery.gone += 1,
        }
    }
}

/// How a broadcast went, in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Clients whose buffer took the packet; volatile packets that were dropped count here too.
    pub sent: usize,
    /// Clients whose buffer was full.
    pub full: usize,
    /// Clients that went away meanwhile.
    pub gone: usize,
}
