//! Clients behind every type of NAT, and at every place.

use std::net::SocketAddr;

use jackfield_internet::{Echo, Site, TcpApp};
use jackfield_proxy::{Handshake, socks5::Command};
use jackfield_sansio::Transport;

use crate::rig::{BOTH, ECHO, Scene, client_config, ip, secs, socket, types};
use crate::user::{TurnUser, Way};

#[test]
fn a_client_behind_any_nat_has_a_relay_that_carries_data_both_ways() {
    for config in types() {
        for transport in BOTH {
            let mut scene = Scene::new(1);
            let (_, user) = scene.user(1, &config, transport);
            assert!(scene.allocated(user, secs(5)), "{transport} {config:?}");
            assert!(scene.hears_itself(user));
            let relayed = scene.get(user).relayed.unwrap();
            assert_eq!(relayed.ip(), ip("198.51.100.9"));
            assert_eq!(scene.get(user).mapped[0].ip(), ip("203.0.113.1"));
            let heard = &scene.world.app::<Echo>(scene.echo).unwrap().received;
            assert!(heard.iter().all(|(from, _)| *from == relayed));
            assert_eq!(scene.allocations(), 1);
        }
    }
}

#[test]
fn a_peer_without_permission_is_not_heard_and_one_with_it_is_from_any_port() {
    for config in types() {
        for transport in BOTH {
            let mut scene = Scene::new(1);
            let (_, user) = scene.user(1, &config, transport);
            assert!(scene.allocated(user, secs(5)));
            let relayed = scene.get(user).relayed.unwrap();
            scene.world.send(scene.echo, 9, relayed, b"may I?");
            scene.world.run_for(secs(1));
            assert!(scene.get(user).heard.is_empty());
            assert!(scene.hears_itself(user));
            scene.world.send(scene.echo, 9, relayed, b"thank you");
            scene.world.run_for(secs(1));
            let from = SocketAddr::new(socket(ECHO).ip(), 9);
            let expected = (from, b"thank you".to_vec());
            assert_eq!(scene.get(user).heard.last(), Some(&expected));
        }
    }
}

#[test]
fn any_two_types_meet_through_their_relays() {
    for (a, one) in types().enumerate() {
        for (b, two) in types().enumerate() {
            let mut scene = Scene::new(1);
            let transports = [BOTH[a % 2], BOTH[b % 2]];
            let (_, alice) = scene.user(1, &one, transports[0]);
            let (_, bob) = scene.user(2, &two, transports[1]);
            assert!(scene.allocated(alice, secs(5)) && scene.allocated(bob, secs(5)));
            let relayed = [alice, bob].map(|user| scene.get(user).relayed.unwrap());
            // The first word each way makes the permission, and may come before the other's.
            for words in [b"knock".as_slice(), b"hello"] {
                scene.say(alice, relayed[1], words);
                scene.say(bob, relayed[0], words);
                scene.world.run_for(secs(1));
            }
            for (user, peer) in [(alice, relayed[1]), (bob, relayed[0])] {
                let expected = (peer, b"hello".to_vec());
                assert_eq!(scene.get(user).heard.last(), Some(&expected));
            }
        }
    }
}

#[test]
fn every_place_has_a_way_to_the_relay() {
    for site in Site::ALL {
        let mut scene = Scene::new(1);
        let place = scene.world.site("home", scene.internet, 1, site);
        let https = socket("198.51.100.9:443");
        let way = |transport, server, proxy| Way {
            transport,
            server,
            proxy,
        };
        let proxy = place.proxy.map(|(_, at)| at);
        let through = |(handshake, first)| proxy.map(|at| (at, handshake, first));
        let way = match site {
            Site::HttpProxy => {
                let tunnel = through(Handshake::http(https.into(), None));
                way(Transport::Tcp, https, tunnel)
            }
            Site::SocksProxy => {
                let handshake = Handshake::socks5(Command::Connect, https.into(), None);
                way(Transport::Tcp, https, through(handshake))
            }
            Site::WebOnly => way(Transport::Tcp, https, None),
            Site::NoUdp | Site::NoUdpNoIncomingTcp => {
                way(Transport::Tcp, socket("198.51.100.9:3478"), None)
            }
            _ => way(Transport::Udp, socket("198.51.100.9:3478"), None),
        };
        let user = TcpApp::new(1, TurnUser::new(way, client_config()));
        let user = scene.world.host("user", place.network, place.address, user);
        assert!(scene.allocated(user, secs(5)), "{site}");
        assert!(scene.hears_itself(user), "{site}");
    }
}
