//! An adapter that joins servers over channels, written with the public API alone.
//!
//! Every message crosses as bytes, so nothing but data can be shared. Each server has a bus
//! address of its own; a message to all goes to each other server, an answer to the one that
//! asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_socketio::adapter::{
    AckSink, Adapter, BoxFuture, BroadcastPacket, Delivery, EventBody, Fetched, LocalAdapter,
    Selection, SocketInfo, WeakNamespace, acks,
};
use jackfield_socketio::{Args, Room, Socket};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How long a request to other servers may take, unless it says so itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Joins the servers that it makes adapters for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<Servers>>);

#[derive(Debug, Default)]
struct Servers {
    next: u64,
    /// Address to namespace and inbox.
    inboxes: HashMap<u64, (String, mpsc::UnboundedSender<Vec<u8>>)>,
}

impl Bus {
    /// Makes the adapter of one namespace of one server.
    pub(crate) fn adapter(&self, namespace: &WeakNamespace) -> Arc<ClusterAdapter> {
        let (address, inbox) = self.register(namespace.name());
        let shared = Arc::new(Shared {
            bus: self.clone(),
            address,
            namespace: namespace.clone(),
            local: LocalAdapter::default(),
            requests: Mutex::default(),
            next_request: AtomicU64::new(0),
        });
        tokio::spawn(receive(Arc::downgrade(&shared), inbox));
        Arc::new(ClusterAdapter(shared))
    }

    /// Adds a server that takes messages and never answers.
    pub(crate) fn add_silent_server(&self, namespace: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
        self.register(namespace).1
    }

    fn register(&self, namespace: &str) -> (u64, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let mut servers = self.0.lock().unwrap();
        servers.next += 1;
        let address = servers.next;
        servers
            .inboxes
            .insert(address, (namespace.to_owned(), sender));
        (address, inbox)
    }

    fn others(&self, own: u64, namespace: &str) -> Vec<mpsc::UnboundedSender<Vec<u8>>> {
        let servers = self.0.lock().unwrap();
        let inboxes = servers.inboxes.iter();
        inboxes
            .filter(|(address, (name, _))| **address != own && name == namespace)
            .map(|(_, (_, inbox))| inbox.clone())
            .collect()
    }

    fn send(&self, address: u64, message: &Message) {
        let servers = self.0.lock().unwrap();
        if let Some((_, inbox)) = servers.inboxes.get(&address) {
            inbox.send(serde_json::to_vec(message).unwrap()).ok();
        }
    }
}

/// What servers say to each other.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    Broadcast {
        event: Event,
        volatile: bool,
        selection: Selection,
        /// Answers are wanted within so many milliseconds.
        answers: Option<(Request, u64)>,
    },
    Join(Selection, Vec<Room>),
    Leave(Selection, Vec<Room>),
    Disconnect(Selection, bool),
    Fetch(Request, Selection),
    ServerEvent(Event, Option<Request>),
    Answer(u64, Answer),
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Clients(usize),
    Ack(Event),
    Sockets(Vec<SocketInfo>),
    /// The last answer of one server.
    Done,
}

/// Who asks, and which of its questions this is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Request {
    from: u64,
    number: u64,
}

/// An event, or the arguments of an acknowledgement.
#[derive(Debug, Serialize, Deserialize)]
struct Event {
    json: String,
    attachments: Vec<Vec<u8>>,
}

impl Event {
    fn of(body: &EventBody) -> Self {
        let attachments = body.attachments().iter().map(|bytes| bytes.to_vec());
        Self {
            json: body.json().to_string(),
            attachments: attachments.collect(),
        }
    }

    fn of_args(args: &Args) -> Self {
        let attachments = args.attachments().iter().map(|bytes| bytes.to_vec());
        Self {
            json: args.json().to_string(),
            attachments: attachments.collect(),
        }
    }

    fn body(self) -> EventBody {
        let attachments = self.attachments.into_iter().map(Into::into);
        EventBody::from_parts(self.json.into(), attachments.collect()).unwrap()
    }

    fn args(self) -> Args {
        let attachments = self.attachments.into_iter().map(Into::into);
        Args::from_parts(self.json.into(), attachments.collect()).unwrap()
    }
}

/// The adapter of one namespace of one server.
pub(crate) struct ClusterAdapter(Arc<Shared>);

struct Shared {
    bus: Bus,
    address: u64,
    namespace: WeakNamespace,
    local: LocalAdapter,
    requests: Mutex<HashMap<u64, Pending>>,
    next_request: AtomicU64,
}

/// A question to the other servers.
struct Pending {
    /// Servers that have not said their last word.
    open: usize,
    sink: Sink,
}

enum Sink {
    Acks(AckSink),
    Sockets(mpsc::UnboundedSender<Vec<SocketInfo>>),
}

impl Shared {
    fn publish(&self, message: &Message) -> usize {
        let message = serde_json::to_vec(message).unwrap();
        let others = self.bus.others(self.address, self.namespace.name());
        for inbox in &others {
            inbox.send(message.clone()).ok();
        }
        others.len()
    }

    /// Asks the other servers, and forgets the question after its time.
    fn ask(
        self: &Arc<Self>,
        sink: Sink,
        timeout: Duration,
        message: impl FnOnce(Request) -> Message,
    ) -> usize {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            from: self.address,
            number,
        };
        // The lock is held until it is known how many were asked: an answer cannot come before.
        let mut requests = self.requests.lock().unwrap();
        let open = self.bus.others(self.address, self.namespace.name()).len();
        if let Sink::Acks(acks) = &sink {
            acks.expect_servers(open);
        }
        if open > 0 {
            requests.insert(number, Pending { open, sink });
            self.publish(&message(request));
            let shared = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                if let Some(shared) = shared.upgrade() {
                    shared.requests.lock().unwrap().remove(&number);
                }
            });
        }
        open
    }

    async fn handle(self: Arc<Self>, message: Message) {
        match message {
            Message::Broadcast {
                event,
                volatile,
                selection,
                answers,
            } => {
                let packet = BroadcastPacket {
                    namespace: self.namespace.name().into(),
                    body: event.body(),
                    volatile,
                    ack_timeout: answers.map(|(_, millis)| Duration::from_millis(millis)),
                };
                match answers {
                    None => _ = self.local.broadcast(&packet, &selection),
                    Some((request, _)) => {
                        let (sink, stream) = acks();
                        self.local.broadcast_with_ack(&packet, &selection, sink);
                        self.answer(request, Answer::Clients(stream.clients()));
                        self.pass_on(request, stream, packet.ack_timeout);
                    }
                }
            }
            Message::Join(selection, rooms) => self.local.join_selected(&selection, &rooms),
            Message::Leave(selection, rooms) => self.local.leave_selected(&selection, &rooms),
            Message::Disconnect(selection, close) => {
                self.local.disconnect_selected(&selection, close);
            }
            Message::Fetch(request, selection) => {
                let fetched = self.local.fetch(&selection).await;
                self.answer(request, Answer::Sockets(fetched.sockets));
                self.answer(request, Answer::Done);
            }
            Message::ServerEvent(event, request) => {
                let Some(namespace) = self.namespace.upgrade() else {
                    return;
                };
                let body = event.body();
                let sink = request.map(|request| {
                    let (sink, stream) = acks();
                    self.answer(request, Answer::Clients(1));
                    self.pass_on(request, stream, Some(REQUEST_TIMEOUT));
                    sink
                });
                // A handler may ask the other servers, and this task brings the answers.
                tokio::spawn(async move {
                    namespace.handle_server_event(&body, sink).await.unwrap();
                });
            }
            Message::Answer(number, answer) => self.take_answer(number, answer),
        }
    }

    fn answer(&self, request: Request, answer: Answer) {
        let message = Message::Answer(request.number, answer);
        self.bus.send(request.from, &message);
    }

    /// Sends acknowledgements to the server that asked, then that no more will come.
    fn pass_on(
        self: &Arc<Self>,
        request: Request,
        mut stream: jackfield_socketio::adapter::AckStream,
        timeout: Option<Duration>,
    ) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let all = async {
                while let Some(args) = stream.next().await {
                    shared.answer(request, Answer::Ack(Event::of_args(&args)));
                }
            };
            let timeout = timeout.unwrap_or(REQUEST_TIMEOUT);
            // The asking server has dropped the request by then.
            if tokio::time::timeout(timeout, all).await.is_ok() {
                shared.answer(request, Answer::Done);
            }
        });
    }

    fn take_answer(&self, number: u64, answer: Answer) {
        let mut requests = self.requests.lock().unwrap();
        let Some(pending) = requests.get_mut(&number) else {
            return;
        };
        match (answer, &pending.sink) {
            (Answer::Clients(count), Sink::Acks(acks)) => acks.expect_clients(count),
            (Answer::Ack(event), Sink::Acks(acks)) => _ = acks.send(event.args()),
            (Answer::Sockets(sockets), Sink::Sockets(sender)) => _ = sender.send(sockets),
            (Answer::Done, _) => {
                pending.open -= 1;
                if pending.open == 0 {
                    requests.remove(&number);
                }
            }
            (answer, _) => panic!("{answer:?} answers another question"),
        }
    }
}

async fn receive(shared: std::sync::Weak<Shared>, mut inbox: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = inbox.recv().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // One message after the other, so that broadcasts stay in order.
        shared
            .handle(serde_json::from_slice(&message).unwrap())
            .await;
    }
}

impl Adapter for ClusterAdapter {
    fn add(&self, socket: &Socket) -> bool {
        self.0.local.add(socket)
    }

    fn remove(&self, socket: &Socket) -> bool {
        self.0.local.remove(socket)
    }

    fn join(&self, socket: &Socket, rooms: &[Room]) {
        self.0.local.join(socket, rooms);
    }

    fn leave(&self, socket: &Socket, room: &Room) {
        self.0.local.leave(socket, room);
    }

    fn rooms(&self, socket: &Socket) -> Vec<Room> {
        self.0.local.rooms(socket)
    }

    fn select(&self, selection: &Selection) -> Vec<Socket> {
        self.0.local.select(selection)
    }

    fn broadcast(&self, packet: &BroadcastPacket, selection: &Selection) -> Delivery {
        let delivery = self.0.local.broadcast(packet, selection);
        if !selection.local {
            self.0.publish(&Message::Broadcast {
                event: Event::of(&packet.body),
                volatile: packet.volatile,
                selection: selection.clone(),
                answers: None,
            });
        }
        delivery
    }

    fn broadcast_with_ack(&self, packet: &BroadcastPacket, selection: &Selection, acks: AckSink) {
        self.0
            .local
            .broadcast_with_ack(packet, selection, acks.clone());
        if selection.local {
            return;
        }
        let timeout = packet.ack_timeout.unwrap_or(REQUEST_TIMEOUT);
        self.0.ask(Sink::Acks(acks), timeout, |request| {
            let millis = u64::try_from(timeout.as_millis()).unwrap();
            Message::Broadcast {
                event: Event::of(&packet.body),
                volatile: packet.volatile,
                selection: selection.clone(),
                answers: Some((request, millis)),
            }
        });
    }

    fn join_selected(&self, selection: &Selection, rooms: &[Room]) {
        self.0.local.join_selected(selection, rooms);
        if !selection.local {
            let message = Message::Join(selection.clone(), rooms.to_vec());
            self.0.publish(&message);
        }
    }

    fn leave_selected(&self, selection: &Selection, rooms: &[Room]) {
        self.0.local.leave_selected(selection, rooms);
        if !selection.local {
            let message = Message::Leave(selection.clone(), rooms.to_vec());
            self.0.publish(&message);
        }
    }

    fn disconnect_selected(&self, selection: &Selection, close: bool) {
        self.0.local.disconnect_selected(selection, close);
        if !selection.local {
            let message = Message::Disconnect(selection.clone(), close);
            self.0.publish(&message);
        }
    }

    fn fetch(&self, selection: &Selection) -> BoxFuture<Fetched> {
        let (shared, selection) = (Arc::clone(&self.0), selection.clone());
        Box::pin(async move {
            let mut fetched = shared.local.fetch(&selection).await;
            if selection.local {
                return fetched;
            }
            let (sender, mut answers) = mpsc::unbounded_channel();
            fetched.silent_servers =
                shared.ask(Sink::Sockets(sender), REQUEST_TIMEOUT, |request| {
                    Message::Fetch(request, selection)
                });
            while let Some(sockets) = answers.recv().await {
                fetched.sockets.extend(sockets);
                fetched.silent_servers -= 1;
            }
            fetched
        })
    }

    fn server_side_emit(&self, event: &EventBody) {
        self.0
            .publish(&Message::ServerEvent(Event::of(event), None));
    }

    fn server_side_emit_with_ack(&self, event: &EventBody, timeout: Duration, acks: AckSink) {
        self.0.ask(Sink::Acks(acks), timeout, |request| {
            Message::ServerEvent(Event::of(event), Some(request))
        });
    }

    fn server_count(&self) -> BoxFuture<usize> {
        let others = self.0.bus.others(self.0.address, self.0.namespace.name());
        Box::pin(std::future::ready(1 + others.len()))
    }

    fn close(&self) -> BoxFuture<()> {
        let mut servers = self.0.bus.0.lock().unwrap();
        servers.inboxes.remove(&self.0.address);
        Box::pin(std::future::ready(()))
    }
}

impl fmt::Debug for ClusterAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterAdapter")
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}
