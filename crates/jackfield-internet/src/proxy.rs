//! A proxy for networks from which nothing else is reachable: HTTP CONNECT and SOCKS 5.
//!
//! [`Proxy`] is a server for hosts of the virtual internet. Its clients are of `jackfield-proxy`.

mod associate;
mod server;

pub use associate::MOST_ENDPOINTS;
pub use server::{Proxy, ProxyConfig, ProxyCounters};
