//! Acknowledgements, both ways.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jackfield_socketio_proto::Args;
use jackfield_socketio_proto::packet::{self, EncodeError};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{AckError, BoxFuture, EmitError, Socket};
use crate::engine::Wire;

/// Acknowledges one event of a client. It may be kept and sent later; only the first of its clones
/// is sent.
#[derive(Clone)]
pub struct Ack(Arc<AckState>);

struct AckState {
    socket: Socket,
    id: u64,
    sent: AtomicBool,
}

impl Ack {
    pub(crate) fn new(socket: Socket, id: u64) -> Self {
        let sent = AtomicBool::new(false);
        Self(Arc::new(AckState { socket, id, sent }))
    }

    /// Sends the acknowledgement; a second call does nothing.
    ///
    /// A tuple gives several arguments, `()` none, any other value one.
    ///
    /// # Errors
    /// When the socket is disconnected, its buffer is full, or the arguments cannot be JSON.
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        let state = &self.0;
        let encoded = packet::ack(state.socket.namespace_name(), state.id, args)?;
        let attachments = encoded.attachments.len();
        if attachments > state.socket.max_attachments() {
            return Err(EncodeError::TooManyAttachments(attachments).into());
        }
        // A client expects one answer for an id.
        if state.sent.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let wire = Wire::with_attachments(&encoded.text, encoded.attachments);
        state.socket.send_wire(&wire)
    }

    /// Returns whether the acknowledgement has been sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.sent.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}

/// The acknowledgements that a socket's client owes.
#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeMap<u64, Waiter>);

/// What an acknowledgement is passed on to.
#[derive(Debug)]
pub(crate) enum Waiter {
    One(oneshot::Sender<Args>),
    Several(mpsc::UnboundedSender<Args>),
}

impl Pending {
    pub(crate) fn insert(&mut self, id: u64, waiter: Waiter) {
        self.0.insert(id, waiter);
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        self.0.remove(&id).is_some()
    }

    /// Passes an acknowledgement on; false if no emit waits for this id.
    pub(crate) fn resolve(&mut self, id: u64, args: Args) -> bool {
        match self.0.remove(&id) {
            Some(Waiter::One(sender)) => sender.send(args).is_ok(),
            Some(Waiter::Several(sender)) => sender.send(args).is_ok(),
            None => false,
        }
    }

    /// Tells all who wait that nothing will come.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// An event that is sent when this is awaited, which gives the client's acknowledgement.
#[must_use = "the event is sent when this is awaited"]
pub struct EmitWithAck<'a, T: ?Sized> {
    pub(crate) socket: Socket,
    pub(crate) name: &'a str,
    pub(crate) args: &'a T,
    pub(crate) timeout: Duration,
}

impl<T: ?Sized> EmitWithAck<'_, T> {
    /// Waits this long for the acknowledgement, in place of
    /// [`IoConfig::ack_timeout`](crate::IoConfig::ack_timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<T: Serialize + ?Sized> IntoFuture for EmitWithAck<'_, T> {
    type Output = Result<Args, AckError>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let asked = self.socket.ask(self.name, self.args);
        let timeout = self.timeout;
        Box::pin(async move {
            let (answer, _forget) = asked?;
            match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(args)) => Ok(args),
                Ok(Err(_)) => Err(AckError::Disconnected),
                Err(_) => {
                    self.socket.count_ack_timeout();
                    Err(AckError::Timeout)
                }
            }
        })
    }
}

impl<T: ?Sized> fmt::Debug for EmitWithAck<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmitWithAck")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Removes a waiting acknowledgement when its future is dropped.
#[derive(Debug)]
pub(crate) struct Forget {
    pub(crate) socket: Socket,
    pub(crate) id: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.socket.forget_ack(self.id);
    }
}
