//! Opening channels, and what goes over them.

use std::time::Duration;

use jackfield_peer::{
    ChannelConfig, Event, Message, OpenError, ReceivedMessage, Reliability, WriteError,
};

use crate::pair::{Pair, Side};

#[test]
fn texts_and_bytes_go_both_ways_empty_ones_too() {
    let mut pair = Pair::connected();
    let (alice, bob) = pair.channel(ChannelConfig::new("chat"));
    let long = vec![7; 262_144];
    pair.send(Side::Alice, alice, Message::Text("hello"));
    pair.send(Side::Alice, alice, Message::Text(""));
    pair.send(Side::Alice, alice, Message::Binary(&[]));
    pair.send(Side::Alice, alice, Message::Binary(&long));
    pair.send(Side::Bob, bob, Message::Text("hi"));
    pair.run_until("all arrived", |pair| pair.messages(Side::Bob).len() == 4);
    assert_eq!(
        pair.messages(Side::Bob),
        [
            ReceivedMessage::Text("hello".to_owned()),
            ReceivedMessage::Text(String::new()),
            ReceivedMessage::Binary(Vec::new()),
            ReceivedMessage::Binary(long),
        ]
    );
    assert_eq!(
        pair.messages(Side::Alice),
        [ReceivedMessage::Text("hi".to_owned())]
    );
    let stats = pair.end(Side::Bob).channel_stats(bob).unwrap();
    assert_eq!(
        (stats.messages_received, stats.bytes_received),
        (4, 262_149)
    );
    assert_eq!((stats.messages_sent, stats.bytes_sent), (1, 2));
    assert!(pair.largest <= 1200, "{}", pair.largest);
}

#[test]
fn the_other_side_learns_how_a_channel_is_configured() {
    let mut pair = Pair::connected();
    let kinds = [
        Reliability::Reliable,
        Reliability::MaxRetransmits(0),
        Reliability::MaxLifetime(Duration::from_millis(500)),
    ];
    for reliability in kinds {
        for ordered in [true, false] {
            let config = ChannelConfig {
                label: "grüße".to_owned(),
                protocol: "v1".to_owned(),
                ordered,
                reliability,
                negotiated: None,
                priority: 512,
            };
            let (_, bob) = pair.channel(config.clone());
            assert_eq!(pair.end(Side::Bob).channel(bob), Some(&config));
        }
    }
}

#[test]
fn the_client_has_even_streams_and_the_server_odd_ones() {
    let mut pair = Pair::connected();
    for (side, streams) in [(Side::Alice, [0, 2]), (Side::Bob, [1, 3])] {
        for stream in streams {
            let id = pair.open(side, ChannelConfig::new("x"));
            assert_eq!(pair.end(side).stream(id), Some(stream));
        }
    }
}

#[test]
fn channels_that_are_opened_early_are_there_with_the_connection() {
    let mut pair = Pair::new(|_, _| {});
    let id = pair.open(Side::Bob, ChannelConfig::new("early"));
    let now = pair.now;
    let early = pair.end(Side::Bob).write(now, id, Message::Text("x"));
    assert_eq!(early, Err(WriteError::NotOpen));
    pair.start();
    pair.run_until("opened", |pair| {
        pair.saw(Side::Alice, |event| {
            matches!(event, Event::ChannelOpened { incoming: true, .. })
        })
    });
    assert!(pair.saw(Side::Bob, |event| matches!(
        event,
        Event::ChannelOpened {
            incoming: false,
            ..
        }
    )));
}

#[test]
fn negotiated_channels_need_no_message() {
    let mut pair = Pair::new(|_, _| {});
    let config = ChannelConfig {
        negotiated: Some(42),
        ..ChannelConfig::new("both know")
    };
    let alice = pair.open(Side::Alice, config.clone());
    let bob = pair.open(Side::Bob, config);
    pair.start();
    pair.run_until("opened", |pair| {
        pair.saw(Side::Alice, |event| {
            matches!(event, Event::ChannelOpened { .. })
        }) && pair.saw(Side::Bob, |event| {
            matches!(event, Event::ChannelOpened { .. })
        })
    });
    pair.send(Side::Alice, alice, Message::Text("a"));
    pair.send(Side::Bob, bob, Message::Text("b"));
    pair.run_until("both arrived", |pair| {
        pair.messages(Side::Alice).len() == 1 && pair.messages(Side::Bob).len() == 1
    });
}

#[test]
fn limits_are_kept_and_said() {
    let mut pair = Pair::new(|_, config| {
        config.max_channels = 2;
        config.max_message_size = 1000;
        config.max_buffered = 2000;
    });
    let now = pair.now;
    let open = |pair: &mut Pair, config| pair.end(Side::Alice).open_channel(now, config);
    let long = ChannelConfig::new("x".repeat(65_536));
    assert_eq!(open(&mut pair, long), Err(OpenError::TooLong));
    let stream = |stream| ChannelConfig {
        negotiated: Some(stream),
        ..ChannelConfig::new("x")
    };
    assert_eq!(
        open(&mut pair, stream(65_535)),
        Err(OpenError::StreamNumber)
    );
    let id = open(&mut pair, stream(7)).unwrap();
    assert_eq!(open(&mut pair, stream(7)), Err(OpenError::StreamInUse(7)));
    open(&mut pair, ChannelConfig::new("x")).unwrap();
    assert_eq!(
        open(&mut pair, ChannelConfig::new("x")),
        Err(OpenError::TooMany(2))
    );

    pair.start();
    pair.run_until("opened", |pair| {
        pair.saw(Side::Alice, |event| {
            matches!(event, Event::ChannelOpened { .. })
        })
    });
    let now = pair.now;
    let write = |pair: &mut Pair, length| {
        pair.end(Side::Alice)
            .write(now, id, Message::Binary(&vec![1; length]))
    };
    assert_eq!(write(&mut pair, 1001), Err(WriteError::TooLarge(1000)));
    assert_eq!(write(&mut pair, 1000), Ok(()));
    assert_eq!(write(&mut pair, 1000), Ok(()));
    assert_eq!(write(&mut pair, 1), Err(WriteError::WouldBlock));
    assert_eq!(pair.end(Side::Alice).counters().writes_refused, 1);
    assert_eq!(pair.end(Side::Alice).buffered_amount(id), 2000);
}

#[test]
fn the_buffer_says_when_it_is_low_again() {
    let mut pair = Pair::connected();
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    pair.run_for(Duration::from_secs(1));
    pair.events = [Vec::new(), Vec::new()];
    pair.end(Side::Alice)
        .set_buffered_amount_low_threshold(alice, 50_000);
    pair.send(Side::Alice, alice, Message::Binary(&[1; 200_000]));
    pair.run_until("low", |pair| {
        pair.saw(Side::Alice, |event| {
            *event == Event::BufferedAmountLow(alice)
        })
    });
    let left = pair.end(Side::Alice).buffered_amount(alice);
    assert!(left <= 50_000, "{left}");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.end(Side::Alice).buffered_amount(alice), 0);
    let lows = pair.events[0]
        .iter()
        .filter(|event| matches!(event, Event::BufferedAmountLow(_)));
    assert_eq!(lows.count(), 1);
}

#[test]
fn a_paused_channel_holds_the_sender_back() {
    let mut pair = Pair::new(|_, config| config.receive_buffer = 600_000);
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::Connected)
    });
    let (alice, bob) = pair.channel(ChannelConfig::new("x"));
    pair.end(Side::Bob).pause_channel(bob);
    for _ in 0..10 {
        pair.send(Side::Alice, alice, Message::Binary(&[1; 200_000]));
    }
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.messages(Side::Bob), []);
    let waiting = pair.end(Side::Alice).buffered_amount(alice);
    assert!(waiting > 10 * 200_000 - 700_000, "{waiting}");
    let now = pair.now;
    pair.end(Side::Bob).resume_channel(now, bob);
    pair.run_until("all arrived", |pair| pair.messages(Side::Bob).len() == 10);
}

#[test]
fn larger_messages_pass_where_both_sides_allow_them() {
    let mut pair = Pair::new(|_, config| config.max_message_size = 1 << 20);
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::Connected)
    });
    let (alice, _) = pair.channel(ChannelConfig::new("x"));
    let large: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    pair.send(Side::Alice, alice, Message::Binary(&large));
    pair.run_until("arrived", |pair| !pair.messages(Side::Bob).is_empty());
    assert_eq!(pair.messages(Side::Bob), [ReceivedMessage::Binary(large)]);
}
