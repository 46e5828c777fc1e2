//! Ports that stay mapped: a task that owns a client of port mapping, and handles to it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jackfield_portmap::Dialects;
use jackfield_portmap::client::{ClientConfig, Event, Lease, MapError, MapId, MapRequest};
use tokio::sync::{mpsc, oneshot, watch};

use super::default_gateway;
use super::driver::{Driver, local_towards};

/// Which gateway to ask for ports, and how.
#[derive(Debug, Clone)]
pub struct MapperConfig {
    /// The gateway; `None` for that of the default route.
    pub gateway: Option<IpAddr>,
    /// Which dialects to try.
    pub dialects: Dialects,
    /// How long [`Mapper::stop`] waits for the gateway to confirm that mappings have ended.
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
    commands: mpsc::UnboundedSender<Command>,
    done: watch::Receiver<bool>,
}

/// A port that is mapped; dropping it ends the mapping.
#[derive(Debug)]
pub struct MappedPort {
    id: MapId,
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<State>,
    last: Lease,
}

/// Why a port was not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapFailure {
    /// The gateway refused the mapping.
    #[error(transparent)]
    Refused(#[from] MapError),
    /// This mapper has as many mappings as it may have.
    #[error("there are as many mappings as there may be")]
    TooMany,
    /// The mapper has ended.
    #[error(transparent)]
    Ended(#[from] MapperEnded),
}

/// The mapper has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the port mapper has ended")]
pub struct MapperEnded;

/// The last answer about a mapping: none yet, a lease, or the reason why there is none.
type State = Option<Result<Lease, MapError>>;

#[derive(Debug)]
enum Command {
    Map(
        MapRequest,
        oneshot::Sender<Option<(MapId, watch::Receiver<State>)>>,
    ),
    Unmap(MapId, Option<oneshot::Sender<bool>>),
    Stop,
}

impl Mapper {
    /// Starts to find out which protocols the gateway speaks. It has to be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Fails without a gateway, without a route to it, and when no socket can be opened.
    pub fn start(config: &MapperConfig) -> io::Result<Self> {
        let gateway = config.gateway.or_else(default_gateway);
        let gateway = gateway.ok_or(io::ErrorKind::NetworkUnreachable)?;
        let local = local_towards(gateway)?;
        let asked = ClientConfig {
            dialects: config.dialects,
            ..ClientConfig::new(gateway, local)
        };
        let driver = Driver::open(asked, false)?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let (end, done) = watch::channel(false);
        let patience = config.patience;
        tokio::spawn(async move {
            let mut task = MapperTask::new(driver);
            task.run(receiver).await;
            if tokio::time::timeout(patience, task.close()).await.is_err() {
                tracing::debug!("The gateway does not confirm that mappings have ended");
            }
            end.send_replace(true);
        });
        Ok(Self { commands, done })
    }

    /// Maps a port and keeps it mapped until the returned value is dropped. It waits for the
    /// gateway's first answer.
    ///
    /// # Errors
    /// Says why the gateway refused.
    pub async fn map(&self, request: MapRequest) -> Result<MappedPort, MapFailure> {
        let (sender, answer) = oneshot::channel();
        self.commands
            .send(Command::Map(request, sender))
            .map_err(|_| MapperEnded)?;
        let mapped = answer.await.map_err(|_| MapperEnded)?;
        let (id, mut state) = mapped.ok_or(MapFailure::TooMany)?;
        let first = *state
            .wait_for(Option::is_some)
            .await
            .map_err(|_| MapperEnded)?;
        match first {
            Some(Ok(last)) => Ok(MappedPort {
                id,
                commands: self.commands.clone(),
                state,
                last,
            }),
            Some(Err(error)) => {
                // The caller gets the error and no port, so the mapper need not try on; one that
                // has ended does not.
                let _ = self.commands.send(Command::Unmap(id, None));
                Err(error.into())
            }
            None => Err(MapperEnded.into()),
        }
    }

    /// Ends every mapping and waits until the gateway has confirmed it, for as long as
    /// [`MapperConfig::patience`] says.
    pub async fn stop(self) {
        let Self { commands, mut done } = self;
        // A task that receives neither message has ended already.
        let _ = commands.send(Command::Stop);
        let _ = done.wait_for(|done| *done).await;
    }
}

impl MappedPort {
    /// Returns the mapping as the gateway last confirmed it.
    #[must_use]
    pub fn mapping(&self) -> Lease {
        match *self.state.borrow() {
            Some(Ok(mapping)) => mapping,
            Some(Err(_)) | None => self.last,
        }
    }

    /// Waits until the mapping is renewed, moved to another outside address, or lost. A lost one
    /// is asked for again.
    ///
    /// # Errors
    /// Says why the port is not mapped at present, or that the mapper has ended.
    pub async fn changed(&mut self) -> Result<Lease, MapFailure> {
        self.state.changed().await.map_err(|_| MapperEnded)?;
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
        let sent = self.commands.send(Command::Unmap(self.id, Some(sender)));
        sent.is_ok() && answer.await.unwrap_or(false)
    }
}

impl Drop for MappedPort {
    fn drop(&mut self) {
        // A mapper that has ended has ended its mappings.
        let _ = self.commands.send(Command::Unmap(self.id, None));
    }
}

/// The task that owns the client, and the callers that wait for its answers.
struct MapperTask {
    driver: Driver,
    states: BTreeMap<MapId, watch::Sender<State>>,
    ending: BTreeMap<MapId, oneshot::Sender<bool>>,
}

impl MapperTask {
    fn new(driver: Driver) -> Self {
        Self {
            driver,
            states: BTreeMap::new(),
            ending: BTreeMap::new(),
        }
    }

    /// Applies commands until one of them is to stop, or every handle is dropped.
    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => return,
                    Some(command) => self.apply(command),
                },
                events = self.driver.turn() => self.handle(events),
            }
        }
    }

    async fn close(&mut self) {
        self.driver.client.unmap_all(Instant::now());
        while self.driver.client.mappings() > 0 {
            let events = self.driver.turn().await;
            self.handle(events);
        }
    }

    fn apply(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Map(request, answer) => {
                let mapped = self.driver.client.map(now, request).map(|id| {
                    let (sender, state) = watch::channel(None);
                    self.states.insert(id, sender);
                    (id, state)
                });
                // A caller that has gone away drops the receiver of the state, and with it the
                // port.
                let _ = answer.send(mapped);
            }
            Command::Unmap(id, answer) => {
                if let (Some(answer), true) = (answer, self.states.contains_key(&id)) {
                    self.ending.insert(id, answer);
                }
                self.driver.client.unmap(now, id);
            }
            Command::Stop => {}
        }
    }

    fn handle(&mut self, events: Vec<Event>) {
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
                        // The caller may have gone away.
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
