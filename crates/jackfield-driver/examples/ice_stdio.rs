//! An ICE agent that another program drives by lines of JSON: for tests against other agents.
//!
//! Each line of standard input is an order, `{"id":1,"name":"gather"}`, and each line of standard
//! output the answer to one, `{"id":1,"result":...}` or `{"id":1,"error":"..."}`.
//!
//! | order | parameters | result |
//! |---|---|---|
//! | `gather` | `controlling`, `lite`, `relay`, `tcp`, `stun`, `turn` | the description of this side |
//! | `meet` | the description of the other side | |
//! | `candidate` | `candidate` | takes one more candidate of the other side |
//! | `connected` | | the kinds of the selected pair, and its transport |
//! | `exchange` | `count`, `size` | sends so many datagrams, and waits until all have come back |
//! | `restart` | | the new description of this side |
//! | `times` | | when the other side was met, when its data came, what was sent till then; costs |
//!
//! A description has `ufrag`, `password`, `lite` and `candidates`. `stun` is an address; `turn` has
//! `address`, `transport`, `username` and `password`. With `relay` only relayed candidates are
//! used, with `tcp` there are TCP candidates. A datagram that begins with `q` is a question, and
//! comes back with an `a` in its place; `exchange` repeats a question until it does. Times are
//! microseconds, those of day since the epoch; memory is in KiB.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON without a field has null there, and a table of the kernel all its columns"
)]

use std::error::Error;
use std::io::BufRead;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jackfield_driver::ice::{EndpointConfig, IceEndpoint, Session};
use jackfield_ice::gather::IceServer;
use jackfield_ice::{
    Agent, AgentConfig, Candidate, CandidatePolicy, Credentials, Event, IceParameters, Role,
};
use jackfield_sansio::Transport;
use jackfield_turn::client::Credential;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

type Answer = Result<Value, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || sender.send(line).is_err() {
                return;
            }
        }
    });
    // The orders are few, and this program ends with them.
    let side: &'static Side = Box::leak(Box::default());
    let local = tokio::task::LocalSet::new();
    let serve = async {
        while let Some(line) = orders.recv().await {
            let order: Value = serde_json::from_str(&line?)?;
            tokio::task::spawn_local(async move {
                let id = &order["id"];
                say(&match side.carry_out(&order).await {
                    Ok(result) => json!({ "id": id, "result": result }),
                    Err(error) => json!({ "id": id, "error": error.to_string() }),
                });
            });
        }
        Ok(())
    };
    local.run_until(serve).await
}

/// An agent, and what has been heard of it.
#[derive(Default)]
struct Side {
    session: OnceLock<Session<Agent>>,
    gathered: watch::Sender<Gathered>,
    /// Counts the changes of the selected pair.
    path: watch::Sender<u64>,
    /// The last answer to a question.
    answered: watch::Sender<Bytes>,
    met: OnceLock<Moment>,
    first: OnceLock<Moment>,
    exchanging: Mutex<u32>,
}

/// A time, and what this host had sent by then: packets, and bytes of them.
struct Moment {
    micros: u64,
    sent: [u64; 2],
}

#[derive(Default)]
struct Gathered {
    candidates: Vec<Candidate>,
    is_complete: bool,
}

impl Side {
    async fn carry_out(&'static self, order: &Value) -> Answer {
        let params = &order["params"];
        match order["name"].as_str().unwrap_or_default() {
            "gather" => self.gather(params).await,
            "meet" => self.meet(params),
            "candidate" => self.add_candidate(&params["candidate"]),
            "connected" => self.connected().await,
            "exchange" => self.exchange(params).await,
            "restart" => self.restart().await,
            "times" => self.times(),
            other => Err(format!("{other} is no order").into()),
        }
    }

    async fn gather(&'static self, params: &Value) -> Answer {
        let is = |name: &str| params[name].as_bool().unwrap_or_default();
        let mut endpoint = EndpointConfig {
            tcp: is("tcp"),
            ..EndpointConfig::default()
        };
        if let Some(address) = params["stun"].as_str() {
            endpoint.stun.push(IceServer::stun(address.parse()?));
        }
        let mut agent = AgentConfig {
            lite: is("lite"),
            tcp_active: is("tcp"),
            ..AgentConfig::default()
        };
        if !is("controlling") {
            agent.role = Role::Controlled;
        }
        if is("relay") {
            agent.policy = CandidatePolicy::RelayOnly;
        }
        agent.gather.servers = turn_server(&params["turn"])?.into_iter().collect();
        let session = IceEndpoint::bind(endpoint)?.agent(agent)?;
        if self.session.set(session).is_err() {
            return Err("there is an agent already".into());
        }
        let session = self.session()?;
        tokio::task::spawn_local(self.listen(session));
        tokio::task::spawn_local(self.receive(session));
        self.describe().await
    }

    fn session(&self) -> Result<&Session<Agent>, Box<dyn Error>> {
        Ok(self.session.get().ok_or("there is no agent yet")?)
    }

    /// Waits until all candidates are known, and says what the other side has to know.
    async fn describe(&self) -> Answer {
        let mut gathered = self.gathered.subscribe();
        let gathered = gathered.wait_for(|it| it.is_complete).await?;
        let parameters = self.session()?.local_parameters();
        let candidates = gathered.candidates.iter().map(ToString::to_string);
        Ok(json!({
            "ufrag": parameters.credentials.ufrag(),
            "password": parameters.credentials.password(),
            "lite": parameters.lite,
            "candidates": candidates.collect::<Vec<_>>(),
        }))
    }

    fn meet(&self, params: &Value) -> Answer {
        let text = |name: &str| params[name].as_str().unwrap_or_default();
        self.met.get_or_init(Moment::now);
        let mut parameters = IceParameters::new(Credentials::new(text("ufrag"), text("password"))?);
        parameters.lite = params["lite"].as_bool().unwrap_or_default();
        self.session()?.set_remote_parameters(parameters)?;
        for candidate in params["candidates"].as_array().into_iter().flatten() {
            self.add_candidate(candidate)?;
        }
        Ok(Value::Null)
    }

    fn add_candidate(&self, candidate: &Value) -> Answer {
        let candidate: Candidate = candidate.as_str().unwrap_or_default().parse()?;
        // Others offer more than is accepted: link-local addresses, for one.
        if let Err(error) = self.session()?.add_remote_candidate(candidate) {
            complain(&error);
        }
        Ok(Value::Null)
    }

    async fn connected(&self) -> Answer {
        let session = self.session()?;
        let mut path = self.path.subscribe();
        loop {
            if let Some(pair) = session.selected_pair()
                && session.state().is_connected()
            {
                return Ok(json!({
                    "local": pair.local.kind.as_str(),
                    "remote": pair.remote.kind.as_str(),
                    "transport": if pair.path.transport.is_stream() { "tcp" } else { "udp" },
                }));
            }
            path.changed().await?;
        }
    }

    async fn exchange(&self, params: &Value) -> Answer {
        let size = usize::try_from(params["size"].as_u64().unwrap_or_default())?;
        let mut number = self.exchanging.lock().await;
        for _ in 0..params["count"].as_u64().unwrap_or_default() {
            *number += 1;
            let mut question = format!("q{number} ").into_bytes();
            question.extend((question.len()..size).map(|index| (index % 251) as u8));
            self.ask(&question).await?;
        }
        Ok(Value::Null)
    }

    /// Repeats a question, whenever the path is another one or time has passed, until its answer
    /// has come.
    async fn ask(&self, question: &[u8]) -> Result<(), Box<dyn Error>> {
        let session = self.session()?;
        let mut path = self.path.subscribe();
        let mut answers = self.answered.subscribe();
        let is_answer = |answer: &Bytes| answer.get(1..) == question.get(1..);
        loop {
            if session.selected_pair().is_some() {
                session.send(question).await?;
            }
            tokio::select! {
                answer = answers.wait_for(is_answer) => {
                    answer?;
                    return Ok(());
                }
                _ = timeout(REPETITION, path.changed()) => {}
            }
        }
    }

    async fn restart(&self) -> Answer {
        self.gathered.send_replace(Gathered::default());
        self.session()?.restart();
        self.describe().await
    }

    fn times(&self) -> Answer {
        let (met, first) = (self.met.get(), self.first.get());
        let sent = met.zip(first).map(|(met, first)| {
            let [packets, bytes] = [0, 1].map(|index| first.sent[index] - met.sent[index]);
            json!({ "packets": packets, "bytes": bytes })
        });
        Ok(json!({
            "met": met.map(|it| it.micros),
            "first": first.map(|it| it.micros),
            "sent": sent,
            "cpu": cpu_micros()?,
            "memory": resident_kib()?,
        }))
    }

    async fn listen(&self, session: &Session<Agent>) {
        while let Some(event) = session.event().await {
            match event {
                Event::LocalCandidate(candidate) => self
                    .gathered
                    .send_modify(|gathered| gathered.candidates.push(candidate)),
                Event::LocalCandidateRemoved(gone) => self
                    .gathered
                    .send_modify(|gathered| gathered.candidates.retain(|it| *it != gone)),
                Event::GatheringComplete => self
                    .gathered
                    .send_modify(|gathered| gathered.is_complete = true),
                Event::StateChanged(_) | Event::SelectedPairChanged(_) => {
                    self.path.send_modify(|changes| *changes += 1);
                }
                Event::CandidateError(error) => complain(&format_args!("{error:?}")),
                _ => {}
            }
        }
    }

    async fn receive(&self, session: &Session<Agent>) {
        while let Some(packet) = session.recv().await {
            self.first.get_or_init(Moment::now);
            match packet.split_first() {
                Some((b'q', rest)) => {
                    let answer = [b"a", rest].concat();
                    // The question is repeated if this does not get through.
                    if let Err(error) = session.send(&answer).await {
                        complain(&format_args!("no answer: {error}"));
                    }
                }
                Some((b'a', _)) => {
                    self.answered.send_replace(packet);
                }
                _ => complain(&format_args!("neither question nor answer: {packet:?}")),
            }
        }
    }
}

impl Moment {
    fn now() -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            micros: since.as_micros() as u64,
            sent: sent_by_host(),
        }
    }
}

/// The packets and bytes that all interfaces but loopback have sent.
fn sent_by_host() -> [u64; 2] {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let interfaces = table.lines().filter_map(|line| line.split_once(':'));
    let mut sent = [0; 2];
    for (_, counts) in interfaces.filter(|(name, _)| name.trim() != "lo") {
        let counts: Vec<u64> = counts.split_whitespace().flat_map(str::parse).collect();
        if let [bytes, packets] = counts[8..10] {
            sent[0] += packets;
            sent[1] += bytes;
        }
    }
    sent
}

fn turn_server(turn: &Value) -> Result<Option<IceServer>, Box<dyn Error>> {
    let text = |name: &str| turn[name].as_str();
    let Some(address) = text("address") else {
        return Ok(None);
    };
    let transport = match text("transport") {
        Some("udp") => Transport::Udp,
        Some("tcp") => Transport::Tcp,
        other => return Err(format!("{other:?} is no transport").into()),
    };
    let credential = Credential::new(
        text("username").unwrap_or_default(),
        text("password").unwrap_or_default(),
    )?;
    let server = IceServer::turn(transport, address.parse()?, credential);
    Ok(Some(server))
}

/// The time that the thread which runs the agent has computed, in microseconds.
fn cpu_micros() -> Answer {
    let statistics = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = statistics.split(' ').next().ok_or("empty statistics")?;
    Ok((nanos.parse::<u64>()? / 1_000).into())
}

/// The memory that this process holds, in KiB.
fn resident_kib() -> Answer {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    Ok(words.ok_or("no VmRSS")?.parse::<u64>()?.into())
}

#[expect(clippy::print_stdout, reason = "the orders' answers are the output")]
fn say(answer: &Value) {
    println!("{answer}");
}

#[expect(clippy::print_stderr, reason = "for the log of a test that fails")]
fn complain(what: &dyn std::fmt::Display) {
    eprintln!("{what}");
}

const REPETITION: Duration = Duration::from_millis(20);
