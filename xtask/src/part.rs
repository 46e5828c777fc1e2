//! The parts of the test run, in the order in which they run.

use std::path::Path;

use crate::command::{Run, cargo};
use crate::log::Log;
use crate::need::Need;
use crate::workspace;

/// One line of the summary: a build step, or a suite.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The parts that must have run before this one makes sense.
    pub(crate) after: &'static [&'static str],
    pub(crate) needs: &'static [Need],
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// Runs cargo once for each argument list.
    Cargo(&'static [&'static [&'static str]]),
    /// Compiles tests, leaving the processor to other parts, and then runs them.
    CargoTest(&'static [&'static str]),
    /// Checks that a file of the release build is smaller than a number of bytes.
    SmallerThan(&'static str, u64),
    /// Runs a file of `interop/` with Node's test runner.
    Suite(&'static str),
}

impl Part {
    /// Does the part's work; the error says what failed, its output is in the log already.
    pub(crate) fn run(&self, log: &Log) -> Result<(), String> {
        match self.action {
            Action::Cargo(commands) => commands
                .iter()
                .try_for_each(|args| cargo(args).env("PROPTEST_RNG_SEED", SEED).run(log)),
            Action::CargoTest(args) => {
                cargo(&["test"])
                    .args(args.iter().copied())
                    .args(["--no-run"])
                    .nice()
                    .run(log)?;
                cargo(&["test"])
                    .args(args.iter().copied())
                    .env("PROPTEST_RNG_SEED", SEED)
                    .run(log)
            }
            Action::SmallerThan(file, limit) => {
                check_size(&workspace::root().join(file), limit, log)
            }
            Action::Suite(file) => suite(file, log),
        }
    }

    /// Returns whether the part runs browsers.
    pub(crate) fn has_browser(&self) -> bool {
        self.needs.contains(&CHROMIUM) || self.needs.contains(&FIREFOX)
    }
}

fn suite(file: &str, log: &Log) -> Result<(), String> {
    Run::new("node")
        .args([
            "--test",
            "--test-reporter=spec",
            "--test-timeout=600000",
            file,
        ])
        .folder(workspace::interop())
        .run(log)
}

fn check_size(file: &Path, limit: u64, log: &Log) -> Result<(), String> {
    let shown = file.display();
    let size = std::fs::metadata(file)
        .map_err(|error| format!("{shown}: {error}"))?
        .len();
    log.line(&format!("{shown}: {size} bytes, limit {limit}"));
    if size < limit {
        Ok(())
    } else {
        Err(format!("{shown} has {size} bytes, {limit} is the limit"))
    }
}

/// What property tests choose their cases by, so that the same tree gives the same answer on every
/// machine. Plain `cargo test` chooses others each time, and is how new cases are found.
const SEED: &str = "4787";

const CHROMIUM: Need = Need::Program("chromium", "chromium");
const FIREFOX: Need = Need::Program("firefox-esr", "firefox-esr");

/// What network namespaces with NAT routers need.
const IP: Need = Need::Program("ip", "iproute2");
const NFT: Need = Need::Program("nft", "nftables");
const SYSCTL: Need = Need::Program("sysctl", "procps");
const PING: Need = Need::Program("ping", "iputils-ping");

/// Every part; `--only` picks from these, and the order stays.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "build",
        about: "the release build that the suites drive",
        after: &[],
        needs: &[],
        action: Action::Cargo(&[
            &["build", "--release", "--locked"],
            &[
                "build",
                "--release",
                "--locked",
                "--package",
                "jackfield-socketio",
                "--package",
                "jackfield-ws",
                "--examples",
            ],
            // Linking these for speed would take minutes, and it is not what they show.
            &[
                "build",
                "--locked",
                "--package",
                "jackfield-driver",
                "--example",
                "ice_stdio",
                "--example",
                "peer_stdio",
                "--example",
                "turn_echo",
                "--example",
                "port_map",
            ],
        ]),
    },
    Part {
        name: "size",
        about: "the binary is under 20 MB",
        after: &["build"],
        needs: &[],
        action: Action::SmallerThan("target/release/jackfield", 20_000_000),
    },
    Part {
        name: "rust",
        about: "cargo test --workspace, with the fuzz corpora replayed",
        after: &[],
        needs: &[],
        action: Action::CargoTest(&["--workspace", "--locked"]),
    },
    Part {
        name: "lab",
        about: "the NAT routers that the calls run behind are what they are called",
        after: &[],
        needs: &[Need::Root, Need::Node, IP, NFT, SYSCTL, Need::NodePackages],
        action: Action::Suite("lab.test.mjs"),
    },
    Part {
        name: "nat",
        about: "the NAT router between namespaces is what it is told to be",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            SYSCTL,
            PING,
            Need::Program("turnutils_natdiscovery", "coturn"),
            Need::NodePackages,
        ],
        action: Action::Suite("nat.test.mjs"),
    },
    Part {
        name: "labcli",
        about: "programs behind NATs and firewalls by `jackfield lab`, its end, and the grid of all pairs",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            PING,
            Need::Program("curl", "curl"),
            Need::Program("python3", "python3"),
            Need::Program("turnutils_natdiscovery", "coturn"),
            Need::NodePackages,
        ],
        action: Action::Suite("labcli.test.mjs"),
    },
    Part {
        name: "differential",
        about: "the virtual internet, the NAT router and nftables say the same of every packet",
        after: &[],
        needs: &[Need::Root, IP, NFT, SYSCTL],
        action: Action::Cargo(&[&[
            "test",
            "--locked",
            "--package",
            "jackfield-router",
            "--test",
            "differential",
            "--",
            "--required",
        ]]),
    },
    Part {
        name: "wire",
        about: "IPv6, NAT64 and trains through the NAT router; what ends an isolated process",
        after: &[],
        needs: &[Need::Root],
        action: Action::Cargo(&[&[
            "test",
            "--locked",
            "--package",
            "jackfield-router",
            "--test",
            "isolation",
            "--test",
            "wire",
            "--",
            "--required",
        ]]),
    },
    Part {
        name: "discovery",
        about: "our discovery and our server name NATs right, and the doctor says so",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            SYSCTL,
            NFT,
            Need::Program("turnutils_natdiscovery", "coturn"),
            Need::NodePackages,
        ],
        action: Action::Suite("discovery.test.mjs"),
    },
    Part {
        name: "doctor",
        about: "the doctor behind NATs, firewalls, portals and proxies, its page in Chromium",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            NFT,
            SYSCTL,
            CHROMIUM,
            Need::NodePackages,
        ],
        action: Action::Suite("doctor.test.mjs"),
    },
    Part {
        name: "doctorpeer",
        about: "the doctors of two machines in a lab name the path between them, and why no better one",
        after: &["build"],
        needs: &[Need::Root, Need::Node, IP, Need::NodePackages],
        action: Action::Suite("doctorpeer.test.mjs"),
    },
    Part {
        name: "portmap",
        about: "port mapping: stock clients at our router, our client at a stock router",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            NFT,
            SYSCTL,
            Need::Program("upnpc", "miniupnpc"),
            Need::Program("natpmpc", "natpmpc"),
            Need::Program("miniupnpd", "miniupnpd-nftables"),
            Need::NodePackages,
        ],
        action: Action::Suite("portmap.test.mjs"),
    },
    Part {
        name: "socketio",
        about: "stock socket.io-client 4 and 2",
        after: &["build"],
        needs: &[Need::Node, Need::NodePackages],
        action: Action::Suite("socketio.test.mjs"),
    },
    Part {
        name: "mdn",
        about: "the client of MDN's chat sample",
        after: &["build"],
        needs: &[Need::Node, Need::NodePackages],
        action: Action::Suite("mdn.test.mjs"),
    },
    Part {
        name: "turn",
        about: "coturn's test programs and aioice, and our client against coturn's server",
        after: &["build"],
        needs: &[
            Need::Node,
            Need::NodePackages,
            Need::PythonPackages,
            Need::Program("turnutils_uclient", "coturn"),
            Need::Program("openssl", "openssl"),
        ],
        action: Action::Suite("turn.test.mjs"),
    },
    Part {
        name: "proxy",
        about: "our TURN client through tinyproxy and microsocks",
        after: &["build"],
        needs: &[
            Need::Node,
            Need::NodePackages,
            Need::Program("tinyproxy", "tinyproxy"),
            Need::Program("microsocks", "microsocks"),
        ],
        action: Action::Suite("proxy.test.mjs"),
    },
    Part {
        name: "peer",
        about: "data channels between our peer and Chromium, Firefox, libdatachannel, aiortc and pion",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            CHROMIUM,
            FIREFOX,
            Need::Program("go", "golang-go"),
            Need::Folder(
                "/usr/share/gocode/src/github.com/pion/webrtc",
                "golang-github-pion-webrtc.v3-dev",
            ),
            Need::NodePackages,
            Need::PythonPackages,
        ],
        action: Action::Suite("peer.test.mjs"),
    },
    Part {
        name: "ice",
        about: "our ICE agent against libnice, aioice and pion behind NATs and firewalls",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            Need::Program("go", "golang-go"),
            Need::Folder(
                "/usr/share/gocode/src/github.com/pion/ice/v2",
                "golang-github-pion-ice.v2-dev",
            ),
            Need::Folder("/usr/share/doc/libnice10", "libnice10"),
            Need::NodePackages,
            Need::PythonPackages,
        ],
        action: Action::Suite("ice.test.mjs"),
    },
    Part {
        name: "hostile",
        about: "malformed, truncated and oversized input at every entry",
        after: &["build"],
        needs: &[Need::Node, Need::NodePackages],
        action: Action::Suite("hostile.test.mjs"),
    },
    Part {
        name: "metrics",
        about: "what Prometheus's checker says of the metrics",
        after: &["build"],
        needs: &[
            Need::Node,
            Need::Program("promtool", "prometheus"),
            Need::NodePackages,
        ],
        action: Action::Suite("metrics.test.mjs"),
    },
    Part {
        name: "demo",
        about: "two browser windows and a server without any set-up",
        after: &["build"],
        needs: &[Need::Node, CHROMIUM, FIREFOX, Need::NodePackages],
        action: Action::Suite("demo.test.mjs"),
    },
    Part {
        name: "negotiation",
        about: "two ends of the browser SDK agree, whatever is delayed, lost and cut between them",
        after: &["build"],
        needs: &[Need::Node, CHROMIUM, Need::NodePackages],
        action: Action::Suite("negotiation.test.mjs"),
    },
    Part {
        name: "transfer",
        about: "files between `jackfield send` and `receive` and a browser",
        after: &["build"],
        needs: &[Need::Node, CHROMIUM, Need::NodePackages],
        action: Action::Suite("transfer.test.mjs"),
    },
    Part {
        name: "interruptions",
        about: "files between two NATs, and what breaks in the middle",
        after: &["build"],
        needs: &[Need::Root, Need::Node, IP, Need::Program("mount", "mount")],
        action: Action::Suite("interruptions.test.mjs"),
    },
    Part {
        name: "calls",
        about: "calls between browsers behind NATs and firewalls",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            NFT,
            SYSCTL,
            CHROMIUM,
            FIREFOX,
            Need::NodePackages,
        ],
        action: Action::Suite("calls.test.mjs"),
    },
    Part {
        name: "natcalls",
        about: "calls between browsers behind NATs of ours: direct exactly where the oracle says so",
        after: &["build"],
        needs: &[
            Need::Root,
            Need::Node,
            IP,
            NFT,
            SYSCTL,
            CHROMIUM,
            FIREFOX,
            Need::NodePackages,
        ],
        action: Action::Suite("natcalls.test.mjs"),
    },
    Part {
        name: "websocket",
        about: "the Autobahn cases",
        after: &["build"],
        needs: &[Need::Node, Need::NodePackages, Need::PythonPackages],
        action: Action::Suite("websocket.test.mjs"),
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_what_a_part_builds_on_comes_before_it() {
        let mut seen = BTreeSet::new();
        for part in PARTS {
            assert!(part.after.iter().all(|name| seen.contains(name)));
            assert!(seen.insert(part.name), "{} is there twice", part.name);
        }
    }

    #[test]
    fn every_suite_of_the_interop_folder_is_a_part() {
        let files: BTreeSet<String> = std::fs::read_dir(workspace::interop())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".test.mjs"))
            .collect();
        let parts: BTreeSet<String> = PARTS
            .iter()
            .filter_map(|part| match part.action {
                Action::Suite(file) => Some(file.to_owned()),
                Action::Cargo(_) | Action::CargoTest(_) | Action::SmallerThan(..) => None,
            })
            .collect();
        assert_eq!(files, parts);
    }
}
