//! Port mapping at this machine's gateway: what it offers ([`probe()`]), and ports that stay
//! mapped ([`Mapper`]).
//!
//! The protocols are in [`jackfield_portmap`]; here are the sockets for them.
//!
//! ```no_run
//! use jackfield_driver::portmap::{MapRequest, Mapper, MapperConfig, TransportProtocol};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mapper = Mapper::start(&MapperConfig::default())?;
//! let port = mapper.map(MapRequest::new(TransportProtocol::Udp, 5000)).await?;
//! println!("reachable at {}", port.mapping().external);
//! port.end().await;
//! # Ok(())
//! # }
//! ```

mod driver;
mod fetch;
mod mapper;
mod probe;
mod route;

use std::net::IpAddr;

pub use jackfield_portmap::client::{AbsenceReason, Lease, MapError, MapRequest, Support};
pub use jackfield_portmap::{Dialect, Dialects, TransportProtocol};

pub use mapper::{MapFailure, MappedPort, Mapper, MapperConfig, MapperEnded};
pub use probe::{Probe, ProbeConfig, probe};

/// Returns the gateway of a configuration, and the address of ours that faces it.
pub(crate) fn place(config: &MapperConfig) -> Option<(IpAddr, IpAddr)> {
    let gateway = config.gateway.or_else(default_gateway)?;
    Some((gateway, driver::local_towards(gateway).ok()?))
}

/// Returns the address of this machine's gateway: that of the default route with the lowest
/// metric, or where that names none, as on a TUN device, the first address of its network that is
/// not ours. `None` without a default route, and on systems other than Linux.
#[must_use]
pub fn default_gateway() -> Option<IpAddr> {
    route::default_gateway()
}
