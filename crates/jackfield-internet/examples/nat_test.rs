//! A NAT test in ten lines: two hosts behind NATs punch a hole, and the oracle says whether they
//! should have succeeded.
//!
//! ```sh
//! cargo run -p jackfield-internet --example nat_test -- port-restricted-cone symmetric
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_internet::{Echo, HostId, Link, World};
use jackfield_nat::oracle::{Traits, oracle};
use jackfield_nat::profile::Profile;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = std::env::args().skip(1);
    let a: Profile = names
        .next()
        .as_deref()
        .unwrap_or("restricted-cone")
        .parse()?;
    let b: Profile = names.next().as_deref().unwrap_or("symmetric").parse()?;
    let a = a.config(&["203.0.113.1".parse()?]);
    let b = b.config(&["203.0.113.2".parse()?]);
    let expected = oracle(&[Traits::of(&a)], &[Traits::of(&b)]);

    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let mut world = World::new(Instant::now(), 7);
    let internet = world.network("internet", Link::latency(Duration::from_millis(10)));
    let server = world.host("server", internet, "198.51.100.9".parse()?, Echo::default());
    let home = world.nat("home", internet, "192.168.1.0/24".parse()?, a);
    let office = world.nat("office", internet, "192.168.2.0/24".parse()?, b);
    let alice = world.host(
        "alice",
        home.inside,
        "192.168.1.2".parse()?,
        Echo::default(),
    );
    let bob = world.host(
        "bob",
        office.inside,
        "192.168.2.2".parse()?,
        Echo::default(),
    );

    // Each host learns its outside endpoint from the server, and sends to that of the other.
    for host in [alice, bob] {
        world.send(host, 5000, "198.51.100.9:9".parse()?, b"who am I?");
    }
    world.run_for(Duration::from_secs(1));
    let seen = world.app::<Echo>(server).ok_or("no server")?;
    let [(alice_outside, _), (bob_outside, _)] = seen.received.as_slice() else {
        return Err("the server did not receive both".into());
    };
    let (mut to_alice, mut to_bob) = (*alice_outside, *bob_outside);
    for _ in 0..3 {
        world.send(alice, 5000, to_bob, b"hello Bob");
        world.send(bob, 5000, to_alice, b"hello Alice");
        world.run_for(Duration::from_secs(1));
        // A packet that got in shows where its sender is reached, as ICE's peer-reflexive
        // candidates do.
        to_bob = last_source(&world, alice).unwrap_or(to_bob);
        to_alice = last_source(&world, bob).unwrap_or(to_alice);
    }

    println!("{}", world.diagram());
    let received = |host| last_source(&world, host).is_some();
    let direct = received(alice) && received(bob);
    println!("expected {expected:?}; direct: {direct}");
    Ok(())
}

fn last_source(world: &World, host: HostId) -> Option<SocketAddr> {
    let (source, _) = world.app::<Echo>(host)?.received.last()?;
    Some(*source)
}
