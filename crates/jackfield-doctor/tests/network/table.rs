//! One thing wrong at a time.

use std::time::Duration;

use jackfield_doctor::conclusions::{Problem, Side};
use jackfield_doctor::facts::{
    CertificateEnd, CertificateError, Clock, Delivery, Facts, Interception, Interface,
    InterfaceKind, Lookup, NetworkError, NotTested, PathMtu, Proxy, ProxyError, RelayError,
    RelayTransport, StunPort, TlsError, Udp, Uplink, WebError,
};
use jackfield_doctor::{Conclusions, Health, Style, Words, json, words};
use jackfield_driver::discovery::layers::Evidence;
use jackfield_stun::behaviour::{Filtering, Finding, Mapping};
use jackfield_turn::client::Failure;

use crate::facts::{SERVER, allocated, failed, healthy, working};
use RelayTransport::{Tcp, Tls, Udp as ByUdp};

/// One thing wrong, and what must be said of it.
struct Case {
    name: &'static str,
    breaks: fn(&mut Facts),
    health: Health,
    /// The kind of the verdict.
    verdict: &'static str,
    /// The kind of the first problem.
    problem: &'static str,
    side: Side,
    /// What one piece of advice says.
    advice: &'static str,
}

/// What breaks it, the kind of the problem, and what is said of it.
type Note = (fn(&mut Facts), &'static str, &'static str);

const fn silent(arrived: usize) -> Result<Delivery, NotTested> {
    Ok(Delivery {
        sent: 3,
        arrived,
        returned: 0,
    })
}

const CASES: &[Case] = &[
    Case {
        name: "the machine is offline",
        breaks: |facts| {
            facts.dns.name = Some("call.example".to_owned());
            facts.dns.addresses.clear();
            facts.has_route = false;
            (facts.v4, facts.report, facts.web) = (Udp::NoAddress, None, None);
            facts.relays.clear();
        },
        health: Health::Broken,
        verdict: "offline",
        problem: "offline",
        side: Side::Machine,
        advice: "Connect this machine",
    },
    Case {
        name: "the name is not found",
        breaks: |facts| {
            facts.dns.name = Some("call.example".to_owned());
            facts.dns.addresses.clear();
            (facts.v4, facts.report, facts.web) = (Udp::NoAddress, None, None);
            facts.relays.clear();
        },
        health: Health::Broken,
        verdict: "name-not-found",
        problem: "name-not-found",
        side: Side::Command,
        advice: "Check the name after `--server`",
    },
    Case {
        name: "nothing comes back from the server",
        breaks: |facts| {
            break_web(facts, &WebError::Unreachable(NetworkError::TimedOut));
            silence_udp(facts);
        },
        health: Health::Broken,
        verdict: "nothing-answers",
        problem: "nothing-answers",
        side: Side::ServerOrNetwork,
        advice: "security group, let in TCP and UDP port 3478",
    },
    Case {
        name: "a stun: server is silent",
        breaks: |facts| {
            silence_udp(facts);
            facts.web = None;
            facts.relays.clear();
        },
        health: Health::Broken,
        verdict: "nothing-answers",
        problem: "nothing-answers",
        side: Side::ServerOrNetwork,
        advice: "Check that the server's machine is on",
    },
    Case {
        name: "a stun: server is stopped",
        breaks: |facts| {
            silence_udp(facts);
            facts.v4 = Udp::Refused(SERVER.parse().unwrap());
            facts.web = None;
            facts.relays.clear();
        },
        health: Health::Broken,
        verdict: "nothing-listens",
        problem: "nothing-listens",
        side: Side::Server,
        advice: "start Jackfield",
    },
    Case {
        name: "the server answers by UDP alone",
        breaks: |facts| break_web(facts, &WebError::Unreachable(NetworkError::TimedOut)),
        health: Health::Broken,
        verdict: "tcp-fails",
        problem: "tcp-fails",
        side: Side::ServerOrNetwork,
        advice: "let in TCP port 3478",
    },
    Case {
        name: "UDP is blocked, and a relay works by TCP",
        breaks: |facts| {
            silence_udp(facts);
            facts.relays = vec![failed(ByUdp, RelayError::Silent), working_inside(Tcp)];
        },
        health: Health::Degraded,
        verdict: "relay-over-tcp-only",
        problem: "udp-silent",
        side: Side::ServerOrNetwork,
        advice: "Have the firewall let out UDP to port 3478",
    },
    Case {
        name: "UDP is blocked, and no relay works",
        breaks: |facts| {
            silence_udp(facts);
            facts.relays = vec![
                failed(ByUdp, RelayError::Silent),
                failed(Tcp, RelayError::Unreachable(NetworkError::TimedOut)),
            ];
        },
        health: Health::Broken,
        verdict: "no-calls",
        problem: "udp-silent",
        side: Side::ServerOrNetwork,
        advice: "--listen-tls 0.0.0.0:443",
    },
    Case {
        name: "nothing listens on the server's UDP port",
        breaks: |facts| {
            silence_udp(facts);
            facts.v4 = Udp::Refused(SERVER.parse().unwrap());
            facts.relays = vec![
                failed(ByUdp, RelayError::Unreachable(NetworkError::Refused)),
                working_inside(Tcp),
            ];
        },
        health: Health::Degraded,
        verdict: "relay-over-tcp-only",
        problem: "udp-refused",
        side: Side::Server,
        advice: "`jackfield serve --listen` names port 3478",
    },
    Case {
        name: "another program has the UDP port",
        breaks: |facts| {
            silence_udp(facts);
            facts.v4 = Udp::NotStun(SERVER.parse().unwrap());
            facts.relays = vec![failed(ByUdp, RelayError::Silent), working_inside(Tcp)];
        },
        health: Health::Degraded,
        verdict: "relay-over-tcp-only",
        problem: "not-stun",
        side: Side::Server,
        advice: "check which program has UDP port 3478",
    },
    Case {
        name: "this machine's firewall forbids UDP",
        breaks: |facts| {
            silence_udp(facts);
            facts.v4 = Udp::Failed(SERVER.parse().unwrap(), NetworkError::Forbidden);
            facts.relays = vec![failed(ByUdp, RelayError::Silent), working_inside(Tcp)];
        },
        health: Health::Degraded,
        verdict: "relay-over-tcp-only",
        problem: "udp-not-sent",
        side: Side::Machine,
        advice: "On this machine: have its firewall let out UDP",
    },
    Case {
        name: "a proxy does not pass on WebSockets",
        breaks: |facts| {
            let web = facts.web.as_mut().unwrap();
            web.websocket = Err(WebError::Status(400));
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "no-websocket",
        side: Side::Server,
        advice: "have it pass on WebSockets",
    },
    Case {
        name: "neither WebSocket nor polling works",
        breaks: |facts| {
            let web = facts.web.as_mut().unwrap();
            web.websocket = Err(WebError::Status(404));
            web.polling = Err(WebError::Status(404));
        },
        health: Health::Broken,
        verdict: "no-signaling",
        problem: "no-signaling",
        side: Side::Server,
        advice: "have it pass on /ice, /signal and /socket.io/",
    },
    Case {
        name: "a server behind a 1:1 NAT gives out its private address",
        breaks: |facts| {
            let outside = Err(NotTested::PrivateAddress);
            facts.relays = [ByUdp, Tcp]
                .map(|transport| allocated(transport, "10.9.0.2:50000", outside))
                .to_vec();
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "relay-address-private",
        side: Side::Server,
        advice: "`jackfield serve --external-ip 198.51.100.1/10.9.0.2`",
    },
    Case {
        name: "the relay's ports are behind a firewall",
        breaks: |facts| {
            facts.relays = [ByUdp, Tcp]
                .map(|transport| allocated(transport, "198.51.100.1:50000", silent(0)))
                .to_vec();
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "relay-ports-closed",
        side: Side::ServerOrNetwork,
        advice: "let in UDP to the relays' ports, 49152 to 65535",
    },
    Case {
        name: "the relay sends nothing",
        breaks: |facts| {
            facts.relays = vec![allocated(ByUdp, "198.51.100.1:50000", silent(3))];
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "relay-sends-nothing",
        side: Side::Server,
        advice: "let out UDP from the relays' ports",
    },
    Case {
        name: "one relay of three has a certificate that nobody trusts",
        breaks: |facts| {
            let error = TlsError::Certificate(CertificateError::SelfSigned);
            facts.relays = vec![
                working(ByUdp),
                working(Tcp),
                failed(Tls, RelayError::Tls(error)),
            ];
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "certificate-self-signed",
        side: Side::Server,
        advice: "get a certificate for call.example from a public authority",
    },
    Case {
        name: "the relay does not know the credentials",
        breaks: |facts| {
            let error = RelayError::Refused(Failure::CredentialRefused);
            facts.relays = vec![failed(ByUdp, error)];
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "relay-refuses",
        side: Side::Server,
        advice: "the same `--secret`",
    },
    Case {
        name: "the server names no relay, and some peers need one",
        breaks: |facts| {
            behind(
                facts,
                Mapping::EndpointIndependent,
                Filtering::AddressAndPortDependent,
            );
            facts.relays.clear();
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "no-relay-offered",
        side: Side::Server,
        advice: "have /ice name a `turn:` URL",
    },
    Case {
        name: "a carrier's NAT, which no router at home can change",
        breaks: |facts| {
            behind(
                facts,
                Mapping::AddressAndPortDependent,
                Filtering::AddressAndPortDependent,
            );
            facts.evidence = Evidence {
                local: Some("10.0.0.2".parse().unwrap()),
                mapped: Some("203.0.113.1".parse().unwrap()),
                hops: ["10.0.0.1", "100.64.0.1"].map(|ip| ip.parse().ok()).into(),
                ..Evidence::default()
            };
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "nat-maps-by-destination",
        side: Side::Carrier,
        advice: "Ask the carrier",
    },
    Case {
        name: "no resolver answers",
        breaks: |facts| {
            facts.dns.name = Some("call.example".to_owned());
            facts.dns.addresses.clear();
            let silent = Lookup {
                took: Duration::from_secs(10),
                error: Some(NetworkError::TimedOut),
            };
            (facts.dns.v4, facts.dns.v6) = (silent, silent);
            (facts.v4, facts.report, facts.web) = (Udp::NoAddress, None, None);
            facts.relays.clear();
        },
        health: Health::Broken,
        verdict: "resolver-silent",
        problem: "resolver-silent",
        side: Side::Machine,
        advice: "Check this machine's resolvers",
    },
    Case {
        name: "the resolver invents an address for a name that does not exist",
        breaks: |facts| {
            facts.dns.name = Some("cal.example".to_owned());
            facts.dns.invented = facts.dns.addresses.clone();
            break_web(facts, &WebError::Page);
            silence_udp(facts);
        },
        health: Health::Broken,
        verdict: "resolver-lies",
        problem: "resolver-lies",
        side: Side::Network,
        advice: "Take another resolver",
    },
    Case {
        name: "a filter blocks the name",
        breaks: |facts| {
            facts.dns.name = Some("call.example".to_owned());
            facts.dns.addresses = vec!["0.0.0.0".parse().unwrap()];
            break_web(facts, &WebError::Unreachable(NetworkError::Refused));
            silence_udp(facts);
        },
        health: Health::Broken,
        verdict: "name-blocked",
        problem: "name-blocked",
        side: Side::Network,
        advice: "let call.example through",
    },
    Case {
        name: "the resolver drops questions for IPv6",
        breaks: |facts| {
            facts.dns.name = Some("call.example".to_owned());
            facts.dns.v6 = Lookup {
                took: Duration::from_secs(10),
                error: Some(NetworkError::TimedOut),
            };
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "dns-slow",
        side: Side::Network,
        advice: "drops such questions",
    },
    Case {
        name: "a captive portal answers with its page",
        breaks: |facts| {
            break_web(facts, &WebError::Page);
            silence_udp(facts);
            facts.interception = Some(Interception::Portal {
                login: Some("http://login.hotel.example/".to_owned()),
            });
        },
        health: Health::Broken,
        verdict: "captive-portal",
        problem: "captive-portal",
        side: Side::Network,
        advice: "Open http://login.hotel.example/ in a browser, log in",
    },
    Case {
        name: "a captive portal sends people elsewhere",
        breaks: |facts| {
            let login = "https://login.hotel.example".parse().unwrap();
            break_web(facts, &WebError::Redirected(login));
            silence_udp(facts);
            facts.interception = Some(Interception::Portal { login: None });
        },
        health: Health::Broken,
        verdict: "captive-portal",
        problem: "captive-portal",
        side: Side::Network,
        advice: "log in, and run this again",
    },
    Case {
        name: "only HTTPS gets out, and the URL is an http: one",
        breaks: |facts| {
            break_web(facts, &WebError::Unreachable(NetworkError::TimedOut));
            silence_udp(facts);
            let web = facts.web.as_mut().unwrap();
            web.https = Some("https://198.51.100.1".parse().unwrap());
        },
        health: Health::Broken,
        verdict: "only-https",
        problem: "only-https",
        side: Side::Command,
        advice: "`jackfield doctor --server https://198.51.100.1:443`",
    },
    Case {
        name: "nothing gets out, and the server has its TLS listener already",
        breaks: |facts| {
            silence_udp(facts);
            facts.relays = vec![
                failed(ByUdp, RelayError::Silent),
                failed(Tls, RelayError::Unreachable(NetworkError::TimedOut)),
            ];
        },
        health: Health::Broken,
        verdict: "no-calls",
        problem: "udp-silent",
        side: Side::ServerOrNetwork,
        advice: "The server has a TLS listener on port 443 already",
    },
    Case {
        name: "nothing gets out but through the proxy",
        breaks: |facts| {
            silence_udp(facts);
            facts.relays = vec![failed(Tls, RelayError::Unreachable(NetworkError::TimedOut))];
            facts.web.as_mut().unwrap().is_by_proxy = true;
            facts.proxy = Some(proxy(Ok(Duration::from_millis(9)), Some(true)));
        },
        health: Health::Degraded,
        verdict: "relay-by-proxy-only",
        problem: "proxy-needed",
        side: Side::Network,
        advice: "Have the browser use this proxy, too",
    },
    Case {
        name: "the proxy passes pages on and no relay",
        breaks: |facts| {
            silence_udp(facts);
            facts.relays = vec![failed(Tls, RelayError::Unreachable(NetworkError::TimedOut))];
            facts.web.as_mut().unwrap().is_by_proxy = true;
            facts.proxy = Some(proxy(Ok(Duration::from_millis(9)), Some(false)));
        },
        health: Health::Broken,
        verdict: "no-calls",
        problem: "proxy-needed",
        side: Side::Network,
        advice: "Have the proxy allow CONNECT",
    },
    Case {
        name: "the environment names a proxy that is gone",
        breaks: |facts| {
            let gone = ProxyError::Unreachable(NetworkError::Refused);
            facts.proxy = Some(proxy(Err(gone), None));
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "proxy-fails",
        side: Side::Machine,
        advice: "Set https_proxy to a proxy that works, or unset it",
    },
    Case {
        name: "the proxy wants a login",
        breaks: |facts| facts.proxy = Some(proxy(Err(ProxyError::LoginWanted), None)),
        health: Health::Degraded,
        verdict: "direct",
        problem: "proxy-fails",
        side: Side::Machine,
        advice: "Put the user name and password into https_proxy",
    },
    Case {
        name: "IPv6 has a route and leads nowhere",
        breaks: |facts| {
            facts.v6 = Udp::Silent("[2001:db8::1]:3478".parse().unwrap());
            facts.tcp_v6 = Some(Err(NetworkError::TimedOut));
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "ipv6-black-hole",
        side: Side::ServerOrNetwork,
        advice: "mend IPv6 in the router, or switch it off",
    },
    Case {
        name: "large packets get lost without a word",
        breaks: |facts| facts.mtu_v4 = Some(mtu(1_500, 1_420, None)),
        health: Health::Degraded,
        verdict: "direct",
        problem: "mtu-black-hole",
        side: Side::Network,
        advice: "let ICMP through",
    },
    Case {
        name: "not even the packets of calls get through",
        breaks: |facts| facts.mtu_v6 = Some(mtu(1_500, 1_200, Some("2001:db8::5"))),
        health: Health::Degraded,
        verdict: "direct",
        problem: "mtu-small",
        side: Side::Network,
        advice: "1,280 bytes at least",
    },
    Case {
        name: "this machine's clock is an hour slow",
        breaks: |facts| {
            facts.clock = Some(Clock {
                ahead: -3_600,
                error: 1,
            });
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "clock-skew",
        side: Side::Machine,
        advice: "Set this machine's clock by the network",
    },
    Case {
        name: "the certificate ends in five days",
        breaks: |facts| {
            let ends = facts.at + Duration::from_secs(5 * 86_400 + 100);
            facts.certificates = vec![CertificateEnd { relay: None, ends }];
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "certificate-ends-soon",
        side: Side::Server,
        advice: "`certbot renew`",
    },
    Case {
        name: "this machine has two uplinks and shares its traffic out",
        breaks: |facts| {
            two_externals(facts);
            facts.uplinks = ["eth0", "wwan0"].map(uplink).to_vec();
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "several-uplinks",
        side: Side::Machine,
        advice: "Let one interface lead everywhere",
    },
    Case {
        name: "the router has two uplinks",
        breaks: |facts| {
            two_externals(facts);
            facts.uplinks = vec![uplink("eth0")];
        },
        health: Health::Degraded,
        verdict: "direct",
        problem: "several-uplinks",
        side: Side::Router,
        advice: "\"sticky\" or source-based balancing",
    },
];

#[test]
fn each_thing_that_is_wrong_has_its_own_verdict_and_advice() {
    for case in CASES {
        let mut facts = healthy();
        (case.breaks)(&mut facts);
        let conclusions = Conclusions::of(&facts);
        let said = Words::of(&conclusions);
        let context = format!("{}: {said:#?}\n{:#?}", case.name, conclusions.problems);
        assert_eq!(conclusions.verdict.kind(), case.verdict, "{context}");
        assert_eq!(conclusions.health, case.health, "{context}");
        assert!(conclusions.is_problem_found(), "{context}");
        let first = conclusions.problems.first().unwrap();
        assert_eq!(first.kind(), case.problem, "{context}");
        assert_eq!(first.side(), case.side, "{context}");
        let mut advice = said.advice.iter();
        assert!(advice.any(|step| step.contains(case.advice)), "{context}");
        assert!(
            !said.advice.is_empty() && said.advice.len() <= 4,
            "{context}"
        );
    }
}

#[test]
fn two_uplinks_are_not_blamed_on_the_kind_of_nat() {
    let mut facts = healthy();
    two_externals(&mut facts);
    let said = Words::of(&Conclusions::of(&facts));
    let text = [said.advice, said.why_not].concat().join(" ");
    assert!(
        !text.contains("full cone") && !text.contains("symmetric"),
        "{text}"
    );
}

#[test]
fn what_is_only_worth_a_note_is_said_and_costs_nothing() {
    let notes: [Note; 4] = [
        (
            |facts| {
                facts.interfaces = vec![Interface {
                    name: "wg0".to_owned(),
                    ip: "10.8.0.2".parse().unwrap(),
                    is_used: true,
                    kind: InterfaceKind::Tunnel,
                }];
            },
            "tunnelled",
            "through the tunnel wg0",
        ),
        (
            |facts| {
                facts.dns.name = Some("call.example".to_owned());
                facts.dns.invented = vec!["203.0.113.80".parse().unwrap()];
            },
            "resolver-lies",
            "a mistyped name leads to strangers",
        ),
        (
            |facts| facts.mtu_v4 = Some(mtu(1_500, 1_420, Some("203.0.113.254"))),
            "",
            "",
        ),
        (
            |facts| {
                let mut found = proxy(Err(ProxyError::LoginWanted), None);
                found.is_bypassed = true;
                facts.proxy = Some(found);
            },
            "",
            "",
        ),
    ];
    for (breaks, kind, why) in notes {
        let mut facts = healthy();
        breaks(&mut facts);
        let conclusions = Conclusions::of(&facts);
        assert_eq!(conclusions.health, Health::Ok, "{conclusions:#?}");
        let kinds: Vec<&str> = conclusions.problems.iter().map(Problem::kind).collect();
        assert_eq!(kinds.join(" "), kind);
        let said = Words::of(&conclusions).why_not.join(" ");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn an_ipv6_that_leads_nowhere_is_blamed_on_no_relay() {
    let case = CASES.iter().find(|case| case.problem == "ipv6-black-hole");
    let mut facts = healthy();
    (case.unwrap().breaks)(&mut facts);
    let problems = Conclusions::of(&facts).problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
}

#[test]
fn where_all_is_well_there_is_nothing_to_do() {
    let conclusions = Conclusions::of(&healthy());
    assert_eq!(conclusions.health, Health::Ok, "{conclusions:#?}");
    assert!(!conclusions.is_problem_found());
    let said = Words::of(&conclusions);
    assert!(
        said.why_not.is_empty() && said.advice.is_empty(),
        "{said:#?}"
    );
    assert!(said.verdict.contains("all peers: there is no NAT"));
}

#[test]
fn a_port_that_was_guessed_says_nothing_by_its_silence() {
    let mut facts = healthy();
    silence_udp(&mut facts);
    facts.stun_port = StunPort::Guessed(3478);
    facts.web.as_mut().unwrap().ice = Err(WebError::Unexpected);
    let conclusions = Conclusions::of(&facts);
    assert_eq!(conclusions.problems, [Problem::NoIce], "{conclusions:#?}");
    assert_eq!(conclusions.verdict.kind(), "no-ice-servers");
}

#[test]
fn a_carriers_nat_is_not_blamed_on_the_router_at_home() {
    let case = CASES.iter().find(|case| case.side == Side::Carrier);
    let mut facts = healthy();
    (case.unwrap().breaks)(&mut facts);
    let advice = Words::of(&Conclusions::of(&facts)).advice;
    assert!(
        advice.iter().all(|step| !step.contains("router")),
        "{advice:#?}"
    );
}

#[test]
fn one_nat_behind_an_office_router_is_not_called_two() {
    let mut facts = healthy();
    behind(
        &mut facts,
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    );
    facts.evidence = Evidence {
        local: Some("10.1.0.1".parse().unwrap()),
        mapped: Some("203.0.113.1".parse().unwrap()),
        hops: ["10.1.0.254", "10.1.1.1", "203.0.113.254"]
            .map(|ip| ip.parse().ok())
            .into(),
        ..Evidence::default()
    };
    let conclusions = Conclusions::of(&facts);
    let mut kinds = conclusions.problems.iter().map(|problem| problem.kind());
    assert!(kinds.all(|kind| kind != "double-nat"));
    let lines = Words::of(&conclusions).lines;
    let line = lines
        .iter()
        .find(|line| line.topic == "Double NAT")
        .unwrap();
    assert!(line.seen.starts_with("not known"), "{line:?}");
}

#[test]
fn words_and_json_say_the_same() {
    for case in CASES {
        let mut facts = healthy();
        (case.breaks)(&mut facts);
        let conclusions = Conclusions::of(&facts);
        let style = Style {
            width: 90,
            colour: false,
        };
        let text = words::render(&Words::of(&conclusions), style);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let json = json::of_conclusions(&conclusions);
        let said = json["verdict"]["text"].as_str().unwrap();
        assert!(flat.contains(said), "{}: {text}", case.name);
        for problem in json["problems"].as_array().unwrap() {
            assert!(flat.contains(problem["why"].as_str().unwrap()), "{text}");
            for step in problem["do"].as_array().unwrap() {
                assert!(flat.contains(step.as_str().unwrap()), "{text}");
            }
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 90),
            "{text}"
        );
    }
}

fn break_web(facts: &mut Facts, error: &WebError) {
    let web = facts.web.as_mut().unwrap();
    web.ice = Err(error.clone());
    web.websocket = Err(error.clone());
    web.polling = Err(error.clone());
    facts.relays.clear();
}

fn silence_udp(facts: &mut Facts) {
    facts.v4 = Udp::Silent(SERVER.parse().unwrap());
    facts.report = None;
    facts.relays.clear();
}

fn proxy(result: Result<Duration, ProxyError>, relay: Option<bool>) -> Proxy {
    Proxy {
        variable: "https_proxy",
        authority: "proxy.example:3128".to_owned(),
        is_bypassed: false,
        result,
        relay: relay.map(|works| {
            if works {
                Ok(Duration::from_millis(20))
            } else {
                Err(ProxyError::Refused(403))
            }
        }),
    }
}

fn mtu(local: u16, path: u16, told_by: Option<&str>) -> PathMtu {
    PathMtu {
        local,
        path,
        told_by: told_by.map(|ip| ip.parse().unwrap()),
    }
}

fn uplink(interface: &str) -> Uplink {
    Uplink {
        interface: interface.to_owned(),
        gateway: "10.0.0.1".parse().unwrap(),
        metric: 100,
    }
}

fn two_externals(facts: &mut Facts) {
    behind(
        facts,
        Mapping::AddressDependent,
        Filtering::AddressAndPortDependent,
    );
    let externals = ["203.0.113.1", "198.51.100.77"].map(|ip| ip.parse().unwrap());
    facts.report.as_mut().unwrap().externals = externals.to_vec();
}

fn working_inside(transport: RelayTransport) -> jackfield_doctor::facts::RelayAttempt {
    allocated(transport, "198.51.100.1:50000", Err(NotTested::NoUdp))
}

fn behind(facts: &mut Facts, mapping: Mapping, filtering: Filtering) {
    let report = facts.report.as_mut().unwrap();
    report.nat = Finding::Known(true);
    report.mapping = Finding::Known(mapping);
    report.filtering = Finding::Known(filtering);
}
