//! Where the output of a part goes.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The terminal, or a file for a part that runs beside another one.
#[derive(Debug)]
pub(crate) enum Log {
    Terminal,
    File(LogFile),
}

/// A file of the temporary folder, which goes with this value.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Returns a log in a new file.
    pub(crate) fn in_file(part: &str) -> io::Result<Self> {
        let name = format!("jackfield-xtask-{}-{part}.log", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = File::options()
            .read(true)
            .append(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self::File(LogFile { path, file }))
    }

    /// Returns where the output can be followed while the part runs.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Terminal => None,
            Self::File(log) => Some(&log.path),
        }
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: &str) {
        match self {
            Self::Terminal => println!("{text}"),
            Self::File(log) => {
                if let Err(error) = writeln!(&log.file, "{text}") {
                    eprintln!("xtask: {}: {error}", log.path.display());
                }
            }
        }
    }

    /// Has a program write its output and its errors here.
    pub(crate) fn take<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        match self {
            Self::Terminal => Ok(command),
            Self::File(log) => Ok(command
                .stdout(log.file.try_clone()?)
                .stderr(log.file.try_clone()?)),
        }
    }

    /// Copies what a file holds to the terminal.
    pub(crate) fn show(&self) -> io::Result<()> {
        match self {
            Self::Terminal => Ok(()),
            Self::File(log) => {
                io::copy(&mut File::open(&log.path)?, &mut io::stdout().lock()).map(drop)
            }
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            eprintln!("xtask: {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Run;

    #[test]
    fn a_file_has_lines_and_what_programs_write_in_order_and_goes_with_the_log() {
        let log = Log::in_file("test-of-the-log").unwrap();
        log.line("before");
        Run::new("sh")
            .args(["-c", "echo out; echo err >&2"])
            .run(&log)
            .unwrap();
        log.line("after");
        let path = log.path().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "before\n$ sh -c echo out; echo err >&2\nout\nerr\nafter\n"
        );
        drop(log);
        assert!(!path.exists());
    }
}
