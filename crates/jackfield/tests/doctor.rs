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

/// What one run printed, and its exit code.
struct Run {
    code: Option<i32>,
    json: Value,
}

#[tokio::test]
async fn each_mistake_has_its_own_kind_and_exit_code() {
    let [plain, secure, closed] = ["127.0.0.1"; 3].map(free);
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
async fn wrong_use_is_told_from_a_problem() {
    for arguments in [
        vec!["--server=ftp://call.example".to_owned()],
        vec![
            "--server=http://127.0.0.1:1".to_owned(),
            "--tls-ca=/nowhere.pem".to_owned(),
        ],
    ] {
        assert_eq!(examine(arguments).await.code, Some(2));
    }
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!("--server={scheme}://{address}")
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
