//! The arrows between crates, checked against `cargo metadata`.
//!
//! `ARCHITECTURE.md` shows the same table to people; a new crate or arrow is added in both places.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic on a shape it does not expect"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Which of our crates a crate may depend on, in its normal and build dependencies.
const ARROWS: &[(&str, &[&str])] = &[
    ("jackfield-sansio", &[]),
    ("jackfield-stun", &["jackfield-sansio"]),
    ("jackfield-turn", &["jackfield-stun", "jackfield-sansio"]),
    (
        "jackfield-ice",
        &["jackfield-turn", "jackfield-stun", "jackfield-sansio"],
    ),
    ("jackfield-nat", &["jackfield-sansio"]),
    ("jackfield-tcp", &["jackfield-nat", "jackfield-sansio"]),
    (
        "jackfield-portmap",
        &["jackfield-tcp", "jackfield-nat", "jackfield-sansio"],
    ),
    ("jackfield-proxy", &[]),
    (
        "jackfield-internet",
        &[
            "jackfield-portmap",
            "jackfield-proxy",
            "jackfield-tcp",
            "jackfield-nat",
            "jackfield-sansio",
        ],
    ),
    ("jackfield-peer", &["jackfield-ice", "jackfield-sansio"]),
    ("jackfield-websocket", &[]),
    ("jackfield-socketio-proto", &[]),
    ("jackfield-signal", &["jackfield-sansio"]),
    (
        "jackfield-driver",
        &[
            "jackfield-ice",
            "jackfield-peer",
            "jackfield-portmap",
            "jackfield-proxy",
            "jackfield-stun",
            "jackfield-turn",
            "jackfield-sansio",
        ],
    ),
    (
        "jackfield-router",
        &[
            "jackfield-internet",
            "jackfield-portmap",
            "jackfield-tcp",
            "jackfield-nat",
            "jackfield-sansio",
        ],
    ),
    ("jackfield-ws", &["jackfield-websocket"]),
    (
        "jackfield-socketio",
        &[
            "jackfield-sansio",
            "jackfield-socketio-proto",
            "jackfield-ws",
        ],
    ),
    (
        "jackfield-lab",
        &[
            "jackfield-router",
            "jackfield-driver",
            "jackfield-ice",
            "jackfield-portmap",
            "jackfield-proxy",
            "jackfield-nat",
            "jackfield-turn",
            "jackfield-stun",
            "jackfield-sansio",
        ],
    ),
    (
        "jackfield-connect",
        &[
            "jackfield-driver",
            "jackfield-proxy",
            "jackfield-ws",
            "jackfield-sansio",
        ],
    ),
    (
        "jackfield-doctor",
        &[
            "jackfield-connect",
            "jackfield-driver",
            "jackfield-proxy",
            "jackfield-nat",
            "jackfield-ws",
            "jackfield-turn",
            "jackfield-stun",
            "jackfield-sansio",
        ],
    ),
    (
        "jackfield",
        &[
            "jackfield-lab",
            "jackfield-connect",
            "jackfield-doctor",
            "jackfield-router",
            "jackfield-driver",
            "jackfield-proxy",
            "jackfield-ws",
            "jackfield-socketio",
            "jackfield-signal",
            "jackfield-nat",
            "jackfield-turn",
            "jackfield-stun",
            "jackfield-sansio",
        ],
    ),
    (
        "jackfield-fuzz-harness",
        &[
            "jackfield-connect",
            "jackfield-ice",
            "jackfield-peer",
            "jackfield-internet",
            "jackfield-portmap",
            "jackfield-proxy",
            "jackfield-tcp",
            "jackfield-nat",
            "jackfield-turn",
            "jackfield-stun",
            "jackfield-websocket",
            "jackfield-socketio-proto",
            "jackfield-signal",
            "jackfield-testing",
            "jackfield-sansio",
        ],
    ),
    ("jackfield-testing", &[]),
    ("xtask", &[]),
];

/// Arrows that only tests may use; from every core there is also one to `jackfield-testing`.
const DEV_ARROWS: &[(&str, &str)] = &[
    ("jackfield-stun", "jackfield-internet"),
    ("jackfield-stun", "jackfield-nat"),
    ("jackfield-ice", "jackfield-internet"),
    ("jackfield-ice", "jackfield-nat"),
    ("jackfield-ice", "jackfield-proxy"),
    ("jackfield-ice", "jackfield-tcp"),
    ("jackfield-turn", "jackfield-internet"),
    ("jackfield-turn", "jackfield-proxy"),
    ("jackfield-turn", "jackfield-tcp"),
    ("jackfield-turn", "jackfield-nat"),
    ("jackfield-ice", "jackfield-internet"),
    ("jackfield-ice", "jackfield-tcp"),
    ("jackfield-ice", "jackfield-nat"),
    ("jackfield-portmap", "jackfield-internet"),
    ("jackfield-proxy", "jackfield-internet"),
    ("jackfield-doctor", "jackfield-internet"),
    ("jackfield-driver", "jackfield-nat"),
];

/// The crates that know protocols and nothing of sockets, tasks or clocks.
const CORES: &[&str] = &[
    "jackfield-sansio",
    "jackfield-stun",
    "jackfield-turn",
    "jackfield-ice",
    "jackfield-peer",
    "jackfield-nat",
    "jackfield-tcp",
    "jackfield-portmap",
    "jackfield-proxy",
    "jackfield-internet",
    "jackfield-websocket",
    "jackfield-socketio-proto",
    "jackfield-signal",
];

/// What one core reaches all the same: the keys of DTLS and the tags of SCTP come from the system,
/// through libraries that ask it themselves.
const EXCEPTIONS: &[(&str, &str)] = &[("jackfield-peer", "getrandom"), ("jackfield-peer", "libc")];

/// What must not be reachable from a core, and why.
const NOT_IN_A_CORE: &[(&str, &str)] = &[
    ("tokio", "a core has no tasks"),
    ("mio", "a core has no sockets"),
    ("hyper", "a core does not speak HTTP"),
    ("socket2", "a core has no sockets"),
    ("libc", "a core makes no system calls"),
    ("getrandom", "a core's randomness comes from its seed"),
];

#[test]
fn arrows_between_crates_point_only_as_the_table_says() {
    let metadata = Metadata::load();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for name in &metadata.members {
        let allowed = arrows
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is not in the table of arrows"));
        for (to, kind) in metadata.direct(name) {
            if !metadata.members.contains(&to) {
                continue;
            }
            let dev_arrow = kind == "dev"
                && (to == "jackfield-testing"
                    || DEV_ARROWS.contains(&(name.as_str(), to.as_str())));
            assert!(
                dev_arrow || allowed.contains(&to.as_str()),
                "{name} -> {to} ({kind}) is not an arrow of the house"
            );
        }
    }
}

#[test]
fn no_core_can_reach_a_socket_a_task_or_a_clock() {
    let metadata = Metadata::load();
    for core in CORES
        .iter()
        .filter(|core| metadata.members.contains(**core))
    {
        let reachable = metadata.reachable(core);
        for (banned, why) in NOT_IN_A_CORE {
            assert!(
                EXCEPTIONS.contains(&(*core, *banned)) || !reachable.contains(*banned),
                "{core} reaches {banned}: {why}"
            );
        }
    }
}

#[test]
fn each_core_forbids_clocks_and_sockets_by_lint() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for core in CORES {
        let folder = root.join(core);
        if !folder.exists() {
            continue;
        }
        let lints = std::fs::read_to_string(folder.join("clippy.toml"))
            .unwrap_or_else(|error| panic!("{core}/clippy.toml: {error}"));
        for needed in [
            "Instant::now",
            "SystemTime::now",
            "HashMap::iter",
            "UdpSocket",
        ] {
            assert!(lints.contains(needed), "{core}/clippy.toml lacks {needed}");
        }
    }
}

struct Metadata {
    members: BTreeSet<String>,
    names: BTreeMap<String, String>,
    /// Package name to the packages it depends on, with the kind of each dependency.
    edges: BTreeMap<String, Vec<(String, String)>>,
}

impl Metadata {
    fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--offline", "--locked"])
            .arg("--filter-platform=x86_64-unknown-linux-gnu")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let names: BTreeMap<String, String> = json["packages"]
            .as_array()
            .expect("packages")
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let members = json["workspace_members"]
            .as_array()
            .expect("members")
            .iter()
            .map(|id| names[&text(id)].clone())
            .collect();
        let mut edges: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for node in json["resolve"]["nodes"].as_array().expect("nodes") {
            let from = names[&text(&node["id"])].clone();
            for dependency in node["deps"].as_array().expect("deps") {
                let to = names[&text(&dependency["pkg"])].clone();
                for kind in dependency["dep_kinds"].as_array().expect("kinds") {
                    let kind = kind["kind"].as_str().unwrap_or("normal").to_owned();
                    edges
                        .entry(from.clone())
                        .or_default()
                        .push((to.clone(), kind));
                }
            }
        }
        Self {
            members,
            names,
            edges,
        }
    }

    fn direct(&self, name: &str) -> Vec<(String, String)> {
        self.edges.get(name).cloned().unwrap_or_default()
    }

    /// Returns the names of all that is linked into `name` where nothing else is built with it.
    ///
    /// The metadata cannot say that: it has each dependency once, with the features that all
    /// members together ask for.
    fn reachable(&self, name: &str) -> BTreeSet<String> {
        assert!(self.names.values().any(|known| known == name));
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "--package", name])
            .args(["--edges=normal,no-proc-macro", "--prefix=none"])
            .arg("--target=x86_64-unknown-linux-gnu")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo tree failed: {errors}");
        let lines = String::from_utf8(output.stdout).expect("names are ASCII");
        let names = lines.lines().filter_map(|line| line.split(' ').next());
        let reachable: BTreeSet<String> = names.map(str::to_owned).collect();
        assert!(reachable.contains(name), "{name} is not in its own tree");
        reachable
    }
}
