#![expect(unsafe_code, reason = "setns(2) has no safe wrapper here")]

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::str::FromStr;

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Netns {
    /// One that `ip netns` knows by this name.
    Named(String),
    /// The one that a file stands for.
    Path(PathBuf),
    /// The one that a process is in.
    Process(u32),
}

impl Netns {
    /// Returns the file that stands for the namespace.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Named(name) => PathBuf::from("/run/netns").join(name),
            Self::Path(path) => path.clone(),
            Self::Process(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        }
    }

    /// Runs `work` inside, on a thread of its own that ends with it.
    ///
    /// # Errors
    /// Fails when there is no such namespace or it may not be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(self.path())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                enter(&namespace)?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread inside ended early")))
        })
    }
}

impl FromStr for Netns {
    type Err = Infallible;

    /// Reads a process id, a path, or a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if let Ok(pid) = text.parse() {
            Self::Process(pid)
        } else if text.contains('/') {
            Self::Path(text.into())
        } else {
            Self::Named(text.to_owned())
        })
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Path(path) => path.display().fmt(f),
            Self::Process(pid) => pid.fmt(f),
        }
    }
}

/// Moves this thread, and no other one, into a network namespace.
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open during the call, which touches no memory of ours.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_goes_by_name_path_or_process() {
        let path = |text: &str| text.parse::<Netns>().map(|netns| netns.path());
        assert_eq!(path("home"), Ok("/run/netns/home".into()));
        assert_eq!(path("/proc/self/ns/net"), Ok("/proc/self/ns/net".into()));
        assert_eq!(path("42"), Ok("/proc/42/ns/net".into()));
    }

    #[test]
    fn a_namespace_that_is_not_there_is_an_error() {
        let nowhere = Netns::Named("no such namespace".into());
        assert!(nowhere.run(|| ()).is_err());
    }
}
