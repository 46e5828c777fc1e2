//! Drivers: what moves bytes between sockets and Jackfield's protocol cores.
//!
//! A running server is a number of *shards*, one per CPU core ([`shard`]): a pinned thread with
//! its own runtime, which owns its listeners ([`udp`], [`tcp`], all bound to the same port), and
//! what belongs to the clients that the kernel gave it. No lock and no other thread is on a
//! packet's way. [`port::claim`] finds out beforehand whether a port is ours to listen on.
//! [`peer`] has WebRTC data channels.
//! [`turn_client`] is the other end: an allocation on a TURN server, used like a socket.
//!
//! ```
//! use std::sync::Arc;
//! use jackfield_driver::shard::{Shards, ShardsConfig};
//! use jackfield_driver::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};
//!
//! let address = jackfield_driver::port::claim("127.0.0.1:0".parse().unwrap()).unwrap();
//! let config = ShardsConfig { count: 2, ..ShardsConfig::default() };
//! let (shards, _) = Shards::start(&config, move |context| async move {
//!     let socket = UdpSocket::bind(address, &UdpConfig::default(), Arc::new(UdpStats::default()))?;
//!     let mut shutdown = context.shutdown();
//!     context.spawn("echo", async move {
//!         let mut batch = RecvBatch::new(32);
//!         loop {
//!             tokio::select! {
//!                 () = socket.receive(&mut batch) => {}
//!                 () = shutdown.requested() => return,
//!             }
//!             for datagram in batch.datagrams() {
//!                 socket.send(datagram.local, datagram.remote, &[datagram.bytes]);
//!             }
//!             socket.flush();
//!         }
//!     });
//!     Ok::<_, std::io::Error>(())
//! })
//! .unwrap();
//! # let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # client.send_to(b"hello", address).unwrap();
//! # assert_eq!(client.recv(&mut [0; 64]).unwrap(), 5);
//! shards.stop();
//! shards.join();
//! ```

#[cfg(target_os = "linux")]
mod control_message;
pub mod discovery;
pub mod ice;
pub mod peer;
pub mod port;
pub mod portmap;
pub mod proxy;
pub mod shard;
pub mod stats;
pub mod tap;
pub mod tcp;
pub mod tls;
pub mod turn;
pub mod turn_client;
pub mod udp;
pub mod watch;

// The README's code is compiled with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
