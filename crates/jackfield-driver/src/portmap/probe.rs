//! What a gateway offers, asked once.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use jackfield_portmap::client::{AbsenceReason, ClientConfig, Support};
use jackfield_portmap::{Dialect, Dialects};

use super::default_gateway;
use super::driver::{Driver, local_towards};

/// Which gateway to probe, and for how long.
#[derive(Debug, Clone)]
pub struct ProbeConfig {
    /// The gateway; `None` for that of the default route.
    pub gateway: Option<IpAddr>,
    /// Which dialects to try.
    pub dialects: Dialects,
    /// After how long a dialect without an answer counts as absent.
    pub patience: Duration,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            gateway: None,
            dialects: Dialects::ALL,
            patience: Duration::from_secs(5),
        }
    }
}

/// What a gateway offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The gateway that was asked; `None` when there is no default route.
    pub gateway: Option<IpAddr>,
    /// The address that it was asked from.
    pub local: Option<IpAddr>,
    /// Whether it speaks PCP.
    pub pcp: Support,
    /// Whether it speaks NAT-PMP.
    pub nat_pmp: Support,
    /// Whether it speaks UPnP IGD.
    pub upnp: Support,
}

impl Probe {
    /// Returns what was found of a dialect.
    #[must_use]
    pub fn finding(&self, dialect: Dialect) -> Support {
        match dialect {
            Dialect::Pcp => self.pcp,
            Dialect::NatPmp => self.nat_pmp,
            Dialect::Upnp => self.upnp,
        }
    }

    /// Returns the outside address that the best dialect reported, if any did.
    #[must_use]
    pub fn external(&self) -> Option<IpAddr> {
        Dialect::ALL
            .into_iter()
            .find_map(|dialect| match self.finding(dialect) {
                Support::Present { external } => external,
                Support::Absent(_) => None,
            })
    }

    /// Returns whether ports can be mapped at all.
    #[must_use]
    pub fn is_any_present(&self) -> bool {
        let present = |dialect| matches!(self.finding(dialect), Support::Present { .. });
        Dialect::ALL.into_iter().any(present)
    }
}

/// Asks the gateway in all dialects at once what it offers; takes two seconds where no answer
/// comes, and milliseconds where all do.
///
/// PCP has no question for the outside address: it is learned by a mapping of the asking socket,
/// which is ended again.
///
/// # Errors
/// Fails without a route to the gateway, and when no socket can be opened.
pub async fn probe(config: &ProbeConfig) -> io::Result<Probe> {
    let nothing = Support::Absent(AbsenceReason::Silent);
    let mut probe = Probe {
        gateway: config.gateway.or_else(default_gateway),
        local: None,
        pcp: nothing,
        nat_pmp: nothing,
        upnp: nothing,
    };
    let Some(gateway) = probe.gateway else {
        return Ok(probe);
    };
    let local = local_towards(gateway)?;
    probe.local = Some(local);
    let asked = ClientConfig {
        dialects: config.dialects,
        ..ClientConfig::new(gateway, local)
    };
    let mut driver = Driver::open(asked, true)?;
    let look = async {
        while !driver.client.has_probed_all() {
            driver.turn().await;
        }
        // The end of the mapping that the address was learned from still has to be sent.
        driver.flush().await;
    };
    if tokio::time::timeout(config.patience, look).await.is_err() {
        tracing::debug!("The gateway takes too long");
    }
    let finding = |dialect| driver.client.support(dialect).unwrap_or(nothing);
    probe.pcp = finding(Dialect::Pcp);
    probe.nat_pmp = finding(Dialect::NatPmp);
    probe.upnp = finding(Dialect::Upnp);
    Ok(probe)
}
