//! What one message costs the hub when it reaches 49 others in each of 8 rooms: bytes that are
//! written, bytes that are sent, and time:
//! `cargo run --release -p jackfield-signal --example fan_out`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example brings the clock that the library goes without"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_signal::{Hub, HubConfig, MemberId, NewMember, NoIceServers, Output};

fn main() {
    let config = HubConfig {
        messages_per_second: 0,
        ..HubConfig::default()
    };
    let mut hub = Hub::new(config, Box::new(NoIceServers), [7; 32]);
    let now = Instant::now();
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let member = hub.handle_connect(now, NewMember::default());
        for room in 0..ROOMS {
            let name = name(number);
            let join = format!(r#"{{"type":"join","room":"{room}","name":"{name}"}}"#);
            hub.handle_message(now, member, &join);
        }
        members.push(member);
    }
    drain(&mut hub);
    let Some(sender) = members.first() else {
        return;
    };
    for (what, message) in [
        ("a new name", rename as fn(usize) -> String),
        ("a chat message in one room", chat),
    ] {
        measure(&mut hub, *sender, what, message);
    }
}

fn measure(hub: &mut Hub, sender: MemberId, what: &str, message: fn(usize) -> String) {
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let mut cost = Cost::default();
    for turn in 0..TURNS {
        let message = message(turn);
        let start = Instant::now();
        hub.handle_message(start, sender, &message);
        cost = drain(hub);
        slowest = slowest.max(start.elapsed());
    }
    let each = began.elapsed() / u32::try_from(TURNS).unwrap_or(u32::MAX);
    println!(
        "{what}: {} messages, {} bytes written, {} bytes sent, {each:?} each, {slowest:?} at most",
        cost.messages, cost.written, cost.sent
    );
}

#[derive(Default)]
struct Cost {
    messages: usize,
    /// Bytes of distinct texts: a text that several members share counts once.
    written: usize,
    sent: usize,
}

fn drain(hub: &mut Hub) -> Cost {
    let mut cost = Cost::default();
    // They are kept until the end, so that no two texts have one address.
    let mut texts: Vec<Arc<str>> = Vec::new();
    while let Output::Send { json, .. } = hub.poll_output() {
        cost.messages += 1;
        cost.sent += json.len();
        texts.push(json);
    }
    let mut seen = BTreeSet::new();
    for text in &texts {
        if seen.insert(text.as_ptr()) {
            cost.written += text.len();
        }
    }
    cost
}

fn rename(turn: usize) -> String {
    format!(r#"{{"type":"username","name":"{}"}}"#, name(1000 + turn))
}

fn chat(turn: usize) -> String {
    format!(r#"{{"type":"message","room":"0","text":"hello {turn}"}}"#)
}

/// A name as long as may be.
fn name(number: usize) -> String {
    let digits: String = number
        .to_string()
        .chars()
        .filter_map(|digit| char::from_u32(0x1d7ce - u32::from('0') + u32::from(digit)))
        .collect();
    format!("{digits}{}", "𠀀".repeat(64 - digits.chars().count()))
}

const MEMBERS: usize = 50;
const ROOMS: usize = 8;
const TURNS: usize = 200;
