//! ICE agents on loopback: over a port that they share, over TCP, with STUN servers.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_driver::ice::{
    EndpointConfig, EndpointLimits, IceEndpoint, InterfaceFilter, OpenError, Session,
};
use jackfield_ice::{
    Agent, AgentConfig, Candidate, CandidateAddress, CandidateTransport, Event, RemotePolicy, Role,
};
use jackfield_sansio::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

fn loopback() -> EndpointConfig {
    EndpointConfig {
        interfaces: InterfaceFilter {
            loopback: true,
            only: vec!["lo".into()],
            ..InterfaceFilter::default()
        },
        ..EndpointConfig::default()
    }
}

fn endpoint() -> IceEndpoint {
    IceEndpoint::bind(loopback()).unwrap()
}

fn agent(role: Role) -> AgentConfig {
    AgentConfig {
        role,
        remote: RemotePolicy {
            loopback: true,
            ..RemotePolicy::default()
        },
        ..AgentConfig::default()
    }
}

/// Lets two sessions exchange candidates that `admits` names, until both are connected.
async fn connect(
    alice: &Session<Agent>,
    bob: &Session<Agent>,
    admits: impl Fn(CandidateTransport) -> bool,
) {
    // New parameters of one side give the other new ones, too.
    bob.set_remote_parameters(alice.local_parameters()).unwrap();
    alice.set_remote_parameters(bob.local_parameters()).unwrap();
    while !(alice.state().is_connected() && bob.state().is_connected()) {
        let (event, to) = tokio::select! {
            event = alice.event() => (event, bob),
            event = bob.event() => (event, alice),
        };
        if let Some(Event::LocalCandidate(candidate)) = event
            && admits(candidate.transport)
        {
            to.add_remote_candidate(candidate).unwrap();
        }
    }
}

async fn exchange(alice: &Session<Agent>, bob: &Session<Agent>, words: &str) {
    alice.send(words.as_bytes()).await.unwrap();
    assert_eq!(bob.recv().await.unwrap(), words.as_bytes());
    bob.send(words.as_bytes()).await.unwrap();
    assert_eq!(alice.recv().await.unwrap(), words.as_bytes());
}

/// Alice has nothing but a name to begin with, and Bob nothing at all.
#[tokio::test]
async fn an_agent_that_shows_a_name_is_found_by_multicast_dns() {
    let named = IceEndpoint::bind(EndpointConfig {
        mdns: true,
        ..loopback()
    });
    let (here, there) = (endpoint(), named.unwrap());
    let alice = here.agent(agent(Role::Controlling)).unwrap();
    let bob = there.agent(agent(Role::Controlled)).unwrap();
    bob.set_remote_parameters(alice.local_parameters()).unwrap();
    alice.set_remote_parameters(bob.local_parameters()).unwrap();
    let mut shown = Vec::new();
    while !(alice.state().is_connected() && bob.state().is_connected()) {
        tokio::select! {
            _ = alice.event() => {}
            event = bob.event() => if let Some(Event::LocalCandidate(candidate)) = event {
                shown.push(candidate.clone());
                alice.add_remote_candidate(candidate).unwrap();
            }
        }
    }
    assert!(!shown.is_empty());
    let is_name =
        |candidate: &Candidate| matches!(candidate.address, CandidateAddress::Mdns { .. });
    assert!(shown.iter().all(is_name), "{shown:?}");
    assert!(is_name(&alice.selected_pair().unwrap().remote));
    exchange(&alice, &bob, "found").await;
}

#[tokio::test]
async fn two_agents_meet_and_talk() {
    let (here, there) = (endpoint(), endpoint());
    let alice = here.agent(agent(Role::Controlling)).unwrap();
    let bob = there.agent(agent(Role::Controlled)).unwrap();
    connect(&alice, &bob, |_| true).await;
    exchange(&alice, &bob, "hello").await;
    let (local, remote) = alice.path().unwrap();
    assert!(here.local_addresses().contains(&local));
    assert!(there.local_addresses().contains(&remote));
    drop(alice);
    assert_eq!(here.sessions(), 0);
}

#[tokio::test]
async fn many_agents_share_a_port() {
    let here = endpoint();
    let mut pairs = Vec::new();
    for _ in 0..50 {
        let alice = here.agent(agent(Role::Controlling)).unwrap();
        // The packets of each are known by where they come from.
        let elsewhere = endpoint();
        let bob = elsewhere.agent(agent(Role::Controlled)).unwrap();
        pairs.push((alice, bob));
    }
    for (alice, bob) in &pairs {
        connect(alice, bob, |transport| transport == CandidateTransport::Udp).await;
    }
    for (index, (alice, bob)) in pairs.iter().enumerate() {
        exchange(alice, bob, &format!("hello {index}")).await;
    }
    assert_eq!(here.sessions(), 50);
}

#[tokio::test]
async fn agents_that_share_a_port_on_both_sides_keep_their_data_apart() {
    let (here, there) = (endpoint(), endpoint());
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let alice = here.agent(agent(Role::Controlling)).unwrap();
        let bob = there.agent(agent(Role::Controlled)).unwrap();
        connect(&alice, &bob, |transport| {
            transport == CandidateTransport::Udp
        })
        .await;
        pairs.push((alice, bob));
    }
    for (index, (alice, bob)) in pairs.iter().enumerate() {
        for _ in 0..10 {
            exchange(alice, bob, &format!("hello {index}")).await;
        }
    }
    // A path is free again when its session goes: the next one needs no other port. Which of the
    // two families its path has is decided by what was checked first, and may change.
    let ports = |alice: &Session<Agent>| {
        alice
            .path()
            .map(|(here, there)| (here.port(), there.port()))
    };
    let taken = pairs.first().and_then(|(alice, _)| ports(alice));
    drop(pairs);
    let alice = here.agent(agent(Role::Controlling)).unwrap();
    let bob = there.agent(agent(Role::Controlled)).unwrap();
    connect(&alice, &bob, |transport| {
        transport == CandidateTransport::Udp
    })
    .await;
    assert_eq!(ports(&alice), taken);
}

#[tokio::test]
async fn without_udp_candidates_a_connection_is_opened() {
    let (here, there) = (endpoint(), endpoint());
    let alice = here.agent(agent(Role::Controlling)).unwrap();
    let bob = there.agent(agent(Role::Controlled)).unwrap();
    connect(&alice, &bob, CandidateTransport::is_tcp).await;
    // A check over UDP shows its source, so that a pair may come up without a signaled candidate;
    // the side that dials by TCP needs the candidate first.
    let pair = alice.selected_pair().unwrap();
    assert_eq!(pair.path.transport, Transport::Tcp);
    exchange(&alice, &bob, "hello").await;
    for index in 0..100 {
        exchange(&alice, &bob, &format!("{index}: {}", "x".repeat(1_200))).await;
    }
}

#[tokio::test]
async fn a_restart_gives_another_pair_and_data_goes_on() {
    let (here, there) = (endpoint(), endpoint());
    let alice = here.agent(agent(Role::Controlling)).unwrap();
    let bob = there.agent(agent(Role::Controlled)).unwrap();
    connect(&alice, &bob, |_| true).await;
    let before = alice.local_parameters();
    alice.restart();
    assert_ne!(before, alice.local_parameters());
    connect(&alice, &bob, |_| true).await;
    exchange(&alice, &bob, "hello again").await;
}

#[tokio::test]
async fn strangers_get_no_answer() {
    let here = endpoint();
    let _alice = here.agent(agent(Role::Controlling)).unwrap();
    let is_v4 = |local: &&SocketAddr| local.is_ipv4();
    let locals = here.local_addresses();
    let local = *locals.iter().find(is_v4).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"hello", local).await.unwrap();
    while here.counters().unknown_datagrams.value() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(stranger.try_recv(&mut [0; 64]).is_err());
    // What is no check ends a connection.
    let mut stream = TcpStream::connect(local).await.unwrap();
    stream.write_all(b"\0\x05hello").await.unwrap();
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    assert_eq!(here.counters().unknown_streams.value(), 1);
}

#[tokio::test]
async fn there_are_no_more_sessions_than_allowed() {
    let here = IceEndpoint::<Agent>::bind(EndpointConfig {
        limits: EndpointLimits {
            sessions: 1,
            ..EndpointLimits::default()
        },
        ..loopback()
    })
    .unwrap();
    let first = here.agent(agent(Role::Controlling)).unwrap();
    let refused = here.agent(agent(Role::Controlling)).unwrap_err();
    assert_eq!(refused, OpenError::TooMany);
    drop(first);
    assert!(here.agent(agent(Role::Controlling)).is_ok());
}

#[tokio::test]
async fn gathering_is_complete_once_the_stun_server_was_given_up_or_has_answered() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let here = IceEndpoint::<Agent>::bind(EndpointConfig {
        stun: vec![jackfield_ice::gather::IceServer::stun(address)],
        ..loopback()
    })
    .unwrap();
    let alice = Arc::new(here.agent(agent(Role::Controlling)).unwrap());
    let mut request = [0; 512];
    let (length, from) = server.recv_from(&mut request).await.unwrap();
    let request = jackfield_stun::Message::parse(&request[..length]).unwrap();
    let mut answer = Vec::new();
    // Seen elsewhere, as behind a NAT.
    let outside: SocketAddr = "203.0.113.5:4000".parse().unwrap();
    jackfield_stun::binding::answer(&request, outside, &mut answer).unwrap();
    server.send_to(&answer, from).await.unwrap();
    let mut seen = Vec::new();
    loop {
        match alice.event().await.unwrap() {
            Event::LocalCandidate(candidate) => {
                seen.push((candidate.address.ip(), candidate.transport));
            }
            Event::GatheringComplete => break,
            _ => {}
        }
    }
    // The listener has the same port as the socket; what STUN sees is the socket.
    let mapped = (Some(outside), CandidateTransport::Udp);
    assert!(seen.contains(&mapped), "{seen:?}");
}
