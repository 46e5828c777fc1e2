//! Two members of one room, in one process and without any connection:
//! `cargo run -p jackfield-signal --example two_members`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example brings the clock that the library goes without"
)]

use std::time::Instant;

use jackfield_signal::{Hub, HubConfig, MemberId, NewMember, NoIceServers, Output};

fn main() {
    let mut hub = Hub::new(HubConfig::default(), Box::new(NoIceServers), [7; 32]);
    let ann = hub.handle_connect(Instant::now(), NewMember::default());
    let bob = hub.handle_connect(Instant::now(), NewMember::default());
    let name = |member| if member == ann { "ann" } else { "bob" };
    for (from, json) in [
        (ann, r#"{"type":"join","room":"demo","name":"ann"}"#),
        (bob, r#"{"type":"join","room":"demo","name":"bob"}"#),
        (
            bob,
            r#"{"type":"video-offer","target":"ann","sdp":{"type":"offer","sdp":"v=0"}}"#,
        ),
        (
            ann,
            r#"{"type":"video-answer","target":"bob","sdp":{"type":"answer","sdp":"v=0"}}"#,
        ),
        (ann, r#"{"type":"hang-up"}"#),
        (bob, r#"{"type":"video-offer","target":"nobody","sdp":{}}"#),
    ] {
        println!("{} says {json}", name(from));
        hub.handle_message(Instant::now(), from, json);
        drain(&mut hub, name);
    }
}

/// Prints what the hub sends. A server would write it to the members' connections.
fn drain(hub: &mut Hub, name: impl Fn(MemberId) -> &'static str) {
    loop {
        match hub.poll_output() {
            Output::Send { to, json, .. } => println!("    {} gets {json}", name(to)),
            // Only a Socket.IO client waits for acknowledgements, and nothing is charged for names
            // that are held.
            Output::Ack { .. } | Output::NamesReleased { .. } => {}
            Output::Close { member, why } => println!("    {} is closed: {why:?}", name(member)),
            Output::Wait(_) => return,
        }
    }
}
