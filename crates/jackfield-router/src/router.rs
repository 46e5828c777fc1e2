//! A NAT between two interfaces, and the task that moves packets between them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_nat::Nat;
use jackfield_portmap::Gateway;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::handle::{Command, Handle, Report};
use super::lane::{Lane, LaneThread, Shared};
use super::translator::Translator;
use super::uplink::{Uplink, UplinkConfig};
use super::{Tap, Tun};

/// How a router works.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// What the way between the NAT and the outside does to packets.
    pub uplink: UplinkConfig,
    /// Whether packets may come and leave as trains. They come one by one all the same where the
    /// NAT has an MTU of its own, and where the uplink does anything but delay: both look at each
    /// packet.
    pub trains: bool,
    /// How many packets or trains are read from one side before the other side has its turn; at
    /// least 1.
    pub batch: usize,
    /// How long the router rests between batches while more than 250,000 packets a second arrive,
    /// so that more of them arrive together; network cards do the same. The system may add some 50
    /// us. Zero: it never rests. Default: 10 us.
    pub moderation: Duration,
    /// How many bytes of packets may be under way on the uplink; those above it are dropped.
    pub bytes_under_way: usize,
    /// Decides which packets the uplink loses, delays, reorders and duplicates.
    pub seed: u64,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            uplink: UplinkConfig::default(),
            trains: true,
            batch: 64,
            moderation: Duration::from_micros(10),
            bytes_under_way: 64 << 20,
            seed: 0,
        }
    }
}

/// A NAT between two interfaces.
#[derive(Debug)]
pub struct Router {
    shared: Arc<Shared>,
    lane: Lane,
    /// The queues of the interfaces beyond the first, which [`Router::run`] starts threads for.
    queues: Vec<(Tun, Tun)>,
    commands: mpsc::Receiver<Command>,
    started: Instant,
    config: RouterConfig,
}

impl Router {
    /// Puts a NAT between two interfaces; it moves nothing until [`Router::run`].
    ///
    /// Interfaces with several queues ([`Tun::open_queues`]) are served by as many threads, with
    /// one NAT for all of them.
    ///
    /// # Errors
    /// Fails when an interface cannot be waited for. Has to be called within a tokio runtime.
    pub fn new(
        nat: Nat,
        inside: Tun,
        outside: Tun,
        config: &RouterConfig,
    ) -> io::Result<(Self, Handle)> {
        let (handle, commands) = Handle::new();
        let uplink = Uplink::new(config.uplink.clone(), config.bytes_under_way, config.seed);
        // One lane runs in the caller's task, so a router with one queue needs no thread of its
        // own.
        let (inside, more_inside) = inside.split();
        let (outside, more_outside) = outside.split();
        let router = Self {
            shared: Arc::new(Shared::new(Translator::new(nat, uplink))),
            lane: Lane::new(inside, outside, config)?,
            queues: more_inside.into_iter().zip(more_outside).collect(),
            commands,
            started: Instant::now(),
            config: config.clone(),
        };
        router.set_trains();
        Ok((router, handle))
    }

    /// Captures packets from now on.
    pub fn capture(&mut self, tap: Tap) {
        self.shared.translator().tap = Some(tap);
    }

    /// Leases the NAT's ports to hosts inside from now on, or in other protocols, or not at all if
    /// there are none.
    pub fn map_ports(&mut self, config: jackfield_portmap::GatewayConfig) {
        self.shared.translator().map_ports(config);
    }

    /// Moves packets until `stop` resolves; returns how it went.
    ///
    /// # Errors
    /// Fails when an interface can no longer be read, as when it was removed.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> io::Result<Report> {
        let (ending, ended) = watch::channel(());
        let (errors, mut failed) = mpsc::unbounded_channel();
        let mut lanes = self.start_lanes(&ended, &errors)?;
        let result = self.serve(stop, &lanes, &mut failed).await;
        // Each lane watches the sender and ends when it is gone, after an error as well.
        drop(ending);
        lanes.iter_mut().for_each(LaneThread::join);
        result.map(|()| self.report(&lanes))
    }

    /// Starts a thread for each queue beyond the first.
    fn start_lanes(
        &mut self,
        ended: &watch::Receiver<()>,
        errors: &mpsc::UnboundedSender<io::Error>,
    ) -> io::Result<Vec<LaneThread>> {
        let queues = std::mem::take(&mut self.queues).into_iter();
        let start = |(inside, outside)| {
            let config = self.config.clone();
            let make = move || Lane::new(inside, outside, &config);
            let shared = Arc::clone(&self.shared);
            LaneThread::start(make, shared, ended.clone(), errors.clone())
        };
        queues.map(start).collect()
    }

    async fn serve(
        &mut self,
        stop: impl Future<Output = ()>,
        lanes: &[LaneThread],
        failed: &mut mpsc::UnboundedReceiver<io::Error>,
    ) -> io::Result<()> {
        tokio::pin!(stop);
        // Without any handle left, `recv` returns at once and for ever.
        let mut given_up = false;
        loop {
            let next = self.next();
            tokio::select! {
                // Packets are asked last: a flood of them must not hide the wish to stop.
                biased;
                () = &mut stop => return Ok(()),
                Some(error) = failed.recv() => return Err(error),
                command = self.commands.recv(), if !given_up => match command {
                    Some(command) => self.apply(command, lanes),
                    None => given_up = true,
                },
                () = self.shared.sooner.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
                ready = self.lane.readable() => ready?,
            }
            // Packets and timers have their turn whatever has woken this task: a flood of commands
            // delays neither.
            self.lane.pump(&self.shared, true)?;
        }
    }

    /// Returns when something is due, and notes it for the other lanes: they wake this task only
    /// for what is due sooner.
    fn next(&self) -> Option<Instant> {
        let mut translator = self.shared.translator();
        translator.awaited = translator.next();
        translator.awaited
    }

    // A caller that has gone away does not read the answer.
    fn apply(&self, command: Command, lanes: &[LaneThread]) {
        match command {
            Command::Report(done) => {
                let _ = done.send(Box::new(self.report(lanes)));
            }
            Command::Reboot(done) => {
                self.shared.translator().nat.reboot();
                let _ = done.send(());
            }
            Command::Reconfigure(config, done) => {
                self.shared.translator().nat.reconfigure(*config);
                self.set_trains();
                let _ = done.send(());
            }
            Command::MapPorts(config, done) => {
                self.shared.translator().map_ports(*config);
                let _ = done.send(());
            }
            Command::SetUplink(uplink, done) => {
                self.shared.translator().uplink.configure(*uplink);
                self.set_trains();
                let _ = done.send(());
            }
        }
    }

    fn set_trains(&self) {
        let translator = self.shared.translator();
        let whole = translator.uplink.takes_trains() && translator.nat.config().mtu.is_none();
        let trains = self.config.trains && whole;
        // The setting is the interface's, so it holds for all of its queues.
        self.lane.inside.set_trains(trains);
        self.lane.outside.set_trains(trains);
    }

    fn report(&self, lanes: &[LaneThread]) -> Report {
        let translator = self.shared.translator();
        let [mut inside, mut outside] = self.lane.counters();
        for lane in lanes {
            let [more_inside, more_outside] = lane.counters();
            inside += more_inside;
            outside += more_outside;
        }
        Report {
            at: Instant::now(),
            started: self.started,
            mappings: translator.nat.mappings().collect(),
            flows: translator.nat.flow_count(),
            nat: translator.nat.counters().clone(),
            uplink: translator.uplink.config().clone(),
            uplink_counters: translator.uplink.counters,
            leases: translator
                .gateway
                .iter()
                .flat_map(Gateway::leases)
                .collect(),
            port_mapping: translator.gateway.as_ref().map(|it| *it.counters()),
            inside,
            outside,
        }
    }
}
