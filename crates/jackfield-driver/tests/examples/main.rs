//! The examples that browsers use, asked as a page asks them: an offer is posted, the answer taken,
//! and a channel opened.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it does not expect"
)]

#[path = "../../examples/peer_chat/room.rs"]
mod chat;
#[path = "../../examples/peer_game/game.rs"]
mod game;

use jackfield_driver::peer::{ChannelConfig, DataChannel, Peer, PeerOptions, Reliability};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn what_one_says_in_the_chat_all_hear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let room = chat::Room::new(local());
    let mut terminal = room.listen();
    tokio::spawn(chat::serve(listener, room.clone()));

    assert!(
        request(&address, "GET / HTTP/1.1", "")
            .await
            .contains("RTCPeerConnection")
    );
    let ann = join(&address, ChannelConfig::new("ann")).await;
    let bob = join(&address, ChannelConfig::new("bob")).await;
    while terminal.recv().await.unwrap() != "bob: is here" {}
    ann.1.send_text("hello").await.unwrap();
    for (_, channel) in [&ann, &bob] {
        hears(channel, "ann: hello").await;
    }
    room.say("terminal", "hi");
    hears(&bob.1, "terminal: hi").await;
    drop(ann);
    hears(&bob.1, "ann: left").await;

    let refused = request(&address, "POST /offer HTTP/1.1", "no offer").await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

#[tokio::test]
async fn states_of_the_game_go_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let game = game::Game::new(local());
    tokio::spawn(game::serve(listener, game.clone()));
    let config = ChannelConfig {
        ordered: false,
        reliability: Reliability::MaxRetransmits(0),
        ..ChannelConfig::new("game")
    };
    let (_peer, channel) = join(&address, config).await;
    let mut seen = game::Arrivals::default();
    while seen.came < 10 {
        let state = channel.recv().await.unwrap();
        assert_eq!(state.as_bytes().len(), 12);
        let number = state.as_bytes().first_chunk().unwrap();
        seen.take(u32::from_be_bytes(*number));
    }
    // Each is sent once, and one that is lost makes room for the next.
    let mut came = 0;
    for number in 1_u32.. {
        if came >= 4 {
            break;
        }
        channel.send(&number.to_be_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        came += game
            .take_arrivals()
            .iter()
            .map(|(_, it)| it.came)
            .sum::<u32>();
    }
}

#[test]
fn states_that_are_overtaken_are_late_and_gaps_are_lost() {
    let mut arrivals = game::Arrivals::default();
    let news: Vec<bool> = [1, 2, 5, 4, 6].map(|number| arrivals.take(number)).into();
    assert_eq!(news, [true, true, true, false, true]);
    assert_eq!((arrivals.came, arrivals.lost, arrivals.late), (4, 1, 1));
}

fn local() -> PeerOptions {
    PeerOptions::new().addresses(["127.0.0.1".parse().unwrap()])
}

/// Does what the pages do.
async fn join(address: &str, config: ChannelConfig) -> (Peer, DataChannel) {
    let (peer, _events) = Peer::new(local()).unwrap();
    let opening = tokio::spawn({
        let peer = peer.clone();
        async move { peer.open_channel(config).await }
    });
    let offer = peer.create_offer().unwrap();
    let response = request(address, "POST /offer HTTP/1.1", &offer).await;
    let (_, answer) = response.split_once("\r\n\r\n").unwrap();
    peer.handle_answer(answer).unwrap();
    let channel = opening.await.unwrap().unwrap();
    (peer, channel)
}

async fn hears(channel: &DataChannel, line: &str) {
    loop {
        let message = channel.recv().await.unwrap();
        if message.as_bytes() == line.as_bytes() {
            return;
        }
    }
}

async fn request(address: &str, line: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{line}\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}
