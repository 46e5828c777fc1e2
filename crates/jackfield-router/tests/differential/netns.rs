//! Namespaces that go when they are dropped.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use jackfield_router::Netns;

/// A network namespace of this test's own.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Makes one, with the loopback interface up.
    pub(crate) fn new(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("jfdiff{}-{number}-{role}", std::process::id());
        command("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Returns it as the library knows it.
    pub(crate) fn netns(&self) -> Netns {
        Netns::Named(self.name.clone())
    }

    /// Runs `ip` on it.
    pub(crate) fn ip(&self, line: &str) {
        let mut words = vec!["-n", &self.name];
        words.extend(line.split_whitespace());
        command("ip", &words);
    }

    /// Runs a program in it.
    pub(crate) fn exec(&self, program: &str, arguments: &[&str]) {
        let mut words = vec!["netns", "exec", &self.name, program];
        words.extend(arguments);
        command("ip", &words);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        command("ip", &["netns", "delete", &self.name]);
    }
}

/// Says what is missing.
pub(crate) fn available() -> Result<(), String> {
    for program in ["ip", "nft"] {
        let found = Command::new(program).arg("-V").output();
        found.map_err(|error| format!("it needs `{program}`: {error}"))?;
    }
    let probe = format!("jfdiff{}-probe", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &probe]).output();
    match made {
        Ok(output) if output.status.success() => {
            command("ip", &["netns", "delete", &probe]);
            Ok(())
        }
        Ok(output) => Err(format!(
            "it needs to make network namespaces: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || std::thread::panicking(),
        "{program} {arguments:?}: {error}"
    );
}
