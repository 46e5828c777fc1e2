//! The signaling hub, shared by every shard, and the queue towards each of its members.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jackfield_signal::{
    AckId, Hub, HubConfig, HubCounters, IceServers, MemberId, NewMember, Output,
};
use tokio::sync::{Notify, mpsc};

/// The hub, where every shard's connections meet, and the queue towards each of its members.
///
/// One hub keeps signaling in order without a protocol between shards. Signaling is a handful of
/// messages a call, so one lock serves all shards; it is held while the hub works, never across an
/// await.
#[derive(Debug)]
pub(in crate::serve) struct SharedHub {
    state: Mutex<State>,
    /// Wakes the timer task when the hub's next deadline may have changed.
    deadline: Notify,
    max_queue: usize,
}

#[derive(Debug)]
struct State {
    hub: Hub,
    members: HashMap<MemberId, Outbox>,
    wait: Option<Instant>,
    overflows: u64,
}

/// What a connection is to send to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A message of the vocabulary.
    Message {
        /// Its `type`.
        kind: String,
        /// The JSON object.
        json: Arc<str>,
    },
    /// The answer to an event that asked for one.
    Ack {
        /// Which event.
        ack: AckId,
        /// The JSON object.
        json: Arc<str>,
    },
    /// Close the connection.
    Close {
        /// A WebSocket close code.
        code: u16,
        /// Why.
        reason: &'static str,
    },
}

/// The queue towards one member, bounded in bytes.
#[derive(Debug)]
struct Outbox {
    sender: mpsc::UnboundedSender<Delivery>,
    queued: Arc<AtomicUsize>,
}

/// One connection's membership of the hub; dropping it disconnects the member.
#[derive(Debug)]
pub(super) struct Membership {
    hub: Arc<SharedHub>,
    member: MemberId,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    queued: Arc<AtomicUsize>,
}

/// What the hub and its queues have counted.
#[derive(Debug, Clone)]
pub(in crate::serve) struct HubCounts {
    /// What the hub counts.
    pub(in crate::serve) hub: HubCounters,
    /// Members there are.
    pub(in crate::serve) members: usize,
    /// Rooms there are.
    pub(in crate::serve) rooms: usize,
    /// Members disconnected because they read too slowly.
    pub(in crate::serve) overflows: u64,
}

impl SharedHub {
    /// Returns a hub that queues at most `max_queue` bytes for one member.
    pub(in crate::serve) fn new(
        config: HubConfig,
        ice: Box<dyn IceServers + Send>,
        seed: [u8; 32],
        max_queue: usize,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                hub: Hub::new(config, ice, seed),
                members: HashMap::new(),
                wait: None,
                overflows: 0,
            }),
            deadline: Notify::new(),
            max_queue,
        }
    }

    /// Makes a connection a member.
    pub(super) fn connect(self: &Arc<Self>, member: NewMember) -> Membership {
        let now = Instant::now();
        let (sender, deliveries) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let mut state = self.lock();
        let member = state.hub.handle_connect(now, member);
        let outbox = Outbox {
            sender,
            queued: Arc::clone(&queued),
        };
        state.members.insert(member, outbox);
        self.drain(state);
        Membership {
            hub: Arc::clone(self),
            member,
            deliveries,
            queued,
        }
    }

    /// Does what is due at the hub's deadlines, for ever.
    pub(in crate::serve) async fn keep_time(&self) {
        loop {
            let wait = self.lock().wait;
            let due = async {
                match wait {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {
                    let mut state = self.lock();
                    state.hub.handle_timeout(Instant::now());
                    self.drain(state);
                }
                () = self.deadline.notified() => {}
            }
        }
    }

    pub(in crate::serve) fn counts(&self) -> HubCounts {
        let state = self.lock();
        HubCounts {
            hub: *state.hub.counters(),
            members: state.hub.member_count(),
            rooms: state.hub.room_count(),
            overflows: state.overflows,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands every output of the hub to the member it is for.
    fn drain(&self, mut state: MutexGuard<'_, State>) {
        loop {
            let (member, delivery) = match state.hub.poll_output() {
                Output::Send { to, kind, json } => {
                    let kind = kind.into_owned();
                    (to, Delivery::Message { kind, json })
                }
                Output::Ack { to, ack, json } => (to, Delivery::Ack { ack, json }),
                Output::Close { member, why } => {
                    let (code, reason) = (why.websocket_code(), why.as_str());
                    (member, Delivery::Close { code, reason })
                }
                Output::Wait(wait) => {
                    if state.wait != wait {
                        state.wait = wait;
                        self.deadline.notify_one();
                    }
                    return;
                }
            };
            self.deliver(&mut state, member, delivery);
        }
    }

    /// Queues a delivery; a member whose queue is full is disconnected.
    fn deliver(&self, state: &mut State, member: MemberId, delivery: Delivery) {
        let Some(outbox) = state.members.get(&member) else {
            return; // Its connection ended in the same moment.
        };
        let closing = matches!(delivery, Delivery::Close { .. });
        let length = delivery.length();
        let queued = outbox.queued.fetch_add(length, Ordering::Relaxed) + length;
        if queued > self.max_queue {
            let (code, reason) = (1008, "reads too slowly");
            // The receiver may have ended already; then its connection is closing anyway.
            let _ = outbox.sender.send(Delivery::Close { code, reason });
            state.members.remove(&member);
            state.overflows += 1;
            state.hub.handle_disconnect(Instant::now(), member);
            return;
        }
        let _ = outbox.sender.send(delivery);
        if closing {
            state.members.remove(&member);
        }
    }
}

impl Delivery {
    fn length(&self) -> usize {
        match self {
            Self::Message { json, .. } | Self::Ack { json, .. } => json.len(),
            Self::Close { .. } => 0,
        }
    }
}

impl Membership {
    /// Takes a message that came as a JSON object with a `type`.
    pub(super) fn message(&self, text: &str) {
        let mut state = self.hub.lock();
        state.hub.handle_message(Instant::now(), self.member, text);
        self.hub.drain(state);
    }

    /// Returns the next thing to send; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.recv().await?;
        self.queued.fetch_sub(delivery.length(), Ordering::Relaxed);
        Some(delivery)
    }

    /// Returns a handle for the events of this member.
    pub(super) fn input(&self) -> MemberInput {
        MemberInput {
            hub: Arc::clone(&self.hub),
            member: self.member,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.members.remove(&self.member);
        state.hub.handle_disconnect(Instant::now(), self.member);
        self.hub.drain(state);
    }
}

/// A handle that passes the events of one member to the hub.
#[derive(Debug, Clone)]
pub(super) struct MemberInput {
    hub: Arc<SharedHub>,
    member: MemberId,
}

impl MemberInput {
    /// Takes an event of type `kind` with a JSON object, and perhaps an acknowledgement to answer.
    pub(super) fn event(&self, kind: &str, body: &str, ack: Option<AckId>) {
        let mut state = self.hub.lock();
        state
            .hub
            .handle_event(Instant::now(), self.member, kind, body, ack);
        self.hub.drain(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_signal::NoIceServers;

    #[tokio::test]
    async fn a_message_reaches_the_other_members_of_a_room_in_order() {
        let hub = hub(1 << 20);
        let mut ann = hub.connect(NewMember::default());
        let bob = hub.connect(NewMember::default());
        ann.message(r#"{"type":"join","room":"r","name":"ann"}"#);
        bob.message(r#"{"type":"join","room":"r","name":"bob"}"#);
        bob.message(r#"{"type":"message","room":"r","text":"one"}"#);
        bob.message(r#"{"type":"message","room":"r","text":"two"}"#);
        let mut texts = Vec::new();
        while texts.len() < 2 {
            if let Some(Delivery::Message { kind, json }) = ann.next().await
                && kind == "message"
            {
                let message: serde_json::Value = serde_json::from_str(&json).unwrap();
                texts.push(message["text"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(texts, ["one", "two"]);
    }

    #[tokio::test]
    async fn a_member_that_does_not_read_is_taken_off_and_the_others_go_on() {
        let hub = hub(2_000);
        let mut ann = hub.connect(NewMember::default());
        let mut bob = hub.connect(NewMember::default());
        ann.message(r#"{"type":"join","room":"r","name":"ann"}"#);
        bob.message(r#"{"type":"join","room":"r","name":"bob"}"#);
        while hub.counts().overflows == 0 {
            bob.message(r#"{"type":"message","room":"r","text":"0123456789012345678901234567890123456789"}"#);
            while bob.queued.load(Ordering::Relaxed) > 0 {
                bob.next().await.unwrap();
            }
        }
        let mut last = None;
        while let Some(delivery) = ann.next().await {
            last = Some(delivery);
        }
        assert!(matches!(last, Some(Delivery::Close { code: 1008, .. })));
        bob.message(r#"{"type":"message","room":"r","text":"still here"}"#);
        assert_eq!(hub.counts().overflows, 1);
    }

    fn hub(max_queue: usize) -> Arc<SharedHub> {
        Arc::new(SharedHub::new(
            HubConfig::default(),
            Box::new(NoIceServers),
            [7; 32],
            max_queue,
        ))
    }
}
