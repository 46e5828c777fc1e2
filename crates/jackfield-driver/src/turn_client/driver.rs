//! One client's event loop.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use jackfield_turn::client::{Client, Event, Failure, Output, SendError};
use tokio::sync::{Notify, mpsc};

use super::Packet;
use super::connection::{Connection, MessageSender};
use super::error::{ConnectError, TurnError};
use super::options::Options;
use crate::stats::Counter;

/// What a client's task and its callers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Held for single calls, never across a wait.
    core: Mutex<Client>,
    /// Why the allocation ended, once it has.
    ended: Mutex<Option<TurnError>>,
    /// Tells the task that the core has outputs.
    pub(super) wake: Notify,
    /// Tells callers that something happened.
    pub(super) changed: Notify,
    /// Datagrams from peers that came while the receiver's queue was full.
    pub(super) dropped: Counter,
}

/// A client and its connection.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    connection: Connection,
}

/// What a drain of the core left to be done.
enum Drained {
    Wait(Option<Instant>),
    Connect(SocketAddr, Option<String>),
    Ended,
}

impl Driver {
    /// Connects, and runs the core until it has its allocation.
    pub(super) async fn establish(
        server: SocketAddr,
        options: &Options,
    ) -> Result<Self, ConnectError> {
        let seed = seed().map_err(ConnectError::Local)?;
        let connection = Connection::open(server, options, None).await?;
        let core = Client::new(options.core.clone(), Instant::now(), connection.path, seed);
        let mut driver = Self {
            shared: Arc::new(Shared::new(core)),
            connection,
        };
        loop {
            match driver.drain() {
                Drained::Ended => return Err(ConnectError::Refused(driver.shared.failure())),
                Drained::Connect(server, domain) => {
                    driver.connection = Connection::open(server, options, domain).await?;
                    let path = driver.connection.path;
                    driver.shared.core().handle_connected(Instant::now(), path);
                }
                Drained::Wait(_) if driver.shared.core().relayed().is_some() => return Ok(driver),
                Drained::Wait(until) => driver.wait_for_answer(until).await?,
            }
        }
    }

    /// Sends what waits, and takes one message or lets the time come.
    async fn wait_for_answer(&mut self, until: Option<Instant>) -> Result<(), ConnectError> {
        let Connection { reader, writer, .. } = &mut self.connection;
        tokio::select! {
            sent = writer.send(), if writer.has_work() => {
                sent.map_err(ConnectError::Unreachable)?;
            }
            received = reader.receive() => match received {
                Ok(bytes) => {
                    let data = self.shared.core().handle_server(Instant::now(), &bytes).is_some();
                    debug_assert!(!data, "data arrived before there is an allocation");
                }
                Err(error) if is_closed(&error) => self.shared.core().handle_closed(Instant::now()),
                // No server listens on that port, or there is no route to it.
                Err(error) => return Err(ConnectError::Unreachable(error)),
            },
            () = sleep_until(until) => self.shared.core().handle_timeout(Instant::now()),
        }
        Ok(())
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Returns how other tasks send.
    pub(super) fn out(&self, queue: usize) -> (MessageSender, Option<mpsc::Receiver<Vec<u8>>>) {
        self.connection.writer.out(queue)
    }

    /// Keeps the allocation alive until it ends.
    pub(super) async fn run(
        mut self,
        packets: mpsc::Sender<Packet>,
        mut written: Option<mpsc::Receiver<Vec<u8>>>,
    ) {
        // A server names another one only while an allocation is asked for, so `Connect` never
        // comes here.
        while let Drained::Wait(until) = self.drain() {
            let shared = Arc::clone(&self.shared);
            let Connection { reader, writer, .. } = &mut self.connection;
            let has_room = writer.has_room();
            tokio::select! {
                received = reader.receive() => match received {
                    Ok(bytes) => self.receive(bytes, &packets),
                    Err(error) => self.broken(&error),
                },
                sent = writer.send(), if writer.has_work() => {
                    if let Err(error) = sent {
                        self.broken(&error);
                    }
                }
                Some(bytes) = next(&mut written), if has_room => writer.push(bytes),
                () = shared.wake.notified() => {}
                () = sleep_until(until) => shared.core().handle_timeout(Instant::now()),
            }
        }
        // A receiver of datagrams learns of the end by the closing of `packets`.
    }

    /// Does what the core wants done.
    fn drain(&mut self) -> Drained {
        let mut core = self.shared.core();
        loop {
            match core.poll_output() {
                Output::Transmit(transmit) => self.connection.writer.push(transmit.bytes),
                Output::Connect { server, domain } => return Drained::Connect(server, domain),
                Output::Event(event) => self.shared.note(&event),
                Output::Wait(_) if core.has_ended() => return Drained::Ended,
                Output::Wait(until) => return Drained::Wait(until),
            }
        }
    }

    /// Takes a message, and those that are there already.
    fn receive(&mut self, first: Bytes, packets: &mpsc::Sender<Packet>) {
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        let mut core = shared.core();
        let mut taken = Some(first);
        for left in (0..BATCH).rev() {
            let Some(bytes) = taken else { return };
            if let Some(received) = core.handle_server(now, &bytes) {
                let packet = Packet {
                    peer: received.peer,
                    data: bytes.slice_ref(received.data),
                    by_channel: received.channel.is_some(),
                };
                if packets.try_send(packet).is_err() {
                    shared.dropped.add(1);
                }
            }
            taken = (left > 0)
                .then(|| self.connection.reader.try_receive())
                .flatten();
        }
    }

    /// Takes an error of the connection: the end of a stream, or a datagram that the network sent
    /// back.
    fn broken(&self, error: &io::Error) {
        tracing::debug!(%error, path = %self.connection.path, "The connection to the TURN server has trouble");
        if self.connection.path.transport.is_stream() {
            self.shared.core().handle_closed(Instant::now());
        }
    }
}

impl Shared {
    fn new(core: Client) -> Self {
        Self {
            core: Mutex::new(core),
            ended: Mutex::new(None),
            wake: Notify::new(),
            changed: Notify::new(),
            dropped: Counter::default(),
        }
    }

    /// Returns the core, for a single call.
    pub(super) fn core(&self) -> MutexGuard<'_, Client> {
        // A core that panicked is a bug; what it holds is still consistent enough to end.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server to delete the allocation.
    pub(super) fn close(&self) {
        self.core().close(Instant::now());
        self.wake.notify_one();
    }

    /// Returns why the allocation ended.
    pub(super) fn end(&self) -> TurnError {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.unwrap_or(TurnError::Closed)
    }

    /// Says what a refusal to send means to a caller.
    pub(super) fn explain(&self, core: &Client, why: SendError) -> TurnError {
        match why {
            SendError::NotAllocated if core.has_ended() => self.end(),
            SendError::NotAllocated => TurnError::Closed,
            SendError::PeerRefused(why) => TurnError::PeerRefused(why),
            _ => TurnError::Unsendable(why),
        }
    }

    fn failure(&self) -> Failure {
        match self.end() {
            TurnError::Ended(failure) => failure,
            _ => Failure::Disconnected,
        }
    }

    fn note(&self, event: &Event) {
        let end = match event {
            Event::Failed(why) => Some(TurnError::Ended(*why)),
            Event::Closed => Some(TurnError::Closed),
            _ => None,
        };
        if end.is_some() {
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
        tracing::debug!(?event, "TURN client");
        self.changed.notify_waiters();
    }
}

/// Waits for what other tasks write to a stream.
async fn next(written: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match written {
        Some(written) => written.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// Returns whether a stream ended, as far as its other end is concerned.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::InvalidData
    )
}

/// Returns 32 bytes of the system's randomness.
fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

/// Messages that are taken before others get a turn.
const BATCH: usize = 64;
