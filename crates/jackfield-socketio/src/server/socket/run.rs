//! What a socket goes through: connecting, events, the end.

use std::sync::atomic::Ordering;

use jackfield_socketio_proto::packet::{self, EventPacket};

use super::{CONNECTED, CONNECTING, DISCONNECTED, ENDED, Socket};
use crate::engine::{Version, Wire};
use crate::server::handlers::Handlers;
use crate::server::inbox::{Item, cost, pump};
use crate::server::{Ack, BoxFuture, ConnectError, DisconnectReason, Event};
use crate::sync::lock;

impl Socket {
    /// Takes an event from the network.
    pub(crate) fn handle_event(&self, event: EventPacket) {
        // The bytes are counted before the event is queued: a handler on another thread could
        // otherwise subtract them first.
        self.0.engine.add_inbound(cost(&event));
        self.0.inbox.push(Item::Event(event));
        pump(self);
    }

    /// Begins the socket's life: middlewares, then the connection handlers.
    pub(crate) fn begin(&self) {
        self.0.inbox.push(Item::Connect);
        pump(self);
    }

    /// Ends the socket's life; events that the client sent before are still handled if
    /// `drop_events` is false.
    pub(crate) fn end(&self, reason: DisconnectReason, drop_events: bool) {
        if self.end_unconnected() {
            return;
        }
        // The exchange lets one caller through, whether the client, a handler or the engine was
        // first: the disconnect handlers run once.
        if !self.moves(CONNECTED, DISCONNECTED) {
            return;
        }
        if drop_events {
            self.0.engine.remove_inbound(self.0.inbox.drop_events());
        }
        // Handlers of the end may ask for the rooms that the socket was in.
        *lock(&self.0.last_rooms) = self.0.namespace.adapter.rooms(self);
        self.0.namespace.remove(self);
        // Emits that wait for an answer end at once, not after their time.
        lock(&self.0.acks).clear();
        self.0.inbox.push(Item::Disconnect(reason));
        pump(self);
    }

    /// Ends a socket that is still connecting; returns false if it is not.
    fn end_unconnected(&self) -> bool {
        let ended = self.moves(CONNECTING, ENDED);
        if ended {
            // Nobody has let this client in: nothing of it is handled.
            self.0.engine.remove_inbound(self.0.inbox.drop_events());
            self.release_handlers();
        }
        ended
    }

    fn moves(&self, from: u8, to: u8) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let moved = self.0.state.compare_exchange(from, to, success, failure);
        moved.is_ok()
    }

    /// Lets go of the socket's own handlers, which often hold the socket.
    fn release_handlers(&self) -> Option<Box<Handlers>> {
        let mut handlers = lock(&self.0.handlers);
        // Under the lock, so that none is added after the last look.
        self.0.state.store(ENDED, Ordering::Release);
        handlers.take()
    }

    pub(crate) fn run(self, item: Item) -> BoxFuture<()> {
        match item {
            Item::Connect => Box::pin(self.connect()),
            Item::Event(event) => self.dispatch(event),
            Item::Disconnect(reason) => Box::pin(self.disconnected(reason)),
        }
    }

    async fn connect(self) {
        for middleware in self.0.namespace.middlewares() {
            if let Err(error) = middleware(self.clone()).await {
                // Later middlewares may count on what this one wants.
                self.refuse(&error);
                return;
            }
        }
        if !self.enter() {
            return;
        }
        for handler in self.0.namespace.connect_handlers() {
            handler(self.clone()).await;
        }
    }

    fn refuse(&self, error: &ConnectError) {
        if !self.end_unconnected() {
            return;
        }
        self.0.namespace.stats.connects_refused.increment();
        self.0.client.refused(self, error);
    }

    /// Puts the socket into its namespace and tells the client; false if the client has gone
    /// meanwhile.
    fn enter(&self) -> bool {
        let inner = &self.0;
        if !inner.client.accept(self) {
            return false;
        }
        if !self.moves(CONNECTING, CONNECTED) {
            return false;
        }
        let json = match self.engine_version() {
            Version::V3 => None,
            Version::V4 => Some(format!(r#"{{"sid":"{}"}}"#, inner.id)),
        };
        let text = packet::connect(&inner.namespace.name, json.as_deref());
        // The packet goes out before the socket is in its namespace: a broadcast that came
        // first would be refused by the client, which does not know its id yet.
        if inner.engine.send_wire(&Wire::text(&text)).is_err() {
            tracing::trace!("A client went away while it connected");
        }
        inner.namespace.add(self);
        if !self.is_connected() {
            // It went away in between: the end came before the socket was in its namespace.
            inner.namespace.remove(self);
        }
        true
    }

    /// Calls the handlers of an event.
    fn dispatch(self, event: EventPacket) -> BoxFuture<()> {
        let held = cost(&event);
        if self.0.state.load(Ordering::Acquire) == ENDED {
            // It came while the socket was refused.
            self.0.engine.remove_inbound(held);
            return Box::pin(std::future::ready(()));
        }
        let mut handlers = Vec::new();
        self.0.namespace.list_handlers(&event.name, &mut handlers);
        if let Some(own) = lock(&self.0.handlers).as_mut() {
            own.take(&event.name, &mut handlers);
        }
        let ack = event.ack_id.map(|id| Ack::new(self.clone(), id));
        let event = Event {
            name: event.name,
            args: event.args,
            ack,
        };
        let done = Done {
            socket: self.clone(),
            held,
        };
        Box::pin(async move {
            let _done = done;
            let mut handlers = handlers.into_iter();
            // The last handler takes the event without a copy.
            let last = handlers.next_back();
            for handler in handlers {
                handler(self.clone(), event.clone()).await;
            }
            if let Some(handler) = last {
                handler(self, event).await;
            }
        })
    }

    async fn disconnected(self, reason: DisconnectReason) {
        let mut handlers = self.0.namespace.disconnect_handlers();
        // Handlers often hold the socket; they are let go of with it.
        let own = self.release_handlers();
        handlers.extend(own.iter().flat_map(|own| own.disconnects()));
        for handler in handlers {
            handler(self.clone(), reason).await;
        }
    }
}

/// Gives back an event's share of the inbound limit, also when its handler panics.
struct Done {
    socket: Socket,
    held: usize,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.socket.0.engine.remove_inbound(self.held);
    }
}
