//! Who is let in, for how long, and what an attacker on the path can change.

use jackfield_stun::attribute::{
    Algorithm, Attribute, AttributeType, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    Userhash, Username,
};
use jackfield_stun::credential::userhash;
use jackfield_stun::{MessageWriter, TransactionId};
use jackfield_turn::attribute::{Lifetime, RequestedTransport, method};
use jackfield_turn::credential::mint;
use jackfield_turn::{Credentials, EndReason, Event, ServerConfig};

use crate::world::*;

// ---- Time-limited credentials ----

#[test]
fn a_minted_credential_allocates_and_any_of_several_secrets_may_have_minted_it() {
    let mut config = config();
    config.credentials = Credentials::new().with_secret("old").with_secret("new");
    let mut world = World::new(config);
    for (port, secret) in [(1, "old"), (2, "new")] {
        let mut client = minted(secret, "alice", 600).at(port);
        client.allocate(&mut world);
    }
    let mut forger = minted("guess", "alice", 600).at(3);
    let answer = forger.ask(&mut world, method::ALLOCATE, udp);
    assert_eq!(answer.code(), 401);
}

#[test]
fn an_expired_credential_allocates_nothing() {
    let mut world = World::new(config());
    let mut client = minted(SECRET, "alice", 0);
    assert_eq!(client.ask(&mut world, method::ALLOCATE, udp).code(), 401);
    let mut client = minted(SECRET, "alice", 60);
    world.pass(secs(60));
    assert_eq!(client.ask(&mut world, method::ALLOCATE, udp).code(), 401);
}

#[test]
fn an_allocation_outlives_its_credential_by_one_refresh() {
    let mut world = World::new(config());
    let mut client = minted(SECRET, "alice", 300);
    client.allocate(&mut world);
    world.pass(secs(200));
    assert_eq!(
        client.refresh(&mut world, 600),
        0,
        "before it expires, as often as wanted"
    );
    world.pass(secs(200));
    assert_eq!(
        client.permit(&mut world, &[PEER]),
        0,
        "what lives keeps working"
    );
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.refresh(&mut world, 600), 0, "once after it expired");
    world.pass(secs(200));
    assert_eq!(client.refresh(&mut world, 600), 401);
    world.pass(secs(400));
    assert!(matches!(
        world.events.last(),
        Some(Event::Deallocated {
            reason: EndReason::Expired,
            ..
        })
    ));
}

#[test]
fn a_minted_credential_gets_ten_minutes_where_a_static_user_gets_an_hour() {
    let mut world = World::new(config());
    let lifetime = |world: &mut World, client: &mut Client| {
        let ask = |writer: &mut MessageWriter<'_>| {
            udp(writer);
            writer.attribute(&Lifetime(3_600));
        };
        let answer = client.ask(world, method::ALLOCATE, ask);
        let Lifetime(allocated) = answer.get().unwrap();
        let answer = client.ask(world, method::REFRESH, |writer| {
            writer.attribute(&Lifetime(3_600));
        });
        let Lifetime(refreshed) = answer.get().unwrap();
        (allocated, refreshed)
    };
    let mut client = minted(SECRET, "alice", 86_400);
    assert_eq!(lifetime(&mut world, &mut client), (600, 600));
    let mut client = Client::new("203.0.113.5:2");
    assert_eq!(lifetime(&mut world, &mut client), (3_600, 3_600));
}

#[test]
fn a_static_user_with_a_name_like_a_minted_one_never_expires() {
    let mut config = config();
    config.credentials = Credentials::new().with_user("1:old", "pass");
    let mut world = World::new(config);
    Client::new("203.0.113.5:4000")
        .named("1:old", "pass")
        .allocate(&mut world);
}

// ---- RFC 8489: SHA-256 ----

#[test]
fn a_client_of_rfc_8489_uses_sha256_from_end_to_end() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.sha256 = true;
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[PEER]), 0);
    let features = Nonce(client.nonce.as_deref().unwrap())
        .security_features()
        .unwrap();
    assert!(features.password_algorithms);
    assert!(
        !features.username_anonymity,
        "minted names cannot be found by hash"
    );
}

#[test]
fn a_shortened_offer_is_refused() {
    let mut world = World::new(config());
    let nonce = nonce(&mut world);
    let client = Client::new("203.0.113.5:4000");
    let signed = |fill: &dyn Fn(&mut MessageWriter<'_>), algorithm| {
        let mut bytes = Vec::new();
        let id = TransactionId::new([3; 12]);
        let class = jackfield_stun::Class::Request;
        let mut writer = MessageWriter::new(&mut bytes, class, method::REFRESH, id);
        writer.attribute(&Username("user"));
        writer.attribute(&Realm(REALM));
        writer.attribute(&Nonce(&nonce));
        fill(&mut writer);
        writer.integrity_sha1(&client.key(algorithm));
        writer.finish().unwrap();
        bytes
    };
    let md5_only = |writer: &mut MessageWriter<'_>| {
        writer.attribute(&Raw(&[0, 1, 0, 0]));
        writer.attribute(&PasswordAlgorithm(Algorithm::Md5));
    };
    let no_list = |writer: &mut MessageWriter<'_>| {
        writer.attribute(&PasswordAlgorithm(Algorithm::Sha256));
    };
    let no_choice = |writer: &mut MessageWriter<'_>| {
        writer.attribute(&PasswordAlgorithms::ALL);
    };
    let both = |writer: &mut MessageWriter<'_>| {
        writer.attribute(&PasswordAlgorithms::ALL);
        writer.attribute(&PasswordAlgorithm(Algorithm::Md5));
    };
    for (request, code) in [
        (signed(&md5_only, Algorithm::Md5), 400),
        (signed(&no_list, Algorithm::Sha256), 400),
        (signed(&no_choice, Algorithm::Md5), 400),
        (signed(&both, Algorithm::Md5), 437),
    ] {
        assert_eq!(world.ask(client.path, &request).unwrap().code(), code);
    }
}

#[test]
fn a_user_may_come_by_the_hash_of_his_name_where_names_are_known_beforehand() {
    let mut config = config();
    config.credentials = Credentials::new().with_user("user", "pass");
    let mut world = World::new(config);
    let nonce = nonce(&mut world);
    assert!(
        Nonce(&nonce)
            .security_features()
            .unwrap()
            .username_anonymity
    );
    let client = Client::new("203.0.113.5:4000");
    let mut bytes = Vec::new();
    let id = TransactionId::new([3; 12]);
    let class = jackfield_stun::Class::Request;
    let mut writer = MessageWriter::new(&mut bytes, class, method::ALLOCATE, id);
    writer.attribute(&RequestedTransport(17));
    writer.attribute(&Userhash(userhash("user", REALM)));
    writer.attribute(&Realm(REALM));
    writer.attribute(&Nonce(&nonce));
    writer.attribute(&PasswordAlgorithm(Algorithm::Sha256));
    writer.attribute(&PasswordAlgorithms::ALL);
    writer.integrity_sha256(&client.key(Algorithm::Sha256));
    writer.finish().unwrap();
    assert_eq!(world.ask(client.path, &bytes).unwrap().code(), 0);
    assert!(matches!(&world.events[0], Event::Allocated { username, .. } if &**username == "user"));
}

#[test]
fn without_the_offer_the_answer_is_that_of_rfc_5389() {
    let mut world = World::new(ServerConfig {
        password_algorithms: false,
        ..config()
    });
    let nonce = nonce(&mut world);
    assert_eq!(Nonce(&nonce).security_features(), None);
    Client::new("203.0.113.5:4000").allocate(&mut world);
}

// ---- What an attacker on the path can change ----

#[test]
fn what_is_appended_to_a_signed_request_does_not_count() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let mut request = client.request(world.transaction(), method::REFRESH, |_| {});
    // LIFETIME 0 after MESSAGE-INTEGRITY, with the length made right.
    request.extend_from_slice(&[0, 0x0D, 0, 4, 0, 0, 0, 0]);
    let length = (request.len() - 20) as u16;
    request[2..4].copy_from_slice(&length.to_be_bytes());
    let answer = world.ask(client.path, &request).unwrap();
    assert_eq!(answer.get(), Some(Lifetime(600)));
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn a_changed_request_is_a_strangers() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let request = client.request(world.transaction(), method::REFRESH, |writer| {
        writer.attribute(&Lifetime(600));
    });
    let mut changed = request;
    changed[27] = 0;
    changed[26] = 0;
    let answer = world.ask(client.path, &changed).unwrap();
    assert_eq!(answer.code(), 401);
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn of_two_lifetimes_the_first_counts() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let answer = client.ask(&mut world, method::REFRESH, |writer| {
        writer.attribute(&Lifetime(900));
        writer.attribute(&Lifetime(0));
    });
    assert_eq!(answer.get(), Some(Lifetime(900)));
}

fn udp(writer: &mut MessageWriter<'_>) {
    writer.attribute(&RequestedTransport(17));
}

fn nonce(world: &mut World) -> String {
    let client = Client::new("203.0.113.5:4000");
    let request = client.request(world.transaction(), method::ALLOCATE, |_| {});
    let answer = world.ask(client.path, &request).unwrap();
    answer.get::<Nonce<'_>>().unwrap().0.to_owned()
}

fn minted(secret: &str, user: &str, ttl: u64) -> Client {
    let minted = mint(secret, user, secs(ttl), UNIX);
    Client::new("203.0.113.5:4000").named(&minted.username, &minted.password)
}

/// A PASSWORD-ALGORITHMS of any value.
struct Raw(&'static [u8]);

impl<'a> Attribute<'a> for Raw {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(_: &'a [u8], _: &TransactionId) -> Result<Self, jackfield_stun::DecodeError> {
        unreachable!("only written")
    }

    fn encode(&self, _: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
