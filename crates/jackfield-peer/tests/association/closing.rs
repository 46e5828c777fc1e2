//! Closing channels and associations.

use std::time::Duration;

use jackfield_peer::{ChannelConfig, CloseReason, Event, Message, State, WriteError};

use crate::pair::{Pair, Side};

#[test]
fn a_closed_channel_delivers_what_was_written_and_ends_on_both_sides() {
    let mut pair = Pair::connected();
    let (alice, bob) = pair.channel(ChannelConfig::new("x"));
    pair.send(Side::Alice, alice, Message::Binary(&[1; 100_000]));
    let now = pair.now;
    pair.end(Side::Alice).close_channel(now, alice);
    let late = pair
        .end(Side::Alice)
        .write(now, alice, Message::Text("late"));
    assert_eq!(late, Err(WriteError::Closed));
    pair.run_until("closed", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(alice))
            && pair.saw(Side::Bob, |event| *event == Event::ChannelClosed(bob))
    });
    assert_eq!(pair.messages(Side::Bob).len(), 1);
}

#[test]
fn both_sides_may_close_at_once() {
    let mut pair = Pair::connected();
    let (alice, bob) = pair.channel(ChannelConfig::new("x"));
    let now = pair.now;
    pair.end(Side::Alice).close_channel(now, alice);
    pair.end(Side::Bob).close_channel(now, bob);
    pair.run_for(Duration::from_secs(5));
    for (side, id) in [(Side::Alice, alice), (Side::Bob, bob)] {
        let closed = pair.events[side as usize]
            .iter()
            .filter(|event| **event == Event::ChannelClosed(id));
        assert_eq!(closed.count(), 1, "{side:?}");
    }
}

#[test]
fn a_stream_is_used_again_once_it_is_free_on_both_sides() {
    let mut pair = Pair::connected();
    for _ in 0..5 {
        let (alice, bob) = pair.channel(ChannelConfig::new("x"));
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.end(Side::Alice).stream(alice), Some(0));
        let now = pair.now;
        pair.end(Side::Bob).close_channel(now, bob);
        pair.run_for(Duration::from_secs(1));
        assert!(pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(alice)));
    }
}

#[test]
fn a_negotiated_stream_waits_for_its_last_channel_to_be_over() {
    let mut pair = Pair::connected();
    let config = ChannelConfig {
        negotiated: Some(9),
        ..ChannelConfig::new("x")
    };
    let first = pair.open(Side::Alice, config.clone());
    pair.open(Side::Bob, config.clone());
    pair.run_for(Duration::from_secs(1));
    let now = pair.now;
    pair.end(Side::Alice).close_channel(now, first);
    pair.run_until("closed", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::ChannelClosed(first))
            && pair.saw(Side::Bob, |event| matches!(event, Event::ChannelClosed(_)))
    });
    let second = pair.open(Side::Alice, config.clone());
    pair.open(Side::Bob, config);
    pair.run_until("opened", |pair| {
        pair.saw(
            Side::Alice,
            |event| matches!(event, Event::ChannelOpened { id, .. } if *id == second),
        )
    });
    pair.run_for(Duration::from_secs(2));
    pair.send(Side::Alice, second, Message::Text("again"));
    pair.run_until("arrived", |pair| pair.messages(Side::Bob).len() == 1);
}

#[test]
fn a_shutdown_delivers_what_was_written() {
    let mut pair = Pair::connected();
    let (alice, bob) = pair.channel(ChannelConfig::new("x"));
    pair.send(Side::Alice, alice, Message::Binary(&[1; 200_000]));
    let now = pair.now;
    pair.end(Side::Alice).shutdown(now);
    assert_eq!(pair.end(Side::Alice).state(), State::Closing);
    pair.run_until("closed", |pair| {
        pair.closed(Side::Alice).is_some() && pair.closed(Side::Bob).is_some()
    });
    assert_eq!(pair.messages(Side::Bob).len(), 1);
    assert_eq!(pair.closed(Side::Alice), Some(CloseReason::Local));
    assert_eq!(pair.closed(Side::Bob), Some(CloseReason::Remote));
    assert!(pair.saw(Side::Bob, |event| *event == Event::ChannelClosed(bob)));
}

#[test]
fn an_abort_tells_the_other_side() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.end(Side::Bob).abort(now);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.closed(Side::Bob), Some(CloseReason::Local));
    assert_eq!(pair.closed(Side::Alice), Some(CloseReason::Remote));
}

#[test]
fn a_shutdown_that_is_not_answered_ends_all_the_same() {
    let mut pair = Pair::connected();
    pair.loss = 100;
    let now = pair.now;
    pair.end(Side::Alice).shutdown(now);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.closed(Side::Alice), Some(CloseReason::Local));
}

#[test]
fn an_association_without_channels_ends_when_it_is_told_to() {
    let mut pair = Pair::new(|_, config| config.idle_timeout = Some(Duration::from_secs(20)));
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Bob, |event| *event == Event::Connected)
    });
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.closed(Side::Alice), None);
    let now = pair.now;
    pair.end(Side::Alice).close_channel(now, alice);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.closed(Side::Alice), None);
    pair.run_for(Duration::from_secs(15));
    assert!(pair.closed(Side::Alice).is_some() && pair.closed(Side::Bob).is_some());
}

#[test]
fn a_dead_path_is_noticed_where_a_limit_is_set() {
    let mut pair = Pair::new(|_, config| config.silence_timeout = Some(Duration::from_secs(20)));
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Bob, |event| *event == Event::Connected)
    });
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.loss = 100;
    pair.send(Side::Alice, alice, Message::Text("anybody?"));
    pair.run_until("given up", |pair| pair.closed(Side::Alice).is_some());
    assert_eq!(pair.closed(Side::Alice), Some(CloseReason::TimedOut));
}
