//! The command line as a person types it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

#[test]
fn a_wrong_flag_is_wrong_use() {
    let output = jackfield(&["--lisen", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn the_router_has_the_flags_that_scripts_use() {
    let output = jackfield(&["nat", "run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in [
        "--inside",
        "--outside",
        "--external",
        "--default-route",
        "--control",
    ] {
        assert!(help.contains(flag), "{flag} is missing: {help}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_what_is_accepted() {
    let output = jackfield(&["serve", "--relay-ports", "many"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "jackfield: `relay-ports` = \"many\" in the command line is refused; accepted is two ports from 1024 to 65535 \
         with MIN <= MAX, such as 49152-65535\n"
    );
}

#[test]
fn a_wrong_variable_is_refused_with_the_nearest_right_one() {
    let output = command(&["serve"])
        .env("JACKFIELD_RELAY_PORT", "50000-50001")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("did you mean `relay-ports`?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_file_is_checked_and_its_mistakes_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("jackfield.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        jackfield(&["config", "check", "--config", path(&file)])
    };
    let output = check("listen = ['127.0.0.1:3478']\n[turn]\nmax-lifetime = '30m'\n");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = check("[turn]\nmax-livetime = '30m'\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("did you mean `turn-max-lifetime`?"),
        "{}",
        stderr(&output)
    );
    let output =
        check("listen-tls = ['127.0.0.1:443']\ntls-cert = 'none.pem'\ntls-key = 'none.pem'\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("none.pem"), "{}", stderr(&output));
}

#[test]
fn every_key_is_explained_also_as_json() {
    let output = jackfield(&["config", "explain", "relay-ports"]);
    assert_eq!(output.status.code(), Some(0));
    for part in ["relay-ports", "49152-65535", "JACKFIELD_RELAY_PORTS"] {
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }
    let output = jackfield(&["config", "explain", "--json"]);
    let keys: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert!(keys.as_array().is_some_and(|keys| keys.len() > 20));
    assert_eq!(
        jackfield(&["config", "explain", "nothing"]).status.code(),
        Some(2)
    );
}

#[test]
fn credentials_are_those_of_the_rest_scheme() {
    let arguments = [
        "credentials",
        "--secret",
        "0123456789abcdef",
        "--user",
        "ann",
        "--json",
    ];
    let output = jackfield(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let turn = answer.pointer("/iceServers/1").expect("a TURN server");
    let text = |name: &str| {
        turn.get(name)
            .and_then(|value| value.as_str())
            .expect("a text")
    };
    let (expiry, user) = text("username").split_once(':').expect("expiry:user");
    assert_eq!(user, "ann");
    assert!(expiry.parse::<u64>().is_ok());
    assert_eq!(
        text("credential"),
        jackfield_turn::credential::password("0123456789abcdef", text("username"))
    );
}

#[test]
fn the_secret_of_the_data_directory_mints_when_none_is_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = jackfield(&["credentials", "--data-dir", path(dir.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(dir.path().join("turn-secret").exists());
}

#[test]
fn every_subcommand_has_help_with_examples() {
    for subcommand in [
        &["serve"][..],
        &["credentials"],
        &["config", "check"],
        &["config", "explain"],
    ] {
        let output = jackfield(&[subcommand, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Examples:"), "{subcommand:?}");
    }
}

#[test]
fn a_start_that_cannot_write_the_secret_says_so_and_leaves_no_file() {
    let data = tempfile::tempdir().expect("a directory");
    let serve = serve_arguments(path(data.path()));
    // Files of this process may have no bytes, which fails in the same call as a full disk does.
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]);
    shell.arg(env!("CARGO_BIN_EXE_jackfield")).args(serve);
    let output = shell.output().expect("the shell runs");
    assert!(!output.status.success());
    let said = stderr(&output);
    assert!(said.contains("cannot write"), "{said}");
    let left = std::fs::read_dir(data.path()).expect("the directory is there");
    assert_eq!(left.count(), 0);
}

#[test]
fn a_secret_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().expect("a directory");
    let file = data.path().join("turn-secret");
    std::fs::write(&file, "0123456789abcdef\n").expect("a file");
    let logs = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("the file is ours");
        let server = command(&serve_arguments(path(data.path())))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut server = Started(server.expect("the binary runs"));
        let lines = BufReader::new(server.0.stderr.take().expect("it is a pipe")).lines();
        let lines = lines.map(|line| line.expect("a line in UTF-8"));
        let start: Vec<_> = lines.take_while(|line| !line.contains("Serving")).collect();
        start.join("\n")
    };
    let warned = logs(0o644);
    assert!(warned.contains("chmod 600"), "{warned}");
    let silent = logs(0o600);
    assert!(!silent.contains("chmod 600"), "{silent}");
}

#[test]
fn connections_beyond_the_open_files_are_closed_and_the_others_served() {
    let data = tempfile::tempdir().expect("a directory");
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .args(["-c", "ulimit -n 100; exec \"$0\" \"$@\""]);
    shell.arg(env!("CARGO_BIN_EXE_jackfield"));
    shell.args(serve_arguments(path(data.path())));
    shell.args(["--shards", "1", "--first-bytes-timeout", "1h"]);
    let mut server = Started(shell.stdout(Stdio::piped()).spawn().expect("a shell"));
    let mut lines = BufReader::new(server.0.stdout.take().expect("it is a pipe")).lines();
    let url = lines.next().expect("a line").expect("a line in UTF-8");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let connect = || {
        let stream = TcpStream::connect(address).expect("the server listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("it is not zero");
        stream
    };
    let mut first = connect();
    get_health(&mut first);
    // More than there are files: with none left, the server could accept and close no connection.
    let mut silent: Vec<_> = (0..150).map(|_| connect()).collect();
    let last = silent.last_mut().expect("there are some");
    match last.read(&mut [0; 1]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    get_health(&mut first);
}

fn get_health(stream: &mut TcpStream) {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("it is open");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// A server that ends with its test, also with one that fails.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it ends");
    }
}

/// A server on a port of its own.
fn serve_arguments(data_dir: &str) -> [&str; 5] {
    ["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir]
}

fn jackfield(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary runs")
}

/// The binary, without this process's variables.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command.env_clear().args(arguments);
    command
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
