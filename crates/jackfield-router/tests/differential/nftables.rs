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

fn ruleset(rules: Rules) -> String {
    match rules {
        Rules::Masquerade => masquerade("masquerade", "drop"),
        Rules::MasqueradeOpenInput => masquerade("masquerade", "accept"),
        Rules::MasqueradeRandom => masquerade("masquerade fully-random", "drop"),
        Rules::FullCone => cone(
            &format!("iifname \"lan\" ip daddr {EXTERNAL} dnat ip to udp dport map @cone"),
            &format!(
                "oifname \"lan\" ip saddr 10.0.0.0/24 ct status dnat update @cone {{ udp sport : ip saddr . udp sport }} snat to {EXTERNAL}"
            ),
            "iifname \"wan\" accept",
        ),
        Rules::RestrictedCone => cone(
            "",
            "",
            "iifname \"wan\" ip daddr . udp dport . ip saddr @contacted accept",
        ),
    }
}

/// The rules that every Linux router has; `input` is the verdict on unsolicited packets.
fn masquerade(statement: &str, input: &str) -> String {
    format!(
        r#"table ip lab {{
             chain input {{
               type filter hook input priority filter
               iifname "wan" ct state new {input}
             }}
             chain forward {{
               type filter hook forward priority filter; policy drop;
               iifname "lan" oifname "wan" accept
               iifname "wan" ct state established,related accept
             }}
             chain postrouting {{
               type nat hook postrouting priority srcnat
               oifname "wan" {statement}
             }}
           }}"#
    )
}

/// A cone from a map that each first packet out writes an entry of.
fn cone(hairpin_in: &str, hairpin_out: &str, filter: &str) -> String {
    format!(
        r#"table ip lab {{
             map cone {{
               type inet_service : ipv4_addr . inet_service
               flags dynamic; size 65535
             }}
             set contacted {{
               type ipv4_addr . inet_service . ipv4_addr
               flags dynamic; size 65535
             }}
             chain input {{
               type filter hook input priority filter
               iifname "wan" ct state new drop
             }}
             chain forward {{
               type filter hook forward priority filter; policy drop;
               iifname "lan" accept
               iifname "wan" ct state established,related accept
               {filter}
             }}
             chain prerouting {{
               type nat hook prerouting priority dstnat
               iifname "wan" meta l4proto udp dnat ip to udp dport map @cone
               {hairpin_in}
             }}
             chain contacts {{
               type filter hook forward priority filter + 10
               iifname "lan" oifname "wan" meta l4proto udp update @contacted {{ ip saddr . udp sport . ip daddr }}
             }}
             chain postrouting {{
               type nat hook postrouting priority srcnat
               oifname "wan" meta l4proto udp update @cone {{ udp sport : ip saddr . udp sport }} masquerade
               {hairpin_out}
             }}
           }}"#
    )
}
