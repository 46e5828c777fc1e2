//! Servers that are really broken, on loopback: each has its own verdict, side and advice.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod certificates;
mod servers;

use std::net::SocketAddr;

use jackfield_doctor::conclusions::{Conclusions, Health, Side};
use jackfield_doctor::{Options, Trust, Words, examine, json};

use certificates::{Authority, Certificate};
use servers::{answer, close, listen, refuse_http, say_nothing, serve_tls};

/// A server that is broken in one way, and what must be said of it.
struct Case {
    name: &'static str,
    url: String,
    trust: Trust,
    kind: &'static str,
    side: Side,
    /// What the verdict says.
    verdict: &'static str,
    /// What the first piece of advice says.
    advice: String,
}

#[tokio::test]
async fn each_broken_thing_has_its_own_verdict_and_advice() {
    let mut running = tokio::task::JoinSet::new();
    for case in cases().await {
        running.spawn(check(case));
    }
    let mut failures = Vec::new();
    while let Some(checked) = running.join_next().await {
        failures.extend(checked.unwrap());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Examines a server; returns what is wrong with what is said of it.
async fn check(case: Case) -> Option<String> {
    let options = Options {
        target: case.url.parse().unwrap(),
        trust: case.trust,
        proxy: None,
        slow: false,
        recorder: None,
    };
    let conclusions = Conclusions::of(&examine(&options).await);
    let words = Words::of(&conclusions);
    let json = json::of_conclusions(&conclusions);
    let first = conclusions.problems.first();
    let is_right = conclusions.verdict.kind() == case.kind
        && first.map(|problem| (problem.kind(), problem.side())) == Some((case.kind, case.side))
        && conclusions.health == Health::Broken
        && conclusions.is_problem_found()
        && words.verdict.contains(case.verdict)
        && words.advice.iter().any(|step| step.contains(&case.advice))
        // No firewall is to blame for any of these.
        && words.advice.iter().all(|step| !step.contains("let out UDP"))
        && json["verdict"]["kind"] == case.kind
        && json["problems"][0]["why"] == words.why_not[0].as_str();
    (!is_right).then(|| format!("{}: {words:#?}\n{:#?}", case.name, conclusions.problems))
}

async fn cases() -> Vec<Case> {
    let ours = Authority::new("the test's own authority");
    let other = Authority::new("an authority that nobody trusts");
    let trusting = |file: &Authority| Trust::new(Some(file.file())).unwrap();
    let host = "127.0.0.1";
    let mut cases = Vec::new();
    let mut add = |name, address: SocketAddr, scheme: &str, kind, side, verdict, advice: &str| {
        cases.push(Case {
            name,
            url: format!("{scheme}://{address}"),
            trust: trusting(&ours),
            kind,
            side,
            verdict,
            advice: advice.replace("ADDRESS", &address.to_string()),
        });
    };
    for (name, certificate, kind, verdict, advice) in [
        (
            "a certificate that has expired",
            ours.sign(Certificate::of(host).valid((2019, 1, 1), (2020, 1, 1))),
            "certificate-expired",
            "has expired",
            "`certbot renew`",
        ),
        (
            "a certificate that is not valid yet",
            ours.sign(Certificate::of(host).valid((2090, 1, 1), (2091, 1, 1))),
            "certificate-not-yet-valid",
            "not valid yet",
            "Set this machine's clock",
        ),
        (
            "a certificate for another name",
            ours.sign(Certificate::of("call.example")),
            "certificate-for-another-name",
            "for another name",
            "--server https://call.example:",
        ),
        (
            "a self-signed certificate",
            Certificate::of(host).self_signed(false),
            "certificate-self-signed",
            "self-signed",
            "`jackfield doctor --insecure`",
        ),
        (
            "a self-signed certificate as openssl makes it",
            Certificate::of(host).self_signed(true),
            "certificate-self-signed",
            "self-signed",
            "`jackfield doctor --insecure`",
        ),
        (
            "a certificate of an authority that is not trusted",
            other.sign(Certificate::of(host)),
            "certificate-of-unknown-authority",
            "does not trust",
            "fullchain.pem",
        ),
    ] {
        let address = serve_tls(certificate).await;
        add(name, address, "https", kind, Side::Server, verdict, advice);
    }
    let valid = || ours.sign(Certificate::of(host));
    add(
        "http: to a TLS port",
        serve_tls(valid()).await,
        "http",
        "wrong-url",
        Side::Command,
        "should be https://",
        "--server https://ADDRESS",
    );
    add(
        "http: to a TLS port that complains in HTTP, as nginx does",
        refuse_http(valid()).await,
        "http",
        "wrong-url",
        Side::Command,
        "should be https://",
        "--server https://ADDRESS",
    );
    add(
        "https: to a plain port",
        listen(answer("404 Not Found", "")).await,
        "https",
        "wrong-url",
        Side::Command,
        "should be http://",
        "--server http://ADDRESS",
    );
    add(
        "a server that redirects",
        listen(answer(
            "301 Moved Permanently",
            "Location: https://call.example/\r\n",
        ))
        .await,
        "http",
        "wrong-url",
        Side::Command,
        "sends clients on to https://call.example:443",
        "--server https://call.example:443",
    );
    add(
        "a server that is stopped",
        close(),
        "http",
        "nothing-listens",
        Side::Server,
        "Nothing listens on port",
        "`jackfield serve`",
    );
    add(
        "a server that accepts and says nothing",
        listen(say_nothing()).await,
        "http",
        "web-server-silent",
        Side::Server,
        "says nothing",
        "another program may listen there",
    );
    add(
        "a server that accepts and says nothing, asked for TLS",
        listen(say_nothing()).await,
        "https",
        "web-server-silent",
        Side::Server,
        "says nothing",
        "another program may listen there",
    );
    add(
        "a server that is no web server",
        listen(servers::raw("SSH-2.0-OpenSSH_10.0\r\n")).await,
        "http",
        "not-http",
        Side::Server,
        "is not a web server",
        "another program listens there",
    );
    add(
        "a web server that is not Jackfield",
        listen(answer("404 Not Found", "")).await,
        "http",
        "not-jackfield",
        Side::Server,
        "but not Jackfield",
        "have it pass on /ice",
    );
    add(
        "a web server that answers every path with a page",
        listen(answer("200 OK", "Content-Type: text/html\r\n")).await,
        "http",
        "not-jackfield",
        Side::Server,
        "but not Jackfield",
        "have it pass on /ice",
    );
    add(
        "a captive portal that says so, as RFC 6585 has it",
        listen(answer(
            "511 Network Authentication Required",
            "Content-Type: text/html\r\n",
        ))
        .await,
        "http",
        "captive-portal",
        Side::Network,
        "captive portal answers for the server",
        "log in, and run this again",
    );
    add(
        "a proxy whose server is stopped",
        listen(answer("502 Bad Gateway", "")).await,
        "http",
        "proxy-without-server",
        Side::Server,
        "A proxy answers",
        "check that Jackfield runs",
    );
    cases
}
