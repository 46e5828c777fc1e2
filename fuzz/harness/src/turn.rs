//! What the fuzz targets run: each asserts properties of any bytes.

pub(crate) mod client_story;
mod discovery;
pub(crate) mod input;
mod model;

use jackfield_stun::attribute::Attribute;
use jackfield_stun::{Message, MessageWriter};

use jackfield_turn::ChannelNumber;
use jackfield_turn::attribute::{
    AdditionalAddressFamily, AddressErrorCode, Data, DontFragment, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorPeerAddress,
    XorRelayedAddress,
};

/// Reads bytes as a message with TURN's attributes; what is read is written the same.
pub fn attributes(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    round_trip::<ChannelNumber>(&message);
    round_trip::<Lifetime>(&message);
    round_trip::<XorPeerAddress>(&message);
    round_trip::<XorRelayedAddress>(&message);
    round_trip::<Data<'_>>(&message);
    round_trip::<RequestedAddressFamily>(&message);
    round_trip::<AdditionalAddressFamily>(&message);
    round_trip::<EvenPort>(&message);
    round_trip::<RequestedTransport>(&message);
    round_trip::<DontFragment>(&message);
    round_trip::<ReservationToken>(&message);
    round_trip::<AddressErrorCode<'_>>(&message);
}

fn round_trip<'a, A: Attribute<'a> + PartialEq + std::fmt::Debug>(message: &Message<'a>) {
    let Ok(Some(attribute)) = message.get::<A>() else {
        return;
    };
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    writer.attribute(&attribute);
    if writer.finish().is_err() {
        return;
    }
    let reread = Message::parse(&bytes).expect("what we write is well-formed");
    let (kind, value) = reread.attributes().next().expect("one attribute");
    assert_eq!(kind, A::TYPE);
    let mut encoded = Vec::new();
    attribute.encode(&header.transaction, &mut encoded);
    assert_eq!(value, encoded);
}

/// Reads bytes as a range of addresses; what is read is written and read back the same.
pub fn cidr(data: &[u8]) {
    if let Some(cidr) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<jackfield_turn::Cidr>().ok())
    {
        assert_eq!(cidr.to_string().parse(), Ok(cidr));
    }
}

/// Turns bytes into what clients, peers, sockets and the clock do to a server, and checks it
/// against a small model.
pub fn server(data: &[u8]) {
    model::World::new().run(input::Input::new(data));
}

/// Turns bytes into what a server, a caller and the clock do to a client, and checks its limits all
/// the way.
pub fn client(data: &[u8]) {
    client_story::Story::new().run(input::Input::new(data));
}

/// Hands bytes to servers that answer behaviour discovery and help each other with it.
pub fn discovery(data: &[u8]) {
    discovery::run(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::{corpus_seeds, replay};

    #[test]
    fn the_corpus_of_attributes_holds() {
        replay("turn_attributes", 6_000, attributes);
    }

    #[test]
    fn the_corpus_of_cidr_holds() {
        replay("turn_cidr", 6_000, cidr);
    }

    #[test]
    fn the_corpus_of_server_holds() {
        replay("turn_server", 6_000, server);
    }

    #[test]
    fn the_corpus_of_client_holds() {
        replay("turn_client", 6_000, client);
    }

    #[test]
    fn the_corpus_of_discovery_holds() {
        replay("turn_discovery", 6_000, discovery);
    }

    #[test]
    fn the_corpus_of_discovery_reaches_helpers() {
        let mut sums = std::collections::BTreeMap::<_, u64>::new();
        for seed in corpus_seeds("turn_discovery") {
            for (name, count) in discovery::run(&seed) {
                *sums.entry(name).or_default() += count;
            }
        }
        for (name, count) in sums {
            assert!(count > 0, "no seed leads to {name}");
        }
    }

    #[test]
    fn the_stories_of_clients_reach_every_part() {
        let stories: Vec<_> = corpus_seeds("turn_client")
            .iter()
            .map(|seed| client_story::Story::new().run(input::Input::new(seed)))
            .collect();
        let sum = |of: fn(&jackfield_turn::client::ClientCounters) -> u64| {
            stories.iter().map(of).sum::<u64>()
        };
        assert!(sum(|counters| counters.packets_to_peers) > 5);
        assert!(sum(|counters| counters.packets_from_peers) > 2);
        assert!(sum(|counters| counters.untrusted) > 2);
        assert!(sum(|counters| counters.dropped_waiting) > 2);
        assert!(sum(|counters| counters.keepalives) > 5);
        assert!(sum(|counters| counters.malformed) > 2);
    }

    #[test]
    fn the_stories_of_the_corpus_reach_every_part() {
        let stories: Vec<_> = corpus_seeds("turn_server")
            .iter()
            .map(|seed| model::World::new().run(input::Input::new(seed)))
            .collect();
        let sum =
            |of: fn(&jackfield_turn::ServerCounters) -> u64| stories.iter().map(of).sum::<u64>();
        assert!(sum(|counters| counters.allocated) > 20);
        assert!(sum(|counters| counters.packets_to_peers) > 10);
        assert!(sum(|counters| counters.packets_to_clients) > 5);
        for code in [400, 401, 403, 437, 438, 441, 443, 486, 508] {
            let code = jackfield_stun::ErrorCode::new(code).unwrap();
            let answers: u64 = stories.iter().map(|counters| counters.errors(code)).sum();
            assert!(answers > 0, "no story leads to {code}");
        }
        for reason in [
            jackfield_turn::DropReason::PeerDenied,
            jackfield_turn::DropReason::NoPermission,
            jackfield_turn::DropReason::InProgress,
        ] {
            let dropped: u64 = stories
                .iter()
                .map(|counters| counters.dropped(reason))
                .sum();
            assert!(dropped > 0, "no story leads to {reason:?}");
        }
    }
}
