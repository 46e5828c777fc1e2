//! `jackfield doctor` as a person types it, against a real server on loopback: what it says of each
//! mistake, and its exit code.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

use std::net::SocketAddr;
use std::process::Command;

use jackfield::config::{Config, Key, Low, Source};
use jackfield::serve::Server;
use serde_json::Value;
use tokio::net::TcpSocket;

/// What one run printed, and its exit code.
struct Run {
    code: Option<i32>,
    json: Value,
}

#[tokio::test]
async fn each_mistake_has_its_own_kind_and_exit_code() {
    let [plain, secure] = ["127.0.0.1"; 2].map(free);
    let (_held, closed) = closed();
    let server = start(plain, secure);
    for (arguments, code, kind, problem) in [
        // The relay inside TLS has the server's self-signed certificate.
        (
            vec![url("http", plain)],
            1,
            "unknown-peers",
            "certificate-self-signed",
        ),
        (
            vec![url("https", secure)],
            1,
            "certificate-self-signed",
            "certificate-self-signed",
        ),
        (vec![url("http", secure)], 1, "wrong-url", "wrong-url"),
        // With a certificate, a plain port speaks TLS as well.
        (
            vec![url("https", plain)],
            1,
            "certificate-self-signed",
            "certificate-self-signed",
        ),
        (
            vec![url("http", closed)],
            1,
            "nothing-listens",
            "nothing-listens",
        ),
    ] {
        let run = examine(arguments).await;
        assert_eq!(run.json["verdict"]["kind"], kind, "{:#}", run.json);
        assert_eq!(run.json["problems"][0]["kind"], problem, "{:#}", run.json);
        assert_eq!(run.code, Some(code), "{:#}", run.json);
    }
    for scheme_and_port in [("http", plain), ("https", secure)] {
        let (scheme, address) = scheme_and_port;
        let run = examine(vec![url(scheme, address), "--insecure".to_owned()]).await;
        assert_eq!(run.json["verdict"]["health"], "ok", "{:#}", run.json);
        assert_eq!(run.json["relay"], "works", "{:#}", run.json);
        assert_eq!(run.code, Some(0), "{:#}", run.json);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_trace_has_all_that_was_sent_and_no_secret() {
    let [plain, secure] = ["127.0.0.1"; 2].map(free);
    let server = start(plain, secure);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    let trace = format!("--trace={}", file.display());
    let run = examine(vec![url("https", secure), "--insecure".to_owned(), trace]).await;
    assert_eq!(run.code, Some(0), "{:#}", run.json);
    server.stop().await;

    let capture = std::fs::read(file.with_extension("pcapng")).unwrap();
    let contains = |part: &str| capture.windows(part.len()).any(|it| it == part.as_bytes());
    for part in [
        // What was asked inside TLS, and by whom.
        "GET /ice HTTP/1.1",
        "Relay list, inside TLS, shown in the clear",
        "GET /signal HTTP/1.1",
        "\"credential\":\"****",
        "\"username\":\"****",
        "UDP v4",
        "MTU v4",
        "user name and integrity are blanked",
    ] {
        assert!(contains(part), "{part}");
    }
    let text = std::fs::read_to_string(file.with_extension("json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["conclusions"]["verdict"], run.json["verdict"]);
    assert_eq!(json["facts"]["web"]["ice"]["ttl_s"], 3600);
    assert!(json["capture"]["packets"].as_u64().unwrap() > 20);
    assert_eq!(json["capture"]["dropped"], 0);
    assert_eq!(json["facts"]["mtu_v4"]["path"], 1500);
    // The user names of time-limited credentials begin with a time, and the relays use them in
    // every request.
    let unix = json["facts"]["at"].as_u64().unwrap() + 3600;
    for second in unix - 5..unix + 30 {
        let name = second.to_string();
        assert!(
            !contains(&name) && !text.contains(&format!("\"{name}")),
            "{name}"
        );
    }
    assert!(!text.contains("credential\""), "{text}");
}

#[tokio::test]
async fn a_watch_ends_after_its_count_with_the_last_exit_code() {
    let [plain, secure] = ["127.0.0.1"; 2].map(free);
    let (_held, closed) = closed();
    let server = start(plain, secure);
    for (address, code) in [(plain, 0), (closed, 1)] {
        let output = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
            command.args(["doctor", "--json", "--insecure", "--watch=1s", "--count=2"]);
            command.arg(url("http", address)).output().unwrap()
        })
        .await
        .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let changes: Vec<&Value> = lines.iter().map(|line| &line["changes"]).collect();
        // Times and ports are new, and nothing else.
        assert_eq!(changes, [&Value::Null, &Value::Array(Vec::new())], "{text}");
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_use_is_told_from_a_problem() {
    for arguments in [
        vec!["--server=ftp://call.example".to_owned()],
        vec![
            "--server=http://127.0.0.1:1".to_owned(),
            "--tls-ca=/nowhere.pem".to_owned(),
        ],
        vec!["--watch=0s".to_owned()],
        vec!["--count=2".to_owned()],
    ] {
        assert_eq!(examine(arguments).await.code, Some(2));
    }
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!("--server={scheme}://{address}")
}

#[tokio::test]
async fn a_proxy_that_is_named_is_tried() {
    let [plain, secure, closed] = ["127.0.0.1"; 3].map(free);
    let server = start(plain, secure);
    let proxy = ["--proxy".to_owned(), format!("http://{closed}")];
    let run = examine([vec![url("http", plain)], proxy.into()].concat()).await;
    let problems = run.json["problems"].as_array().unwrap();
    let kinds: Vec<&Value> = problems.iter().map(|problem| &problem["kind"]).collect();
    assert!(
        kinds.contains(&&Value::from("proxy-fails")),
        "{:#}",
        run.json
    );
    assert!(
        run.json
            .to_string()
            .contains(&format!("{closed}, which --proxy names"))
    );
    server.stop().await;
}

async fn examine(arguments: Vec<String>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command.args(["doctor", "--json"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    Run {
        code: output.status.code(),
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
    }
}

fn free(ip: &str) -> SocketAddr {
    let address = format!("{ip}:0").parse().unwrap();
    let port = jackfield_driver::port::claim(address).unwrap().port();
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// Returns an address where no program listens, and a socket that keeps others from it.
fn closed() -> (TcpSocket, SocketAddr) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

fn start(plain: SocketAddr, secure: SocketAddr) -> Server {
    let mut low = Low::default();
    for (name, value) in [
        ("listen", plain.to_string()),
        ("listen-tls", secure.to_string()),
        ("tls-self-signed", "true".to_owned()),
        ("secret", "a secret of some length".to_owned()),
        ("shards", "1".to_owned()),
    ] {
        low.set(Key::find(name).unwrap(), Source::Flag, vec![value]);
    }
    Server::start(Config::resolve(&low).unwrap()).unwrap()
}
