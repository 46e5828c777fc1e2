//! Wrong passwords are limited by network on every transport, and hurt nobody who knows one.

use jackfield_sansio::Transport;
use jackfield_stun::MessageWriter;
use jackfield_turn::attribute::{RequestedTransport, method};
use jackfield_turn::credential::mint;
use jackfield_turn::{Credentials, DropReason, Rate, ServerConfig};

use crate::world::*;

const STRONG: &str = "kP8r2vQx7LzTn4Wc";

#[test]
fn a_network_gets_its_burst_of_guesses_on_all_transports_together() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::new(strong());
        let answers = guess(&mut world, transport, "203.0.113.5", 0..100);
        assert_eq!(answers, 5, "{transport:?}");
        let answers = guess(&mut world, Transport::Tcp, "203.0.113.250", 0..100);
        assert_eq!(answers, 0, "a neighbour, by another transport");
        let elsewhere = guess(&mut world, transport, "203.0.114.5", 0..100);
        assert_eq!(elsewhere, 5);
        assert_eq!(world.server.counters().wrong_passwords, 300);
        assert_eq!(world.dropped(DropReason::WrongPasswordRate), 290);
    }
}

#[test]
fn the_right_password_among_too_many_guesses_is_not_told_from_the_wrong_ones() {
    let mut world = World::new(strong());
    guess(&mut world, Transport::Tcp, "203.0.113.5", 0..100);
    let mut client = Client::on(Transport::Tcp, "203.0.113.5:999", "198.51.100.1:3478");
    assert!(try_allocate(&mut world, &mut client).is_none());
    world.pass(secs(2));
    let answer = try_allocate(&mut world, &mut client).unwrap();
    assert_eq!(answer.code(), 0, "the rate lets it in");
}

#[test]
fn an_allocation_that_lives_goes_on_whatever_its_neighbours_guess() {
    let mut world = World::new(strong());
    let mut client = Client::new("203.0.113.5:1");
    client.allocate(&mut world);
    guess(&mut world, Transport::Udp, "203.0.113.5", 10..110);
    assert_eq!(client.permit(&mut world, &[PEER]), 0);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.refresh(&mut world, 600), 0);
    // The exemption is for the user of the allocation, not for the client's address.
    let mut other = client.clone().named("other", "pass");
    assert!(try_allocate(&mut world, &mut other).is_none());
}

#[test]
fn a_minted_credential_of_a_strong_secret_is_good_among_guesses() {
    let mut world = World::new(strong());
    guess(&mut world, Transport::Udp, "203.0.113.5", 10..110);
    let minted = mint(STRONG, "alice", secs(600), UNIX);
    let mut client = Client::new("203.0.113.5:1").named(&minted.username, &minted.password);
    client.allocate(&mut world);
    let mut forger = Client::new("203.0.113.5:2").named(&minted.username, "guess");
    assert!(try_allocate(&mut world, &mut forger).is_none(), "silence");
}

#[test]
fn a_minted_credential_of_a_weak_secret_is_guessed_at_the_same_rate() {
    let mut config = strong();
    config.credentials = Credentials::new().with_secret("secret");
    let mut world = World::new(config);
    let username = mint("", "alice", secs(600), UNIX).username;
    let mut answers = 0;
    for n in 0..50 {
        let guess = jackfield_turn::credential::password(&format!("secret{n}"), &username);
        let mut forger = Client::new("203.0.113.5:1").named(&username, &guess);
        answers += usize::from(try_allocate(&mut world, &mut forger).is_some());
    }
    assert_eq!(answers, 5);
    let right = jackfield_turn::credential::password("secret", &username);
    let mut late = Client::new("203.0.113.5:1").named(&username, &right);
    assert!(try_allocate(&mut world, &mut late).is_none());
}

#[test]
fn guesses_with_a_forged_address_lock_nobody_out_and_learn_nothing() {
    let mut world = World::new(strong());
    let mut codes = Vec::new();
    for n in 0..50 {
        let mut forger = Client::new("203.0.113.5:1").named("user", &format!("guess-{n}"));
        forger.nonce = Some("obMatJos2gAAAforged".into());
        codes.push(ask_once(&mut world, &forger).unwrap().code());
    }
    let mut lucky = Client::new("203.0.113.5:1");
    lucky.nonce = Some("obMatJos2gAAAforged".into());
    assert_eq!(codes[..5], [401; 5]);
    assert_eq!(codes[5..], [438; 45]);
    assert_eq!(ask_once(&mut world, &lucky).unwrap().code(), 438);
    Client::new("203.0.113.5:2").allocate(&mut world);
}

#[test]
fn what_was_guessed_after_a_report_is_reported_a_minute_later() {
    let mut world = World::new(strong());
    let start = world.now;
    guess(&mut world, Transport::Tcp, "203.0.113.5", 0..5);
    assert_eq!(world.wait, None, "that may have been a slip");
    guess(&mut world, Transport::Tcp, "203.0.113.5", 5..6);
    assert_eq!(world.wait, None, "it is reported at once");
    guess(&mut world, Transport::Tcp, "203.0.113.5", 6..7);
    assert_eq!(world.wait, Some(start + secs(60)));
    world.pass(secs(60));
    assert_eq!(world.wait, None);
}

#[test]
fn without_a_limit_every_wrong_password_is_answered() {
    let mut config = strong();
    config.limits.wrong_passwords = None;
    let mut world = World::new(config);
    let answers = guess(&mut world, Transport::Tcp, "203.0.113.5", 0..100);
    assert_eq!(answers, 100);
}

/// Tries wrong passwords for a user who exists and one who does not; returns how many are answered.
fn guess(world: &mut World, transport: Transport, ip: &str, ports: std::ops::Range<u16>) -> usize {
    ports
        .filter(|port| {
            let remote = format!("{ip}:{}", 2_000 + port);
            let name = if port % 2 == 0 { "user" } else { "nobody" };
            let mut client = Client::on(transport, &remote, "198.51.100.1:3478")
                .named(name, &format!("guess-{port}"));
            let answer = try_allocate(world, &mut client);
            answer.is_some_and(|answer| answer.code() == 401)
        })
        .count()
}

/// Gets a nonce and asks for an allocation with it.
fn try_allocate(world: &mut World, client: &mut Client) -> Option<Answer> {
    if client.nonce.is_none() {
        let bare = client.request(world.transaction(), method::ALLOCATE, udp);
        let answer = world.ask(client.path, &bare).unwrap();
        client.nonce = Some(
            answer
                .get::<jackfield_stun::attribute::Nonce<'_>>()
                .unwrap()
                .0
                .to_owned(),
        );
    }
    ask_once(world, client)
}

fn ask_once(world: &mut World, client: &Client) -> Option<Answer> {
    let request = client.request(world.transaction(), method::ALLOCATE, udp);
    world.ask(client.path, &request)
}

fn udp(writer: &mut MessageWriter<'_>) {
    writer.attribute(&RequestedTransport(17));
}

fn strong() -> ServerConfig {
    let mut config = config();
    config.credentials = Credentials::new()
        .with_user("user", "pass")
        .with_user("other", "pass")
        .with_secret(STRONG);
    config.limits.wrong_passwords = Some(Rate::new(1, 5));
    config
}
