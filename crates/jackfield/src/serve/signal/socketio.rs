//! Signaling over Socket.IO: a message's `type` is the event's name, its fields are the one
//! argument, and an acknowledgement is answered where one is asked for.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_sansio::ClientNetwork;
use jackfield_signal::{AckId, NewMember};
use jackfield_socketio::adapter::EventBody;
use jackfield_socketio::{Ack, Event, Io, Socket};
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::queue::Delivery;
use super::shared_hub::{MemberInput, Membership, SharedHub};
use crate::config::Config;
use crate::serve::ice::Reached;

/// Returns a Socket.IO server whose main namespace leads to the hub.
pub(in crate::serve) fn serve(config: &Config, shared: &Arc<SharedHub>) -> Io {
    let io = Io::new(config.socketio.clone());
    let shared = Arc::clone(shared);
    io.on_connect(move |socket: Socket| {
        join_hub(&shared, &socket);
        std::future::ready(())
    });
    io
}

/// Makes a socket a member of the hub for as long as it is connected.
fn join_hub(shared: &Arc<SharedHub>, socket: &Socket) {
    let address = socket.handshake().address;
    let membership = shared.connect(NewMember {
        network: address.map(|address| ClientNetwork::of(address.ip())),
        host: reached(socket).map(|reached| reached.to_url()),
        lobby: false,
    });
    let Ok(membership) = membership else {
        socket.disconnect(true);
        return;
    };
    let events = Arc::new(Events {
        input: membership.input(),
        waiting: Mutex::default(),
        next_ack: AtomicU64::new(0),
    });
    let gone = watch::Sender::new(false);
    tokio::spawn(forward(
        membership,
        socket.clone(),
        Arc::clone(&events),
        gone.subscribe(),
    ));
    socket.on_any(move |_, event| {
        events.take(&event);
        std::future::ready(())
    });
    socket.on_disconnect(move |_, _| {
        gone.send_replace(true);
        std::future::ready(())
    });
}

fn reached(socket: &Socket) -> Option<Reached> {
    let handshake = socket.handshake();
    let host = handshake.headers.get(http::header::HOST)?;
    let authority: http::uri::Authority = host.to_str().ok()?.parse().ok()?;
    Some(Reached::new(&authority, handshake.secure))
}

/// The events of one socket on their way to the hub.
#[derive(Debug)]
struct Events {
    input: MemberInput,
    /// Acknowledgements that the hub has not answered yet.
    waiting: Mutex<HashMap<AckId, Ack>>,
    next_ack: AtomicU64,
}

impl Events {
    fn take(&self, event: &Event) {
        let ack = event.ack_handle().map(|handle| {
            let id = AckId(self.next_ack.fetch_add(1, Ordering::Relaxed));
            self.waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, handle.clone());
            id
        });
        let arguments = event.raw();
        let body = match arguments.first() {
            // Receivers of other dialects have no bytes, so a message with some is refused whole.
            Some(_) if !event.attachments().is_empty() => "\"bytes\"",
            Some(argument) => argument.get(),
            None => "{}",
        };
        self.input.event(event.name(), body, ack);
    }

    fn answered(&self, ack: AckId) -> Option<Ack> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&ack)
    }
}

/// Sends what the hub has for a socket until either ends.
async fn forward(
    mut membership: Membership,
    socket: Socket,
    events: Arc<Events>,
    mut gone: watch::Receiver<bool>,
) {
    let mut evicted = pin!(membership.evicted());
    loop {
        let next = async {
            // What waits stays in the member's own queue, where it counts for its sender. The
            // session does not tell when it was emptied, so it is looked at again.
            while socket.buffered() > SEND_AHEAD {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            membership.next().await
        };
        let delivery = tokio::select! {
            delivery = next => delivery,
            _ = gone.wait_for(|gone| *gone) => return,
            () = evicted.as_mut() => None,
        };
        let sent = match delivery {
            Some(Delivery::Message { kind, json, .. }) => {
                event(&kind, &json).is_some_and(|event| socket.emit_body(&event).is_ok())
            }
            Some(Delivery::Ack { ack, json }) => match (events.answered(ack), raw(&json)) {
                (Some(ack), Some(json)) => ack.send(&*json).is_ok(),
                _ => true,
            },
            Some(Delivery::Close { .. }) | None => false,
        };
        if !sent {
            socket.disconnect(true);
            return;
        }
    }
}

/// Takes JSON that the hub passes on as it is: a field of it may look like a placeholder of
/// Socket.IO, and is none.
fn event(kind: &str, json: &str) -> Option<EventBody> {
    let kind = serde_json::Value::from(kind);
    EventBody::from_parts(format!("[{kind},{json}]").into(), Vec::new())
        .inspect_err(|error| tracing::error!(%error, "The signaling hub wrote what is no event"))
        .ok()
}

/// Takes JSON that the hub wrote as it is.
fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned())
        .inspect_err(|error| tracing::error!(%error, "The signaling hub wrote what is not JSON"))
        .ok()
}

/// Deliveries move into the session while no more bytes than this wait in it.
const SEND_AHEAD: usize = 64 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
