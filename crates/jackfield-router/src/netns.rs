//! Network namespaces: made, entered, and named in the ways that Linux's tools name them.

#![expect(
    unsafe_code,
    reason = "unshare(2), and what runs between fork(2) and exec(2), have no safe wrappers"
)]

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Netns {
    /// One that `ip netns` knows by this name.
    Named(String),
    /// The one that a file stands for.
    Path(PathBuf),
    /// The one that a process is in.
    Process(u32),
    /// One without a name, which ends when nothing holds it and nothing runs in it.
    Held(HeldNetns),
}

/// An open descriptor that keeps a network namespace without a name alive; clones hold the same
/// one.
#[derive(Debug, Clone)]
pub struct HeldNetns(Arc<File>);

impl PartialEq for HeldNetns {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HeldNetns {}

impl AsRawFd for HeldNetns {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Netns {
    /// Makes a network namespace that has no name. Whatever happens to this process, the kernel
    /// removes it with all of its interfaces.
    ///
    /// # Errors
    /// Fails without CAP_SYS_ADMIN, and when there are as many namespaces as there may be.
    pub fn create() -> io::Result<Self> {
        on_its_own_thread(|| {
            // SAFETY: the flag leaves file descriptors shared with the other threads.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            let file = File::open("/proc/thread-self/ns/net")?;
            Ok(Self::Held(HeldNetns(Arc::new(file))))
        })
    }

    /// Returns the file that stands for the namespace, as this process can open it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Named(name) => PathBuf::from("/run/netns").join(name),
            Self::Path(path) => path.clone(),
            Self::Process(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
            Self::Held(held) => PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
        }
    }

    /// Starts a program inside; the namespace lives at least until it has started.
    ///
    /// # Errors
    /// Fails when there is no such namespace.
    pub fn start_inside(&self, command: &mut Command) -> io::Result<()> {
        let namespace = File::open(self.path())?;
        // SAFETY: setns(2) is async-signal-safe, and the descriptor belongs to the closure.
        unsafe { command.pre_exec(move || enter(&namespace)) };
        Ok(())
    }

    /// Runs `work` inside, on a thread of its own that ends with it.
    ///
    /// # Errors
    /// Fails when there is no such namespace or it may not be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(self.path())?;
        on_its_own_thread(move || {
            enter(&namespace)?;
            Ok(work())
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
            Self::Held(held) => write!(f, "without a name (descriptor {})", held.as_raw_fd()),
        }
    }
}

// Namespaces belong to threads. A thread of a pool would carry the namespace on into other work.
fn on_its_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread inside ended early")))
    })
}

/// Moves this thread, and no other one, into a network namespace.
fn enter(namespace: &File) -> io::Result<()> {
    let kind = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(namespace.as_fd(), kind).map_err(io::Error::from)
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
