//! The task of one WebSocket: reads, writes and closes, all in one place.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use jackfield_sansio::Charge;
use jackfield_socketio_proto::engine::{LinkEnd, LinkId, Message, Outgoing};
use jackfield_ws::{Error, Kind, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use super::EngineSocket;
use super::socket::Link;

/// What woke the task.
enum Wake {
    Received(Option<Result<jackfield_ws::Message, Error>>),
    /// The session has packets, or the WebSocket has room for more of them.
    Flush,
    /// Handlers have caught up.
    CaughtUp,
}

/// Serves a WebSocket of a session until either ends.
pub(super) async fn run<S>(
    socket: &EngineSocket,
    id: LinkId,
    link: &Arc<Link>,
    ws: &mut WebSocket<S>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut closing = false;
    let mut charge = Charge::new(socket.account());
    let end = loop {
        let more = !closing && feed(socket, id, ws);
        // The last packets go first: among them is what was sent before the close.
        if !closing && !more && link.closing.load(Ordering::Acquire) {
            closing = true;
            ws.start_close(None);
        }
        match wait(socket, link, ws, more, closing, &mut charge).await {
            Wake::Flush | Wake::CaughtUp => {}
            Wake::Received(Some(Ok(_))) if closing => {}
            Wake::Received(Some(Ok(message))) => {
                socket.frame(id, convert(message));
                // One read may bring thousands of messages: other clients have their turns
                // meanwhile.
                tokio::task::coop::consume_budget().await;
            }
            Wake::Received(Some(Err(Error::Protocol(violation)))) => {
                socket.count_violation(violation);
                break LinkEnd::Failed;
            }
            Wake::Received(Some(Err(_)) | None) => break LinkEnd::Closed,
        }
    };
    socket.link_ended(id, end);
}

async fn wait<S>(
    socket: &EngineSocket,
    link: &Link,
    ws: &mut WebSocket<S>,
    more: bool,
    closing: bool,
    charge: &mut Charge,
) -> Wake
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut flush = pin!(link.wake.notified());
    // Reading stops, so that TCP slows the client down; writing goes on, as handlers may wait for
    // it.
    if !closing && socket.is_paused() {
        let mut caught_up = pin!(socket.caught_up());
        return poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = ws.poll_flush(cx) {
                return Poll::Ready(Wake::Received(Some(Err(error))));
            }
            charge.set(ws.held_bytes());
            if caught_up.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Wake::CaughtUp);
            }
            flush.as_mut().poll(cx).map(|()| Wake::Flush)
        })
        .await;
    }
    socket.note_reading(true);
    poll_fn(|cx| {
        if let Poll::Ready(received) = ws.poll_recv(cx) {
            return Poll::Ready(Wake::Received(received));
        }
        charge.set(ws.held_bytes());
        // The session gives no wake for packets that it still holds: room in the WebSocket is the
        // sign to go on.
        if more && ws.queued_bytes() < WRITE_AHEAD {
            return Poll::Ready(Wake::Flush);
        }
        if closing {
            return Poll::Pending;
        }
        flush.as_mut().poll(cx).map(|()| Wake::Flush)
    })
    .await
}

/// Moves packets from the session to the WebSocket; tells whether some are left for later.
fn feed<S>(socket: &EngineSocket, id: LinkId, ws: &mut WebSocket<S>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Packets stay in the session as long as possible: there they count as buffered.
    if ws.queued_bytes() >= WRITE_AHEAD {
        return true;
    }
    socket.take_frames(id, |packet| {
        feed_packet(ws, &packet);
        ws.queued_bytes() < WRITE_AHEAD
    })
}

fn feed_packet<S>(ws: &mut WebSocket<S>, packet: &Outgoing)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let result = match packet.frame() {
        Some(frame) => ws.feed_encoded(frame.clone()),
        None if packet.is_binary() => ws.feed_parts(Kind::Binary, &[packet.content()]),
        None => ws.feed_parts(Kind::Text, &[packet.content()]),
    };
    if let Err(error) = result {
        // The peer has closed in the meantime; reading will tell.
        tracing::trace!(%error, "A packet came after the end of its WebSocket");
    }
}

fn convert(message: jackfield_ws::Message) -> Message {
    match message {
        jackfield_ws::Message::Text(text) => Message::Text(text),
        jackfield_ws::Message::Binary(bytes) => Message::Binary(bytes),
    }
}

/// Packets are taken out of a session's buffer while fewer bytes than this wait in the WebSocket.
const WRITE_AHEAD: usize = 64 << 10;
