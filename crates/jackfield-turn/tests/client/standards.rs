//! Sentences of RFC 8489 and RFC 8656 that are easy to get wrong, each beside the test that holds
//! it.

use jackfield_sansio::Transport;
use jackfield_stun::attribute::{
    Algorithm, Attribute, AttributeType, ErrorCodeAttribute, Nonce, PasswordAlgorithm, Realm,
};
use jackfield_stun::{Class, DecodeError, ErrorCode, Key, Message, TransactionId};
use jackfield_turn::ChannelNumber;
use jackfield_turn::attribute::{AdditionalAddressFamily, AddressFamily, RequestedAddressFamily};
use jackfield_turn::client::{self, Event, Failure};

use super::world::{Alone, PEER, SERVER, World, address, client_config, path, secs, udp};

/// An attribute of any type with any value.
struct Raw<const TYPE: u16>(&'static [u8]);

impl<'a, const TYPE: u16> Attribute<'a> for Raw<TYPE> {
    const TYPE: AttributeType = AttributeType::new(TYPE);

    fn decode(_value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        Err(DecodeError::Value(Self::TYPE))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// PASSWORD-ALGORITHMS.
type Offer = Raw<0x8002>;

const MD5_THEN_SHA256: &[u8] = &[0, 1, 0, 0, 0, 2, 0, 0];

/// Answers the first request with a challenge.
fn challenge(alone: &mut Alone, nonce: &str, offer: Option<&'static [u8]>) {
    let request = alone.request();
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::from(ErrorCode::UNAUTHENTICATED));
        writer.attribute(&Realm("realm"));
        writer.attribute(&Nonce(nonce));
        if let Some(offer) = offer {
            writer.attribute(&Raw::<0x8002>(offer));
        }
    });
}

#[test]
fn an_error_that_must_be_understood_and_is_not_fails_its_request() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    //= https://www.rfc-editor.org/rfc/rfc8489#section-6.3.4
    //= type=test
    //# If the error response contains unknown comprehension-required
    //# attributes, or if the error response does not contain an ERROR-CODE
    //# attribute, then the transaction is simply considered to have failed.
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::from(ErrorCode::TRY_ALTERNATE));
        writer.attribute(&Raw::<0x7F01>(b""));
    });
    assert_eq!(alone.events, [Event::Failed(Failure::Malformed)]);
}

#[test]
fn an_offer_of_algorithms_is_taken_up_also_without_a_nonce_cookie() {
    let mut alone = Alone::new(client_config(), udp());
    challenge(&mut alone, "a plain nonce", Some(&[0, 2, 0, 0]));
    let request = alone.request();
    let message = Message::parse(&request).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
    //= type=test
    //# If the response contains a PASSWORD-ALGORITHMS attribute,
    //# the request MUST contain the PASSWORD-ALGORITHMS attribute with the
    //# same content.
    let offer = message
        .attributes()
        .find(|(kind, _)| *kind == <Offer as Attribute<'_>>::TYPE);
    assert_eq!(offer.map(|(_, value)| value), Some(&[0u8, 2, 0, 0][..]));
    let key = Key::long_term(Algorithm::Sha256, "user", "realm", "pass");
    assert_eq!(message.check_sha256(&key), Ok(()));
}

#[test]
fn sha256_is_chosen_although_md5_is_offered_first() {
    let mut alone = Alone::new(client_config(), udp());
    challenge(&mut alone, "obMatJos2gAAAnonce", Some(MD5_THEN_SHA256));
    let request = alone.request();
    let message = Message::parse(&request).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc8656#section-6
    //= type=test
    //# Note that if the response contains a PASSWORD-ALGORITHMS attribute
    //# and this attribute contains both MD5 and SHA-256 algorithms, and the
    //# client also supports both the algorithms, the request MUST contain a
    //# PASSWORD-ALGORITHM attribute with the SHA-256 algorithm.
    assert_eq!(
        message.get(),
        Ok(Some(PasswordAlgorithm(Algorithm::Sha256)))
    );
}

#[test]
fn a_response_whose_offer_was_taken_out_is_ignored() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
    //= type=test
    //# For all other responses, if the NONCE attribute starts with the
    //# "nonce cookie" with the STUN Security Feature "Password algorithms"
    //# bit set to 1 but PASSWORD-ALGORITHMS is not present, the response
    //# MUST be ignored.
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::from(ErrorCode::INSUFFICIENT_CAPACITY));
        writer.attribute(&Nonce("obMatJos2gAAAnonce"));
    });
    assert_eq!(alone.events, []);
    assert_eq!(alone.client.counters().untrusted, 1);
}

#[test]
fn a_bad_request_that_is_not_signed_is_not_believed_by_a_user() {
    //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
    //= type=test
    //# If the response is an error response with an error code of 400 (Bad
    //# Request) and does not contain either the MESSAGE-INTEGRITY or
    //# MESSAGE-INTEGRITY-SHA256 attribute, then the response MUST be
    //# discarded, as if it were never received.  This means that
    //# retransmits, if applicable, will continue.
    let mut alone = Alone::new(client_config(), udp());
    let request = alone.request();
    alone.refuse(&request, 400);
    assert_eq!(alone.events, []);
    alone.wait_out();
    assert_eq!(alone.events, [Event::Failed(Failure::Untrusted)]);
    // Who has no credential does not use the mechanism that this is a rule of.
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    alone.refuse(&request, 400);
    let refused = Failure::Refused(ErrorCode::BAD_REQUEST);
    assert_eq!(alone.events, [Event::Failed(refused)]);
}

#[test]
fn over_a_stream_a_broken_signature_ends_the_request_at_once() {
    for (transport, events) in [
        (Transport::Udp, vec![]),
        (Transport::Tcp, vec![Event::Failed(Failure::Untrusted)]),
    ] {
        let mut alone = Alone::new(client_config(), path(transport, SERVER));
        challenge(&mut alone, "nonce", None);
        let request = alone.request();
        //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
        //= type=test
        //# If the request was sent over a reliable transport, the response MUST
        //# be discarded, and the layer MUST immediately end the transaction and
        //# signal that the integrity protection was violated.
        alone.answer(&request, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::from(ErrorCode::INSUFFICIENT_CAPACITY));
            writer.integrity_sha1(&Key::short_term("a guess"));
        });
        assert_eq!(alone.events, events, "{transport:?}");
    }
}

#[test]
fn a_peer_that_is_let_in_again_gets_its_old_channel() {
    let mut world = World::allocated();
    let first = ChannelNumber::MIN;
    for round in 0..3 {
        world.events.clear();
        world.client.bind_channel(world.now, address(PEER)).unwrap();
        world.settle();
        //= https://www.rfc-editor.org/rfc/rfc8656#section-12
        //= type=test
        //# To prevent race conditions, the client MUST wait 5
        //# minutes after the channel binding expires before attempting to bind
        //# the channel number to a different transport address or the transport
        //# address to a different channel number.
        let bound = world.events.iter().find_map(|event| match event {
            Event::ChannelBound { number, .. } => Some(*number),
            _ => None,
        });
        assert_eq!(bound, Some(first), "round {round}");
        world.client.forget(address(PEER).ip());
        world.pass(secs(100));
    }
}

#[test]
fn a_server_that_knows_all_our_addresses_is_left_alone_for_two_minutes() {
    //= https://www.rfc-editor.org/rfc/rfc8656#section-7.4
    //= type=test
    //# Once the client gives up on the server, it SHOULD NOT try
    //# to create another allocation on the server for 2 minutes.
    let refused = Failure::Refused(ErrorCode::ALLOCATION_MISMATCH);
    assert_eq!(refused.retry_after(), Some(secs(120)));
    assert_eq!(Failure::AllocationLost.retry_after(), Some(secs(1)));
}

//= https://www.rfc-editor.org/rfc/rfc8656#section-7.1
//= type=test
//# Clients MUST NOT include REQUESTED-ADDRESS-FAMILY and ADDITIONAL-
//# ADDRESS-FAMILY attributes in the same request.
#[test]
fn a_client_of_both_families_asks_for_an_address_of_each() {
    let config = client::ClientConfig {
        dual_stack: true,
        ..client_config()
    };
    let mut alone = Alone::new(config, udp());
    let bytes = alone.request();
    let request = Message::parse(&bytes).unwrap();
    assert_eq!(
        request.get(),
        Ok(Some(AdditionalAddressFamily(AddressFamily::V6)))
    );
    assert_eq!(request.get::<RequestedAddressFamily>(), Ok(None));
}
