//! A world with a TURN server, an echo to talk to, and users.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_internet::{Echo, HostId, Link, NatBox, NetworkId, TcpApp, World};
use jackfield_nat::{Assignment, Behaviour, Filtering, Mapping, NatConfig};
use jackfield_sansio::Transport;
pub(crate) use jackfield_testing::epoch;
use jackfield_turn::client::{self, Credential};

use crate::host::TurnHost;
use crate::user::{TurnUser, Way};

pub(crate) const TURN: &str = "198.51.100.9:3478";
pub(crate) const ECHO: &str = "198.51.100.20:7";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) internet: NetworkId,
    pub(crate) turn: HostId,
    pub(crate) echo: HostId,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new(epoch(), seed);
        let internet = world.network("internet", Link::latency(Duration::from_millis(10)));
        let address = socket(TURN).ip();
        let app = TcpApp::new(1, TurnHost::new(world.now(), address));
        let turn = world.host("turn", internet, address, app);
        let echo = world.host("echo", internet, socket(ECHO).ip(), Echo::default());
        Self {
            world,
            internet,
            turn,
            echo,
        }
    }

    /// Adds a user behind a NAT.
    pub(crate) fn user(
        &mut self,
        number: u8,
        config: &NatConfig,
        transport: Transport,
    ) -> (NatBox, HostId) {
        self.user_with(number, config, transport, client_config())
    }

    pub(crate) fn user_with(
        &mut self,
        number: u8,
        config: &NatConfig,
        transport: Transport,
        client: client::ClientConfig,
    ) -> (NatBox, HostId) {
        let nat = self.nat(number, config);
        let user = TurnUser::new(way(transport), client);
        let app = TcpApp::new(u64::from(number), user);
        let address = ip(&format!("192.168.{number}.2"));
        let host = self
            .world
            .host(&format!("user{number}"), nat.inside, address, app);
        (nat, host)
    }

    pub(crate) fn nat(&mut self, number: u8, config: &NatConfig) -> NatBox {
        let mut config = config.clone();
        config.externals = vec![ip(&format!("203.0.113.{number}"))];
        let prefix = format!("192.168.{number}.0/24").parse().unwrap();
        let name = format!("nat{number}");
        self.world.nat(&name, self.internet, prefix, config)
    }

    pub(crate) fn get(&self, user: HostId) -> &TurnUser {
        &self.world.app::<TcpApp<TurnUser>>(user).unwrap().program
    }

    pub(crate) fn say(&mut self, user: HostId, peer: SocketAddr, words: &[u8]) {
        self.world
            .with_app(user, |app: &mut TcpApp<TurnUser>, now| {
                app.act(now, |user, stack| user.say(now, stack, peer, words));
            });
    }

    pub(crate) fn allocations(&self) -> usize {
        let app = self.world.app::<TcpApp<TurnHost>>(self.turn).unwrap();
        app.program.allocations()
    }

    /// Lets a user talk to the echo, and returns whether it hears itself.
    pub(crate) fn hears_itself(&mut self, user: HostId) -> bool {
        let words = format!("hello {}", self.get(user).heard.len());
        self.say(user, socket(ECHO), words.as_bytes());
        self.world.run_for(secs(2));
        let expected = (socket(ECHO), words.into_bytes());
        self.get(user).heard.last() == Some(&expected)
    }

    /// Waits until a user has an allocation.
    pub(crate) fn allocated(&mut self, user: HostId, limit: Duration) -> bool {
        self.world.run_until_true(limit, |world| {
            let app = world.app::<TcpApp<TurnUser>>(user).unwrap();
            app.program.relayed.is_some()
        })
    }
}

pub(crate) fn way(transport: Transport) -> Way {
    Way {
        transport,
        server: socket(TURN),
        proxy: None,
    }
}

pub(crate) fn client_config() -> client::ClientConfig {
    client::ClientConfig::new(Credential::new("user", "pass").unwrap())
}

/// The nine types, with ports at random, so that nothing survives a mapping by chance.
pub(crate) fn types() -> impl Iterator<Item = NatConfig> {
    Mapping::ALL.into_iter().flat_map(|mapping| {
        Filtering::ALL.into_iter().map(move |filtering| {
            let behaviour = Behaviour { mapping, filtering };
            let mut config = NatConfig {
                udp: behaviour,
                tcp: behaviour,
                ..NatConfig::default()
            };
            config.ports.assignment = Assignment::Random;
            config
        })
    })
}

pub(crate) const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
