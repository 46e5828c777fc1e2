//! Load for any TURN server: clients with one allocation and one channel each, and the peer they
//! talk to.
//!
//! Prints one line of JSON. `--window` keeps that many packets in flight, which finds the highest
//! rate that loses nothing; `--rate` sends that many packets a second and tells how long they took.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool on the command line, which may panic"
)]

#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/turn/client.rs"]
mod client;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Link, Refused, channel_header};
use jackfield_driver::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};
use tokio::sync::Notify;
use tokio::task::LocalSet;

const USAGE: &str = "usage: turn_load --server ADDR [--user NAME:PASSWORD] [--mode up|down|pairs|binding] \
[--allocations N] [--size BYTES] [--window PACKETS | --rate PER_SECOND] [--seconds S] [--burst PACKETS] [--gso 0|1] [--pid PID]";

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: Options) -> Result<(), AnyError> {
    let load = Rc::new(Load::set_up(&options)?);
    for socket in &load.receivers {
        tokio::task::spawn_local(receive(Rc::clone(&load), Rc::clone(socket)));
    }
    // The first moments are the server's to warm up in.
    load.send_for(Duration::from_millis(300), &options).await;
    load.forget();
    let before = Usage::read(options.pid)?;
    load.send_for(options.duration, &options).await;
    let usage = Usage::read(options.pid)?.since(&before);
    load.say_goodbye(&options);
    load.report(&usage, &options);
    Ok(())
}

/// Where packets enter, and where they come out.
struct Load {
    routes: Vec<Route>,
    receivers: Vec<Rc<UdpSocket>>,
    goodbyes: Vec<Goodbye>,
    start: Instant,
    sent: Cell<u64>,
    received: Cell<u64>,
    lost: Cell<u64>,
    in_flight: Cell<u64>,
    /// Microseconds on the way, of some packets.
    delays: RefCell<Vec<u32>>,
    arrival: Notify,
    batch: RefCell<RecvBatch>,
    next: Cell<usize>,
}

/// One way through the server.
struct Route {
    socket: Rc<UdpSocket>,
    to: SocketAddr,
    /// What is before the payload.
    header: Vec<u8>,
}

/// What ends an allocation, and where it is sent from.
struct Goodbye {
    socket: Rc<UdpSocket>,
    bytes: Vec<u8>,
}

impl Load {
    fn set_up(options: &Options) -> Result<Self, AnyError> {
        let config = UdpConfig {
            reuse_port: false,
            gso: options.gso,
            ..UdpConfig::default()
        };
        let adopt = |socket: StdSocket| {
            UdpSocket::from_std(socket, &config, Arc::new(UdpStats::default())).map(Rc::new)
        };
        let any = SocketAddr::new(options.server.ip(), 0);
        let peer = StdSocket::bind(any)?;
        let peer_address = peer.local_addr()?;
        let mut clients = Vec::new();
        for _ in 0..options.allocations {
            clients.push(options.client(any)?);
        }
        let peer = adopt(peer)?;
        let relayed: Vec<_> = clients.iter().map(|(_, relayed)| *relayed).collect();
        let mut routes = Vec::new();
        let mut receivers = Vec::new();
        let mut goodbyes = Vec::new();
        for (index, (mut client, own)) in clients.into_iter().enumerate() {
            let partner = match options.mode {
                Mode::Pairs => *relayed.get(index ^ 1).ok_or("pairs need an even number")?,
                _ => peer_address,
            };
            if options.mode != Mode::Binding {
                client
                    .bind_channel(CHANNEL, partner)
                    .map_err(|error| format!("{error:?}"))?;
            }
            let bytes = client.goodbye();
            let Link::Udp(socket) = client.link else {
                return Err("clients use UDP".into());
            };
            let socket = adopt(socket)?;
            goodbyes.push(Goodbye {
                socket: Rc::clone(&socket),
                bytes,
            });
            routes.push(match options.mode {
                Mode::Up | Mode::Pairs => Route {
                    to: options.server,
                    header: channel_header(CHANNEL, options.size).to_vec(),
                    socket: Rc::clone(&socket),
                },
                Mode::Down => Route {
                    to: own,
                    header: Vec::new(),
                    socket: Rc::clone(&peer),
                },
                Mode::Binding => Route {
                    to: options.server,
                    header: vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0],
                    socket: Rc::clone(&socket),
                },
            });
            receivers.push(socket);
        }
        if options.mode == Mode::Up {
            receivers = vec![peer];
        }
        Ok(Self {
            routes,
            receivers,
            goodbyes,
            start: Instant::now(),
            sent: Cell::new(0),
            received: Cell::new(0),
            lost: Cell::new(0),
            in_flight: Cell::new(0),
            delays: RefCell::new(Vec::new()),
            arrival: Notify::new(),
            batch: RefCell::new(RecvBatch::new(64)),
            next: Cell::new(0),
        })
    }

    async fn send_for(&self, duration: Duration, options: &Options) {
        match options.rate {
            Some(rate) => self.send_at(rate, duration, options).await,
            None => self.send_in_window(duration, options).await,
        }
    }

    /// Keeps a window of packets in flight.
    async fn send_in_window(&self, duration: Duration, options: &Options) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let room = options.window.saturating_sub(self.in_flight.get());
            self.send(room, options);
            let waited = tokio::time::timeout(SILENCE, self.arrival.notified()).await;
            if waited.is_err() {
                self.lost.set(self.lost.get() + self.in_flight.take());
            }
        }
    }

    /// Sends so many packets a second, whatever becomes of them.
    async fn send_at(&self, rate: u64, duration: Duration, options: &Options) {
        let start = Instant::now();
        let mut due = 0;
        while start.elapsed() < duration {
            let now = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            self.send(now - due, options);
            due = now;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends packets by turns on all routes, `burst` at a time on each.
    fn send(&self, count: u64, options: &Options) {
        let mut left = count;
        let mut payload = vec![0; options.size];
        while left > 0 {
            let index = self.next.replace((self.next.get() + 1) % self.routes.len());
            let Some(route) = self.routes.get(index) else {
                return;
            };
            let burst = left.min(options.burst);
            for _ in 0..burst {
                let stamp = (self.start.elapsed().as_micros() as u32).to_be_bytes();
                if let Some(front) = payload.first_chunk_mut() {
                    *front = stamp;
                }
                let local = route.socket.local_addr();
                route
                    .socket
                    .send(local, route.to, &[&route.header, &payload]);
            }
            route.socket.flush();
            left -= burst;
        }
        self.sent.set(self.sent.get() + count);
        self.in_flight.set(self.in_flight.get() + count);
    }

    /// Ends the allocations, so that a server is as it was before.
    fn say_goodbye(&self, options: &Options) {
        if options.mode == Mode::Binding {
            return;
        }
        for Goodbye { socket, bytes } in &self.goodbyes {
            socket.send(socket.local_addr(), options.server, &[bytes]);
            socket.flush();
        }
    }

    fn forget(&self) {
        self.sent.set(0);
        self.received.set(0);
        self.lost.set(0);
        self.delays.borrow_mut().clear();
    }

    fn report(&self, usage: &Usage, options: &Options) {
        let mut delays = self.delays.borrow_mut();
        delays.sort_unstable();
        let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or(0);
        let received = self.received.get();
        let fields = [
            ("allocations", options.allocations as f64),
            ("size", options.size as f64),
            ("pps", received as f64 / usage.wall),
            ("received", received as f64),
            ("sent", self.sent.get() as f64),
            ("lost", self.lost.get() as f64),
            ("p50_us", at(50).into()),
            ("p99_us", at(99).into()),
            ("seconds", usage.wall),
            ("server_cores", usage.server / usage.wall),
            ("server_us_per_packet", usage.server * 1e6 / received as f64),
            ("generator_cores", usage.own / usage.wall),
            (
                "other_cores",
                (usage.busy - usage.server - usage.own) / usage.wall,
            ),
        ];
        let fields = fields.map(|(name, value)| format!("\"{name}\":{value:.3}"));
        println!(
            "{{\"mode\":\"{}\",{}}}",
            options.mode.name(),
            fields.join(",")
        );
    }
}

/// Seconds of CPU time, and of time; or what was used between two readings.
struct Usage {
    at: Instant,
    wall: f64,
    /// The server's, if its process is known.
    server: f64,
    own: f64,
    /// Every process's.
    busy: f64,
}

impl Usage {
    fn read(server: Option<u32>) -> Result<Self, AnyError> {
        Ok(Self {
            at: Instant::now(),
            wall: 0.0,
            server: server.map_or(Ok(0.0), Self::of)?,
            own: Self::of(std::process::id())?,
            busy: Self::of_everyone()?,
        })
    }

    /// Returns the CPU time of a process, to the nanosecond, from its threads' scheduler
    /// statistics.
    fn of(pid: u32) -> Result<f64, AnyError> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Returns all CPU time but the idle, in ticks of a hundredth of a second.
    fn of_everyone() -> Result<f64, AnyError> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .flat_map(str::parse)
            .collect();
        let busy: u64 = ticks
            .iter()
            .take(3)
            .chain(ticks.iter().skip(5).take(3))
            .sum();
        Ok(busy as f64 / 100.0)
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            at: self.at,
            wall: (self.at - before.at).as_secs_f64(),
            server: self.server - before.server,
            own: self.own - before.own,
            busy: self.busy - before.busy,
        }
    }
}

async fn receive(load: Rc<Load>, socket: Rc<UdpSocket>) {
    loop {
        socket.readable().await;
        {
            let mut batch = load.batch.borrow_mut();
            if socket.try_receive(&mut batch).is_ok() {
                let now = load.start.elapsed().as_micros() as u32;
                let mut count = 0;
                for datagram in batch.datagrams() {
                    count += 1;
                    let payload = match datagram.bytes {
                        [0x40, 0, _, _, payload @ ..] => payload,
                        [1, 1, _, _, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, rest @ ..] => rest,
                        payload => payload,
                    };
                    if let Some(stamp) = payload.first_chunk()
                        && count % 16 == 1
                    {
                        let delay = now.wrapping_sub(u32::from_be_bytes(*stamp));
                        load.delays.borrow_mut().push(delay);
                    }
                }
                load.received.set(load.received.get() + count);
                load.in_flight
                    .set(load.in_flight.get().saturating_sub(count));
                load.arrival.notify_one();
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The channel each client binds.
const CHANNEL: u16 = 0x4000;

/// How long nothing arrives before what is in flight counts as lost.
const SILENCE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Pairs,
    Binding,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Pairs => "pairs",
            Self::Binding => "binding",
        }
    }
}

struct Options {
    server: SocketAddr,
    username: String,
    password: String,
    mode: Mode,
    allocations: usize,
    size: usize,
    window: u64,
    rate: Option<u64>,
    duration: Duration,
    burst: u64,
    gso: bool,
    /// The server's process, to tell its CPU time.
    pid: Option<u32>,
}

impl Options {
    /// Returns a client and its relayed address.
    fn client(&self, from: SocketAddr) -> Result<(Client, SocketAddr), AnyError> {
        loop {
            let link = Link::udp(from, self.server);
            let mut client = Client::new(link, &self.username, &self.password);
            if self.mode == Mode::Binding {
                let mapped = client.binding();
                return Ok((client, mapped));
            }
            match client.allocate() {
                Ok(relayed) => return Ok((client, relayed)),
                // An earlier run had this port and did not end its allocation.
                Err(Refused(437)) => {}
                Err(error) => return Err(format!("{error:?}").into()),
            }
        }
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, AnyError> {
        let mut options = Self {
            server: SocketAddr::from(([127, 0, 0, 1], 3478)),
            username: "user".into(),
            password: "pass".into(),
            mode: Mode::Up,
            allocations: 100,
            size: 200,
            window: 512,
            rate: None,
            duration: Duration::from_secs(3),
            burst: 1,
            gso: false,
            pid: None,
        };
        while let Some(word) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match word.as_str() {
                "--server" => options.server = value.parse()?,
                "--user" => {
                    let (name, password) = value.split_once(':').ok_or(USAGE)?;
                    options.username = name.into();
                    options.password = password.into();
                }
                "--mode" => {
                    options.mode = match value.as_str() {
                        "up" => Mode::Up,
                        "down" => Mode::Down,
                        "pairs" => Mode::Pairs,
                        "binding" => Mode::Binding,
                        _ => return Err(USAGE.into()),
                    }
                }
                "--allocations" => options.allocations = value.parse()?,
                "--size" => options.size = value.parse::<usize>()?.max(4),
                "--window" => options.window = value.parse()?,
                "--rate" => options.rate = Some(value.parse()?),
                "--seconds" => options.duration = Duration::from_secs_f64(value.parse()?),
                "--burst" => options.burst = value.parse::<u64>()?.max(1),
                "--pid" => options.pid = Some(value.parse()?),
                "--gso" => options.gso = value == "1",
                _ => return Err(USAGE.into()),
            }
        }
        if options.mode == Mode::Binding {
            // The rest of the transaction ID, which carries the time that the answer brings back.
            options.size = 8;
        }
        Ok(options)
    }
}
