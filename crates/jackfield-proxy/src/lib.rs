//! Asks an HTTP or SOCKS 5 proxy for a TCP connection, without sockets, clocks or tasks.
//!
//! [`Handshake`] is the conversation with the proxy: it takes what the proxy sends and returns what
//! to send, until the tunnel is open. [`ProxyUrl`] reads where the proxy is, and [`ProxyRules`]
//! which targets need it, from the variables that curl and most other programs follow.
//!
//! ```
//! use jackfield_proxy::{Handshake, Progress, ProxyRules, Target};
//!
//! let rules = ProxyRules::from_environment(|name| match name {
//!     "https_proxy" => Some("http://ann:secret@proxy.example:3128".to_owned()),
//!     "no_proxy" => Some("example.net".to_owned()),
//!     _ => None,
//! })?;
//! let target: Target = "turn.example.org:443".parse()?;
//! let proxy = rules.proxy_for(&target.host).ok_or("no proxy")?;
//! assert_eq!(proxy.target().to_string(), "proxy.example:3128");
//!
//! let (mut handshake, first) = Handshake::new(proxy, target);
//! assert!(first.starts_with(b"CONNECT turn.example.org:443 HTTP/1.1\r\n"));
//! let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
//! assert!(matches!(handshake.handle(answer)?, Progress::Done { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 9110 §9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6) CONNECT, over
//!   HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)), with Basic credentials
//!   ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617))
//! - [x] [RFC 1928](https://www.rfc-editor.org/rfc/rfc1928) SOCKS 5: CONNECT and UDP ASSOCIATE,
//!   with names and passwords ([RFC 1929](https://www.rfc-editor.org/rfc/rfc1929))
//! - [x] `https_proxy`, `all_proxy` and `no_proxy` as curl reads them
//! - [ ] BIND and fragments of datagrams, which programs do not use
//! - [ ] GSSAPI, which RFC 1928 requires and proxies do not offer
//! - [ ] Digest, NTLM and Negotiate: Basic is what proxies of tunnels share

mod credentials;
mod environment;
mod handshake;
pub mod http;
pub mod socks5;
mod target;
mod url;

pub use credentials::Credentials;
pub use environment::{NoProxy, ProxyRules, RulesError};
pub use handshake::{Handshake, HandshakeError, Progress};
pub use target::{HostName, Target, TargetError, TargetHost};
pub use url::{ProxyUrl, ProxyUrlError, Scheme};

// The code of the README is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
