//! Installing Debian packages, without starting the services that some of them bring.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::command::{Run, is_installed, is_root};
use crate::log::Log;

/// Installs a package; the error says what the reader has to do instead.
pub(crate) fn install(package: &str) -> Result<(), String> {
    if !is_installed("apt-get") {
        return Err(format!(
            "install {package} with this system's package manager"
        ));
    }
    if !is_root() {
        return Err(format!("run: sudo apt-get install {package}"));
    }
    let _down = ServicesStayDown::new();
    if !Run::new("apt-cache").args(["show", package]).succeeds() {
        apt_get(&["update"])?;
    }
    let install = ["install", "-y", "--no-install-recommends", package];
    // A list that is older than the archive names files that are gone: a fresh one is worth one
    // more try.
    apt_get(&install).or_else(|_| {
        apt_get(&["update"])?;
        apt_get(&install)
    })
}

fn apt_get(args: &[&str]) -> Result<(), String> {
    Run::new("apt-get")
        .args(["-q"])
        .args(args.iter().copied())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run(&Log::Terminal)
}

/// Keeps packages from starting their services while it lives: a TURN server of Debian's would take
/// our port.
struct ServicesStayDown {
    is_ours: bool,
}

impl ServicesStayDown {
    /// Puts Debian's policy in place, unless the machine has one of its own.
    fn new() -> Self {
        let policy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY);
        let is_ours = policy.is_ok_and(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n").is_ok());
        Self { is_ours }
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = std::fs::remove_file(POLICY)
        {
            eprintln!("xtask: {POLICY}: {error}");
        }
    }
}

/// Asked by Debian's packages before they start a service; the exit code 101 says no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
