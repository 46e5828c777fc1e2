//! ICE agents whose connection to a TURN server ends.

use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_driver::ice::{EndpointConfig, IceEndpoint, Session};
use jackfield_ice::gather::IceServer;
use jackfield_ice::{
    Agent, AgentConfig, Candidate, CandidateKind, CandidatePolicy, Event, RemotePolicy, Role,
};
use jackfield_sansio::Transport;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::peer::{network, trust};
use super::server::{LOOPBACK, TestServer};
use super::turn_client::{alice as credential, run, tls_in_front_of};

#[test]
fn a_relay_whose_connection_ends_is_taken_back_and_made_again() {
    let server = TestServer::start(1);
    let plain = server.address;
    for transport in [Transport::Tcp, Transport::Tls] {
        run(async move {
            let (address, certificate) = tls_in_front_of(plain).await;
            let behind = match transport {
                Transport::Tls => address,
                _ => plain,
            };
            let middle = Middle::in_front_of(behind).await;
            let here = IceEndpoint::bind(EndpointConfig {
                tls: Some(trust(&certificate)),
                ..network()
            })
            .unwrap();
            let there = IceEndpoint::bind(network()).unwrap();
            let mut config = config(Role::Controlling);
            config.policy = CandidatePolicy::RelayOnly;
            let relay = IceServer::turn(transport, middle.address, credential());
            config.gather.servers = [relay].into();
            let alice = here.agent(config).unwrap();
            let bob = there.agent(self::config(Role::Controlled)).unwrap();
            alice.set_remote_parameters(bob.local_parameters()).unwrap();
            bob.set_remote_parameters(alice.local_parameters()).unwrap();

            let mut told = Vec::new();
            while told.is_empty() || !have_pairs(&alice, &bob) {
                signal(&alice, &bob, &mut told).await;
            }
            exchange(&alice, &bob, b"by the first relay").await;
            let first = alice.selected_pair().unwrap();
            assert_eq!(first.path.transport, transport);

            middle.cut.notify_waiters();
            while told.len() < 3 || !have_pairs(&alice, &bob) {
                signal(&alice, &bob, &mut told).await;
            }
            let [Told::New(old), Told::Removed(gone), Told::New(new)] = &told[..] else {
                panic!("{told:?}");
            };
            assert_eq!(old.address, gone.address);
            let second = alice.selected_pair().unwrap();
            assert_eq!(second.local.address, new.address);
            assert_ne!(second.path.local, first.path.local);
            exchange(&alice, &bob, b"by the second relay").await;
        });
    }
    server.stop();
}

/// What an agent has told of its relays.
#[derive(Debug)]
enum Told {
    New(Candidate),
    Removed(Candidate),
}

/// Passes on one event of two agents, and notes it if it is about a relay.
async fn signal(alice: &Session<Agent>, bob: &Session<Agent>, told: &mut Vec<Told>) {
    let (event, to) = tokio::select! {
        event = alice.event() => (event.unwrap(), bob),
        event = bob.event() => (event.unwrap(), alice),
    };
    let is_relayed = |candidate: &Candidate| candidate.kind == CandidateKind::Relayed;
    match event {
        Event::LocalCandidate(candidate) => {
            if is_relayed(&candidate) {
                told.push(Told::New(candidate.clone()));
            }
            to.add_remote_candidate(candidate).unwrap();
        }
        Event::LocalCandidateRemoved(candidate) => {
            to.with(|agent, now| agent.remove_remote_candidate(now, &candidate));
            if is_relayed(&candidate) {
                told.push(Told::Removed(candidate));
            }
        }
        _ => {}
    }
}

fn have_pairs(alice: &Session<Agent>, bob: &Session<Agent>) -> bool {
    [alice, bob]
        .map(Session::selected_pair)
        .iter()
        .all(Option::is_some)
}

async fn exchange(alice: &Session<Agent>, bob: &Session<Agent>, words: &[u8]) {
    alice.send(words).await.unwrap();
    assert_eq!(bob.recv().await.unwrap(), words);
    bob.send(words).await.unwrap();
    assert_eq!(alice.recv().await.unwrap(), words);
}

fn config(role: Role) -> AgentConfig {
    AgentConfig {
        role,
        remote: RemotePolicy {
            loopback: true,
            ..RemotePolicy::default()
        },
        ..AgentConfig::default()
    }
}

/// Passes connections on to a server, and ends all of them when it is told to.
struct Middle {
    address: SocketAddr,
    cut: Arc<Notify>,
}

impl Middle {
    async fn in_front_of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Notify::new());
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                let cut = Arc::clone(&cuts);
                tokio::spawn(async move {
                    let mut outside = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ended = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }
}
