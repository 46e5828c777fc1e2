//! The functions that an application registers for events.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{BoxFuture, DisconnectReason, Event, Socket};

pub(crate) type OnEvent = Arc<dyn Fn(Socket, Event) -> BoxFuture<()> + Send + Sync>;
pub(crate) type OnDisconnect = Arc<dyn Fn(Socket, DisconnectReason) -> BoxFuture<()> + Send + Sync>;

/// The handlers of a socket, or of all sockets of a namespace.
#[derive(Default, Clone)]
pub(crate) struct Handlers {
    any: Vec<OnEvent>,
    named: HashMap<Box<str>, Vec<Entry>>,
    disconnect: Vec<OnDisconnect>,
}

#[derive(Clone)]
struct Entry {
    handler: OnEvent,
    once: bool,
}

impl Handlers {
    pub(crate) fn on(&mut self, name: &str, handler: OnEvent, once: bool) {
        let entries = self.named.entry(name.into()).or_default();
        entries.push(Entry { handler, once });
    }

    pub(crate) fn on_any(&mut self, handler: OnEvent) {
        self.any.push(handler);
    }

    pub(crate) fn on_disconnect(&mut self, handler: OnDisconnect) {
        self.disconnect.push(handler);
    }

    pub(crate) fn off(&mut self, name: &str) {
        self.named.remove(name);
    }

    pub(crate) fn off_any(&mut self) {
        self.any.clear();
    }

    /// Returns the handlers of an event in the order to call them, and drops those that wanted one
    /// call.
    pub(crate) fn take(&mut self, name: &str, out: &mut Vec<OnEvent>) {
        out.extend(self.any.iter().cloned());
        if let Some(entries) = self.named.get_mut(name) {
            out.extend(entries.iter().map(|entry| Arc::clone(&entry.handler)));
            // The handler is taken out before it runs: the next event must not find it again.
            entries.retain(|entry| !entry.once);
        }
    }

    /// Returns the handlers of an event without dropping any.
    pub(crate) fn list(&self, name: &str, out: &mut Vec<OnEvent>) {
        out.extend(self.any.iter().cloned());
        if let Some(entries) = self.named.get(name) {
            out.extend(entries.iter().map(|entry| Arc::clone(&entry.handler)));
        }
    }

    pub(crate) fn disconnects(&self) -> Vec<OnDisconnect> {
        self.disconnect.clone()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("any", &self.any.len())
            .field("named", &self.named.keys())
            .finish_non_exhaustive()
    }
}
