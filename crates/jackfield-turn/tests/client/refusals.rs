//! Servers that say no, point elsewhere, lie, or keep silent.

use jackfield_sansio::Transport;
use jackfield_stun::attribute::{
    AlternateDomain, AlternateServer, ErrorCodeAttribute, Nonce, Realm, XorMappedAddress,
};
use jackfield_stun::{Class, ErrorCode, Key, Message};
use jackfield_turn::attribute::{AddressFamily, Lifetime, XorRelayedAddress};
use jackfield_turn::client::{self, Event, Failure, Fault};

use super::world::{Alone, World, address, client_config, path, secs, server_config, udp};

#[test]
fn a_wrong_password_fails_as_such() {
    let mut config = client_config();
    config.credential = Some(client::Credential::new("user", "wrong").unwrap());
    let mut world = World::with(config, server_config(), udp());
    world.settle();
    assert_eq!(world.events, [Event::Failed(Failure::CredentialRefused)]);
    assert_eq!(Failure::CredentialRefused.fault(), Fault::Caller);
}

#[test]
fn a_challenge_without_a_credential_fails_as_such() {
    let mut world = World::with(client::ClientConfig::default(), server_config(), udp());
    world.settle();
    assert_eq!(world.events, [Event::Failed(Failure::CredentialMissing)]);
}

#[test]
fn a_server_without_authentication_is_believed() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    alone.answer(&request, Class::Success, |writer| {
        writer.attribute(&XorRelayedAddress(address("198.51.100.1:50000")));
        writer.attribute(&XorMappedAddress(address("203.0.113.5:4000")));
        writer.attribute(&Lifetime(300));
    });
    assert!(alone.client.relayed().is_some());
}

#[test]
fn an_error_of_the_server_keeps_its_code() {
    let mut config = client_config();
    config.family = Some(AddressFamily::V6);
    let mut world = World::with(config, server_config(), udp());
    world.settle();
    assert_eq!(
        world.events,
        [Event::Failed(Failure::Refused(
            ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED
        ))]
    );
    for (code, fault) in [
        (486, Fault::Caller),
        (508, Fault::Server),
        (442, Fault::Caller),
    ] {
        let mut alone = Alone::new(client::ClientConfig::default(), udp());
        let request = alone.request();
        alone.refuse(&request, code);
        let why = Failure::Refused(ErrorCode::new(code).unwrap());
        assert_eq!(alone.events, [Event::Failed(why)]);
        assert_eq!(why.fault(), fault);
        assert!(!why.to_string().contains("words of the server"));
    }
}

#[test]
fn a_full_server_is_left_alone_for_a_minute() {
    assert_eq!(
        Failure::Refused(ErrorCode::INSUFFICIENT_CAPACITY).retry_after(),
        Some(secs(60))
    );
}

#[test]
fn an_address_that_the_server_still_knows_is_given_up_for_another() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    for _ in 0..3 {
        let request = alone.request();
        alone.refuse(&request, 437);
        assert_eq!(alone.connect.take(), Some((udp().remote, None)));
        let mut fresh = udp();
        fresh.local.set_port(4_001);
        alone.client.handle_connected(alone.now, fresh);
        alone.drain();
        assert_eq!(alone.client.path(), fresh);
    }
    let request = alone.request();
    alone.refuse(&request, 437);
    assert_eq!(
        alone.events,
        [Event::Failed(Failure::Refused(
            ErrorCode::ALLOCATION_MISMATCH
        ))]
    );
}

#[test]
fn another_server_is_followed_but_not_in_circles() {
    let mut alone = Alone::new(client_config(), path(Transport::Tls, "198.51.100.1:5349"));
    let request = alone.request();
    let other = address("198.51.100.2:5349");
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::without_reason(
            ErrorCode::TRY_ALTERNATE,
        ));
        writer.attribute(&AlternateServer(other));
        writer.attribute(&AlternateDomain("other.example.org"));
    });
    let domain = Some("other.example.org".to_owned());
    assert_eq!(alone.connect, Some((other, domain)));
    assert!(alone.is_silent());
    alone
        .client
        .handle_connected(alone.now, path(Transport::Tls, "198.51.100.2:5349"));
    alone.drain();
    let request = alone.request();
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::without_reason(
            ErrorCode::TRY_ALTERNATE,
        ));
        writer.attribute(&AlternateServer(address("198.51.100.1:5349")));
    });
    assert_eq!(alone.events, [Event::Failed(Failure::TooManyRedirects)]);
}

#[test]
fn a_connection_that_cannot_be_made_is_a_failure() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    alone.refuse(&request, 437);
    alone.client.handle_closed(alone.now);
    alone.drain();
    assert_eq!(alone.events, [Event::Failed(Failure::Disconnected)]);
}

#[test]
fn a_silent_server_is_given_up_after_the_times_of_the_rfc() {
    let mut alone = Alone::new(client_config(), udp());
    let start = alone.now;
    alone.wait_out();
    assert_eq!((alone.now - start).as_millis(), 39_500);
    assert_eq!(alone.client.counters().transmissions, 7);
    assert_eq!(alone.events, [Event::Failed(Failure::TimedOut)]);
}

#[test]
fn an_answer_that_is_not_signed_counts_for_nothing() {
    let mut alone = Alone::new(client_config(), udp());
    let request = alone.request();
    alone.challenge(&request, 401, "realm", "nonce");
    let request = alone.request();
    alone.refuse(&request, 508);
    alone.answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCodeAttribute::without_reason(
            ErrorCode::INSUFFICIENT_CAPACITY,
        ));
        writer.integrity_sha1(&Key::short_term("a guess"));
    });
    assert_eq!(alone.client.counters().untrusted, 2);
    assert_eq!(alone.events, []);
    alone.wait_out();
    assert_eq!(alone.events, [Event::Failed(Failure::Untrusted)]);
}

#[test]
fn an_offer_that_was_taken_out_on_the_way_is_noticed() {
    let mut alone = Alone::new(client_config(), udp());
    let request = alone.request();
    alone.challenge(&request, 401, "realm", "obMatJos2gAAAnonce");
    assert_eq!(alone.events, [Event::Failed(Failure::Downgraded)]);
}

#[test]
fn another_realm_is_worth_another_try_but_not_for_ever() {
    let mut alone = Alone::new(client_config(), udp());
    for realm in ["a", "b", "c", "d"] {
        let request = alone.request();
        alone.challenge(&request, 401, realm, "nonce");
        assert_eq!(alone.events, []);
    }
    let request = alone.request();
    alone.challenge(&request, 401, "e", "nonce");
    assert_eq!(
        alone.events,
        [Event::Failed(Failure::Refused(ErrorCode::UNAUTHENTICATED))]
    );
}

#[test]
fn nonces_that_are_always_stale_end_somewhere() {
    let mut alone = Alone::new(client_config(), udp());
    let mut asked = 0;
    while alone.events.is_empty() {
        let request = alone.request();
        alone.answer(&request, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::without_reason(if asked == 0 {
                ErrorCode::UNAUTHENTICATED
            } else {
                ErrorCode::STALE_NONCE
            }));
            writer.attribute(&Realm("r"));
            writer.attribute(&Nonce("n"));
        });
        asked += 1;
        assert!(asked < 10);
    }
    assert_eq!(
        alone.events,
        [Event::Failed(Failure::Refused(ErrorCode::STALE_NONCE))]
    );
}

#[test]
fn a_success_without_what_belongs_to_it_is_the_servers_fault() {
    let mut alone = Alone::new(client::ClientConfig::default(), udp());
    let request = alone.request();
    alone.answer(&request, Class::Success, |writer| {
        writer.attribute(&XorMappedAddress(address("203.0.113.5:4000")));
        writer.attribute(&Lifetime(600));
    });
    assert_eq!(alone.events, [Event::Failed(Failure::Malformed)]);
    assert_eq!(Failure::Malformed.fault(), Fault::Server);
}

#[test]
fn answers_to_nothing_are_counted() {
    let mut alone = Alone::new(client_config(), udp());
    let request = alone.request();
    let mut stranger = request.clone();
    stranger[19] ^= 1;
    alone.refuse(&stranger, 500);
    assert_eq!(alone.client.counters().unexpected, 1);
    assert_eq!(alone.client.handle_server(alone.now, &request), None);
    assert_eq!(alone.client.counters().unexpected, 2);
    assert_eq!(alone.client.handle_server(alone.now, &[0xFF; 30]), None);
    assert_eq!(alone.client.handle_server(alone.now, &request[..19]), None);
    assert_eq!(alone.client.counters().malformed, 2);
    assert!(Message::parse(&request).is_ok());
}

#[test]
fn an_allocation_that_the_server_has_lost_is_a_failure() {
    let mut world = World::allocated();
    let server = path(Transport::Udp, super::world::SERVER);
    let from = jackfield_sansio::FiveTuple {
        transport: Transport::Udp,
        local: server.remote,
        remote: server.local,
    };
    world.server.handle_client_closed(world.now, from);
    world.pass(secs(600));
    assert_eq!(world.events, [Event::Failed(Failure::AllocationLost)]);
}
