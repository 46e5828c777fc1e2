use std::time::Instant;

use jackfield_nat::{MappingView, NatConfig, NatCounters};
use tokio::sync::{mpsc, oneshot};

use super::{PortCounters, UplinkConfig, UplinkCounters};

/// What looks at a running [`super::Router`] and changes it; clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
}

/// The router has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the router has ended")]
pub struct Stopped;

/// How a router is doing.
#[derive(Debug, Clone)]
pub struct Report {
    /// When this was so.
    pub at: Instant,
    /// When the router started.
    pub started: Instant,
    /// Every mapping.
    pub mappings: Vec<MappingView>,
    /// How many flows there are, that is pairs of a mapping and a remote endpoint.
    pub flows: usize,
    /// What became of packets. A train counts as one.
    pub nat: NatCounters,
    /// What the way between the NAT and the outside does.
    pub uplink: UplinkConfig,
    /// What the uplink kept from crossing.
    pub uplink_counters: UplinkCounters,
    /// What hosts have leased.
    pub leases: Vec<jackfield_portmap::LeaseView>,
    /// What came of requests for leases, where there is port mapping.
    pub port_mapping: Option<jackfield_portmap::GatewayCounters>,
    /// What went through the inside interface.
    pub inside: PortCounters,
    /// What went through the outside interface.
    pub outside: PortCounters,
}

#[derive(Debug)]
pub(super) enum Order {
    Report(oneshot::Sender<Box<Report>>),
    Reboot(oneshot::Sender<()>),
    Reconfigure(Box<NatConfig>, oneshot::Sender<()>),
    MapPorts(Box<jackfield_portmap::GatewayConfig>, oneshot::Sender<()>),
    SetUplink(Box<UplinkConfig>, oneshot::Sender<()>),
}

impl Handle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(ORDERS_WAITING);
        (Self { orders }, receiver)
    }

    /// Returns how the router is doing.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn report(&self) -> Result<Report, Stopped> {
        self.ask(Order::Report).await.map(|report| *report)
    }

    /// Has the NAT forget every mapping.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn reboot(&self) -> Result<(), Stopped> {
        self.ask(Order::Reboot).await
    }

    /// Makes it another kind of NAT, and has it forget every mapping.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn reconfigure(&self, config: NatConfig) -> Result<(), Stopped> {
        self.ask(|done| Order::Reconfigure(Box::new(config), done))
            .await
    }

    /// Changes what the way between the NAT and the outside does to packets; mappings stay.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn set_uplink(&self, uplink: UplinkConfig) -> Result<(), Stopped> {
        self.ask(|done| Order::SetUplink(Box::new(uplink), done))
            .await
    }

    /// Leases the NAT's ports to hosts inside from now on, or in other protocols, or not at all if there are none; what
    /// is leased stays leased unless there are none.
    ///
    /// # Errors
    /// Fails when the router has ended.
    pub async fn map_ports(&self, config: jackfield_portmap::GatewayConfig) -> Result<(), Stopped> {
        self.ask(|done| Order::MapPorts(Box::new(config), done))
            .await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Stopped> {
        let (sender, answer) = oneshot::channel();
        self.orders.send(order(sender)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

/// How many orders may wait; who gives more waits with them.
const ORDERS_WAITING: usize = 16;
