//! The UDP socket: receives in batches, queues what is sent, and flushes it in batches.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::sync::Notify;

use super::batch::RecvBatch;
use super::egress::{Egress, Limits, Towards};
use super::watched::Watched;
use super::{Fragmenting, TrainRefusal, UdpConfig, UdpStats, sys};

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
    /// Wakes the receiving task when the socket becomes blocked.
    became_blocked: Notify,
    stats: Arc<UdpStats>,
}

impl UdpSocket {
    /// Binds a socket; IPv6 sockets take IPv6 alone, so that both wildcards can be bound to one
    /// port.
    ///
    /// # Errors
    /// What the operating system says, above all [`io::ErrorKind::AddrInUse`] and
    /// [`io::ErrorKind::AddrNotAvailable`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: SocketAddr, config: &UdpConfig, stats: Arc<UdpStats>) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        // IPv4 clients would otherwise show up with IPv4-mapped addresses, and the IPv4 wildcard
        // could not be bound.
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

    /// Takes over a socket that is bound, by this process or its parent; `reuse_port` is no
    /// longer asked for.
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

    /// Returns the address the socket is bound to, with the port that was chosen if port 0 was
    /// asked for.
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
    /// Errors do not end the wait: they are counted, and most of them report an ICMP error about
    /// an earlier send.
    pub async fn receive(&self, batch: &mut RecvBatch) {
        loop {
            self.readable().await;
            match self.try_receive(batch) {
                Ok(_) => return,
                Err(error) if is_transient(&error) => {}
                // An error that lasts must not become a busy loop.
                Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
            }
        }
    }

    /// Waits until there may be something to receive; sends meanwhile what the kernel did not take
    /// earlier.
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
                    // The runtime is shutting down, and drops this task.
                    Err(_) => return std::future::pending().await,
                },
                () = retry => {}
            }
        }
    }

    /// Puts what is there into `batch`, without waiting; returns how many messages.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is nothing; others, which are counted, say
    /// something about an earlier send.
    pub fn try_receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut received = 0;
        let tried = self.io.try_read(|socket| {
            received = sys::receive(socket, self.local, batch)?;
            if received < batch.capacity() {
                // The kernel had no more, and wakes us when it does. To report that here saves a
                // system call that would only say so.
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

    /// Queues a datagram made of `parts`, from `local` to `remote`; [`flush`](Self::flush) sends
    /// it.
    ///
    /// Returns whether nothing waited before, so that a caller with many sockets can note which of
    /// them to flush. `local` matters only to a socket that is bound to a wildcard. A datagram
    /// that finds the queue full is dropped and counted.
    pub fn send(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]]) -> bool {
        self.queue(local, remote, parts, false)
    }

    /// Does what [`send`](Self::send) does, with a datagram that is dropped rather than
    /// fragmented.
    pub fn send_whole(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]]) -> bool {
        self.queue(local, remote, parts, true)
    }

    fn queue(&self, local: SocketAddr, remote: SocketAddr, parts: &[&[u8]], whole: bool) -> bool {
        let to = Towards {
            remote,
            // A client takes an answer only from the address that it asked.
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

    /// Hands what is queued to the kernel. What it does not take now stays queued, and goes when
    /// it does.
    pub fn flush(&self) {
        self.flush_with(|egress| sys::send(self.io.socket(), self.local, egress));
    }

    /// Flushes by `send`, which hands the kernel the first waiting runs and returns how many.
    fn flush_with(&self, mut send: impl FnMut(&Egress) -> io::Result<usize>) {
        let mut slot = self.egress.borrow_mut();
        let Some(egress) = slot.as_deref_mut() else {
            return;
        };
        let mut late_errors = 0;
        while !egress.is_empty() {
            self.set_whole(egress.runs().first().is_some_and(|run| run.to.whole));
            match send(egress) {
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

    /// Treats the first run as the kernel's error asks: it goes on as single datagrams, or is
    /// dropped.
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
            // One narrow path must not end trains for the others, so the limit never falls below
            // what all paths take.
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

/// Returns whether a receive may be tried again at once: there was nothing, or the error was about
/// an earlier send (ICMP).
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    ) || sys::is_late_error(error)
}

/// Datagrams in one train: the limit of Linux 4.18 to 6.8 (`UDP_MAX_SEGMENTS`); later kernels take
/// 128.
const TRAIN: usize = 64;

/// Bytes of a datagram that every path of practical interest takes whole.
const NARROWEST: usize = 1_200;

/// How many errors about earlier datagrams one flush skips before it takes one for its own and
/// drops a datagram.
const LATE_ERRORS: u32 = 8;

/// How long a socket waits before it tries again when the kernel takes nothing. No readiness event
/// is asked for: the kernel would send one for every datagram that leaves.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// How long a receive waits after an error that nothing explains.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as StdSocket;

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_sent_when_it_does() {
        let (socket, reader) = pair();
        queue(&socket, &reader, &[100; 3]);
        socket.flush_with(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(socket.stats.tx_datagrams.value(), 0);
        // Nobody flushes and nothing arrives: the wait for datagrams itself tries again.
        let read = tokio::task::spawn_blocking(move || sizes(&reader, 3));
        tokio::select! {
            () = socket.readable() => panic!("nothing was sent to this socket"),
            sizes = read => assert_eq!(sizes.unwrap(), [100; 3]),
        }
        assert_eq!(socket.stats.tx_datagrams.value(), 3);
        assert!(!socket.blocked.get());
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_device_without_trains_gets_single_datagrams_from_then_on() {
        let (socket, reader) = pair();
        queue(&socket, &reader, &[100; 5]);
        refuse_trains(&socket, libc::EIO, |_| true);
        assert_eq!(sizes(&reader, 5), [100; 5]);
        assert_eq!(socket.stats.tx_trains_refused.value(), 1);
        queue(&socket, &reader, &[100; 2]);
        refuse_trains(&socket, libc::EIO, |_| true);
        assert_eq!(sizes(&reader, 2), [100; 2]);
        assert_eq!(socket.stats.tx_trains_refused.value(), 1);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_narrow_path_ends_long_trains_and_no_others() {
        let (socket, reader) = pair();
        for size in [1_450, 1_450, 1_200] {
            queue(&socket, &reader, &[size; 3]);
            refuse_trains(&socket, libc::EMSGSIZE, |segment| segment > 1_400);
            assert_eq!(sizes(&reader, 3), [size; 3]);
        }
        assert_eq!(socket.stats.tx_trains_refused.value(), 1);
        assert_eq!(socket.stats.tx_trains.value(), 1);
        // However small a path someone has, trains of ordinary datagrams go on.
        queue(&socket, &reader, &[600; 3]);
        refuse_trains(&socket, libc::EMSGSIZE, |_| true);
        queue(&socket, &reader, &[1_100; 3]);
        socket.flush();
        assert_eq!(sizes(&reader, 6), [600, 600, 600, 1_100, 1_100, 1_100]);
        assert_eq!(socket.stats.tx_trains.value(), 2);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn an_error_about_an_earlier_datagram_costs_no_other_one() {
        let (socket, reader) = pair();
        queue(&socket, &reader, &[7]);
        let mut late = 3;
        socket.flush_with(|egress| {
            if late > 0 {
                late -= 1;
                return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
            }
            sys::send(socket.io.socket(), socket.local, egress)
        });
        assert_eq!(sizes(&reader, 1), [7]);
        assert_eq!(socket.stats.tx_dropped_refused.value(), 0);
    }

    /// Flushes into a kernel that answers trains with `error` where `refused` says so of their
    /// datagrams' size.
    #[cfg(target_os = "linux")]
    fn refuse_trains(socket: &UdpSocket, error: i32, refused: impl Fn(usize) -> bool) {
        socket.flush_with(|egress| {
            let first = egress.runs().first().unwrap();
            if first.count > 1 && refused(first.segment) {
                return Err(io::Error::from_raw_os_error(error));
            }
            sys::send(socket.io.socket(), socket.local, egress)
        });
    }

    fn pair() -> (UdpSocket, StdSocket) {
        let address = "127.0.0.1:0".parse().unwrap();
        let socket = UdpSocket::bind(address, &UdpConfig::relay(), Arc::default()).unwrap();
        (socket, StdSocket::bind(address).unwrap())
    }

    fn queue(socket: &UdpSocket, reader: &StdSocket, sizes: &[usize]) {
        for size in sizes {
            let to = reader.local_addr().unwrap();
            socket.send(socket.local_addr(), to, &[&vec![1; *size]]);
        }
    }

    fn sizes(reader: &StdSocket, count: usize) -> Vec<usize> {
        let mut room = [0; 2_048];
        (0..count)
            .map(|_| reader.recv(&mut room).unwrap())
            .collect()
    }
}
