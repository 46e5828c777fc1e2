//! `jackfield lab` and `jackfield nat` as a person types them, as far as that takes no root.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it does not expect"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use jackfield_lab::nat::{Change, Request};
use jackfield_lab::state::{HostState, Registry, SiteState, State};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn wrong_use_exits_with_2_and_says_what_is_accepted() {
    let run = [
        "nat",
        "run",
        "--inside",
        "a=10.0.0.2/24",
        "--outside",
        "b",
        "--external",
    ];
    let with = |rest: &[&'static str]| [&run[..], rest].concat();
    for (arguments, parts) in [
        (vec!["lab"], &["Usage", "grid"][..]),
        (
            vec!["lab", "run", "--site", "home=cone"],
            &["--site home.nat", "`cone`", "full-cone"],
        ),
        (
            vec!["lab", "run", "--host", "ann@home"],
            &["host.ann.site is `home`"],
        ),
        (
            vec!["lab", "run", "--host", "ann", "--on", "ann"],
            &["--on needs a COMMAND"],
        ),
        (
            vec!["lab", "run", "--host", "ann", "--on", "bob", "--", "true"],
            &["--on cannot be `bob`", "ann, server"],
        ),
        (
            vec!["lab", "run", "--run", "true"],
            &["--run cannot be `true`", "HOST=COMMAND"],
        ),
        (vec!["lab", "run", "nowhere.toml"], &["nowhere.toml"]),
        (vec!["lab", "run", "--seed", "x"], &["--seed"]),
        (
            vec!["lab", "up", "--site", "home=linux,loss=200"],
            &["loss cannot be `200`"],
        ),
        (vec!["lab", "exec"], &["HOST"]),
        (
            vec!["lab", "grid", "--types", "cone"],
            &["--types cannot be `cone`", "only-https"],
        ),
        (
            vec!["lab", "grid", "--types", "open", "--all"],
            &["cannot be used with"],
        ),
        (vec!["lab", "grid", "--parallel", "0"], &["--parallel"]),
        (vec!["nat"], &["Usage", "oracle"]),
        (vec!["nat", "run"], &["--inside", "--outside", "--external"]),
        (with(&["10.0.0.2"]), &["10.0.0.2 cannot be both"]),
        (with(&["198.18.1.1", "--mtu", "500"]), &["--mtu"]),
        (
            with(&["198.18.1.1", "--rate", "fast"]),
            &["--rate cannot be `fast`", "10mbit"],
        ),
        (vec!["nat", "set"], &["nothing to change"]),
        (
            vec!["nat", "set", "--loss", "x"],
            &["--loss cannot be `x`", "percentage"],
        ),
        (
            vec!["nat", "set", "--block-udp=maybe"],
            &["--block-udp", "true"],
        ),
        (vec!["nat", "oracle", "linux"], &["one NAT is not enough"]),
        (
            vec!["nat", "oracle", "linux", "cone"],
            &["`cone`", "full-cone"],
        ),
    ] {
        let (output, error) = jackfield(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        for part in parts {
            assert!(
                error.contains(part),
                "{arguments:?}: `{part}` is not in\n{error}"
            );
        }
    }
}

#[test]
fn help_has_examples_for_each_subcommand() {
    for arguments in [
        ["lab", "run"],
        ["lab", "up"],
        ["lab", "grid"],
        ["lab", "exec"],
        ["lab", "list"],
        ["lab", "down"],
        ["nat", "run"],
        ["nat", "list"],
        ["nat", "set"],
        ["nat", "reboot"],
        ["nat", "oracle"],
        ["nat", "profiles"],
    ] {
        let (output, _) = jackfield(&[&arguments[..], &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let example = format!("jackfield {} {}", arguments[0], arguments[1]);
        assert!(
            text.contains("Examples:") && text.contains(&example),
            "{arguments:?}: {text}"
        );
    }
}

#[test]
fn profiles_are_listed_for_people_and_as_json() {
    let (output, _) = jackfield(&["nat", "profiles", "--json"]);
    let profiles: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (output, _) = jackfield(&["nat", "profiles"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let profiles = profiles.as_array().unwrap();
    assert_eq!(text.lines().count(), profiles.len());
    for (profile, line) in profiles.iter().zip(text.lines()) {
        let name = profile["name"].as_str().unwrap();
        assert_eq!(line.split_whitespace().next(), Some(name));
        assert!(line.ends_with(profile["about"].as_str().unwrap()), "{line}");
        assert!(profile["deviations"].is_array());
    }
}

#[test]
fn the_oracle_tells_the_reason_of_a_pair_and_a_table_of_more() {
    let (output, _) = jackfield(&["nat", "oracle", "symmetric", "eim/apdf"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("relay: ") && text.len() > 30, "{text}");
    let (output, _) = jackfield(&["nat", "oracle"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    let (output, _) = jackfield(&["nat", "oracle", "--json", "symmetric", "eim/apdf", "public"]);
    let pairs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pairs = pairs.as_array().unwrap();
    let path = |pair: &Value| ["a", "b", "path"].map(|key| pair[key].as_str().unwrap().to_owned());
    let paths: Vec<[String; 3]> = pairs.iter().map(path).collect();
    assert_eq!(paths.len(), 6, "each with itself and with those after it");
    let direct = ["symmetric", "public", "direct"].map(str::to_owned);
    assert!(paths.contains(&direct), "{paths:?}");
    let (output, _) = jackfield(&["nat", "oracle", "--json", "symmetric", "public"]);
    let pair: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(pair.as_array().map(Vec::len), Some(1));
}

#[test]
fn every_setting_of_a_router_is_a_flag_and_reaches_it_as_it_was_written() {
    for key in Change::KEYS {
        let value = match key {
            "profile" => "symmetric",
            "mapping" => "adm",
            "filtering" => "eif",
            "hairpinning" => "off",
            "udp-timeout" => "30s",
            "new-mappings-per-host" => "50",
            "new-flows-per-host" => "none",
            "firewall" => "no-udp",
            "latency" | "jitter" => "20ms",
            "loss" | "reorder" | "duplicate" => "1.5",
            "loss-burst" => "3",
            "rate" => "2mbit",
            "queue" => "32KiB",
            "block-udp" => "true",
            "port-mapping" => "upnp",
            other => panic!("{other} is not tried"),
        };
        let router = Router::answering(json!("done"));
        let flag = format!("--{key}={value}");
        let (output, error) = jackfield(&["nat", "set", &flag, "--control", router.path()]);
        assert_eq!(output.status.code(), Some(0), "{key}: {error}");
        let mut wanted = Change::default();
        assert_eq!(wanted.set(key, value), Ok(true));
        assert_eq!(router.request(), Request::Set(Box::new(wanted)), "{key}");
    }
}

#[test]
fn a_reboot_is_one_word_to_the_router() {
    let router = Router::answering(json!("done"));
    let (output, _) = jackfield(&["nat", "reboot", "--control", router.path()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"");
    assert_eq!(router.request(), Request::Reboot);
}

#[test]
fn a_refusal_of_the_router_exits_with_1_and_its_words() {
    let router = Router::answering(json!({"error": "the router has stopped"}));
    let (output, error) = jackfield(&["nat", "list", "--control", router.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error, "jackfield: the router has stopped\n");
    let nowhere = ["nat", "list", "--control", "/nowhere/nat.sock"];
    let (output, error) = jackfield(&nowhere);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("/nowhere/nat.sock") && error.contains("jackfield nat run"),
        "{error}"
    );
}

#[test]
fn the_list_of_a_router_is_its_answer_as_json_or_for_people() {
    let side = json!({
        "packets_in": 1, "bytes_in": 100, "reads": 1, "packets_out": 0, "bytes_out": 0,
    });
    let view = json!({
        "profile": "symmetric", "mapping": "address-and-port-dependent",
        "filtering": "address-and-port-dependent", "firewall": "none", "external": ["198.18.1.1"],
        "uptime_s": 2.5,
        "link": {
            "latency_ms": 20.0, "jitter_ms": 5.0, "loss_percent": 0.5, "loss_burst": 3,
            "reorder_percent": 0.0, "duplicate_percent": 0.0, "rate_bits_per_s": null,
            "queue_bytes": 65536, "block_udp": false,
        },
        "mappings": [], "port_mapping": [], "leases": [], "port_requests": {}, "flows": 0,
        "packets": {"outbound": 1}, "drops": {}, "inside": side, "outside": side,
    });
    let router = Router::answering(json!({"report": view}));
    let (output, error) = jackfield(&["nat", "list", "--json", "--control", router.path()]);
    let shown: Value = serde_json::from_slice(&output.stdout).expect(&error);
    assert_eq!(shown, view);
    assert_eq!(router.request(), Request::List);
    let router = Router::answering(json!({"report": view}));
    let (output, _) = jackfield(&["nat", "list", "--control", router.path()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("symmetric: UDP mapping address-and-port-dependent"),
        "{text}"
    );
    assert!(text.contains("jitter up to 5 ms, bursts of 3"), "{text}");
}

#[test]
fn labs_that_run_are_listed_for_people_and_as_json() {
    let labs = Labs::new();
    let (output, error) = labs.jackfield(&["lab", "list"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b""[..])
    );
    assert_eq!(error, "no lab is up\n");
    let (output, _) = labs.jackfield(&["lab", "list", "--json"]);
    assert_eq!(output.stdout, b"[]\n");
    let _lab = labs.start("demo");
    let (output, _) = labs.jackfield(&["lab", "list", "--json"]);
    let listed: Vec<State> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed, [state("demo")]);
    let (output, _) = labs.jackfield(&["lab", "list"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "lab demo\n  site home: symmetric at 198.18.1.1\n    jackfield nat list --control /run/home.sock\n  \
         host ann: 10.1.0.1 in home\n"
    );
}

#[test]
fn a_lab_or_host_that_is_not_there_exits_with_1_and_names_those_that_are() {
    let labs = Labs::new();
    for command in ["down", "exec"] {
        let (output, error) = labs.jackfield(&["lab", command, "ann"]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(error.contains("no lab is "), "{command}: {error}");
    }
    let _labs = ["demo", "other"].map(|name| labs.start(name));
    let (output, error) = labs.jackfield(&["lab", "exec", "--lab", "demo", "bob", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error, "jackfield: no host is called bob: there is ann\n");
    let (output, error) = labs.jackfield(&["lab", "down"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error, "jackfield: which lab? there is demo, other\n");
    let (output, error) = labs.jackfield(&["lab", "down", "zoo"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        error,
        "jackfield: no lab is called zoo; there is demo, other\n"
    );
}

#[test]
fn a_name_that_is_taken_is_refused_before_anything_is_built() {
    let labs = Labs::new();
    let _lab = labs.start("demo");
    let (output, error) = labs.jackfield(&["lab", "run", "--name", "demo", "--host", "ann"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.starts_with("jackfield: a lab called demo is running"),
        "{error}"
    );
}

#[test]
fn a_grid_whose_page_cannot_be_written_does_not_begin() {
    let (output, error) = jackfield(&["lab", "grid", "--html", "/nowhere/grid.html"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.starts_with("jackfield: /nowhere/grid.html cannot be written: "),
        "{error}"
    );
}

/// Runs the binary without this process's variables; returns what it printed on stderr besides.
fn jackfield(arguments: &[&str]) -> (Output, String) {
    run(arguments, &[])
}

fn run(arguments: &[&str], variables: &[(&str, &Path)]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    let variables = variables.iter().copied();
    command.env_clear().envs(variables).args(arguments);
    let output = command.output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, error)
}

/// Labs of this test alone. None of them really runs: their folders are locked by this process.
struct Labs {
    folder: TempDir,
}

impl Labs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn start(&self, name: &str) -> jackfield_lab::state::Folder {
        let labs = Registry::at(self.folder.path().join("jackfield-lab")).unwrap();
        let lab = labs.claim(name, true).unwrap();
        lab.publish(&state(name)).unwrap();
        lab
    }

    fn jackfield(&self, arguments: &[&str]) -> (Output, String) {
        run(arguments, &[("XDG_RUNTIME_DIR", self.folder.path())])
    }
}

fn state(name: &str) -> State {
    let home = SiteState {
        router: "symmetric".into(),
        external: vec!["198.18.1.1".into()],
        behind: None,
        control: PathBuf::from("/run/home.sock"),
    };
    let ann = HostState {
        site: Some("home".into()),
        addresses: vec!["10.1.0.1".into()],
        netns: 7,
        variables: BTreeMap::new(),
    };
    State {
        name: name.into(),
        // No process has this number, so that no test can end one by mistake.
        supervisor: i32::MAX as u32,
        inside: i32::MAX as u32,
        sites: BTreeMap::from([("home".into(), home)]),
        hosts: BTreeMap::from([("ann".into(), ann)]),
    }
}

/// Stands for a running router: takes one request and gives one answer.
struct Router {
    _folder: TempDir,
    path: String,
    request: JoinHandle<String>,
}

impl Router {
    fn answering(answer: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nat.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let request = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap())
                .read_line(&mut line)
                .unwrap();
            writeln!(stream, "{answer}").unwrap();
            line
        });
        Self {
            _folder: folder,
            path: path.to_str().unwrap().to_owned(),
            request,
        }
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn request(self) -> Request {
        serde_json::from_str(&self.request.join().unwrap()).unwrap()
    }
}
