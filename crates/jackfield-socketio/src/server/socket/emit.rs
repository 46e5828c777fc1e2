//! What the server sends to one socket.

use jackfield_socketio_proto::Args;
use jackfield_socketio_proto::packet::{AckPacket, EventBody};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Socket;
use crate::engine::Wire;
use crate::server::ack::{Forget, Waiter};
use crate::server::{AckError, EmitError, EmitWithAck};
use crate::stats::Stats;
use crate::sync::lock;

impl Socket {
    /// Sends an event to the client.
    ///
    /// A tuple gives several arguments, `()` none, any other value one; a
    /// [`Binary`](crate::Binary) among them travels as bytes.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # use jackfield_socketio::Binary;
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.emit("nothing", &()).ok();
    ///     socket.emit("one", &"text").ok();
    ///     socket.emit("several", &(1, [2, 3], Binary::from(&b"bytes"[..]))).ok();
    /// });
    /// ```
    ///
    /// # Errors
    /// When the socket is not connected, its buffer is full, or the event cannot be a packet.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<(), EmitError> {
        self.send_wire(&self.encode(name, None, args)?)
    }

    /// Sends an event that is encoded already, whatever its JSON looks like: one that this server
    /// passes on.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// use jackfield_socketio::adapter::EventBody;
    ///
    /// io.on_connect(async |socket: Socket| {
    ///     match EventBody::from_parts(r#"["news",{"id":7}]"#.into(), Vec::new()) {
    ///         Ok(event) => socket.emit_body(&event).ok(),
    ///         Err(_) => None,
    ///     };
    /// });
    /// ```
    ///
    /// # Errors
    /// When the socket is not connected, or its buffer is full.
    pub fn emit_body(&self, event: &EventBody) -> Result<(), EmitError> {
        self.send_wire(&Wire::event(self.namespace_name(), None, event))
    }

    /// Sends an event that may be lost: only if the client is ready to take it at once.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.emit_volatile("position", &(3, 4)).ok();
    /// });
    /// ```
    ///
    /// # Errors
    /// As [`Self::emit`]; that the client is not ready is no error.
    pub fn emit_volatile<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.send_volatile(&self.encode(name, None, args)?)
    }

    pub(crate) fn send_volatile(&self, wire: &Wire) -> Result<(), EmitError> {
        if !self.is_connected() {
            return Err(EmitError::Disconnected);
        }
        Ok(self.0.engine.send_volatile(wire)?)
    }

    /// Sends an event and waits for the client's acknowledgement: `socket.emit_with_ack("ask",
    /// &1).await`.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # use std::time::Duration;
    /// # use jackfield_socketio::AckError;
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     match socket.emit_with_ack("ask", &1).timeout(Duration::from_secs(2)).await {
    ///         Ok(answer) => println!("{:?}", answer.get::<String>(0)),
    ///         Err(AckError::Timeout) => println!("no answer"),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// });
    /// ```
    pub fn emit_with_ack<'a, T: Serialize + ?Sized>(
        &self,
        name: &'a str,
        args: &'a T,
    ) -> EmitWithAck<'a, T> {
        EmitWithAck {
            socket: self.clone(),
            name,
            args,
            timeout: self.0.namespace.config.ack_timeout,
        }
    }

    fn encode<T: Serialize + ?Sized>(
        &self,
        name: &str,
        ack: Option<u64>,
        args: &T,
    ) -> Result<Wire, EmitError> {
        let most = self.0.namespace.config.max_attachments;
        let body = EventBody::new(name, args)?.with_at_most(most)?;
        Ok(Wire::event(self.namespace_name(), ack, &body))
    }

    pub(crate) fn send_wire(&self, wire: &Wire) -> Result<(), EmitError> {
        if !self.is_connected() {
            return Err(EmitError::Disconnected);
        }
        Ok(self.0.engine.send_wire(wire)?)
    }

    /// Sends an event and registers for its acknowledgement.
    pub(crate) fn ask<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<(oneshot::Receiver<Args>, Forget), AckError> {
        let id = self.next_ack_id();
        let wire = self.encode(name, Some(id), args)?;
        let (sender, receiver) = oneshot::channel();
        // The answer is expected before the event is sent: it may be here before `send_wire`
        // returns.
        let forget = self.expect_ack(id, Waiter::One(sender));
        self.send_wire(&wire)?;
        Ok((receiver, forget))
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        self.0.namespace.next_ack_id()
    }

    /// Registers for an acknowledgement until the guard is dropped.
    pub(crate) fn expect_ack(&self, id: u64, waiter: Waiter) -> Forget {
        lock(&self.0.acks).insert(id, waiter);
        // The socket may have ended in between, after its end had cleared the list.
        if !self.is_connected() {
            lock(&self.0.acks).clear();
        }
        self.0.engine.add_awaited();
        let socket = self.clone();
        Forget { socket, id }
    }

    pub(crate) fn forget_ack(&self, id: u64) {
        lock(&self.0.acks).remove(id);
        self.0.engine.remove_awaited();
    }

    pub(crate) fn handle_ack(&self, ack: AckPacket) {
        if !lock(&self.0.acks).resolve(ack.ack_id, ack.args) {
            self.0.namespace.stats.unknown_acks.increment();
        }
    }

    pub(crate) fn count_ack_timeout(&self) {
        self.0.namespace.stats.ack_timeouts.increment();
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.0.namespace.stats
    }
}
