//! Paths that lose datagrams.

use std::time::Duration;

use jackfield_peer::{ChannelConfig, Event, Message, Reliability};

use crate::pair::{Pair, Side};

#[test]
fn a_handshake_gets_through_a_lossy_path() {
    let mut pair = Pair::new(|_, config| config.snap = false);
    pair.loss = 20;
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::Connected)
            && pair.saw(Side::Bob, |event| *event == Event::Connected)
    });
}

#[test]
fn reliable_channels_lose_nothing_and_keep_the_order() {
    let mut pair = Pair::connected();
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.loss = 5;
    for index in 0..300_u32 {
        pair.send(
            Side::Alice,
            alice,
            Message::Binary(&index.to_be_bytes().repeat(100)),
        );
    }
    pair.run_until("all arrived", |pair| pair.messages(Side::Bob).len() == 300);
    let firsts: Vec<u32> = pair
        .messages(Side::Bob)
        .iter()
        .map(|message| u32::from_be_bytes(*message.as_bytes().first_chunk().unwrap()))
        .collect();
    assert!(firsts.is_sorted());
}

#[test]
fn a_channel_without_retransmits_loses_what_the_path_loses() {
    let mut pair = Pair::connected();
    let config = ChannelConfig {
        ordered: false,
        reliability: Reliability::MaxRetransmits(0),
        ..ChannelConfig::new("game")
    };
    let (alice, _) = pair.channel(config);
    pair.run_for(Duration::from_secs(1));
    pair.loss = 30;
    for index in 0..200_u8 {
        pair.send(Side::Alice, alice, Message::Binary(&[index]));
        pair.run_for(Duration::from_millis(16));
    }
    pair.loss = 0;
    pair.run_for(Duration::from_secs(5));
    let arrived = pair.messages(Side::Bob).len();
    assert!((100..180).contains(&arrived), "{arrived}");
    assert_eq!(pair.end(Side::Alice).buffered_amount(alice), 0);
}

#[test]
fn a_message_past_its_lifetime_is_not_sent_again() {
    let mut pair = Pair::connected();
    let config = ChannelConfig {
        reliability: Reliability::MaxLifetime(Duration::from_millis(100)),
        ..ChannelConfig::new("x")
    };
    let (alice, _) = pair.channel(config);
    pair.run_for(Duration::from_secs(1));
    pair.loss = 100;
    pair.send(Side::Alice, alice, Message::Text("too late"));
    pair.run_for(Duration::from_millis(300));
    pair.loss = 0;
    pair.send(Side::Alice, alice, Message::Text("in time"));
    pair.run_for(Duration::from_secs(5));
    let messages = pair.messages(Side::Bob);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].as_bytes(), b"in time");
}
