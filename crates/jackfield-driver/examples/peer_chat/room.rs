//! Everybody who chats, and the HTTP that lets browsers in.

use std::io;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use jackfield_driver::peer::{DataChannel, Peer, PeerOptions, ReceivedMessage};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// A room that everybody hears everything in.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    options: PeerOptions,
    lines: broadcast::Sender<String>,
}

impl Room {
    pub(crate) fn new(options: PeerOptions) -> Self {
        let (lines, _) = broadcast::channel(LONGEST_QUEUE);
        Self { options, lines }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<String> {
        self.lines.subscribe()
    }

    pub(crate) fn say(&self, name: &str, line: &str) {
        // An empty room hears nothing.
        let _empty = self.lines.send(format!("{name}: {line}"));
    }

    /// Answers a browser's offer, and chats with it from then on.
    fn join(self, offer: &str) -> io::Result<String> {
        let (peer, _events) = Peer::new(self.options.clone())?;
        let answer = peer.handle_offer(offer)?;
        tokio::spawn(async move {
            while let Some(channel) = peer.accept_channel().await {
                tokio::spawn(self.clone().chat(channel));
            }
        });
        Ok(answer)
    }

    async fn chat(self, channel: DataChannel) {
        let mut heard = self.listen();
        let name = channel.label().to_owned();
        self.say(&name, "is here");
        loop {
            tokio::select! {
                message = channel.recv() => match message {
                    Some(ReceivedMessage::Text(line)) => self.say(&name, &line),
                    Some(ReceivedMessage::Binary(_)) => {}
                    None => break,
                },
                line = heard.recv() => match line {
                    Ok(line) => if channel.send_text(&line).await.is_err() { break },
                    // A slow reader misses lines.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                },
            }
        }
        self.say(&name, "left");
    }
}

/// Serves the page, and answers its offers.
///
/// # Errors
/// What the system says of the listener.
pub(crate) async fn serve(listener: TcpListener, room: Room) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route(
            "/offer",
            post(async move |offer: String| {
                room.clone()
                    .join(&offer)
                    .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
            }),
        );
    axum::serve(listener, app).await
}

const LONGEST_QUEUE: usize = 256;
