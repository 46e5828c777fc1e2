//! Facts for programs and bug reports, without secrets.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use jackfield_driver::portmap::{Dialect, Support};
use serde_json::{Value, json};

use crate::facts::{
    Allocation, Delivery, Dns, Facts, Interception, InterfaceKind, Lookup, NotTested, PathMtu,
    Proxy, RelayAttempt, RelayTransport, StunPort, Udp, Web,
};

/// Returns facts as JSON: what was seen, without any opinion of it. Errors are texts; the user name
/// and password of a relay are left out.
pub fn of_facts(facts: &Facts) -> Value {
    let interfaces: Vec<Value> = facts
        .interfaces
        .iter()
        .map(|it| {
            json!({
                "name": it.name,
                "ip": it.ip,
                "used": it.is_used,
                "kind": match it.kind {
                    InterfaceKind::Network => "network",
                    InterfaceKind::Tunnel => "tunnel",
                    InterfaceKind::Containers => "containers",
                    InterfaceKind::Loopback => "loopback",
                },
            })
        })
        .collect();
    let uplinks: Vec<Value> = facts
        .uplinks
        .iter()
        .map(|it| json!({ "interface": it.interface, "gateway": it.gateway, "metric": it.metric }))
        .collect();
    let certificates: Vec<Value> = facts
        .certificates
        .iter()
        .map(|it| json!({ "relay": it.relay, "ends": unix(it.ends) }))
        .collect();
    json!({
        "server": facts.server.to_string(),
        "at": unix(facts.at),
        "interfaces": interfaces,
        "uplinks": uplinks,
        "has_route": facts.has_route,
        "dns": dns(&facts.dns),
        "stun_port": {
            "number": facts.stun_port.number(),
            "guessed": matches!(facts.stun_port, StunPort::Guessed(_)),
        },
        "udp_v4": udp(&facts.v4),
        "udp_v6": udp(&facts.v6),
        "tcp_v4": facts.tcp_v4.map(took),
        "tcp_v6": facts.tcp_v6.map(took),
        "mtu_v4": facts.mtu_v4.map(mtu),
        "mtu_v6": facts.mtu_v6.map(mtu),
        "nat": facts.report.as_ref().map(super::of_report),
        "hops": facts.evidence.hops,
        "hops_reach_server": facts.evidence.is_all,
        "gateway": match &facts.gateway {
            Ok(probe) => json!({
                "address": probe.gateway,
                "external": probe.external(),
                "port_mapping": dialects(|dialect| probe.finding(dialect)),
            }),
            Err(error) => failed(error),
        },
        "proxy": facts.proxy.as_ref().map(proxy),
        "interception": facts.interception.as_ref().map(|found| match found {
            Interception::Portal { login } => json!({ "kind": "portal", "login": login }),
            Interception::Proxy => json!({ "kind": "proxy" }),
        }),
        "clock_ahead_s": facts.clock.map(|clock| clock.ahead),
        "certificates": certificates,
        "web": facts.web.as_ref().map(web),
        "relays": facts.relays.iter().map(relay).collect::<Vec<_>>(),
    })
}

fn dns(dns: &Dns) -> Value {
    let lookup = |lookup: Lookup| {
        json!({
            "took_ms": millis(lookup.took),
            "error": lookup.error.map(|error| error.to_string()),
        })
    };
    json!({
        "name": dns.name,
        "addresses": dns.addresses,
        "a": lookup(dns.v4),
        "aaaa": lookup(dns.v6),
        "invented": dns.invented,
    })
}

fn udp(udp: &Udp) -> Value {
    match udp {
        Udp::NoAddress => json!({ "result": "no-address" }),
        Udp::NoRoute => json!({ "result": "no-route" }),
        Udp::Answered(server, binding) => json!({
            "result": "answered",
            "server": server,
            "local": binding.local,
            "mapped": binding.mapped,
            "round_trip_ms": millis(binding.round_trip),
        }),
        Udp::Silent(server) => json!({ "result": "silent", "server": server }),
        Udp::Refused(server) => json!({ "result": "refused", "server": server }),
        Udp::NotStun(server) => json!({ "result": "not-stun", "server": server }),
        Udp::Failed(server, error) => json!({
            "result": "failed",
            "server": server,
            "error": error.to_string(),
        }),
    }
}

fn mtu(mtu: PathMtu) -> Value {
    json!({ "path": mtu.path, "local": mtu.local, "told_by": mtu.told_by })
}

fn proxy(proxy: &Proxy) -> Value {
    json!({
        "variable": proxy.variable,
        "authority": proxy.authority,
        "bypassed": proxy.is_bypassed,
        "result": took(proxy.result.clone()),
        "relay": proxy.relay.clone().map(took),
    })
}

fn dialects(finding: impl Fn(Dialect) -> Support) -> Value {
    let all = Dialect::ALL.into_iter().map(|dialect| {
        let found = match finding(dialect) {
            Support::Present { .. } => "yes".to_owned(),
            Support::Absent(why) => why.to_string(),
        };
        (format!("{dialect:?}").to_lowercase(), Value::from(found))
    });
    Value::Object(all.collect())
}

fn web(web: &Web) -> Value {
    json!({
        "ice": match &web.ice {
            Ok(ice) => json!({ "urls": ice.urls, "ttl_s": ice.ttl }),
            Err(error) => failed(error),
        },
        "websocket": took(web.websocket.clone()),
        "polling": took(web.polling.clone()),
        "speaks_other_scheme": web.other_scheme,
        "https": web.https.as_ref().map(ToString::to_string),
        "by_proxy": web.is_by_proxy,
    })
}

fn relay(attempt: &RelayAttempt) -> Value {
    json!({
        "url": attempt.url,
        "transport": match attempt.transport {
            RelayTransport::Udp => "udp",
            RelayTransport::Tcp => "tcp",
            RelayTransport::Tls => "tls",
        },
        "result": match &attempt.result {
            Ok(allocation) => allocated(allocation),
            Err(error) => failed(error),
        },
    })
}

fn allocated(allocation: &Allocation) -> Value {
    let delivered = |result: Result<Delivery, NotTested>| match result {
        Ok(delivery) => json!({
            "sent": delivery.sent,
            "arrived": delivery.arrived,
            "returned": delivery.returned,
        }),
        Err(why) => json!({ "not_tested": format!("{why:?}") }),
    };
    json!({
        "took_ms": millis(allocation.took),
        "relayed": allocation.relayed,
        "outside": delivered(allocation.outside),
        "between": allocation.between.map(delivered),
    })
}

fn took<E: Display>(result: Result<Duration, E>) -> Value {
    match result {
        Ok(took) => json!({ "took_ms": millis(took) }),
        Err(error) => failed(&error),
    }
}

fn failed(error: &impl Display) -> Value {
    json!({ "error": error.to_string() })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns seconds since 1970.
fn unix(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
