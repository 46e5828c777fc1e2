//! Draws what NATs of different types do to packets, as the pictures in the documentation show it.
//!
//! ```sh
//! cargo run -p jackfield-internet --example nat_types -- docs/nat
//! ```
//!
//! Nothing in the pictures is drawn by hand: each is what happened in a virtual internet.

use std::collections::VecDeque;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use jackfield_internet::{App, Datagram, Echo, HostId, Link, NatBox, NetworkId, World};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Assignment, NatConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for (name, svg) in pictures()? {
        std::fs::write(folder.join(name).with_extension("svg"), svg)?;
    }
    Ok(())
}

/// Draws every picture, each with its name.
pub(crate) fn pictures() -> Result<[(&'static str, String); 4], Box<dyn Error>> {
    Ok([
        ("punching", punching()?),
        ("symmetric", symmetric()?),
        ("hairpin", hairpin()?),
        ("full-cone", full_cone()?),
    ])
}

type Picture = Result<String, Box<dyn Error>>;

/// Two port-restricted NATs: each side's own packet opens the door for the other's.
fn punching() -> Picture {
    let mut scene = Scene::new()?;
    let (home, alice) = scene.home("Alice", 1, cone(Profile::PORT_RESTRICTED_CONE))?;
    let (office, bob) = scene.home("Bob", 2, cone(Profile::PORT_RESTRICTED_CONE))?;
    let to_alice = scene.learn(alice, 5000)?;
    let to_bob = scene.learn(bob, 6000)?;
    let signaled = scene.say(alice, 5000, to_bob, "Hello Bob");
    let answered = scene.say(bob, 6000, to_alice, "Hello Alice");
    scene.say(alice, 5000, to_bob, "I hear you");
    let drawing = scene.world.drawing();
    let drawing = drawing
        .title("Hole punching between two port-restricted NATs")
        .columns([alice.into(), home.node, scene.server.into(), office.node, bob.into()])
        .about(home, "port-restricted")
        .about(office, "port-restricted")
        .note(Duration::ZERO, "1.  Each asks a server on the internet how it looks from outside.")
        .note(
            signaled,
            "2.  They exchange what they learned. Alice sends first: Bob's NAT has never sent there, and drops it.",
        )
        .note(
            answered,
            "3.  But now Alice's NAT expects an answer from Bob's endpoint. Bob's packet gets in, and opens his own door.",
        );
    Ok(drawing.svg())
}

/// A symmetric NAT against a port-restricted one: the door that was opened is not the one that is
/// knocked at.
fn symmetric() -> Picture {
    let mut scene = Scene::new()?;
    let (home, alice) = scene.home("Alice", 1, Profile::SYMMETRIC.config(&[]))?;
    let (office, bob) = scene.home("Bob", 2, cone(Profile::PORT_RESTRICTED_CONE))?;
    let to_alice = scene.learn(alice, 5000)?;
    let to_bob = scene.learn(bob, 6000)?;
    let first = scene.say(alice, 5000, to_bob, "Hello Bob");
    let second = scene.say(bob, 6000, to_alice, "Hello Alice");
    let third = scene.say(alice, 5000, to_bob, "Hello again");
    let drawing = scene.world.drawing();
    let drawing = drawing
        .title("A symmetric NAT and a port-restricted one: no way through")
        .columns([alice.into(), home.node, scene.server.into(), office.node, bob.into()])
        .about(home, "symmetric")
        .about(office, "port-restricted")
        .note(Duration::ZERO, "1.  Each asks a server on the internet how it looks from outside.")
        .note(
            first,
            "2.  Towards Bob, Alice's NAT uses another port than the one that the server saw.",
        )
        .note(
            second,
            "3.  Bob only knows the port for the server. Only the server may answer there.",
        )
        .note(
            third,
            "4.  Bob's NAT expects an answer from that port, and Alice comes from the other. They need a relay.",
        );
    Ok(drawing.svg())
}

/// Two hosts behind one NAT that know each other's outside endpoints only.
fn hairpin() -> Picture {
    let mut scene = Scene::new()?;
    let (home, alice) = scene.home("Alice", 1, cone(Profile::FULL_CONE))?;
    let bob = scene.guest(home, "Bob", "192.168.1.3".parse()?);
    let to_alice = scene.learn(alice, 5000)?;
    let to_bob = scene.learn(bob, 6000)?;
    let there = scene.say(alice, 5000, to_bob, "Hello Bob");
    let back = scene.say(bob, 6000, to_alice, "Hello Alice");
    let drawing = scene.world.drawing();
    let drawing = drawing
        .title("Hairpinning: from inside to outside to inside")
        .columns([alice.into(), bob.into(), home.node, scene.server.into()])
        .about(home, "for both")
        .note(Duration::ZERO, "1.  Both are behind one NAT, and ask a server how they look from outside.")
        .note(
            there,
            "2.  Alice sends to Bob's outside endpoint. The NAT sends it back in, with Alice's outside endpoint as its source.",
        )
        .note(back, "3.  So Bob's answer takes the same way, and both ends see what they expect.");
    Ok(drawing.svg())
}

/// A full cone: once a port is mapped, every remote may send to it.
fn full_cone() -> Picture {
    let mut scene = Scene::new()?;
    let (home, alice) = scene.home("Alice", 1, cone(Profile::FULL_CONE))?;
    let (office, bob) = scene.home("Bob", 2, cone(Profile::PORT_RESTRICTED_CONE))?;
    let stranger = scene.public("Stranger", "198.51.100.77")?;
    let to_alice = scene.learn(alice, 5000)?;
    let to_bob = scene.learn(bob, 6000)?;
    let first = scene.say(stranger, 9, to_alice, "Who are you?");
    let second = scene.say(stranger, 9, to_bob, "And you?");
    let drawing = scene.world.drawing();
    let drawing = drawing
        .title("A full cone admits any remote")
        .columns([
            alice.into(),
            home.node,
            scene.server.into(),
            stranger.into(),
            office.node,
            bob.into(),
        ])
        .about(home, "full cone")
        .about(office, "port-restricted")
        .note(
            Duration::ZERO,
            "1.  Alice and Bob ask a server how they look from outside.",
        )
        .note(
            first,
            "2.  Any host that knows Alice's outside endpoint may send to it.",
        )
        .note(
            second,
            "3.  Bob's NAT lets in only those that Bob has sent to.",
        );
    Ok(drawing.svg())
}

/// A world with a server on the internet.
struct Scene {
    world: World,
    internet: NetworkId,
    server: HostId,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "a world begins some time")]
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut world = World::new(Instant::now(), 7);
        let internet = world.network("internet", Link::latency(Duration::from_millis(10)));
        let server = world.host("Server", internet, SERVER.ip(), Mirror::default());
        Ok(Self {
            world,
            internet,
            server,
        })
    }

    /// Adds a host behind a NAT.
    fn home(
        &mut self,
        name: &str,
        number: u8,
        mut config: NatConfig,
    ) -> Result<(NatBox, HostId), Box<dyn Error>> {
        config.externals = vec![format!("203.0.113.{number}").parse()?];
        let prefix = format!("192.168.{number}.0/24").parse()?;
        let nat = self
            .world
            .nat(&format!("{name}'s NAT"), self.internet, prefix, config);
        let host = self.guest(nat, name, format!("192.168.{number}.2").parse()?);
        Ok((nat, host))
    }

    /// Adds one more host behind a NAT.
    fn guest(&mut self, nat: NatBox, name: &str, address: IpAddr) -> HostId {
        let app = Echo::default();
        self.world.host(name, nat.inside, address, app)
    }

    /// Adds a host on the internet.
    fn public(&mut self, name: &str, address: &str) -> Result<HostId, Box<dyn Error>> {
        let app = Echo::default();
        Ok(self.world.host(name, self.internet, address.parse()?, app))
    }

    /// Has a host ask the server for its outside endpoint.
    fn learn(&mut self, host: HostId, port: u16) -> Result<SocketAddr, Box<dyn Error>> {
        self.say(host, port, SERVER, "How do I look?");
        let received = self
            .world
            .app::<Echo>(host)
            .and_then(|it| it.received.last());
        let (_, answer) = received.ok_or("the server did not answer")?;
        Ok(std::str::from_utf8(answer)?.parse()?)
    }

    /// Has a host say something, waits until all is quiet, and returns when it was said.
    fn say(&mut self, host: HostId, port: u16, to: SocketAddr, words: &str) -> Duration {
        let at = self.elapsed();
        self.world.send(host, port, to, words.as_bytes());
        self.world.run_for(Duration::from_millis(100));
        at
    }

    fn elapsed(&self) -> Duration {
        let events = self.world.trace().events();
        let last = events.last().map_or(Duration::ZERO, |event| event.at);
        // Said right after whatever happened last: the next quiet moment.
        last + Duration::from_millis(1)
    }
}

/// A server that says where a packet came from, as STUN does.
#[derive(Debug, Clone, Default)]
struct Mirror {
    answers: VecDeque<Datagram>,
}

impl App for Mirror {
    fn handle_datagram(&mut self, _now: Instant, from: SocketAddr, to: SocketAddr, _data: &[u8]) {
        self.answers.push_back(Datagram {
            source: to,
            destination: from,
            data: from.to_string().into_bytes(),
        });
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.answers.pop_front()
    }
}

/// A cone that keeps ports, so that pictures are easier to follow.
fn cone(profile: Profile) -> NatConfig {
    let mut config = profile.config(&[]);
    config.ports.assignment = Assignment::Preserve;
    config
}

const SERVER: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9)), 3478);
