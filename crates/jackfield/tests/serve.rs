//! The server in this process, on loopback: what shares one port, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use jackfield::config::{Config, Key, Low, Source};
use jackfield::serve::Server;

/// A Binding request without attributes.
const BINDING: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn one_port_serves_stun_over_udp_and_tcp_and_http() {
    let server = Running::start(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&BINDING, server.address).unwrap();
    let mut answer = [0; 100];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    assert!(is_binding_success(answer.get(..length).unwrap()));

    let mut stream = server.connect();
    stream.write_all(&BINDING).unwrap();
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert!(is_binding_success(&answer));

    assert!(server.get("/").contains("<!doctype html>"));
    assert!(server.get("/ice").contains("\"iceServers\""));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(
        server
            .get("/socket.io/?EIO=4&transport=polling")
            .contains("\"upgrades\":[\"websocket\"]")
    );
    assert!(server.get("/nothing").starts_with("HTTP/1.1 404"));
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("jackfield_turn_bindings_total 2"),
        "{metrics}"
    );
}

#[test]
fn the_start_lines_say_when_browsers_do_not_use_the_relay_inside_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = rcgen::generate_simple_self_signed(["call.example.org".to_owned()]).unwrap();
    std::fs::write(&files[0], made.cert.pem()).unwrap();
    std::fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
    let [chain, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let tls = ("listen-tls", "127.0.0.1:0");
    let about_relay = |pairs: &[(&str, &str)]| -> Vec<String> {
        let server = Running::start(pairs);
        let lines = server.server().announcement();
        assert!(
            lines.last().unwrap().starts_with("Open http://127.0.0.1:"),
            "{lines:?}"
        );
        lines
            .into_iter()
            .filter(|line| line.contains("relay inside TLS"))
            .collect()
    };
    assert_eq!(about_relay(&[]), [""; 0]);
    let named = [
        tls,
        ("tls-cert", chain),
        ("tls-key", key),
        ("public-host", "call.example.org"),
    ];
    assert_eq!(about_relay(&named), [""; 0]);
    let at_ip = [
        tls,
        ("tls-cert", chain),
        ("tls-key", key),
        ("public-host", "192.0.2.1:3478"),
    ];
    let lines = about_relay(&at_ip);
    assert!(
        lines.len() == 1 && lines[0].contains("Firefox"),
        "{lines:?}"
    );
    let lines = about_relay(&[tls, ("tls-self-signed", "true")]);
    assert!(
        lines.len() == 1 && lines[0].contains("self-signed"),
        "{lines:?}"
    );
}

#[test]
fn the_first_bytes_may_come_one_by_one() {
    let server = Running::start(&[]);
    let mut stream = server.connect();
    for byte in BINDING {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert!(is_binding_success(&answer));
}

#[test]
fn a_silent_client_is_closed_and_counted() {
    let server = Running::start(&[SHORT]);
    let mut silent = server.connect();
    let mut stream = server.connect();
    stream.write_all(b"GET").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("jackfield_connection_timeouts_total 1"),
        "{metrics}"
    );
}

#[test]
fn a_connection_that_is_kept_alive_for_nothing_is_closed() {
    let server = Running::start(&[SHORT]);
    let mut stream = server.connect();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200"), "{all}");
    assert!(!all.to_lowercase().contains("connection: close"), "{all}");
}

#[test]
fn a_stop_waits_for_no_connection_that_asks_for_nothing() {
    let long = [("shutdown-timeout", "1h"), ("first-bytes-timeout", "1h")];
    let mut server = Running::start(&long);
    let mut open = Vec::new();
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for sent in ["", "G", "GET /healthz HTTP/1.1\r\nhost:", request] {
        let mut stream = server.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        open.push(stream);
    }
    // The answer to a first request, and half of a second one.
    let mut half = server.connect();
    half.write_all(request.as_bytes()).unwrap();
    read_head(&mut half);
    half.write_all(b"GET /heal").unwrap();
    open.push(half);
    assert!(server.stops(), "the stop waits for a silent connection");
}

#[test]
fn a_signaling_client_hears_of_the_stop_before_it_comes() {
    let mut server = Running::start(&[("shutdown-timeout", "1h")]);
    let mut stream = server.websocket();
    let client = std::thread::spawn(move || {
        let mut frames = Vec::new();
        let mut byte = [0; 1];
        // A Close frame (RFC 6455 section 5.5.1) begins with its code: 1012, service restart.
        while !frames.ends_with(&[0x03, 0xF4]) {
            stream.read_exact(&mut byte).unwrap();
            frames.extend(byte);
        }
        frames
    });
    assert!(server.stops(), "the stop waits for a client that has gone");
    let frames = client.join().unwrap();
    assert_eq!(frames.get(frames.len() - 4), Some(&0x88));
}

#[test]
fn a_request_under_way_is_cut_off_when_the_time_is_over() {
    let mut server = Running::start(&[("shutdown-timeout", "1s")]);
    let opened = server.get("/socket.io/?EIO=4&transport=polling");
    let (_, sid) = opened.split_once("\"sid\":\"").unwrap();
    let (sid, _) = sid.split_once('"').unwrap();
    let mut post = server.connect();
    post.write_all(
        format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: localhost\r\n\
             content-length: 100\r\n\r\n4"
        )
        .as_bytes(),
    )
    .unwrap();
    assert!(server.stops(), "the stop waits for a body");
    let mut rest = Vec::new();
    let _reset = post.read_to_end(&mut rest);
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[test]
fn connections_over_the_limit_are_closed() {
    let server = Running::start(&[("max-connections-per-network", "2")]);
    let mut first = server.connect();
    first.write_all(&BINDING).unwrap();
    first.read_exact(&mut [0; 32]).unwrap();
    let mut second = server.connect();
    second.write_all(&BINDING).unwrap();
    second.read_exact(&mut [0; 32]).unwrap();
    assert!(!server.is_served());
}

#[test]
fn websockets_keep_their_place_as_long_as_they_are_open() {
    let server = Running::start(&[("max-connections-per-network", "2")]);
    let first = server.websocket();
    let _second = server.websocket();
    assert!(!server.is_served());
    drop(first);
    // The server learns of the end in its own time.
    let deadline = std::time::Instant::now() + PATIENCE;
    while !server.is_served() {
        assert!(
            std::time::Instant::now() < deadline,
            "no place is given back"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = Running::start(&[]);
    let error = start(&[("listen", &server.address.to_string())])
        .err()
        .unwrap();
    let text = format!("{error:#}");
    assert!(text.contains(&server.address.to_string()), "{text}");
}

#[test]
fn pages_of_other_origins_get_credentials_only_where_configured() {
    let server = Running::start(&[("cors-origin", "https://app.example.org")]);
    let ask = |origin: &str| {
        server.request(&format!(
            "GET /ice HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\nconnection: close\r\n\r\n"
        ))
    };
    assert!(
        ask("https://app.example.org")
            .contains("access-control-allow-origin: https://app.example.org")
    );
    assert!(!ask("https://other.example.org").contains("access-control-allow-origin"));
}

#[test]
fn pages_of_other_origins_get_no_websocket_and_no_session_unless_configured() {
    let server = Running::start(&[("cors-origin", "https://app.example.org")]);
    let own = format!("http://{}", server.address);
    let authority = server.address.to_string();
    let status = |path: &str, headers: &str| {
        let answer = server.head(&format!(
            "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n{headers}\r\n"
        ));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let socketio = "/socket.io/?EIO=4&transport=websocket";
    let polling = "/socket.io/?EIO=4&transport=polling";
    for (origin, websocket, session) in [
        (String::new(), "101", "200"),
        (format!("origin: {own}\r\n"), "101", "200"),
        (
            "origin: https://app.example.org\r\n".to_owned(),
            "101",
            "200",
        ),
        ("origin: https://evil.example\r\n".to_owned(), "403", "403"),
        ("origin: null\r\n".to_owned(), "403", "403"),
        (format!("origin: {own}\r\norigin: {own}\r\n"), "403", "403"),
    ] {
        let upgrade = format!("{origin}{UPGRADE}");
        for path in ["/", "/signal", socketio] {
            assert_eq!(status(path, &upgrade), websocket, "{path} {origin}");
        }
        assert_eq!(status(polling, &origin), session, "{origin}");
    }
    let refused = server.request(&format!(
        "GET {polling} HTTP/1.1\r\nhost: {authority}\r\norigin: http://evil.example\r\n\
         connection: close\r\n\r\n"
    ));
    assert!(refused.contains(r#""code":4"#), "{refused}");
    assert!(refused.contains("--cors-origin"), "{refused}");
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("jackfield_http_foreign_origins_total 13"),
        "{metrics}"
    );
}

#[test]
fn a_name_that_anyone_can_point_here_leads_a_browser_to_the_address() {
    let server = Running::start(&[]);
    let (address, port) = (server.address, server.address.port());
    let ask = |path: &str, host: &str, headers: &str| {
        server.head(&format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
        ))
    };
    let evil = format!("evil.example:{port}");
    let browser = "accept-language: en\r\n";
    let page = ask("/r/demo?name=Ann", &evil, browser);
    assert!(page.starts_with("HTTP/1.1 307"), "{page}");
    let location = format!("location: http://{address}/r/demo?name=Ann\r\n");
    assert!(page.contains(&location), "{page}");
    // A proxy's port is no address of this server.
    assert!(ask("/", "evil.example:8443", browser).starts_with("HTTP/1.1 403"));
    let polling = "/socket.io/?EIO=4&transport=polling";
    for path in ["/ice", "/metrics", "/sdk.js", polling] {
        assert!(
            ask(path, &evil, browser).starts_with("HTTP/1.1 403"),
            "{path}"
        );
        let program = ask(path, &evil, "");
        assert!(program.starts_with("HTTP/1.1 200"), "{path}: {program}");
    }
    let upgrade = format!("origin: http://{evil}\r\n{UPGRADE}");
    assert!(ask("/signal", &evil, &upgrade).starts_with("HTTP/1.1 403"));
    let names = [
        format!("localhost:{port}"),
        address.to_string(),
        format!("nas.local:{port}"),
    ];
    for host in names {
        let upgrade = format!("origin: http://{host}\r\naccept-language: en\r\n{UPGRADE}");
        assert!(
            ask("/signal", &host, &upgrade).starts_with("HTTP/1.1 101"),
            "{host}"
        );
        assert!(
            ask("/", &host, browser).starts_with("HTTP/1.1 200"),
            "{host}"
        );
    }
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("jackfield_http_unknown_hosts_total 7"),
        "{metrics}"
    );
}

#[test]
fn what_a_proxy_passes_on_reads_no_metrics_without_the_token() {
    let server = Running::start(&[("metrics-token", "a token of some length")]);
    let ask = |headers: &str| {
        let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        server.request(&format!("{head}x-forwarded-for: 8.8.8.8\r\n{headers}\r\n"))
    };
    let refused = ask("");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("metrics-token"), "{refused}");
    let metrics = ask("authorization: Bearer a token of some length\r\n");
    assert!(
        metrics.contains("jackfield_http_metrics_refused_total 1"),
        "{metrics}"
    );
}

#[test]
fn a_request_names_its_host_once() {
    let server = Running::start(&[]);
    let ask = |head: &str| {
        let answer = server.request(&format!("GET {head}connection: close\r\n\r\n"));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for (head, status) in [
        ("/healthz HTTP/1.1\r\n", "400"),
        ("/healthz HTTP/1.1\r\nhost: a\r\n", "200"),
        ("/healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n", "400"),
        ("/healthz HTTP/1.1\r\nhost: a\r\nhost: a\r\n", "400"),
        ("http://a/healthz HTTP/1.1\r\n", "400"),
        ("/socket.io/?EIO=4&transport=polling HTTP/1.1\r\n", "400"),
        ("/healthz HTTP/1.0\r\n", "200"),
        ("/healthz HTTP/1.0\r\nhost: a\r\nhost: b\r\n", "400"),
    ] {
        assert_eq!(ask(head), status, "{head:?}");
    }
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("jackfield_http_bad_host_total 6"),
        "{metrics}"
    );
}

#[test]
fn tls_handshakes_above_the_rate_are_refused_and_counted() {
    let tls = ("listen-tls", "127.0.0.1:0");
    let rate = ("tls-handshakes-per-second", "1");
    let server = Running::start(&[tls, ("tls-self-signed", "true"), rate]);
    let tls = server.server().tls_addresses().first().copied().unwrap();
    let hello = |_| {
        let mut stream = TcpStream::connect(tls).unwrap();
        // A ClientHello of which the rest is missing.
        stream.write_all(&[22, 3, 1, 1, 0]).unwrap();
        stream
    };
    // Ten may begin at once, and one more each second.
    let _open: Vec<_> = (0..100).map(hello).collect();
    let deadline = std::time::Instant::now() + PATIENCE;
    while server
        .get("/metrics")
        .contains("jackfield_tls_handshakes_refused_total 0")
    {
        assert!(
            std::time::Instant::now() < deadline,
            "every handshake was begun"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_plain_request_to_the_tls_port_is_told_so() {
    let server = Running::start(&[("listen-tls", "127.0.0.1:0"), ("tls-self-signed", "true")]);
    let tls = server.server().tls_addresses().first().copied().unwrap();
    let mut stream = TcpStream::connect(tls).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    // What was not read is answered by a reset, which may come before the end of the answer was
    // read.
    let _reset = stream.read_to_string(&mut answer);
    assert!(answer.contains("this port speaks TLS"), "{answer}");
}

fn is_binding_success(message: &[u8]) -> bool {
    message.starts_with(&[1, 1]) && message.get(8..20) == BINDING.get(8..20)
}

/// What asks for a WebSocket.
const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the silent are waited for; a client of these tests may be stalled for less.
const SHORT: (&str, &str) = ("first-bytes-timeout", "5s");

/// A server of the test's own, stopped at its end.
struct Running {
    server: Option<Server>,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Running {
    fn start(pairs: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().to_str().unwrap();
        let all = [&[("data-dir", dir), ("listen", "127.0.0.1:0")], pairs].concat();
        let server = start(&all).unwrap();
        let address = server.addresses().first().copied().unwrap();
        Self {
            server: Some(server),
            address,
            _data: data,
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Stops the server; returns whether that came to an end.
    fn stops(&mut self) -> bool {
        let server = self.server.take().unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            stop(server);
            let _gave_up = ended.send(());
        });
        end.recv_timeout(PATIENCE).is_ok()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Returns whether a new connection gets an answer; one over a limit is closed without.
    fn is_served(&self) -> bool {
        let mut stream = self.connect();
        let asked = stream.write_all(&BINDING);
        asked.is_ok() && stream.read_exact(&mut [0; 32]).is_ok()
    }

    /// Returns a connection that has become a WebSocket of the signaling server.
    fn websocket(&self) -> TcpStream {
        let mut stream = self.connect();
        let request = format!("GET /signal HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 101"));
        stream
    }

    /// Returns the head of the answer to a request, which may open a WebSocket.
    fn head(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        read_head(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        self.request(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
    }

    fn request(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            stop(server);
        }
    }
}

fn stop(server: Server) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(server.stop());
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

fn start(pairs: &[(&str, &str)]) -> anyhow::Result<Server> {
    let mut low = Low::default();
    for (name, value) in pairs {
        low.set(
            Key::find(name).unwrap(),
            Source::Flag,
            vec![(*value).to_owned()],
        );
    }
    Server::start(Config::resolve(&low)?)
}
