//! What becomes of an allocation when the network under it changes.

use std::time::Duration;

use jackfield_internet::{Link, Loss, TcpApp, World};
use jackfield_sansio::Transport;
use jackfield_turn::client::{self, Failure};

use crate::rig::{BOTH, Scene, client_config, ip, secs, types};
use crate::user::TurnUser;

const HOUR: u64 = 3600;

#[test]
fn keepalives_hold_the_mapping_of_a_forgetful_nat_for_hours() {
    for mut config in types() {
        config.timers.udp = secs(30);
        config.timers.udp_filter = secs(30);
        let mut scene = Scene::new(1);
        let (_, user) = scene.user(1, &config, Transport::Udp);
        assert!(scene.allocated(user, secs(5)));
        scene.world.record(false);
        scene.world.run_for(secs(3 * HOUR));
        assert!(scene.hears_itself(user));
        assert_eq!(
            scene.get(user).mapped.len(),
            1,
            "one allocation for all the time"
        );
        assert_eq!(scene.allocations(), 1);
    }
}

#[test]
fn without_keepalives_the_nat_forgets_and_the_refresh_from_elsewhere_finds_no_allocation() {
    for mut config in types() {
        config.timers.udp = secs(60);
        config.timers.udp_filter = secs(60);
        let silent = client::ClientConfig {
            keepalive: None,
            ..client_config()
        };
        let mut scene = Scene::new(1);
        let (_, user) = scene.user_with(1, &config, Transport::Udp, silent);
        assert!(scene.allocated(user, secs(5)));
        assert!(scene.hears_itself(user));
        // Until its next refresh the client's data is lost without a sign.
        scene.world.run_for(secs(100));
        assert!(!scene.hears_itself(user));
        assert!(scene.get(user).failures.is_empty());
        scene.world.run_until_true(secs(900), |world| {
            let app = world.app::<TcpApp<TurnUser>>(user).unwrap();
            app.program.mapped.len() == 2
        });
        assert!(scene.hears_itself(user));
        let state = scene.get(user);
        assert_eq!(state.failures, [Failure::AllocationLost]);
        assert_ne!(state.mapped[0], state.mapped[1], "the 5-tuple has changed");
    }
}

#[test]
fn a_nat_that_reboots_and_gets_another_address_costs_one_allocation() {
    for config in types() {
        for transport in BOTH {
            let mut scene = Scene::new(1);
            let (nat, user) = scene.user(1, &config, transport);
            assert!(scene.allocated(user, secs(5)));
            assert!(scene.hears_itself(user));
            scene.world.with_nat(nat, |nat| {
                nat.renumber(vec!["203.0.113.77".parse().unwrap()]);
            });
            // The client learns it with its next refresh.
            scene.world.run_for(secs(1200));
            assert!(scene.allocated(user, secs(60)));
            let state = scene.get(user);
            assert_eq!(state.mapped.last().unwrap().ip(), ip("203.0.113.77"));
            assert!(state.mapped.len() >= 2);
            assert!(scene.hears_itself(user), "{transport}");
            scene.world.run_for(secs(1200));
            assert_eq!(scene.allocations(), 1, "the old one has expired");
        }
    }
}

#[test]
fn a_nat_that_only_reboots_is_survived_as_well() {
    for config in types() {
        for transport in BOTH {
            let mut scene = Scene::new(1);
            let (nat, user) = scene.user(1, &config, transport);
            assert!(scene.allocated(user, secs(5)));
            scene.world.with_nat(nat, jackfield_nat::Nat::reboot);
            scene.world.run_for(secs(1200));
            assert!(scene.allocated(user, secs(60)));
            assert!(scene.hears_itself(user), "{transport}");
            assert_eq!(scene.get(user).mapped.len(), 2);
        }
    }
}

#[test]
fn a_client_that_roams_has_a_relay_again_at_once() {
    for config in types() {
        for transport in BOTH {
            let mut scene = Scene::new(1);
            let (_, user) = scene.user(1, &config, transport);
            assert!(scene.allocated(user, secs(5)));
            assert!(scene.hears_itself(user));
            let elsewhere = scene.nat(2, &config);
            scene.world.roam(user, elsewhere.inside, ip("192.168.2.9"));
            assert!(scene.allocated(user, secs(5)));
            let mapped: Vec<_> = scene.get(user).mapped.iter().map(|it| it.ip()).collect();
            assert_eq!(mapped, [ip("203.0.113.1"), ip("203.0.113.2")]);
            assert!(scene.hears_itself(user), "{transport}");
        }
    }
}

#[test]
fn an_interface_that_was_down_for_a_minute_is_no_reason_for_another_server() {
    for transport in BOTH {
        let mut scene = Scene::new(1);
        let (_, user) = scene.user(1, &types().next().unwrap(), transport);
        assert!(scene.allocated(user, secs(5)));
        let interface = scene.world.interfaces_of(user).next().unwrap();
        scene.world.set_up(interface, false);
        scene.world.run_for(secs(60));
        assert!(scene.get(user).relayed.is_none());
        scene.world.set_up(interface, true);
        assert!(scene.allocated(user, secs(5)));
        assert!(scene.hears_itself(user));
    }
}

#[test]
fn losses_delay_and_do_not_hinder() {
    for seed in 0..12 {
        for transport in BOTH {
            let config = types().nth(seed as usize % 9).unwrap();
            let mut scene = Scene::new(seed);
            let (nat, user) = scene.user(1, &config, transport);
            let bad = Link {
                loss: Loss::bursts(60_000, 2),
                jitter: Duration::from_millis(30),
                duplicate: 50_000,
                reorder: 50_000,
                ..Link::default()
            };
            scene
                .world
                .set_link(nat.outside_interface, bad.clone(), bad);
            assert!(
                scene.allocated(user, secs(300)),
                "seed {seed} {transport} {:?}\n{}",
                scene.get(user).failures,
                scene.world.diagram()
            );
            let heard =
                (0..60).any(|_| scene.allocated(user, secs(60)) && scene.hears_itself(user));
            assert!(
                heard,
                "seed {seed} {transport} {:?}\n{}",
                scene.get(user).failures,
                scene.world.diagram()
            );
        }
    }
}

#[test]
fn a_world_with_turn_in_it_can_be_snapshot_and_goes_on_byte_for_byte() {
    let mut scene = Scene::new(3);
    let mut all = types();
    let (first, second) = (all.next().unwrap(), all.nth(5).unwrap());
    let (_, alice) = scene.user(1, &first, Transport::Udp);
    let (_, bob) = scene.user(2, &second, Transport::Tcp);
    assert!(scene.allocated(alice, secs(5)) && scene.allocated(bob, secs(5)));
    let snapshot = scene.world.clone();
    let again = snapshot.clone();
    let go_on = |world: World| {
        let mut later = Scene { world, ..scene };
        for user in [alice, bob] {
            assert!(later.hears_itself(user));
        }
        later.world.run_for(secs(1300));
        later.world.trace().to_text()
    };
    let text = go_on(snapshot);
    assert!(text == go_on(again));
}
