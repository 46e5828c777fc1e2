//! Batched UDP sockets.
//!
//! On Linux a receive is one recvmmsg(2) whose messages may be GRO trains, and what is sent while a batch is handled goes out
//! in one sendmmsg(2), with neighbours of one destination and size as GSO trains. A socket that is bound to a wildcard
//! knows the address that each datagram came to, and answers from it. Other systems get the same interface, one datagram
//! a system call.
//!
//! ```
//! use std::sync::Arc;
//! use jackfield_net::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stats = Arc::new(UdpStats::default());
//! let echo = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), &UdpConfig::default(), stats).unwrap();
//! # let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # client.send_to(b"hello", ("127.0.0.1", echo.local_addr().port())).unwrap();
//! let mut batch = RecvBatch::new(32);
//! echo.receive(&mut batch).await;
//! for datagram in batch.datagrams() {
//!     echo.send(datagram.local, datagram.remote, &[b"you said: ", datagram.bytes]);
//! }
//! echo.flush();
//! # let mut room = [0; 64];
//! # let len = client.recv(&mut room).unwrap();
//! # assert_eq!(&room[..len], b"you said: hello");
//! # });
//! ```

mod batch;
mod egress;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
mod watched;

#[cfg(target_os = "linux")]
use linux as sys;
#[cfg(not(target_os = "linux"))]
use portable as sys;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::sync::Notify;

pub use batch::{Datagram, RecvBatch};
use egress::{Egress, Limits, Towards};
use watched::Watched;

use crate::stats::counters;

counters! {
    /// What UDP sockets count; several sockets of a shard share one.
    pub struct UdpStats {
        /// Datagrams received.
        rx_datagrams,
        /// Bytes received.
        rx_bytes,
        /// System calls that received something.
        rx_batches,
        /// Messages that held more than one datagram (GRO).
        rx_trains,
        /// Receives that failed, most of them told by ICMP about an earlier send.
        rx_errors,
        /// Datagrams handed to the kernel.
        tx_datagrams,
        /// Bytes handed to the kernel.
        tx_bytes,
        /// System calls that sent something.
        tx_batches,
        /// Trains handed to the kernel (GSO).
        tx_trains,
        /// Trains that the kernel refused; their datagrams went one by one.
        tx_trains_refused,
        /// Datagrams dropped because the queue was full.
        tx_dropped_full,
        /// Datagrams dropped because the kernel refused them.
        tx_dropped_refused,
    }
}

/// How a UDP socket is set up.
#[derive(Debug, Clone)]
pub struct UdpConfig {
    /// Bytes the kernel may hold for us to read; the system's own limit (`rmem_max`) caps it.
    pub recv_buffer: usize,
    /// Bytes the kernel may hold that we sent; the system's own limit (`wmem_max`) caps it.
    pub send_buffer: usize,
    /// Whether several sockets may share the address (`SO_REUSEPORT`); the kernel spreads clients over them.
    pub reuse_port: bool,
    /// Whether to take coalesced datagrams (Linux `UDP_GRO`).
    pub gro: bool,
    /// Whether to send trains (Linux `UDP_SEGMENT`).
    pub gso: bool,
    /// Whether datagrams that a path does not take whole go in fragments, the DF bit clear; otherwise the kernel decides.
    pub fragment: bool,
    /// Bytes that may wait in our own queue while the kernel takes none. Datagrams above it are dropped and counted.
    pub queue: usize,
}

impl Default for UdpConfig {
    /// Returns the set-up of a listener: shared by shards, with large buffers.
    fn default() -> Self {
        Self {
            recv_buffer: 4 * MIB,
            send_buffer: 4 * MIB,
            reuse_port: true,
            gro: true,
            gso: true,
            fragment: false,
            queue: 4 * MIB,
        }
    }
}

impl UdpConfig {
    /// Returns the set-up of a relayed transport address: one socket's own, with smaller buffers, and the DF bit clear
    /// as [RFC 8656 §15.1] prefers.
    ///
    /// [RFC 8656 §15.1]: https://www.rfc-editor.org/rfc/rfc8656#section-15.1
    pub fn relay() -> Self {
        Self {
            recv_buffer: MIB,
            send_buffer: MIB,
            reuse_port: false,
            fragment: true,
            queue: MIB,
            ..Self::default()
        }
    }
}

/// A UDP socket of one shard.
#[derive(Debug)]
pub struct UdpSocket {
    io: Watched,
    local: SocketAddr,
    /// Whether `local` is a wildcard, so that each datagram says which address it is sent from.
    wildcard: bool,
    limits: Cell<Limits>,
    /// What becomes of datagrams that may be fragmented.
    usually: Fragmenting,
    /// Whether the socket is set to datagrams that go whole or not at all.
    whole: Cell<bool>,
    /// What waits to be sent; nothing while the socket is idle.
    egress: RefCell<Option<Box<Egress>>>,
    /// Whether the kernel took no more at the last flush.
    blocked: Cell<bool>,
    /// Tells the receiving task that the socket became blocked.
    became_blocked: Notify,
    stats: Arc<UdpStats>,
}

impl UdpSocket {
    /// Binds a socket; IPv6 sockets take IPv6 alone, so that both wildcards can be bound to one port.
    ///
    /// # Errors
    /// What the operating system says, above all [`io::ErrorKind::AddrInUse`] and [`io::ErrorKind::AddrNotAvailable`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: SocketAddr, config: &UdpConfig, stats: Arc<UdpStats>) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        if config.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        Self::from_std(socket.into(), config, stats)
    }

    /// Takes over a socket that is bound, by this process or by who started it; `reuse_port` is no longer asked for.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn from_std(
        socket: std::net::UdpSocket,
        config: &UdpConfig,
        stats: Arc<UdpStats>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let wildcard = local.ip().is_unspecified();
        // A system may cap or refuse sizes; datagrams pass all the same.
        let sizes = SockRef::from(&socket);
        for sized in [
            sizes.set_recv_buffer_size(config.recv_buffer),
            sizes.set_send_buffer_size(config.send_buffer),
        ] {
            if let Err(error) = sized {
                tracing::debug!(%error, "The kernel refuses the size of a socket buffer");
            }
        }
        let trains = sys::prepare(&socket, local, wildcard, config.gro)? && config.gso;
        let usually = if config.fragment {
            sys::set_fragmenting(&socket, local, Fragmenting::Always)?;
            Fragmenting::Always
        } else {
            Fragmenting::Kernel
        };
        Ok(Self {
            io: Watched::new(socket)?,
            local,
            wildcard,
            limits: Cell::new(Limits {
                bytes: config.queue,
                train: if trains { TRAIN } else { 1 },
                segment: usize::from(u16::MAX),
            }),
            usually,
            whole: Cell::new(false),
            egress: RefCell::new(None),
            blocked: Cell::new(false),
            became_blocked: Notify::new(),
            stats,
        })
    }

    /// Returns the address the socket is bound to, with the port that was chosen if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns whether a datagram can leave from `local` through this socket.
    pub fn answers(&self, local: SocketAddr) -> bool {
        let same_family = self.local.is_ipv4() == local.is_ipv4();
        self.local == local || (self.wildcard && same_family && self.local.port() == local.port())
    }

    /// Waits for datagrams and puts them into `batch`.
    ///
    /// Errors do not end the wait: they are counted, and most are ICMP's word about an earlier send.
    pub async fn receive(&self, batch: &mut RecvBatch) {
        loop {
            self.readable().await;
            match self.try_receive(batch) {
                Ok(_) => return,
                Err(error) if is_transient(&error) => {}
                // Whatever it is, it must not become a busy loop.
                Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
            }
        }
    }

    /// Waits until there may be something to receive; sends meanwhile what the kernel did not take earlier.
    pub async fn readable(&self) {
        loop {
            let retry = async {
                if self.blocked.get() {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    self.flush();
                } else {
                    self.became_blocked.notified().await;
                }
            };
            tokio::select! {
                biased;
                ready = self.io.readable() => match ready {
                    Ok(()) => return,
                    // The runtime shuts down, and this task with it.
                    Err(_) => return std::future::pending().await,
                },
                () = retry => {}
            }
        }
    }

    /// Puts what is there into `batch`, without waiting; returns how many messages.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is nothing; others, which are counted, say something about an earlier send.
    pub fn try_receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut received = 0;
        let tried = self.io.try_read(|socket| {
            received = sys::receive(socket, self.local, batch)?;
            if received < batch.capacity() {
                // The kernel had no more, and tells when there is: saves the call that would only say so.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match tried {
            Err(error) if received == 0 => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.stats.rx_errors.add(1);
                    tracing::debug!(local = %self.local, %error, "A receive failed");
                }
                Err(error)
            }
            _ => {
                self.count_received(batch, received);
                Ok(received)
            }
        }
    }

    /// Queues a datagram made of `parts`, from `local` to `remote`; [`flush`](Self::flush) sends it.
    ///
    /// Returns whether nothing waited before, so that a caller with many sockets can note which of them to flush.
    /// `local` matters only to a socket that is bound to a wildcard. A datagram that finds the queue full is dropped and counted.
    pub fn send(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]]) -> bool {
        self.queue(local, remote, parts, false)
    }

    /// Does what [`send`](Self::send) does, with a datagram that is rather lost than fragmented.
    pub fn send_whole(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]]) -> bool {
        self.queue(local, remote, parts, true)
    }

    fn queue(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]], whole: bool) -> bool {
        let to = Towards {
            remote,
            source: (self.wildcard && !local.ip().is_unspecified()).then(|| local.ip()),
            whole,
        };
        let mut slot = self.egress.borrow_mut();
        let first = slot.is_none();
        let egress = slot.get_or_insert_with(Egress::from_pool);
        if !egress.push(to, parts, &self.limits.get()) {
            self.stats.tx_dropped_full.add(1);
        }
        first
    }

    /// Hands what is queued to the kernel. What it does not take now stays queued, and goes when it does.
    pub fn flush(&self) {
        let mut slot = self.egress.borrow_mut();
        let Some(egress) = slot.as_deref_mut() else {
            return;
        };
        let mut late_errors = 0;
        while !egress.is_empty() {
            self.set_whole(egress.runs().first().is_some_and(|run| run.to.whole));
            match sys::send(self.io.socket(), self.local, egress) {
                Ok(sent) => self.count_sent(egress, sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.blocked.replace(true) {
                        self.became_blocked.notify_one();
                    }
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if sys::is_late_error(&error) && late_errors < LATE_ERRORS => {
                    late_errors += 1;
                }
                Err(error) => self.send_failed(egress, &error),
            }
        }
        self.blocked.set(false);
        if let Some(egress) = slot.take() {
            egress.into_pool();
        }
    }

    /// Sets the socket to datagrams that go whole or not at all, or back to its usual way.
    fn set_whole(&self, whole: bool) {
        if whole == self.whole.get() {
            return;
        }
        let fragmenting = if whole {
            Fragmenting::Never
        } else {
            self.usually
        };
        if let Err(error) = sys::set_fragmenting(self.io.socket(), self.local, fragmenting) {
            tracing::debug!(local = %self.local, %error, "The kernel decides on fragments");
        }
        self.whole.set(whole);
    }

    /// Takes the first run for what the kernel said of it: sends it as single datagrams, or drops it.
    fn send_failed(&self, egress: &mut Egress, error: &io::Error) {
        let Some(run) = egress.runs().first().copied() else {
            return;
        };
        let refusal = if run.count > 1 {
            sys::refuses_trains(error)
        } else {
            TrainRefusal::No
        };
        let mut limits = self.limits.get();
        match refusal {
            TrainRefusal::No => {
                self.stats.tx_dropped_refused.add(run.count as u64);
                tracing::debug!(local = %self.local, %error, "The kernel refuses a datagram");
                egress.advance(1);
                return;
            }
            TrainRefusal::Always => limits.train = 1,
            // A path may be narrow; all paths are at least this wide, so one of them cannot end trains for the others.
            TrainRefusal::ThisSize => {
                limits.segment = limits
                    .segment
                    .min(run.segment.saturating_sub(1).max(NARROWEST));
            }
        }
        self.limits.set(limits);
        self.stats.tx_trains_refused.add(1);
        egress.split_first();
    }

    fn count_received(&self, batch: &RecvBatch, messages: usize) {
        let (datagrams, bytes, trains) = batch.totals();
        self.stats.rx_batches.add(u64::from(messages > 0));
        self.stats.rx_datagrams.add(datagrams);
        self.stats.rx_bytes.add(bytes);
        self.stats.rx_trains.add(trains);
    }

    fn count_sent(&self, egress: &mut Egress, sent: usize) {
        self.stats.tx_batches.add(1);
        for run in egress.runs().iter().take(sent) {
            self.stats.tx_datagrams.add(run.count as u64);
            self.stats.tx_bytes.add(run.bytes as u64);
            self.stats.tx_trains.add(u64::from(run.count > 1));
        }
        egress.advance(sent);
    }
}

/// What becomes of datagrams that a path does not take whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fragmenting {
    /// The kernel fragments by what it has learned of the path.
    Kernel,
    /// They go in fragments.
    Always,
    /// They are dropped.
    Never,
}

/// Whether an error speaks against a train rather than against its datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the other kinds are Linux's")
)]
enum TrainRefusal {
    /// The error has another reason.
    No,
    /// Datagrams of this size do not go as trains.
    ThisSize,
    /// The socket's device takes no trains.
    Always,
}

/// Returns whether a receive may be tried again at once: there was nothing, or ICMP told about an earlier send.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    ) || sys::is_late_error(error)
}

const MIB: usize = 1024 * 1024;

/// Datagrams in one train; the least that any kernel with GSO takes at most.
const TRAIN: usize = 64;

/// Bytes of a datagram that every path of practical interest takes whole.
const NARROWEST: usize = 1_200;

/// Late errors that one flush puts up with before it drops a datagram for one.
const LATE_ERRORS: u32 = 8;

/// How long a socket that the kernel takes nothing from waits before it tries again.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// How long a receive waits after an error that nothing explains.
const ERROR_PAUSE: Duration = Duration::from_millis(10);
