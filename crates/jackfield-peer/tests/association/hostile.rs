//! What the other side, or a stranger, may do wrong.

use std::time::Duration;

use jackfield_peer::{ChannelConfig, CloseReason, Event, Message};

use crate::pair::{Pair, Side};

#[test]
fn datagrams_that_are_no_dtls_change_nothing() {
    let mut pair = Pair::connected();
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    let now = pair.now;
    for length in 0..80_usize {
        for byte in [0, 20, 22, 23, 25, 44, 63, 255] {
            pair.end(Side::Bob)
                .handle_datagram(now, &vec![byte; length]);
        }
    }
    pair.send(Side::Alice, alice, Message::Text("still there"));
    pair.run_until("arrived", |pair| pair.messages(Side::Bob).len() == 1);
}

#[test]
fn a_channel_past_the_limit_is_closed_and_counted() {
    let mut pair = Pair::new(|side, config| {
        config.max_channels = if side == Side::Bob { 2 } else { 10 };
    });
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Bob, |event| *event == Event::Connected)
    });
    let ids: Vec<_> = (0..3)
        .map(|_| pair.open(Side::Alice, ChannelConfig::new("x")))
        .collect();
    pair.run_for(Duration::from_secs(2));
    assert!(pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(ids[2])));
    assert!(!pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(ids[1])));
    let counters = pair.end(Side::Bob).counters();
    assert_eq!(
        (counters.channels_refused, counters.channels_over_limit),
        (1, 1)
    );
}

#[test]
fn data_on_a_stream_without_a_channel_closes_the_stream() {
    let mut pair = Pair::connected();
    let config = ChannelConfig {
        negotiated: Some(5),
        ..ChannelConfig::new("only Alice knows")
    };
    let alice = pair.open(Side::Alice, config);
    pair.run_for(Duration::from_millis(100));
    pair.send(Side::Alice, alice, Message::Text("hello?"));
    pair.run_until("closed", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(alice))
    });
    assert_eq!(pair.end(Side::Bob).counters().channels_refused, 1);
    assert_eq!(pair.closed(Side::Bob), None::<CloseReason>);
}
