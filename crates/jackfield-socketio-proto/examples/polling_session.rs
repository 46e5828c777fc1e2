//! An Engine.IO session by long-polling, driven by hand: two polls and a POST, with a clock that
//! is only a number.

#![expect(clippy::print_stdout, reason = "what the session wants is the output")]
#![expect(
    clippy::disallowed_methods,
    reason = "a driver, which this is, reads the clock"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_socketio_proto::engine::{
    Message, Outgoing, Output, PostBody, RequestId, SendError, ServerSession, ServerSessionConfig,
    Version,
};

fn main() -> Result<(), SendError> {
    let mut now = Instant::now();
    let config = Arc::new(ServerSessionConfig::default());
    let mut session =
        ServerSession::polling(now, Arc::clone(&config), Version::V4, "lv_VI97HAX", false);

    println!("The client's first GET gets the handshake:");
    session.handle_poll(now, RequestId(1));
    drain(&mut session)?;

    println!("Its second GET waits. A POST brings a message, and the answer to it ends the wait:");
    session.handle_poll(now, RequestId(2));
    if session.handle_post_head(now, RequestId(3), false) {
        session.handle_post(RequestId(3), PostBody::Text("4hello".into()));
        while session.handle_body(now, 32) {
            drain(&mut session)?;
        }
    }
    drain(&mut session)?;

    println!("The next GET waits until the server's ping is due:");
    session.handle_poll(now, RequestId(4));
    now += config.ping_interval;
    session.handle_timeout(now);
    drain(&mut session)?;

    println!("A client that does not answer is gone:");
    now += config.ping_timeout + Duration::from_millis(1);
    session.handle_timeout(now);
    drain(&mut session)
}

/// Does what the session wants until it wants nothing but time; echoes messages.
fn drain(session: &mut ServerSession) -> Result<(), SendError> {
    loop {
        match session.poll_output() {
            Output::Wait(_) => return Ok(()),
            Output::Message(message) => {
                println!("  {message:?}");
                if let Message::Text(text) = message {
                    session.send(&[Outgoing::message(Message::Text(text))])?;
                }
            }
            Output::Respond { request, response } => {
                println!("  answer to request {}: {:?}", request.0, response.body);
            }
            output => println!("  {output:?}"),
        }
    }
}
