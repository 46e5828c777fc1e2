//! (c): Linux as a router, with its own NAT.

use super::netns::Namespace;
use super::real::{OUTSIDE, Real};
use super::scenario::{EXTERNAL, GATEWAY, Rules, SHORT_LIFE, Scenario, Subject, Verdict};

/// Runs a scenario through a router of its own.
pub(crate) fn run(subject: &Subject, rules: Rules, scenario: &Scenario) -> Vec<Verdict> {
    let (inside, outside) = (Namespace::new("inside"), Namespace::new("outside"));
    let router = Namespace::new("router");
    for (near, far, device) in [(&router, &inside, "lan"), (&router, &outside, "wan")] {
        let name = &far.name;
        near.ip(&format!(
            "link add {device} type veth peer name eth0 netns {name}"
        ));
        near.ip(&format!("link set {device} up"));
        far.ip("link set eth0 up");
    }
    router.ip(&format!("address add {GATEWAY}/24 dev lan"));
    router.ip(&format!("address add {EXTERNAL}/15 dev wan"));
    for address in ["10.0.0.2", "10.0.0.3"] {
        inside.ip(&format!("address add {address}/24 dev eth0"));
    }
    for address in OUTSIDE {
        outside.ip(&format!("address add {address}/15 dev eth0"));
    }
    inside.ip(&format!("route add default via {GATEWAY}"));
    router.exec("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    router.exec("nft", &[&ruleset(rules)]);
    if subject.expires {
        let life = SHORT_LIFE.as_secs();
        for timer in ["udp_timeout", "udp_timeout_stream"] {
            let setting = format!("net.netfilter.nf_conntrack_{timer}={life}");
            router.exec("sysctl", &["-qw", &setting]);
        }
    }
    let netns = router.netns();
    // What has expired is not listed.
    let has_forgotten = move || {
        let tracked = netns.run(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
        tracked.unwrap().unwrap().is_empty()
    };
    subject.play(
        scenario,
        &mut Real::new(subject, scenario.protocol, &inside, &outside, has_forgotten),
    )
}

/// Returns the rules, which are those that `docs/nat.md` shows where they have no peculiarity.
fn ruleset(rules: Rules) -> String {
    match rules {
        Rules::Masquerade => PORT_RESTRICTED_CONE.to_owned(),
        Rules::MasqueradeOpenInput => {
            PORT_RESTRICTED_CONE.replace("ct state new drop", "ct state new accept")
        }
        Rules::MasqueradeRandom => SYMMETRIC.to_owned(),
        Rules::FullCone => hairpinning(FULL_CONE),
        Rules::RestrictedCone => RESTRICTED_CONE.to_owned(),
    }
}

/// Adds hairpinning to a cone.
fn hairpinning(cone: &str) -> String {
    let chains = format!(
        r#"table ip nat_type {{
             chain prerouting {{
               iifname "lan" ip daddr {EXTERNAL} dnat ip to udp dport map @cone
             }}
             chain postrouting {{
               oifname "lan" ip saddr 10.0.0.0/24 ct status dnat update @cone {{ udp sport : ip saddr . udp sport }} snat to {EXTERNAL}
             }}
           }}"#
    );
    format!("{cone}\n{chains}")
}

const PORT_RESTRICTED_CONE: &str = include_str!("../../../../docs/nat/port-restricted-cone.nft");
const SYMMETRIC: &str = include_str!("../../../../docs/nat/symmetric.nft");
const FULL_CONE: &str = include_str!("../../../../docs/nat/full-cone.nft");
const RESTRICTED_CONE: &str = include_str!("../../../../docs/nat/restricted-cone.nft");
