//! What a client takes of a server is charged to its network, and others keep theirs.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

use std::net::IpAddr;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use jackfield_sansio::{Account, Budget, BudgetLimits};
use jackfield_socketio::engine::ConnectionInfo;
use jackfield_socketio::{Io, IoConfig, Socket};
use tokio::time::timeout;

const HONEST: &str = "198.51.100.1";
const ATTACKER: &str = "192.0.2.1";
const KIB: usize = 1024;

/// A server that is called without a network, so that its clients may have any address.
struct World {
    io: Io,
    budget: Budget,
}

/// A client that polls.
struct Client<'a> {
    world: &'a World,
    address: IpAddr,
    sid: String,
}

impl World {
    fn new(total_kib: usize, network_kib: usize, config: IoConfig) -> Self {
        let budget = Budget::new(BudgetLimits {
            total: total_kib * KIB,
            per_network: network_kib * KIB,
        });
        let io = Io::new(IoConfig {
            budget: Some(budget.clone()),
            ..config
        });
        io.on_connect(async |socket: Socket| {
            socket.on("ask", async |socket, event| {
                let size: usize = event.get(0).unwrap();
                // A client that is gone meanwhile gets nothing.
                socket.emit("take", &"x".repeat(size)).ok();
            });
        });
        Self { io, budget }
    }

    /// Sends a request; returns the status and the body.
    async fn send(
        &self,
        address: IpAddr,
        query: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> (u16, String) {
        let mut request = Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(format!("/socket.io/?EIO=4&transport=polling{query}"))
            .extension(ConnectionInfo {
                peer: (address, 1).into(),
                secure: false,
            });
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(bytes::Bytes::from(body.unwrap_or_default()));
        let answer = async {
            let answer = self.io.service().handle(request.body(body).unwrap()).await;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        timeout(Duration::from_secs(60), answer).await.unwrap()
    }

    async fn try_open(&self, address: &str, headers: &[(&str, &str)]) -> Option<Client<'_>> {
        let address = address.parse().unwrap();
        let (status, body) = self.send(address, "", headers, None).await;
        let sid = body.split('"').nth(3)?.to_owned();
        (status == 200).then_some(Client {
            world: self,
            address,
            sid,
        })
    }

    /// Whether that much is charged, but for what the books do not look at.
    fn holds_about(&self, bytes: usize) -> bool {
        self.budget.stats().held.abs_diff(bytes) < Account::STEP
    }

    /// Opens a session in the main namespace.
    async fn open(&self, address: &str) -> Client<'_> {
        let client = self.try_open(address, &[]).await.unwrap();
        client.post("40").await;
        assert!(client.get().await.1.starts_with("40{"));
        client
    }
}

impl Client<'_> {
    async fn post(&self, body: &str) -> u16 {
        let query = format!("&sid={}", self.sid);
        let body = Some(body.to_owned());
        self.world.send(self.address, &query, &[], body).await.0
    }

    async fn get(&self) -> (u16, String) {
        let query = format!("&sid={}", self.sid);
        self.world.send(self.address, &query, &[], None).await
    }

    /// Has the server send `size` bytes, which wait until they are asked for.
    async fn ask(&self, size: usize) -> u16 {
        self.post(&format!(r#"42["ask",{size}]"#)).await
    }

    /// Whether the server still serves it.
    async fn is_served(&self) -> bool {
        self.ask(10).await == 200 && self.get().await.1.contains("take")
    }
}

#[tokio::test]
async fn what_clients_do_not_read_costs_their_network_its_biggest_session() {
    let world = World::new(10_000, 1_000, IoConfig::default());
    let honest = world.open(HONEST).await;
    let (mut small, mut evicted) = (Vec::new(), 0);
    let greedy = world.open(ATTACKER).await;
    assert_eq!(greedy.ask(300 * KIB).await, 200);
    for _ in 0..20 {
        let client = world.open(ATTACKER).await;
        client.ask(50 * KIB).await;
        small.push(client);
    }
    // Sessions are ended by a task of their own.
    while world.io.stats().slow_consumers.get() < world.budget.stats().evicted {
        tokio::task::yield_now().await;
    }
    assert!(!greedy.is_served().await);
    for client in &small {
        if !client.is_served().await {
            evicted += 1;
        }
    }
    assert!((1..10).contains(&evicted), "{evicted}");
    assert!(honest.is_served().await);
    assert!(world.budget.stats().held <= 1_000 * KIB);
    assert_eq!(world.budget.stats().evicted, evicted + 1);
}

#[tokio::test]
async fn what_was_read_is_given_back() {
    let world = World::new(10_000, 10_000, IoConfig::default());
    let client = world.open(HONEST).await;
    let before = world.budget.stats().held;
    for _ in 0..10 {
        client.ask(100 * KIB).await;
    }
    assert!(world.budget.stats().held >= before + 1_000 * KIB);
    assert!(client.get().await.1.len() > 1_000 * KIB);
    assert!(world.holds_about(before));
    client.post("1").await;
    assert_eq!(world.budget.stats().held, 0);
}

#[tokio::test]
async fn a_body_of_small_packets_holds_nothing_once_it_is_handled() {
    let world = World::new(4_000, 4_000, IoConfig::default());
    let client = world.open(HONEST).await;
    let before = world.budget.stats().held;
    // Acknowledgements of nothing.
    let body = vec!["431[]"; 160_000].join("\x1e");
    assert_eq!(client.post(&body).await, 200);
    assert_eq!(world.io.stats().unknown_acks.get(), 160_000);
    assert!(world.holds_about(before));
    assert!(client.is_served().await);
}

#[tokio::test]
async fn answers_to_small_packets_cost_their_places() {
    let limit = 4 << 20;
    let world = World::new(
        100_000,
        100_000,
        IoConfig {
            max_buffered: limit,
            ..IoConfig::default()
        },
    );
    let honest = world.open(HONEST).await;
    let client = world.open(ATTACKER).await;
    // Each is answered with a refusal, which nobody reads.
    let body = vec!["40/N,"; 100_000].join("\x1e");
    client.post(&body).await;
    assert!(!client.is_served().await);
    // A refusal has some 40 bytes and costs at least 128.
    let refused = world.io.stats().invalid_namespaces.get() as usize;
    assert!(refused <= limit / 128, "{refused}");
    assert!(honest.is_served().await);
}

#[tokio::test]
async fn headers_of_a_handshake_are_charged() {
    let world = World::new(100_000, 512, IoConfig::default());
    let value = "x".repeat(32 * KIB);
    for _ in 0..50 {
        assert!(
            world
                .try_open(ATTACKER, &[("x-filler", &value)])
                .await
                .is_some()
        );
        assert!(world.budget.stats().held <= 512 * KIB);
    }
    assert!(world.budget.stats().evicted >= 50 - 512 / 40);
    assert!(world.open(HONEST).await.is_served().await);
}

#[tokio::test]
async fn one_network_cannot_take_the_places_of_others() {
    let config = IoConfig {
        max_connections: 20,
        max_connections_per_network: 5,
        ..IoConfig::default()
    };
    let world = World::new(10_000, 10_000, config);
    let mut taken = Vec::new();
    for number in 1..=5 {
        taken.push(world.open(&format!("192.0.2.{number}")).await);
    }
    assert!(world.try_open("192.0.2.200", &[]).await.is_none());
    assert_eq!(world.io.stats().too_many_connections.get(), 1);
    assert!(world.open(HONEST).await.is_served().await);
    taken.pop().unwrap().post("1").await;
    assert!(world.open("192.0.2.200").await.is_served().await);
}

#[tokio::test]
async fn sessions_that_asked_for_nothing_yield_and_others_stay() {
    let config = IoConfig {
        max_connections: 10,
        max_connections_per_network: 8,
        ..IoConfig::default()
    };
    let world = World::new(10_000, 10_000, config);
    let honest = world.open(HONEST).await;
    let used = world.open(ATTACKER).await;
    let mut handshakes = Vec::new();
    for _ in 0..50 {
        handshakes.push(world.try_open(ATTACKER, &[]).await.unwrap());
    }
    assert_eq!(world.io.stats().sessions.get(), 9);
    assert_eq!(world.io.stats().yielded.get(), 50 - 7);
    // All places are taken now; those who come find one all the same.
    let newcomers = [
        world.open("203.0.113.1").await,
        world.open("203.0.113.2").await,
    ];
    for client in newcomers.iter().chain([&honest, &used]) {
        assert!(client.is_served().await);
    }
    // The oldest yielded first.
    assert_eq!(handshakes.first().unwrap().post("40").await, 400);
    assert_eq!(handshakes.last().unwrap().post("40").await, 200);
}
