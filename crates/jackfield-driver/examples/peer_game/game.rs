//! A ball that everybody sees, the players' pointers, and how well they arrive.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use jackfield_driver::peer::{DataChannel, Peer, PeerOptions};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

/// A game with any number of players.
#[derive(Debug, Clone)]
pub(crate) struct Game {
    options: PeerOptions,
    begin: Instant,
    players: Arc<Mutex<BTreeMap<u32, Arrivals>>>,
}

/// The states that a player sent, since they were last asked about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// States that came, each newer than the ones before.
    pub(crate) came: u32,
    /// States that others overtook: of no use any more.
    pub(crate) late: u32,
    /// States that are missing before the newest one.
    pub(crate) lost: u32,
    newest: u32,
}

impl Arrivals {
    /// Counts a state by its number; returns whether it is news.
    pub(crate) fn take(&mut self, number: u32) -> bool {
        let Some(ahead) = number.checked_sub(self.newest + 1) else {
            // It was counted as lost when a newer one came.
            self.lost = self.lost.saturating_sub(1);
            self.late += 1;
            return false;
        };
        self.lost += ahead;
        self.came += 1;
        self.newest = number;
        true
    }
}

impl Game {
    pub(crate) fn new(options: PeerOptions) -> Self {
        Self {
            options,
            begin: Instant::now(),
            players: Arc::default(),
        }
    }

    /// Returns what came of each player since the last call.
    pub(crate) fn take_arrivals(&self) -> Vec<(u32, Arrivals)> {
        let mut players = self.players();
        let taken = players.iter_mut().map(|(player, arrivals)| {
            let newest = arrivals.newest;
            let next = Arrivals {
                newest,
                ..Arrivals::default()
            };
            (*player, std::mem::replace(arrivals, next))
        });
        taken.collect()
    }

    fn players(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Arrivals>> {
        self.players.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a browser's offer; its channel is the game's.
    fn join(self, offer: &str) -> io::Result<String> {
        let (peer, _events) = Peer::new(self.options.clone())?;
        let answer = peer.handle_offer(offer)?;
        tokio::spawn(async move {
            if let Some(channel) = peer.accept_channel().await {
                self.play(channel).await;
            }
        });
        Ok(answer)
    }

    async fn play(self, channel: DataChannel) {
        let player = {
            let mut players = self.players();
            let player = players.last_key_value().map_or(1, |(last, _)| last + 1);
            players.insert(player, Arrivals::default());
            player
        };
        let mut tick = tokio::time::interval(Duration::from_secs(1) / 60);
        // A state that is late is replaced by the next one.
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut number = 0_u32;
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    // What waits behind a slow line is old when it arrives.
                    if channel.buffered_amount() > LONGEST_QUEUE {
                        continue;
                    }
                    number += 1;
                    if channel.send(&self.state(number)).await.is_err() {
                        break;
                    }
                }
                message = channel.recv() => {
                    let Some(message) = message else { break };
                    if let Some(bytes) = message.as_bytes().first_chunk()
                        && let Some(arrivals) = self.players().get_mut(&player)
                    {
                        arrivals.take(u32::from_be_bytes(*bytes));
                    }
                }
            }
        }
        self.players().remove(&player);
    }

    /// Returns a state: its number, and where the ball is, as two numbers from 0 to 1.
    fn state(&self, number: u32) -> Vec<u8> {
        let angle = self.begin.elapsed().as_secs_f32();
        let (x, y) = (0.5 + 0.4 * angle.cos(), 0.5 + 0.4 * (angle * 1.5).sin());
        [number.to_be_bytes(), x.to_be_bytes(), y.to_be_bytes()].concat()
    }
}

/// Serves the page, and answers its offers.
///
/// # Errors
/// What the system says of the listener.
pub(crate) async fn serve(listener: TcpListener, game: Game) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route(
            "/offer",
            post(async move |offer: String| {
                game.clone()
                    .join(&offer)
                    .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
            }),
        );
    axum::serve(listener, app).await
}

/// A tenth of a second of states.
const LONGEST_QUEUE: usize = 6 * 12;
