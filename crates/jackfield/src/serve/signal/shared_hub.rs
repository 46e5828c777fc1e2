//! The signaling hub, shared by every shard, and the queue towards each of its members.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use jackfield_sansio::{Account, Budget, BudgetFull, Charge, ClientNetwork};
use jackfield_signal::{
    AckId, Hub, HubConfig, HubCounters, IceServers, MemberId, NewMember, Output,
};
use tokio::sync::Notify;

use super::queue::{Deliveries, Delivery, Overflow, QueueLimits, Queues};

/// The hub, where every shard's connections meet, and the queue towards each of its members.
///
/// One hub keeps signaling in order without a protocol between shards. Signaling is a handful of
/// messages a call, so one lock serves all shards; it is held while the hub works, never across an
/// await.
#[derive(Debug)]
pub(in crate::serve) struct SharedHub {
    state: Mutex<State>,
    timer: Arc<Timer>,
    queues: Queues,
    budget: Budget,
}

/// What the timer task is woken for.
#[derive(Debug, Default)]
struct Timer {
    /// The hub's next deadline may have changed, or there is something in `evicted`.
    wake: Notify,
    /// Connections whose names are held no longer, as their networks hold too much.
    evicted: Mutex<Vec<MemberId>>,
}

#[derive(Debug)]
struct State {
    hub: Hub,
    wait: Option<Instant>,
    overflows: u64,
    /// What the names of lost connections are charged to while the hub holds them.
    held: HashMap<MemberId, Account>,
}

/// One connection's membership of the hub; dropping it disconnects the member.
#[derive(Debug)]
pub(super) struct Membership {
    hub: Arc<SharedHub>,
    member: MemberId,
    network: Option<ClientNetwork>,
    deliveries: Deliveries,
    evicted: Arc<Notify>,
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
    /// Newcomers that wait to be let into a room.
    pub(in crate::serve) waiting: usize,
    /// Names that are held for the owners of lost connections.
    pub(in crate::serve) held_names: usize,
    /// Members disconnected because they read too slowly.
    pub(in crate::serve) overflows: u64,
}

impl SharedHub {
    /// Returns a hub with queues of these limits, charged to `budget`.
    pub(in crate::serve) fn new(
        config: HubConfig,
        ice: Box<dyn IceServers + Send>,
        seed: [u8; 32],
        limits: QueueLimits,
        budget: Budget,
    ) -> Self {
        let queues = Queues::new(limits);
        let mut hub = Hub::new(config, ice, seed);
        hub.set_queues(Box::new(queues.clone()));
        Self {
            state: Mutex::new(State {
                hub,
                wait: None,
                overflows: 0,
                held: HashMap::new(),
            }),
            timer: Arc::default(),
            queues,
            budget,
        }
    }

    /// Makes a connection a member.
    ///
    /// # Errors
    /// When the memory for the connections of its network is used up.
    pub(super) fn connect(self: &Arc<Self>, member: NewMember) -> Result<Membership, BudgetFull> {
        let evicted = Arc::<Notify>::default();
        let network = member.network;
        let account = match network {
            Some(network) => {
                let evicted = Arc::clone(&evicted);
                let evict = move || evicted.notify_one();
                self.budget.open(network, MEMBER_COST, evict)?
            }
            None => Account::unlimited(),
        };
        let now = Instant::now();
        let mut state = self.lock();
        let member = state.hub.handle_connect(now, member);
        let deliveries = self.queues.open(member, account);
        self.drain(state);
        Ok(Membership {
            hub: Arc::clone(self),
            member,
            network,
            deliveries,
            evicted,
        })
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
                () = self.timer.wake.notified() => self.release_evicted(),
            }
        }
    }

    /// Frees the names of those whose networks hold too much.
    fn release_evicted(&self) {
        let evicted = std::mem::take(&mut *lock(&self.timer.evicted));
        if evicted.is_empty() {
            return;
        }
        let mut state = self.lock();
        for member in evicted {
            state.hub.release_names_of(Instant::now(), member);
        }
        self.drain(state);
    }

    /// Charges the names that are held for a connection that has ended to its network; they are
    /// free where that has no room for them.
    fn charge_held_names(&self, state: &mut State, member: MemberId, network: ClientNetwork) {
        if !state.hub.holds_names_of(member) {
            return;
        }
        let timer = Arc::clone(&self.timer);
        let evict = move || {
            lock(&timer.evicted).push(member);
            timer.wake.notify_one();
        };
        match self.budget.open(network, HELD_COST, evict) {
            Ok(account) => {
                state.held.insert(member, account);
            }
            Err(BudgetFull) => state.hub.release_names_of(Instant::now(), member),
        }
    }

    pub(in crate::serve) fn counts(&self) -> HubCounts {
        let state = self.lock();
        HubCounts {
            hub: *state.hub.counters(),
            members: state.hub.member_count(),
            rooms: state.hub.room_count(),
            waiting: state.hub.waiting_count(),
            held_names: state.hub.held_name_count(),
            overflows: state.overflows,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Hands every output of the hub to the member it is for.
    fn drain(&self, mut state: MutexGuard<'_, State>) {
        let mut unsettled = Vec::new();
        loop {
            let (member, delivery) = match state.hub.poll_output() {
                Output::Send {
                    from,
                    to,
                    kind,
                    json,
                } => (to, Delivery::Message { from, kind, json }),
                Output::Ack { to, ack, json } => (to, Delivery::Ack { ack, json }),
                Output::Close { member, why } => {
                    let (code, reason) = (why.websocket_code(), why.as_str());
                    self.queues.push_close(member, code, reason);
                    continue;
                }
                Output::NamesReleased { member } => {
                    // One that was charged to no network has no account.
                    let _free = state.held.remove(&member);
                    continue;
                }
                Output::Wait(wait) => {
                    if state.wait != wait {
                        state.wait = wait;
                        self.timer.wake.notify_one();
                    }
                    break;
                }
            };
            unsettled.extend(self.deliver(&mut state, member, delivery));
        }
        // Members may be evicted here, which needs no lock of theirs.
        drop(state);
        for account in unsettled {
            account.settle();
        }
    }

    /// Queues a delivery; a member that has no room for it is disconnected. Returns the account
    /// that has to be settled, if one has.
    fn deliver(
        &self,
        state: &mut State,
        member: MemberId,
        delivery: Delivery,
    ) -> Option<Arc<Account>> {
        match self.queues.push(member, delivery) {
            Ok(unsettled) => unsettled,
            Err(Overflow) => {
                self.queues.push_close(member, 1008, "reads too slowly");
                state.overflows += 1;
                state.hub.handle_disconnect(Instant::now(), member);
                None
            }
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
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) for callers that are polled.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let next = self.deliveries.poll_next(cx);
        if next.is_ready() && self.deliveries.take_owed_list() {
            let mut state = self.hub.lock();
            let more = state.hub.handle_drained(Instant::now(), self.member);
            self.hub.drain(state);
            if more {
                self.deliveries.owe_list();
            }
        }
        next
    }

    /// Waits until the connection has to end because too much waits for it, or for its network.
    /// What it returns does not borrow the membership.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let evicted = Arc::clone(&self.evicted);
        async move { evicted.notified().await }
    }

    /// Returns a charge for what waits in the connection itself.
    pub(super) fn charge(&self) -> Charge {
        Charge::new(self.deliveries.account())
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
        self.hub.queues.close(self.member);
        state.hub.handle_disconnect(Instant::now(), self.member);
        if let Some(network) = self.network {
            self.hub.charge_held_names(&mut state, self.member, network);
        }
        self.hub.drain(state);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What a member takes by being there, in bytes.
const MEMBER_COST: usize = 4 << 10;
/// What the names of a lost connection take while they are held, in up to eight rooms.
const HELD_COST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use jackfield_sansio::{BudgetLimits, ClientNetwork};
    use jackfield_signal::NoIceServers;

    #[tokio::test]
    async fn a_message_reaches_the_other_members_of_a_room_in_order() {
        let hub = hub(1 << 20);
        let mut ann = hub.connect(NewMember::default()).unwrap();
        let bob = hub.connect(NewMember::default()).unwrap();
        ann.message(r#"{"type":"join","room":"r","name":"ann"}"#);
        bob.message(r#"{"type":"join","room":"r","name":"bob"}"#);
        bob.message(r#"{"type":"message","room":"r","text":"one"}"#);
        bob.message(r#"{"type":"message","room":"r","text":"two"}"#);
        let mut texts = Vec::new();
        while texts.len() < 2 {
            if let Some(Delivery::Message { kind, json, .. }) = ann.next().await
                && kind == "message"
            {
                let message: serde_json::Value = serde_json::from_str(&json).unwrap();
                texts.push(message["text"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn members_that_do_not_read_go_before_their_network_holds_too_much() {
        let hub = hub(4 << 20);
        let member = |name, network: [u8; 4]| {
            let member = NewMember {
                network: Some(ClientNetwork::of(network.into())),
                ..NewMember::default()
            };
            let member = hub.connect(member).unwrap();
            member.message(&format!(r#"{{"type":"join","room":"r","name":"{name}"}}"#));
            member
        };
        let mut honest = member("ann", [198, 51, 100, 1]);
        let talker = member("bob", [203, 0, 113, 1]);
        let silent: Vec<_> = (0..10)
            .map(|number| member(["eve", "mal"][number % 2], [192, 0, 2, number as u8]))
            .collect();
        let text = "x".repeat(10_000);
        let mut heard = 0;
        for _ in 0..50 {
            let message = format!(r#"{{"type":"message","room":"r","text":"{text}"}}"#);
            talker.message(&message);
            while let Some(delivery) = waiting(&mut honest) {
                heard += usize::from(delivery_is(&delivery, "message"));
            }
        }
        assert_eq!(heard, 50);
        let evicted = |member: &&Membership| {
            let waits = pin!(member.evicted());
            waits
                .poll(&mut Context::from_waker(std::task::Waker::noop()))
                .is_ready()
        };
        assert!(silent.iter().filter(evicted).count() >= 5);
        assert!(!evicted(&&honest) && !evicted(&&talker));
        assert!(hub.budget.stats().held < 2 << 20);
        drop((silent, honest, talker));
        assert_eq!(hub.budget.stats().held, 0);
        assert_eq!(hub.budget.stats().accounts, 0);
    }

    #[test]
    fn a_name_that_is_held_is_charged_to_the_network_of_its_owner() {
        let hub = hub(1 << 20);
        let (member, session) = lost_member(&hub, "r", [192, 0, 2, 1]);
        assert_eq!(held(&hub), (1, HELD_COST));
        let back = hub.connect(NewMember::default()).unwrap();
        back.message(&format!(
            r#"{{"type":"join","room":"r","session":"{session}"}}"#
        ));
        assert_eq!(held(&hub), (0, 0));
        assert_eq!(hub.counts().hub.names_taken_back, 1);
        assert!(!hub.lock().hub.holds_names_of(member));
    }

    #[test]
    fn a_name_is_free_at_once_where_its_network_holds_too_much_already() {
        let hub = hub(1 << 20);
        let network = ClientNetwork::of([192, 0, 2, 2].into());
        let rest = (1 << 20) - MEMBER_COST;
        let others: Vec<_> = (0..rest / HELD_COST)
            .map(|_| hub.budget.open(network, HELD_COST, || ()).unwrap())
            .collect();
        lost_member(&hub, "r", [192, 0, 2, 1]);
        assert_eq!(held(&hub), (0, others.len() * HELD_COST));
        assert_eq!(hub.counts().rooms, 0);
    }

    #[test]
    fn held_names_of_the_network_that_holds_most_go_when_memory_is_short() {
        let hub = hub_of(1 << 20, 51 << 10);
        for room in 0..5 {
            lost_member(&hub, &format!("r{room}"), [192, 0, 2, 1]);
        }
        assert_eq!(held(&hub), (5, 5 * HELD_COST));
        let others = [[198, 51, 100, 1], [203, 0, 113, 1]].map(|address| {
            let network = ClientNetwork::of(address.into());
            let account = hub.budget.open(network, 0, || ()).unwrap();
            account.add(17 << 10);
            account.settle();
            account
        });
        hub.release_evicted();
        assert!(!others.iter().any(Account::is_evicted));
        assert_eq!(held(&hub), (4, 4 * HELD_COST + 2 * (17 << 10)));
        assert_eq!(hub.counts().rooms, 4);
    }

    /// Returns how many names are held, and what all accounts come to.
    fn held(hub: &SharedHub) -> (usize, usize) {
        (hub.counts().held_names, hub.budget.stats().held)
    }

    /// Has a member be lost that can come back; returns it and its session.
    fn lost_member(hub: &Arc<SharedHub>, room: &str, address: [u8; 4]) -> (MemberId, String) {
        let mut member = hub
            .connect(NewMember {
                network: Some(ClientNetwork::of(address.into())),
                ..NewMember::default()
            })
            .unwrap();
        member.message(&format!(
            r#"{{"type":"join","room":"{room}","name":"eve","session":null}}"#
        ));
        let mut session = None;
        while let Some(delivery) = waiting(&mut member) {
            if let Delivery::Message { kind, json, .. } = delivery
                && kind == "joined"
            {
                let joined: serde_json::Value = serde_json::from_str(&json).unwrap();
                session = joined["session"].as_str().map(ToOwned::to_owned);
            }
        }
        (member.member, session.unwrap())
    }

    #[test]
    fn a_sender_is_held_back_and_the_member_that_does_not_read_stays() {
        let hub = hub(40_000);
        let [mut ann, mut bob, mut eve] = three_in_a_room(&hub);
        let text = "x".repeat(1_000);
        let to_ann = format!(r#"{{"type":"message","target":"ann","text":"{text}"}}"#);
        for _ in 0..70 {
            eve.message(&to_ann);
        }
        let refused = codes(&mut eve);
        assert!(!refused.is_empty() && refused.iter().all(|code| code == "receiver-busy"));
        // Each message costs its text, its other fields and its slot; a quarter of the queue is
        // one sender's.
        let passed = 70 - refused.len();
        assert!((7..=9).contains(&passed), "{passed}");
        assert!(ann.deliveries.bytes() <= 10_000);
        // Another sender has a part of its own, and what eve said counts no more once it is read.
        bob.message(&to_ann);
        assert_eq!(codes(&mut bob), [""; 0]);
        let mut heard = 0;
        while let Some(Delivery::Message { .. }) = waiting(&mut ann) {
            heard += 1;
        }
        assert_eq!(heard, passed + 1);
        eve.message(&to_ann);
        assert_eq!(codes(&mut eve), [""; 0]);
        assert_eq!(hub.counts().overflows, 0);
        assert_eq!(hub.counts().hub.receiver_busy, refused.len() as u64);
    }

    #[test]
    fn a_message_to_all_skips_who_does_not_read_and_its_sender_is_told() {
        let hub = hub(40_000);
        let [mut ann, mut bob, mut eve] = three_in_a_room(&hub);
        let text = "x".repeat(1_000);
        let to_all = format!(r#"{{"type":"message","text":"{text}"}}"#);
        let (mut heard, mut refused) = (0, 0);
        for _ in 0..70 {
            eve.message(&to_all);
            refused += codes(&mut eve).len();
            while waiting(&mut bob).is_some() {
                heard += 1;
            }
        }
        assert_eq!(heard, 70, "who reads hears all");
        assert!((60..=63).contains(&refused), "{refused}");
        // The server's own messages have room all the same.
        for _ in 0..10 {
            drop(in_room(&hub, "zoe"));
        }
        let mut left = 0;
        while let Some(Delivery::Message { kind, .. }) = waiting(&mut ann) {
            left += usize::from(kind == "user-left");
        }
        assert_eq!(left, 10);
        assert_eq!(hub.counts().overflows, 0);
    }

    #[test]
    fn many_senders_leave_room_for_the_server() {
        let hub = hub(40_000);
        let mut ann = in_room(&hub, "ann");
        let text = "x".repeat(1_000);
        let to_ann = format!(r#"{{"type":"message","target":"ann","text":"{text}"}}"#);
        let mut crowd: Vec<_> = (0..8).map(|_| in_room(&hub, "eve")).collect();
        while waiting(&mut ann).is_some() {}
        for eve in &mut crowd {
            for _ in 0..20 {
                eve.message(&to_ann);
            }
            assert!(!codes(eve).is_empty());
        }
        assert!((28_000..=30_000).contains(&ann.deliveries.bytes()));
        assert_eq!(hub.counts().overflows, 0);
    }

    #[test]
    fn who_reads_nothing_while_others_come_and_go_stays_and_gets_one_list() {
        let hub = hub(4_000);
        let [mut ann, bob, _eve] = three_in_a_room(&hub);
        for turn in 0..100 {
            drop(in_room(&hub, "zoe"));
            bob.message(&format!(r#"{{"type":"username","name":"bob-{turn}"}}"#));
        }
        assert!(ann.deliveries.bytes() <= 4_000);
        let mut last = None;
        while let Some(delivery) = waiting(&mut ann) {
            last = Some(delivery);
        }
        let Some(Delivery::Message { kind, json, .. }) = last else {
            panic!("{last:?}");
        };
        assert_eq!(kind, "userlist");
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        let name = |user: &serde_json::Value| user["name"].as_str().unwrap().to_owned();
        let names: Vec<_> = list["users"].as_array().unwrap().iter().map(name).collect();
        assert_eq!(names, ["bob-99", "eve"]);
        let counts = hub.counts();
        assert_eq!(counts.overflows, 0);
        assert!(counts.hub.changes_coalesced > 200);
        // From here on it hears each change again.
        drop(in_room(&hub, "zoe"));
        assert!(waiting(&mut ann).is_some_and(|delivery| delivery_is(&delivery, "user-joined")));
    }

    #[test]
    fn every_room_that_a_slow_reader_missed_is_listed() {
        let hub = hub(4_000);
        let mut ann = in_room(&hub, "ann");
        let bob = in_room(&hub, "bob");
        for member in [&ann, &bob] {
            member.message(r#"{"type":"join","room":"s","name":"x"}"#);
        }
        while waiting(&mut ann).is_some() {}
        for turn in 0..100 {
            bob.message(&format!(r#"{{"type":"username","name":"bob-{turn}"}}"#));
        }
        let mut lists = 0;
        while let Some(delivery) = waiting(&mut ann) {
            lists += usize::from(delivery_is(&delivery, "userlist"));
        }
        assert_eq!(lists, 2);
    }

    #[tokio::test]
    async fn a_member_that_asks_and_never_reads_is_taken_off_and_the_others_go_on() {
        let hub = hub(4_000);
        let mut ann = in_room(&hub, "ann");
        while hub.counts().overflows == 0 {
            ann.message(r#"{"type":"userlist"}"#);
        }
        let mut last = None;
        while let Some(delivery) = ann.next().await {
            last = Some(delivery);
        }
        assert!(matches!(last, Some(Delivery::Close { code: 1008, .. })));
        let mut bob = in_room(&hub, "bob");
        bob.message(r#"{"type":"message","room":"r","text":"still here"}"#);
        assert_eq!(codes(&mut bob), [""; 0]);
        assert_eq!(hub.counts().overflows, 1);
    }

    fn delivery_is(delivery: &Delivery, wanted: &str) -> bool {
        matches!(delivery, Delivery::Message { kind, .. } if kind == wanted)
    }

    fn three_in_a_room(hub: &Arc<SharedHub>) -> [Membership; 3] {
        let mut members = ["ann", "bob", "eve"].map(|name| in_room(hub, name));
        for member in &mut members {
            while waiting(member).is_some() {}
        }
        members
    }

    fn in_room(hub: &Arc<SharedHub>, name: &str) -> Membership {
        let member = hub.connect(NewMember::default()).unwrap();
        member.message(&format!(r#"{{"type":"join","room":"r","name":"{name}"}}"#));
        member
    }

    /// Returns what waits for a member, if anything does.
    fn waiting(member: &mut Membership) -> Option<Delivery> {
        match member.poll_next(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => None,
        }
    }

    /// Reads all that waits for a member, and returns the codes of the errors in it.
    fn codes(member: &mut Membership) -> Vec<String> {
        let mut codes = Vec::new();
        while let Some(delivery) = waiting(member) {
            if let Delivery::Message { kind, json, .. } = delivery
                && kind == "error"
            {
                let error: serde_json::Value = serde_json::from_str(&json).unwrap();
                codes.push(error["code"].as_str().unwrap().to_owned());
            }
        }
        codes
    }

    /// One sender may use a quarter of the queue.
    fn hub(max_queue: usize) -> Arc<SharedHub> {
        hub_of(max_queue, 100 << 20)
    }

    fn hub_of(max_queue: usize, budget: usize) -> Arc<SharedHub> {
        Arc::new(SharedHub::new(
            HubConfig::default(),
            Box::new(NoIceServers),
            [7; 32],
            QueueLimits {
                total: max_queue,
                per_sender: max_queue / 4,
            },
            Budget::new(BudgetLimits {
                total: budget,
                per_network: 1 << 20,
            }),
        ))
    }
}
