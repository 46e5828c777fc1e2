//! A server in this process, and peers in processes of their own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use jackfield::config::{Config, Key, Low, Source};
use jackfield::serve::Server;

/// A server on a port of its own.
pub(crate) struct Running {
    server: Option<Server>,
    url: String,
    _data: tempfile::TempDir,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with more keys than those of its folder and port.
    pub(crate) fn start_with(keys: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut low = Low::default();
        let own = [
            ("data-dir", data.path().to_str().unwrap()),
            ("listen", "127.0.0.1:0"),
        ];
        for (name, value) in own.iter().chain(keys) {
            let key = Key::find(name).unwrap();
            low.set(key, Source::Flag, vec![(*value).to_owned()]);
        }
        let server = Server::start(Config::resolve(&low).unwrap()).unwrap();
        let url = format!("http://{}", server.addresses().first().unwrap());
        Self {
            server: Some(server),
            url,
            _data: data,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *self.server.as_ref().unwrap().addresses().first().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        if let Some(server) = self.server.take() {
            runtime.block_on(server.stop());
        }
    }
}

/// A running command; it ends with the test.
pub(crate) struct Peer {
    child: Option<Child>,
    events: Option<BufReader<ChildStdout>>,
}

impl Peer {
    pub(crate) fn start(server: &Running, arguments: &[&str]) -> Self {
        Self::start_at(&server.url, arguments, &[])
    }

    /// Starts it for a server by its URL, with more variables in its environment.
    pub(crate) fn start_at(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Self::command(arguments);
        command
            .args(["--server", url])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            child: Some(command.spawn().unwrap()),
            events: None,
        }
    }

    /// Runs a command to its end.
    pub(crate) fn run(arguments: &[&str]) -> Output {
        Self::command(arguments).output().unwrap()
    }

    /// Returns whether the command has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Takes standard input; it ends when it is dropped.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.as_mut().unwrap().stdin.take().unwrap()
    }

    /// Reads what the command writes until it closes its output or ends.
    pub(crate) fn read_to_end_of_stdout(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let stdout = self.child.as_mut().unwrap().stdout.as_mut().unwrap();
        stdout.read_to_end(&mut all).unwrap();
        all
    }

    /// Returns the next event of a name that the command tells of.
    pub(crate) fn next_event(&mut self, name: &str) -> serde_json::Value {
        let stdout = || BufReader::new(self.child.as_mut().unwrap().stdout.take().unwrap());
        let events = self.events.get_or_insert_with(stdout);
        loop {
            let mut line = String::new();
            assert!(events.read_line(&mut line).unwrap() > 0, "no event {name}");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn output(mut self) -> Output {
        self.child.take().unwrap().wait_with_output().unwrap()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let mut kill = Command::new("kill");
        let status = kill.args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Ends it without a chance to say goodbye.
    pub(crate) fn kill(self) {
        drop(self);
    }

    fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_lowercase();
            if text.starts_with("jackfield_") || text.ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Returns bytes that look random, the same for the same seed.
pub(crate) fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 56) as u8
        })
        .collect()
}
