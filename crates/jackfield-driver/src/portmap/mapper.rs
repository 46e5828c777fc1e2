use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jackfield_portmap::Dialects;
use jackfield_portmap::client::{ClientConfig, Event, Lease, MapError, MapId, MapRequest};
use tokio::sync::{mpsc, oneshot, watch};

use super::default_gateway;
use super::driver::{Driver, local_towards};

/// Whom to ask for ports.
#[derive(Debug, Clone)]
pub struct MapperConfig {
    /// The gateway; that of the default route when absent.
    pub gateway: Option<IpAddr>,
    /// Which dialects to try.
    pub dialects: Dialects,
    /// How long the gateway has time to confirm the end of a mapping when all is over.
    pub patience: Duration,
}

impl Default for MapperConfig {
    fn default() -> Self {
        Self {
            gateway: None,
            dialects: Dialects::ALL,
            patience: Duration::from_secs(2),
        }
    }
}

/// Keeps ports mapped at a gateway until it is dropped or stopped, which ends the mappings.
#[derive(Debug)]
pub struct Mapper {
    orders: mpsc::UnboundedSender<Order>,
    done: watch::Receiver<bool>,
}

/// A port that is mapped; dropping it ends the mapping.
#[derive(Debug)]
pub struct MappedPort {
    id: MapId,
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<State>,
    last: Lease,
}

/// Why a port was not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapFailure {
    /// The gateway does not.
    #[error(transparent)]
    Refused(#[from] MapError),
    /// There are as many mappings as there may be.
    #[error("there are as many mappings as there may be")]
    TooMany,
    /// The mapper has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// The mapper has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the port mapper has ended")]
pub struct Gone;

/// How a mapping is doing.
type State = Option<Result<Lease, MapError>>;

#[derive(Debug)]
enum Order {
    Map(
        MapRequest,
        oneshot::Sender<Option<(MapId, watch::Receiver<State>)>>,
    ),
    Unmap(MapId, Option<oneshot::Sender<bool>>),
    Stop,
}

impl Mapper {
    /// Begins to look for what the gateway speaks. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Fails without a gateway, and when there is no way to it or no socket to be had.
    pub fn start(config: &MapperConfig) -> io::Result<Self> {
        let gateway = config.gateway.or_else(default_gateway);
        let gateway = gateway.ok_or(io::ErrorKind::NetworkUnreachable)?;
        let local = local_towards(gateway)?;
        let asked = ClientConfig {
            dialects: config.dialects,
            ..ClientConfig::new(gateway, local)
        };
        let driver = Driver::open(asked, false)?;
        let (orders, receiver) = mpsc::unbounded_channel();
        let (end, done) = watch::channel(false);
        let patience = config.patience;
        tokio::spawn(async move {
            let mut desk = Desk::new(driver);
            desk.run(receiver).await;
            if tokio::time::timeout(patience, desk.close()).await.is_err() {
                tracing::debug!("The gateway does not confirm that mappings have ended");
            }
            end.send_replace(true);
        });
        Ok(Self { orders, done })
    }

    /// Has a port mapped, and keeps it mapped until the answer is dropped; waits for what the gateway says first.
    ///
    /// # Errors
    /// Says why the gateway does not.
    pub async fn map(&self, request: MapRequest) -> Result<MappedPort, MapFailure> {
        let (sender, answer) = oneshot::channel();
        self.orders
            .send(Order::Map(request, sender))
            .map_err(|_| Gone)?;
        let mapped = answer.await.map_err(|_| Gone)?;
        let (id, mut state) = mapped.ok_or(MapFailure::TooMany)?;
        let first = *state.wait_for(Option::is_some).await.map_err(|_| Gone)?;
        match first {
            Some(Ok(last)) => Ok(MappedPort {
                id,
                orders: self.orders.clone(),
                state,
                last,
            }),
            Some(Err(error)) => {
                // Nobody waits for it any more; a mapper that has ended needs no order.
                let _ = self.orders.send(Order::Unmap(id, None));
                Err(error.into())
            }
            None => Err(Gone.into()),
        }
    }

    /// Ends every mapping and waits until the gateway has confirmed it, for as long as [`MapperConfig::patience`] says.
    pub async fn stop(self) {
        let Self { orders, mut done } = self;
        // A task that hears neither has ended already.
        let _ = orders.send(Order::Stop);
        let _ = done.wait_for(|done| *done).await;
    }
}

impl MappedPort {
    /// Returns the mapping as it was last told.
    #[must_use]
    pub fn mapping(&self) -> Lease {
        match *self.state.borrow() {
            Some(Ok(mapping)) => mapping,
            Some(Err(_)) | None => self.last,
        }
    }

    /// Waits for news: renewed, mapped elsewhere, or lost. What is lost is asked for again.
    ///
    /// # Errors
    /// Says why the port is not mapped at present, or that the mapper has ended.
    pub async fn changed(&mut self) -> Result<Lease, MapFailure> {
        self.state.changed().await.map_err(|_| Gone)?;
        let state = *self.state.borrow_and_update();
        match state {
            Some(Ok(mapping)) => {
                self.last = mapping;
                Ok(mapping)
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(MapError::Silent.into()),
        }
    }

    /// Ends the mapping; returns whether the gateway has confirmed it.
    pub async fn end(self) -> bool {
        let (sender, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Unmap(self.id, Some(sender)));
        sent.is_ok() && answer.await.unwrap_or(false)
    }
}

impl Drop for MappedPort {
    fn drop(&mut self) {
        // A mapper that has ended has ended its mappings.
        let _ = self.orders.send(Order::Unmap(self.id, None));
    }
}

/// The task's side: a driver, and who wants to know what.
struct Desk {
    driver: Driver,
    states: BTreeMap<MapId, watch::Sender<State>>,
    ending: BTreeMap<MapId, oneshot::Sender<bool>>,
}

impl Desk {
    fn new(driver: Driver) -> Self {
        Self {
            driver,
            states: BTreeMap::new(),
            ending: BTreeMap::new(),
        }
    }

    /// Obeys until it is told to stop, or nobody is left to give orders.
    async fn run(&mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Stop) | None => return,
                    Some(order) => self.obey(order),
                },
                events = self.driver.turn() => self.hear(events),
            }
        }
    }

    async fn close(&mut self) {
        self.driver.client.unmap_all(Instant::now());
        while self.driver.client.mappings() > 0 {
            let events = self.driver.turn().await;
            self.hear(events);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Map(request, answer) => {
                let mapped = self.driver.client.map(now, request).map(|id| {
                    let (sender, state) = watch::channel(None);
                    self.states.insert(id, sender);
                    (id, state)
                });
                // Who does not wait for the answer drops the port.
                let _ = answer.send(mapped);
            }
            Order::Unmap(id, answer) => {
                if let (Some(answer), true) = (answer, self.states.contains_key(&id)) {
                    self.ending.insert(id, answer);
                }
                self.driver.client.unmap(now, id);
            }
            Order::Stop => {}
        }
    }

    fn hear(&mut self, events: Vec<Event>) {
        for event in events {
            tracing::debug!(?event, "Port mapping");
            match event {
                Event::Mapped(id, mapping) | Event::Renewed(id, mapping) => {
                    self.set(id, Ok(mapping));
                }
                Event::Failed(id, error) => self.set(id, Err(error)),
                Event::Lost(id) => self.set(id, Err(MapError::Silent)),
                Event::Unmapped(id, confirmed) => {
                    self.states.remove(&id);
                    if let Some(answer) = self.ending.remove(&id) {
                        // Who asked may have gone.
                        let _ = answer.send(confirmed);
                    }
                }
                Event::Probed(..) | Event::GatewayRestarted(_) => {}
            }
        }
    }

    fn set(&self, id: MapId, state: Result<Lease, MapError>) {
        if let Some(sender) = self.states.get(&id) {
            sender.send_replace(Some(state));
        }
    }
}
