//! `jackfield connect`, `send` and `receive`: two processes on this machine, over real data
//! channels.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod command;
mod member;
mod proxy;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use command::{Peer, Running, random};
use member::Member;
use proxy::Proxy;
use tokio::net::TcpSocket;

#[test]
fn a_folder_arrives_whole_and_both_commands_say_so() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = from.path().join("photos");
    fs::create_dir_all(folder.join("empty")).unwrap();
    fs::write(folder.join("a.jpg"), random(300_000, 1)).unwrap();
    fs::write(folder.join("b"), "").unwrap();
    let sender = Peer::start(
        &server,
        &["send", "--room", "r", "--json", folder.to_str().unwrap()],
    );
    let into = to.path().to_str().unwrap();
    let receiver = Peer::start(&server, &["receive", "r", "--json", "--into", into]);

    let received = receiver.output();
    assert_eq!(received.status.code(), Some(0), "{received:?}");
    let sent = sender.output();
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let there = to.path().join("photos");
    assert_eq!(fs::read(there.join("a.jpg")).unwrap(), random(300_000, 1));
    assert_eq!(fs::read(there.join("b")).unwrap(), b"");
    assert!(there.join("empty").is_dir());
    for output in [received, sent] {
        let text = String::from_utf8(output.stdout).unwrap();
        let events: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let has = |key: &str, value: &str| {
            events
                .iter()
                .any(|event| event.get(key).and_then(|it| it.as_str()) == Some(value))
        };
        assert!(has("event", "done") && has("path", "direct"), "{text}");
    }
}

#[test]
fn a_receiver_that_was_killed_goes_on_where_it_was() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = from.path().join("big");
    let into = to.path().to_str().unwrap();
    let receive = ["receive", "r", "--json", "--into", into];
    // A file that is there before this thread has looked at half of it is followed by a longer one.
    let (sender, bytes) = (21..)
        .find_map(|power| {
            let bytes = random(1 << power, 2);
            fs::write(&file, &bytes).unwrap();
            let sender = Peer::start(&server, &["send", "--room", "r", file.to_str().unwrap()]);
            let mut receiver = Peer::start(&server, &receive);
            while !receiver.has_ended() && part_of(to.path()) < 200_000 {
                thread::yield_now();
            }
            receiver.kill();
            if part_of(to.path()) > 0 {
                return Some((sender, bytes));
            }
            assert_eq!(sender.output().status.code(), Some(0));
            fs::remove_file(to.path().join("big")).unwrap();
            None
        })
        .unwrap();

    let received = Peer::start(&server, &receive).output();
    assert_eq!(received.status.code(), Some(0), "{received:?}");
    let text = String::from_utf8(received.stdout).unwrap();
    // The sender's leaving may be told of after it.
    let done = text
        .lines()
        .find(|line| line.contains(r#""event":"done""#))
        .unwrap();
    let done: serde_json::Value = serde_json::from_str(done).unwrap();
    assert!(done["kept"].as_u64().unwrap() >= 200_000, "{done}");
    assert_eq!(sender.output().status.code(), Some(0));
    assert!(fs::read(to.path().join("big")).unwrap() == bytes);
}

/// Returns how long the part of a file in a folder is, which is none once the file is there.
fn part_of(folder: &Path) -> u64 {
    let mut entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let part = entries.find(|path| path.extension().is_some_and(|it| it == "part"));
    // It may get its name meanwhile.
    part.and_then(|part| part.metadata().ok())
        .map_or(0, |it| it.len())
}

/// Returns an address where no program listens, and a socket that keeps others from it.
fn closed() -> (TcpSocket, SocketAddr) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

/// One side goes without, and so must the other.
#[test]
fn data_goes_over_tcp_where_one_side_wants_no_datagram() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = from.path().join("file");
    fs::write(&file, random(500_000, 3)).unwrap();
    let file = file.to_str().unwrap();
    let sender = Peer::start(
        &server,
        &["send", "--room", "r", "--json", "--no-udp", file],
    );
    let into = to.path().to_str().unwrap();
    let receiver = Peer::start(&server, &["receive", "r", "--json", "--into", into]);
    for output in [receiver.output(), sender.output()] {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let paths: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|event: &serde_json::Value| event["protocol"].is_string())
            .collect();
        assert!(!paths.is_empty(), "{text}");
        assert!(paths.iter().all(|path| path["protocol"] == "tcp"), "{text}");
    }
    assert!(fs::read(to.path().join("file")).unwrap() == random(500_000, 3));
}

#[test]
fn a_file_that_is_there_already_is_refused_with_a_word_on_both_sides() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("a"), "new").unwrap();
    fs::write(to.path().join("a"), "older").unwrap();
    let file = from.path().join("a");
    let sender = Peer::start(&server, &["send", "--room", "r", file.to_str().unwrap()]);
    let into = to.path().to_str().unwrap();
    let received = Peer::start(&server, &["receive", "r", "--into", into]).output();
    let sent = sender.output();
    for (output, word) in [(received, "is there already"), (sent, "has \"a\" already")] {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains(word), "{words}");
    }
    assert_eq!(fs::read(to.path().join("a")).unwrap(), b"older");
}

#[test]
fn a_member_that_opens_a_channel_and_says_nothing_keeps_no_files_from_a_receiver() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("a"), "here").unwrap();
    let into = to.path().to_str().unwrap();
    let receiver = Peer::start(&server, &["receive", "r", "--into", into]);
    let mut silent = Member::enter(&server, "r");
    let files = silent.open_channel("jackfield.files");
    // A receiver closes a channel of another protocol; it has the one that came before by then.
    let mut other = silent.open_channel("other");
    assert!(silent.is_closed(&mut other));

    let file = from.path().join("a");
    let sender = Peer::start(&server, &["send", "--room", "r", file.to_str().unwrap()]);
    let (received, sent) = (receiver.output(), sender.output());
    assert_eq!(received.status.code(), Some(0), "{received:?}");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    assert_eq!(fs::read(to.path().join("a")).unwrap(), b"here");
    drop(files);
}

#[test]
fn a_receiver_that_is_stopped_tells_the_sender_and_leaves() {
    let server = Running::start();
    let to = tempfile::tempdir().unwrap();
    let into = to.path().to_str().unwrap();
    let mut receiver = Peer::start(&server, &["receive", "r", "--json", "--into", into]);
    let mut sender = Member::enter(&server, "r");
    let mut channel = sender.open_channel("jackfield.files");
    for message in [
        r#"{"t":"offer","version":1,"entries":1,"bytes":9}"#,
        r#"{"t":"entries","entries":[{"path":"a","size":9}]}"#,
    ] {
        sender.say(&channel, message);
    }
    receiver.next_event("offer");
    receiver.signal("TERM");
    let told = || sender.hears(&mut channel).unwrap();
    let reason = std::iter::repeat_with(told).find_map(|message| message.get("reason").cloned());
    assert_eq!(reason.unwrap(), "stopped");
    assert!(sender.sees_a_goodbye());
    let output = receiver.output();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn a_sender_keeps_its_offer_for_a_receiver_that_was_stopped() {
    let server = Running::start();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = from.path().join("a");
    fs::write(&file, "here").unwrap();
    let send = ["send", "--room", "r", "--json", file.to_str().unwrap()];
    let mut sender = Peer::start(&server, &send);
    let mut stopped = Member::enter(&server, "r");
    let mut channel = stopped.accept_channel();
    assert_eq!(stopped.hears(&mut channel).unwrap()["t"], "offer");
    stopped.say(&channel, r#"{"t":"accept"}"#);
    stopped.say(&channel, r#"{"t":"refuse","reason":"stopped"}"#);
    assert_eq!(sender.next_event("stopped")["peer"], "member");
    stopped.leave();

    let into = to.path().to_str().unwrap();
    let received = Peer::start(&server, &["receive", "r", "--into", into]).output();
    assert_eq!(received.status.code(), Some(0), "{received:?}");
    assert_eq!(sender.output().status.code(), Some(0));
    assert_eq!(fs::read(to.path().join("a")).unwrap(), b"here");
}

#[test]
fn a_pipe_and_a_sender_that_are_stopped_leave_with_a_goodbye() {
    let server = Running::start();
    let from = tempfile::tempdir().unwrap();
    let file = from.path().join("a");
    fs::write(&file, "here").unwrap();
    let send = ["send", "--room", "send", file.to_str().unwrap()];
    for (room, arguments) in [("send", &send[..]), ("pipe", &["connect", "pipe"])] {
        let command = Peer::start(&server, arguments);
        let mut member = Member::enter(&server, room);
        member.meets_somebody();
        command.signal("INT");
        assert!(member.sees_a_goodbye(), "{room}");
        let output = command.output();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("stopped by SIGINT"), "{words}");
    }
}

#[test]
fn what_one_reads_the_other_writes_and_each_direction_ends_by_itself() {
    let server = Running::start();
    let mut one = Peer::start(&server, &["connect", "r"]);
    let mut other = Peer::start(&server, &["connect", "r"]);
    let question = random(1_000_000, 3);
    let mut stdin = one.stdin();
    let asked = question.clone();
    let asking = thread::spawn(move || stdin.write_all(&asked).unwrap());
    let heard = other.read_to_end_of_stdout();
    assert!(heard == question);
    asking.join().unwrap();
    other.stdin().write_all(b"the answer").unwrap();
    let (one, other) = (one.output(), other.output());
    assert_eq!(one.stdout, b"the answer", "{one:?}");
    assert_eq!(
        (one.status.code(), other.status.code()),
        (Some(0), Some(0)),
        "{one:?} {other:?}"
    );
}

#[test]
fn a_port_leads_to_the_other_side_where_that_allows_it() {
    let server = Running::start();
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = echo.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in echo.incoming() {
            let mut connection = connection.unwrap();
            // The whole question comes before the answer: that takes a half-closed connection.
            let mut all = Vec::new();
            connection.read_to_end(&mut all).unwrap();
            connection.write_all(&all).unwrap();
        }
    });
    let allowing = Peer::start(&server, &["connect", "r", "--allow", &port.to_string()]);
    let forward = format!("0:localhost:{port}");
    let refused = format!("0:localhost:{}", port ^ 1);
    let forwards = [
        "connect",
        "r",
        "--json",
        "--forward",
        &forward,
        "-L",
        &refused,
    ];
    let mut forwarding = Peer::start(&server, &forwards);
    let [good, bad] = [(); 2].map(|()| {
        let event = forwarding.next_event("listening");
        event["address"].as_str().unwrap().to_owned()
    });
    let ask = |seed: u64| {
        let mut connection = TcpStream::connect(&good).unwrap();
        thread::spawn(move || {
            let question = random(200_000, seed);
            connection.write_all(&question).unwrap();
            connection.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            connection.read_to_end(&mut answer).unwrap();
            assert!(answer == question);
        })
    };
    let asked: Vec<_> = (0..4).map(ask).collect();
    for one in asked {
        one.join().unwrap();
    }
    let mut connection = TcpStream::connect(&bad).unwrap();
    let mut nothing = Vec::new();
    assert_eq!(connection.read_to_end(&mut nothing).unwrap_or_default(), 0);
    let refusal = loop {
        let event = forwarding.next_event("closed");
        if event.get("why").is_some() {
            break event;
        }
    };
    assert!(
        refusal["why"].as_str().unwrap().contains("--allow"),
        "{refusal}"
    );
    forwarding.kill();
    allowing.kill();
}

#[test]
fn a_port_is_allowed_to_the_other_side_and_to_no_other_member() {
    let server = Running::start();
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = echo.local_addr().unwrap().port();
    let allow = ["connect", "r", "--json", "--allow", &port.to_string()];
    let mut allowing = Peer::start(&server, &allow);
    let forward = [
        "connect",
        "r",
        "--json",
        "-L",
        &format!("0:localhost:{port}"),
    ];
    let mut forwarding = Peer::start(&server, &forward);
    let address = forwarding.next_event("listening")["address"].clone();
    let mut here = TcpStream::connect(address.as_str().unwrap()).unwrap();
    let (mut there, _) = echo.accept().unwrap();

    let mut third = Member::enter(&server, "r");
    let open = format!(
        r#"{{"t":"open","version":1,"stream":"{:032x}","to":"localhost:{port}","received":0,"taken":0}}"#,
        7
    );
    // The member is connected with both programs, and each of them is busy.
    for _ in 0..2 {
        let mut channel = third.open_channel_to_next("jackfield.stream");
        third.say(&channel, &open);
        let answer = third.hears(&mut channel).unwrap();
        assert_eq!(
            (&answer["t"], &answer["reason"]),
            (&"close".into(), &"busy".into())
        );
    }
    third.leave();
    echo.set_nonblocking(true).unwrap();
    assert!(echo.accept().is_err());

    // The connection of the other side still works.
    here.write_all(b"still here").unwrap();
    let mut said = [0; 10];
    there.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"still here");

    // The next one takes its place when it leaves.
    forwarding.signal("INT");
    while allowing.next_event("left")["peer"] == "member" {}
    assert_eq!(forwarding.output().status.code(), Some(130));
    let mut next = Peer::start(&server, &forward);
    let address = next.next_event("listening")["address"].clone();
    let _connection = TcpStream::connect(address.as_str().unwrap()).unwrap();
    echo.set_nonblocking(false).unwrap();
    echo.accept().unwrap();
}

#[test]
fn the_server_is_reached_by_a_proxy_inside_tls_and_outside() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let made = rcgen::generate_simple_self_signed(["call.example.org".to_owned()]).unwrap();
    fs::write(&files[0], made.cert.pem()).unwrap();
    fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
    let [chain, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let server = Running::start_with(&[("tls-cert", chain), ("tls-key", key)]);
    let address = server.address();
    let secure = ["receive", "r", "--json", "--tls-ca", chain];
    let open = &secure[..3];
    for (url, arguments, target) in [
        ("http://call.example.org", open, "call.example.org:80"),
        ("https://call.example.org", &secure, "call.example.org:443"),
    ] {
        for proxy in [Proxy::http(address), Proxy::socks5(address)] {
            let flag = [arguments, &["--proxy", proxy.url()]].concat();
            let mut receiver = Peer::start_at(url, &flag, &[("https_proxy", "no proxy")]);
            assert_eq!(receiver.next_event("room")["room"], "r");
            assert_eq!(proxy.next_target(), target);

            let variable = [("ALL_PROXY", proxy.url())];
            let mut receiver = Peer::start_at(url, arguments, &variable);
            assert_eq!(receiver.next_event("room")["room"], "r");
            assert_eq!(proxy.next_target(), target);
        }
    }
    let (_held, closed) = closed();
    let proxy = format!("http://{closed}");
    let arguments = ["receive", "r", "--proxy", &proxy];
    let output = Peer::start_at("call.example.org", &arguments, &[]).output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("cannot be reached by the proxy"), "{words}");
}

#[test]
fn wrong_use_and_a_server_that_is_not_there_have_their_exit_codes_and_words() {
    for arguments in [
        &["receive"][..],
        &["receive", "\u{7}"],
        &["connect", "r", "--forward", "x"],
        &["connect", "r", "--wait", "soon"],
        &["connect", "r", "--proxy", "gopher://proxy"],
        &["send"],
    ] {
        let output = Peer::run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let (_held, closed) = closed();
    let output = Peer::run(&["receive", "r", "--server", &format!("http://{closed}")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("cannot be reached"), "{words}");
    let output = Peer::run(&["send", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn who_waits_in_vain_gives_up_when_told() {
    let server = Running::start();
    let output = Peer::start(&server, &["receive", "r", "--wait", "1s"]).output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("no one came"), "{words}");
}
