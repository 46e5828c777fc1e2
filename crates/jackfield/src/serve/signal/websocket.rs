//! Signaling over WebSocket, at `/signal` and for clients of MDN's sample at `/`: a JSON object a
//! message.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jackfield_sansio::{Charge, ClientNetwork};
use jackfield_signal::NewMember;
use jackfield_ws::{self as ws, CloseCode, CloseFrame, Message, WebSocket};

use super::queue::Delivery;
use super::shared_hub::Membership;
use crate::config::Config;
use crate::serve::app::App;
use crate::serve::http::{Body, full};
use crate::serve::ice::Reached;

type Socket = WebSocket<TokioIo<Upgraded>>;

/// Returns the limits of signaling's WebSockets.
pub(in crate::serve) fn ws_config(config: &Config) -> ws::WsConfig {
    let mut ws = config.websocket.clone();
    ws.options.subprotocols = vec![SUBPROTOCOL.to_owned()];
    ws
}

/// Answers a request that opens a WebSocket, and serves it in a task of its own.
pub(in crate::serve) fn upgrade(
    app: &Arc<App>,
    request: &mut Request<Incoming>,
    remote: SocketAddr,
    reached: Option<Reached>,
) -> Response<Body> {
    match ws::upgrade(request, &app.websocket) {
        Ok((response, upgrade)) => {
            let member = NewMember {
                network: Some(ClientNetwork::of(remote.ip())),
                host: reached.map(|reached| reached.to_url()),
                lobby: upgrade.subprotocol() == Some(SUBPROTOCOL),
            };
            tokio::spawn(serve(Arc::clone(app), upgrade, member));
            response.map(|()| full(bytes::Bytes::new()))
        }
        Err(refusal) => {
            tracing::debug!(%refusal, "Refused a WebSocket handshake");
            refusal.response().map(|text| full(text.into()))
        }
    }
}

async fn serve(app: Arc<App>, upgrade: ws::Upgrade, member: NewMember) {
    let mut socket = match upgrade.await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%error, "A WebSocket was lost before it began");
            return;
        }
    };
    let Ok(mut membership) = app.hub.connect(member) else {
        close(
            &mut socket,
            CloseCode::TRY_LATER,
            "too many of this network",
        )
        .await;
        return;
    };
    let mut evicted = pin!(membership.evicted());
    let mut charge = membership.charge();
    let mut stop = app.stop.subscribe();
    loop {
        let go_on = tokio::select! {
            step = poll_fn(|cx| poll_step(&mut socket, &mut membership, &mut charge, cx)) => {
                match step {
                    Step::Received(message) => receive(&membership, message),
                    Step::Deliver(delivery) => deliver(&mut socket, delivery),
                }
            }
            // It does not read: a closing handshake would wait behind what it did not take.
            () = evicted.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => {
                socket.start_close(Some(&CloseFrame::new(CloseCode::RESTART, "the server stops")));
                false
            }
        };
        if !go_on {
            break;
        }
    }
    drop(membership);
    finish(&mut socket).await;
}

/// Closes a connection that has not begun.
async fn close(socket: &mut Socket, code: CloseCode, reason: &str) {
    socket.start_close(Some(&CloseFrame::new(code, reason)));
    finish(socket).await;
}

async fn finish(socket: &mut Socket) {
    // The other side may be gone; the close is then over at once.
    if let Err(error) = socket.close(None).await {
        tracing::trace!(%error, "A WebSocket ended without a closing handshake");
    }
}

/// What happens next on a connection.
enum Step {
    Received(Option<Result<Message, ws::Error>>),
    Deliver(Option<Delivery>),
}

/// Reads, and takes from the member's queue what the WebSocket has room for. What waits stays in
/// that queue, where it counts for its sender.
fn poll_step(
    socket: &mut Socket,
    membership: &mut Membership,
    charge: &mut Charge,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    // This writes as well, and wakes the task when more can be written.
    if let Poll::Ready(message) = socket.poll_recv(cx) {
        return Poll::Ready(Step::Received(message));
    }
    charge.set(socket.held_bytes());
    if socket.queued_bytes() > SEND_AHEAD {
        return Poll::Pending;
    }
    membership.poll_next(cx).map(Step::Deliver)
}

/// Passes a message on; returns whether there may be more.
fn receive(membership: &Membership, message: Option<Result<Message, ws::Error>>) -> bool {
    match message {
        Some(Ok(message)) => {
            match &message {
                Message::Text(text) => membership.message(text),
                // A binary message may be JSON as well; the hub refuses the empty text as
                // malformed.
                Message::Binary(bytes) => {
                    membership.message(std::str::from_utf8(bytes).unwrap_or(""));
                }
            }
            true
        }
        Some(Err(error)) => {
            tracing::debug!(%error, "A signaling client broke off");
            false
        }
        None => false,
    }
}

/// Queues a delivery; returns whether there may be more.
fn deliver(socket: &mut Socket, delivery: Option<Delivery>) -> bool {
    match delivery {
        Some(Delivery::Message { json, .. } | Delivery::Ack { json, .. }) => socket
            .feed_parts(ws::Kind::Text, &[json.as_bytes()])
            .is_ok(),
        Some(Delivery::Close { code, reason }) => {
            socket.start_close(Some(&frame(code, reason)));
            false
        }
        None => false,
    }
}

fn frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(
        CloseCode::new(code).unwrap_or(CloseCode::GOING_AWAY),
        reason,
    )
}

/// Deliveries move into the WebSocket while no more bytes than this wait in it.
const SEND_AHEAD: usize = 64 << 10;
/// The subprotocol that clients of MDN's sample offer.
const SUBPROTOCOL: &str = "json";
