//! What looks at a running router and changes it.

use std::time::Instant;

use jackfield_nat::{MappingView, NatConfig, NatCounters};
use tokio::sync::{mpsc, oneshot};

use super::{PortCounters, UplinkConfig, UplinkCounters};

/// Looks at a running [`Router`](super::Router) and changes it; clones are handles of the same
/// one.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

/// The router has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the router has ended")]
pub struct Stopped;

/// How a router is doing.
#[derive(Debug, Clone)]
pub struct Report {
    /// When the report was made.
    pub at: Instant,
    /// When the router started.
    pub started: Instant,
    /// Every mapping.
    pub mappings: Vec<MappingView>,
    /// How many flows there are, that is pairs of a mapping and a remote endpoint.
    pub flows: usize,
    /// What the NAT did with packets. A train counts as one.
    pub nat: NatCounters,
    /// What the way between the NAT and the outside does.
    pub uplink: UplinkConfig,
    /// What the uplink kept from crossing.
    pub uplink_counters: UplinkCounters,
    /// The ports that hosts have leased.
    pub leases: Vec<jackfield_portmap::LeaseView>,
    /// How requests for leases were answered; `None` without port mapping.
    pub port_mapping: Option<jackfield_portmap::GatewayCounters>,
    /// What went through the inside interface.
    pub inside: PortCounters,
    /// What went through the outside interface.
    pub outside: PortCounters,
}

#[derive(Debug)]
pub(super) enum Command {
    Report(oneshot::Sender<Box<Report>>),
    Reboot(oneshot::Sender<()>),
    Reconfigure(Box<NatConfig>, oneshot::Sender<()>),
    MapPorts(Box<jackfield_portmap::GatewayConfig>, oneshot::Sender<()>),
    SetUplink(Box<UplinkConfig>, oneshot::Sender<()>),
}

impl Handle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(QUEUE);
        (Self { commands }, receiver)
    }

    /// Returns how the router is doing.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn report(&self) -> Result<Report, Stopped> {
        self.ask(Command::Report).await.map(|report| *report)
    }

    /// Makes the NAT forget every mapping, as a reboot does.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn reboot(&self) -> Result<(), Stopped> {
        self.ask(Command::Reboot).await
    }

    /// Changes the NAT into one of another kind, which starts without mappings.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn reconfigure(&self, config: NatConfig) -> Result<(), Stopped> {
        self.ask(|done| Command::Reconfigure(Box::new(config), done))
            .await
    }

    /// Changes what the uplink does to packets; mappings stay.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn set_uplink(&self, uplink: UplinkConfig) -> Result<(), Stopped> {
        self.ask(|done| Command::SetUplink(Box::new(uplink), done))
            .await
    }

    /// Leases the NAT's ports to hosts inside from now on, or in other protocols, or not at all if
    /// there are none; what is leased stays leased unless there are none.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn map_ports(&self, config: jackfield_portmap::GatewayConfig) -> Result<(), Stopped> {
        self.ask(|done| Command::MapPorts(Box::new(config), done))
            .await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (sender, answer) = oneshot::channel();
        self.commands
            .send(command(sender))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

/// How many commands may wait; a caller beyond that waits to send its own.
const QUEUE: usize = 16;
