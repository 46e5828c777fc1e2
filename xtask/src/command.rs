//! Running other programs, with what is run on the terminal.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::log::Log;
use crate::workspace;

/// A program to run to its end, without standard input.
#[derive(Debug)]
pub(crate) struct Run {
    program: OsString,
    args: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(&'static str, &'static str)>,
    is_nice: bool,
}

impl Run {
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            folder: workspace::root().to_owned(),
            env: Vec::new(),
            is_nice: false,
        }
    }

    pub(crate) fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    pub(crate) fn env(mut self, key: &'static str, value: &'static str) -> Self {
        self.env.push((key, value));
        self
    }

    /// Has the program give way to others that want the processor.
    pub(crate) fn nice(mut self) -> Self {
        self.is_nice = true;
        self
    }

    /// Runs it; the error tells the command line and how it ended.
    pub(crate) fn run(self, log: &Log) -> Result<(), String> {
        let line = self.line();
        log.line(&format!("$ {line}"));
        let status = log
            .take(&mut self.command())
            .and_then(|command| command.status())
            .map_err(|error| format!("{line}: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{line}: {status}"))
        }
    }

    /// Runs it in silence, and says whether it succeeded.
    pub(crate) fn succeeds(self) -> bool {
        self.command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn command(&self) -> Command {
        let mut command = if self.is_nice {
            let mut nice = Command::new("nice");
            nice.args(["-n", NICENESS]).arg(&self.program);
            nice
        } else {
            Command::new(&self.program)
        };
        command
            .args(&self.args)
            .envs(self.env.iter().copied())
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    fn line(&self) -> String {
        let program = Path::new(&self.program);
        let name = program.file_name().unwrap_or(&self.program);
        let words: Vec<String> = std::iter::once(name.to_owned())
            .chain(self.args.iter().cloned())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }
}

/// The cargo that started this program.
pub(crate) fn cargo(args: &[&str]) -> Run {
    Run::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args.iter().copied())
}

/// Returns whether a program is on the search path, or in the folders that only root's path has.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// Returns whether this process may do everything.
pub(crate) fn is_root() -> bool {
    // The owner of a process's own folder is its effective user.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Ten steps down have about a tenth of the processor that a program without them has.
const NICENESS: &str = "10";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_told_by_its_line() {
        let error = Run::new("false")
            .args(["--now"])
            .run(&Log::Terminal)
            .unwrap_err();
        assert!(error.starts_with("false --now: "), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error_and_not_a_panic() {
        assert!(!is_installed("no-such-program-of-ours"));
        let run = Run::new("no-such-program-of-ours");
        assert!(run.run(&Log::Terminal).is_err());
    }
}
