//! Paths that lose datagrams.

use std::time::Duration;

use jackfield_peer::{ChannelConfig, Event, Message, Output, Reliability};

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

/// What was written in an outage does not wait for the timer, which has grown to 10 s.
#[test]
fn data_flows_again_within_a_second_after_an_outage() {
    let mut pair = Pair::connected();
    let (alice, bob) = pair.channel(ChannelConfig::new("x"));
    pair.run_for(Duration::from_secs(1));
    for round in 1..=5_u8 {
        pair.loss = 100;
        for _ in 0..8 {
            pair.send(Side::Alice, alice, Message::Binary(&[round; 4_000]));
            pair.send(Side::Bob, bob, Message::Binary(&[round; 4_000]));
            pair.run_for(Duration::from_secs(5));
        }
        pair.loss = 0;
        let back = pair.now;
        for side in [Side::Alice, Side::Bob] {
            pair.end(side).path_returned(back);
        }
        let arrived = 8 * usize::from(round);
        pair.run_until("all arrived", |pair| {
            [Side::Alice, Side::Bob]
                .into_iter()
                .all(|side| pair.messages(side).len() == arrived)
        });
        let took = pair.now - back;
        assert!(took <= Duration::from_secs(1), "{round}: {took:?}");
    }
    assert_eq!(pair.closed(Side::Alice), None);
    assert_eq!(pair.closed(Side::Bob), None);
    // A path that loses nothing is no slower than before.
    let begin = pair.now;
    pair.send(Side::Alice, alice, Message::Binary(&[9; 200_000]));
    pair.run_until("it arrived", |pair| pair.messages(Side::Bob).len() == 41);
    assert!(pair.now - begin <= Duration::from_secs(1));
}

#[test]
fn a_retransmission_that_is_lost_when_the_path_comes_back_is_repeated() {
    let mut pair = Pair::connected();
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.loss = 100;
    pair.send(Side::Alice, alice, Message::Text("patience"));
    pair.run_for(Duration::from_secs(33));
    let back = pair.now;
    pair.end(Side::Alice).path_returned(back);
    pair.run_for(Duration::from_millis(500));
    pair.loss = 0;
    pair.run_until("it arrived", |pair| !pair.messages(Side::Bob).is_empty());
    assert!(pair.now - back <= Duration::from_secs(2));
}

#[test]
fn a_path_that_only_changes_has_nothing_sent_twice() {
    let mut pair = Pair::connected();
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.delay = Duration::from_millis(150);
    pair.run_for(Duration::from_secs(1));
    let sent = |pair: &mut Pair| pair.end(Side::Alice).counters().datagrams_sent;
    let mut counts = Vec::new();
    for changes in [false, true] {
        let before = sent(&mut pair);
        pair.send(Side::Alice, alice, Message::Text("once"));
        pair.run_for(Duration::from_millis(50));
        let now = pair.now;
        if changes {
            pair.end(Side::Alice).path_returned(now);
        }
        pair.run_for(Duration::from_secs(5));
        counts.push(sent(&mut pair) - before);
    }
    assert_eq!(counts[0], counts[1]);
    let now = pair.now;
    pair.end(Side::Alice).path_returned(now);
    assert_eq!(
        pair.end(Side::Alice).poll_output(),
        Output::Wait(Some(now + Duration::from_secs(1)))
    );
}
