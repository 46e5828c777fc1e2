//! Two processes of one: what ends either of them, and what is refused.
//!
//! It makes namespaces, which takes root or a kernel that lets users have them. So it runs only
//! when asked to by `--required`, as `cargo xtask test` does, or when nothing keeps it from it;
//! otherwise it says what does, and that it was skipped.

#![cfg_attr(
    not(target_os = "linux"),
    expect(unused, reason = "namespaces are Linux's")
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and prints for its user"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED isolation: namespaces are Linux's");
}

#[cfg(target_os = "linux")]
fn main() {
    // A process with one thread is needed to isolate, so each test starts this program again in a
    // role of its own.
    if let Ok(role) = std::env::var(isolation::ROLE) {
        return isolation::play(&role);
    }
    let is_required = std::env::args().any(|argument| argument == "--required");
    if let Err(missing) = isolation::available() {
        assert!(!is_required, "{missing}");
        println!("SKIPPED isolation: {missing}");
        return;
    }
    for (name, test) in isolation::TESTS {
        test();
        println!("isolation: {name} ... ok");
    }
}

#[cfg(target_os = "linux")]
mod isolation {
    use std::io::{BufRead, BufReader, Read};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use jackfield_router::namespace::{Isolated, IsolationError, isolate, mounts};

    pub(crate) const ROLE: &str = "JACKFIELD_ISOLATION_ROLE";

    pub(crate) const TESTS: &[(&str, fn())] = &[
        (
            "everything inside ends with the process outside, even when that is killed",
            inside_ends_with_outside,
        ),
        (
            "the process outside returns how the one inside ended",
            outside_ends_with_inside,
        ),
        (
            "without /proc the number of threads is an error, not a guess",
            no_proc,
        ),
    ];

    /// Says what is missing.
    pub(crate) fn available() -> Result<(), String> {
        let output = start("probe").wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(said.trim().to_owned()),
        }
    }

    fn inside_ends_with_outside() {
        let mut outside = start("linger");
        let mut said = BufReader::new(outside.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "inside\n");
        outside.kill().unwrap();
        outside.wait().unwrap();
        // The pipe closes when the last process that has it ends: the one inside, and the program
        // that it started.
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }

    fn outside_ends_with_inside() {
        let output = start("seven").wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(7));
    }

    fn no_proc() {
        let output = start("no-proc").wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
    }

    fn start(role: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Isolates, and does inside what the role says.
    pub(crate) fn play(role: &str) {
        match isolate() {
            Err(error) => fail(&error.to_string()),
            Ok(Isolated::Outside(outside)) => {
                let status = outside.wait().unwrap();
                std::process::exit(status.code().unwrap_or(1));
            }
            Ok(Isolated::Inside { .. }) => match role {
                "probe" => {}
                "linger" => linger(),
                "seven" => std::process::exit(7),
                "no-proc" => hide_proc(),
                _ => fail(&format!("there is no role {role}")),
            },
        }
    }

    fn linger() {
        let mut program = Command::new("sleep").arg("60").spawn().unwrap();
        println!("inside");
        // The program ends only where nothing has ended it before.
        program.wait().unwrap();
        println!("survived");
    }

    fn hide_proc() {
        let empty = tempfile::tempdir().unwrap();
        mounts::replace(Path::new("/proc"), empty.path()).unwrap();
        let refused = isolate();
        if !matches!(refused, Err(IsolationError::ThreadsUnknown(_))) {
            fail(&format!("{refused:?}"));
        }
    }

    fn fail(why: &str) {
        println!("{why}");
        std::process::exit(1);
    }
}
