//! Proxies for networks from which nothing else is reachable: HTTP CONNECT and SOCKS 5, both
//! sides.
//!
//! [`Proxy`] is a server for hosts of the virtual internet. [`Handshake`] is the part of a client,
//! sans-IO: it takes what the proxy sends and returns when the tunnel is open.
//!
//! # Standards
//!
//! - [x] [RFC 9110 §9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6) CONNECT, over
//!   HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)), with Basic credentials
//!   ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617))
//! - [x] [RFC 1928](https://www.rfc-editor.org/rfc/rfc1928) SOCKS 5: CONNECT and UDP ASSOCIATE,
//!   with names and passwords ([RFC 1929](https://www.rfc-editor.org/rfc/rfc1929))
//! - [ ] BIND and fragments of datagrams, which programs do not use
//! - [ ] GSSAPI, which RFC 1928 requires and proxies do not offer

mod associate;
mod credentials;
mod handshake;
pub mod http;
mod server;
pub mod socks5;
mod target;

pub use associate::MOST_ENDPOINTS;
pub use credentials::Credentials;
pub use handshake::{Handshake, HandshakeError, Progress};
pub use server::{Proxy, ProxyConfig, ProxyCounters};
pub use target::{HostName, Target, TargetError, TargetHost};
