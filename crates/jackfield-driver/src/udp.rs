//! Batched UDP sockets.
//!
//! On Linux a receive is one recvmmsg(2) whose messages may be GRO trains, and what is sent while
//! a batch is handled goes out in one sendmmsg(2), with neighbours of one destination and size as
//! GSO trains. A socket that is bound to a wildcard knows the address that each datagram came to,
//! and answers from it. Other systems get the same interface, one datagram a system call.
//!
//! ```
//! use std::sync::Arc;
//! use jackfield_driver::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};
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
mod socket;
mod watched;

#[cfg(target_os = "linux")]
use linux as sys;
#[cfg(not(target_os = "linux"))]
use portable as sys;

pub use batch::{Datagram, RecvBatch};
pub use socket::UdpSocket;

use crate::stats::counters;

counters! {
    /// What UDP sockets count; several sockets of a shard share one.
    pub struct UdpStats {
        /// Datagrams received.
        rx_datagrams: Counter,
        /// Bytes received.
        rx_bytes: Counter in Bytes,
        /// System calls that received something.
        rx_batches: Counter,
        /// Messages that held more than one datagram (GRO).
        rx_trains: Counter,
        /// Receives that failed, most of them for an ICMP error about an earlier send.
        rx_errors: Counter,
        /// Datagrams handed to the kernel.
        tx_datagrams: Counter,
        /// Bytes handed to the kernel.
        tx_bytes: Counter in Bytes,
        /// System calls that sent something.
        tx_batches: Counter,
        /// Trains handed to the kernel (GSO).
        tx_trains: Counter,
        /// Trains that the kernel refused; their datagrams went one by one.
        tx_trains_refused: Counter,
        /// Datagrams dropped because the queue was full.
        tx_dropped_full: Counter,
        /// Datagrams dropped because the kernel refused them.
        tx_dropped_refused: Counter,
    }
}

/// How a UDP socket is set up.
#[derive(Debug, Clone)]
pub struct UdpConfig {
    /// Bytes that the kernel may hold until they are read; the system's limit (`rmem_max`) caps
    /// it.
    pub recv_buffer: usize,
    /// Bytes that the kernel may hold until they are sent; the system's limit (`wmem_max`) caps
    /// it.
    pub send_buffer: usize,
    /// Whether several sockets may share the address (`SO_REUSEPORT`); the kernel spreads clients
    /// over them.
    pub reuse_port: bool,
    /// Whether to take coalesced datagrams (Linux `UDP_GRO`).
    pub gro: bool,
    /// Whether to send trains (Linux `UDP_SEGMENT`).
    pub gso: bool,
    /// Whether datagrams that a path does not take whole go in fragments, the DF bit clear;
    /// otherwise the kernel decides.
    pub fragment: bool,
    /// Bytes that may wait in the socket's own queue while the kernel takes none. Datagrams beyond
    /// are dropped and counted.
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
    /// Returns the set-up of a relayed transport address: one socket's own, with smaller buffers,
    /// and the DF bit clear as [RFC 8656 §15.1] prefers.
    ///
    /// [RFC 8656 §15.1]: https://www.rfc-editor.org/rfc/rfc8656#section-15.1
    #[must_use]
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

const MIB: usize = 1024 * 1024;
