//! A peer that another program drives by lines of JSON: for tests against browsers and libraries.
//!
//! Each line of standard input is an order, `{"id":1,"name":"offer"}`, and each line of standard
//! output the answer to one, `{"id":1,"result":...}` or `{"id":1,"error":"..."}`. Channels that the
//! other side opens echo every message.
//!
//! | order | parameters | result |
//! |---|---|---|
//! | `offer` | | opens the channel `ours`, and gives an offer with all candidates |
//! | `answer` | `sdp` | the same, with the answer to an offer |
//! | `accept` | `sdp` | takes an answer |
//! | `exchange` | `sizes` | sends texts and bytes on `ours`, and checks that they come back |
//! | `close` | | closes `ours`, and waits for the other side's half |
//! | `closed` | | waits until the other side has closed its channel |
//! | `stats` | | the DTLS version, the state, and the kinds of the selected pair's candidates |
//!
//! `cargo run --example peer_stdio -- 192.0.2.5` has its socket at that address. The variable
//! `ICE_SERVERS` has STUN and TURN servers, as JSON of WebRTC's `RTCIceServer`s.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON without a field has null there"
)]

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;

use jackfield_driver::peer::{
    ChannelConfig, DataChannel, Peer, PeerError, PeerEvent, PeerEvents, PeerOptions,
    ReceivedMessage, RtcIceServer, resolve_servers,
};
use jackfield_ice::Stats;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, watch};

type Answer = Result<Value, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addresses = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<Vec<_>, _>>()?;
    let options = PeerOptions::new()
        .addresses(addresses)
        .servers(resolve_servers(&ice_servers()?).await)
        .max_message_size(LONGEST);
    let (peer, events) = Peer::new(options)?;
    let side = Arc::new(Side::new(peer, events));
    tokio::spawn(echo(Arc::clone(&side)));
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || sender.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = orders.recv().await {
        let order: Value = serde_json::from_str(&line?)?;
        let side = Arc::clone(&side);
        let answer = match side.carry_out(&order).await {
            Ok(result) => json!({ "id": order["id"], "result": result }),
            Err(error) => json!({ "id": order["id"], "error": error.to_string() }),
        };
        say(&answer);
    }
    Ok(())
}

/// A peer, its own channel, and how many of the other side's have ended.
struct Side {
    peer: Peer,
    events: Mutex<PeerEvents>,
    ours: Arc<Mutex<Option<DataChannel>>>,
    ended: watch::Sender<usize>,
}

impl Side {
    fn new(peer: Peer, events: PeerEvents) -> Self {
        Self {
            peer,
            events: Mutex::new(events),
            ours: Arc::default(),
            ended: watch::Sender::new(0),
        }
    }

    async fn carry_out(self: &Arc<Self>, order: &Value) -> Answer {
        let sdp = order["params"]["sdp"].as_str().unwrap_or_default();
        match order["name"].as_str().unwrap_or_default() {
            "offer" => {
                self.open().await;
                self.gathered().await;
                Ok(self.peer.create_offer()?.into())
            }
            "answer" => {
                self.open().await;
                self.gathered().await;
                Ok(self.peer.handle_offer(sdp)?.into())
            }
            "accept" => {
                self.peer.handle_answer(sdp)?;
                Ok(Value::Null)
            }
            "exchange" => self.exchange(&order["params"]["sizes"]).await,
            "close" => {
                let ours = self.ours().await;
                ours.as_ref().ok_or("no channel")?.close().await;
                Ok(Value::Null)
            }
            "closed" => {
                self.ended.subscribe().wait_for(|ended| *ended > 0).await?;
                Ok(Value::Null)
            }
            "stats" => {
                let stats = self.peer.stats();
                Ok(json!({
                    "version": stats.dtls_version,
                    "state": stats.state.name(),
                    "path": path(&stats.ice),
                }))
            }
            other => Err(format!("{other} is no order").into()),
        }
    }

    /// Opens our channel in the background: it is there once the peers are connected. Who asks for
    /// it waits from now on, also before the task has run.
    async fn open(self: &Arc<Self>) {
        let mut ours = Arc::clone(&self.ours).lock_owned().await;
        let side = Arc::clone(self);
        tokio::spawn(async move {
            match side.peer.open_channel(ChannelConfig::new("ours")).await {
                Ok(channel) => *ours = Some(channel),
                Err(error) => log(&error),
            }
        });
    }

    async fn gathered(&self) {
        let mut events = self.events.lock().await;
        while let Some(event) = events.next().await {
            if event == PeerEvent::GatheringComplete {
                return;
            }
        }
    }

    /// Waits for our channel.
    async fn ours(&self) -> tokio::sync::MutexGuard<'_, Option<DataChannel>> {
        self.ours.lock().await
    }

    /// Sends a text and bytes of each size, and checks that they come back.
    async fn exchange(&self, sizes: &Value) -> Answer {
        let ours = self.ours().await;
        let channel = ours.as_ref().ok_or("the channel was refused")?;
        for size in sizes.as_array().into_iter().flatten() {
            let size = usize::try_from(size.as_u64().ok_or("a size is no number")?)?;
            let text = "ä".repeat(size / 2);
            channel.send_text(&text).await?;
            expect(channel.recv().await, &ReceivedMessage::Text(text))?;
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            channel.send(&bytes).await?;
            expect(channel.recv().await, &ReceivedMessage::Binary(bytes))?;
        }
        Ok(Value::Null)
    }
}

fn ice_servers() -> Result<Vec<RtcIceServer>, Box<dyn Error>> {
    let text = std::env::var("ICE_SERVERS").unwrap_or_else(|_| "[]".to_owned());
    let servers: Vec<Value> = serde_json::from_str(&text)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let read = |server: &Value| RtcIceServer {
        urls: server["urls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect(),
        username: text(&server["username"]),
        credential: text(&server["credential"]),
    };
    Ok(servers.iter().map(read).collect())
}

/// Returns the kinds of the candidates that data takes.
fn path(ice: &Stats) -> Option<Value> {
    let pair = ice.pairs.get(ice.selected_pair?)?;
    let local = ice.local_candidates.iter().find(|it| it.id == pair.local)?;
    let remote = ice
        .remote_candidates
        .iter()
        .find(|it| it.id == pair.remote)?;
    Some(json!({ "local": local.kind.as_str(), "remote": remote.kind.as_str() }))
}

fn expect(received: Option<ReceivedMessage>, sent: &ReceivedMessage) -> Result<(), Box<dyn Error>> {
    if received.as_ref() == Some(sent) {
        Ok(())
    } else {
        Err(format!("sent {sent:?}, and {received:?} came back").into())
    }
}

/// Echoes what comes on the other side's channels.
async fn echo(side: Arc<Side>) {
    while let Some(channel) = side.peer.accept_channel().await {
        let ended = side.ended.clone();
        tokio::spawn(async move {
            while let Some(message) = channel.recv().await {
                let echoed = match &message {
                    ReceivedMessage::Text(text) => channel.send_text(text).await,
                    ReceivedMessage::Binary(bytes) => channel.send(bytes).await,
                };
                if echoed.is_err() {
                    break;
                }
            }
            ended.send_modify(|ended| *ended += 1);
        });
    }
}

#[expect(clippy::print_stderr, reason = "for the log of a test that fails")]
fn log(error: &PeerError) {
    eprintln!("The channel did not open: {error}");
}

#[expect(clippy::print_stdout, reason = "the orders' answers are the output")]
fn say(answer: &Value) {
    println!("{answer}");
}

/// Browsers accept 256 KiB, and libdatachannel what it is told.
const LONGEST: usize = 1 << 20;
