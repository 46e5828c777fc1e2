//! A process that goes on twice: inside new namespaces, and outside of them.
//!
//! The kernel ties the two together. When the process outside ends, the one inside gets SIGKILL
//! (`PR_SET_PDEATHSIG`); when the one inside ends, the kernel kills every process of its PID
//! namespace, as it is the first of them.

#![expect(unsafe_code, reason = "fork(2) and unshare(2) have no safe wrappers")]

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{
    self as system, Pid, WaitOptions, getegid, geteuid, set_parent_process_death_signal,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::signal::unix::{SignalKind, signal};

use super::process::{Signal, send};

/// The one of the two processes that this one has become.
#[derive(Debug)]
pub enum Isolated {
    /// The first process inside, which inherits the children of all processes that end there.
    Inside {
        /// Its process id as seen from outside.
        pid: u32,
    },
    /// The process that stays outside and waits.
    Outside(Outside),
}

/// The process outside, which has the one inside as its child.
#[derive(Debug)]
pub struct Outside {
    child: Pid,
}

/// The reason why a process could not be isolated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// This process has several threads, of which fork(2) would copy one.
    #[error("namespaces are made before threads are, and there are {0} already")]
    Threads(usize),
    /// The number of threads is unknown, as where /proc is not mounted.
    #[error("the threads of this process cannot be counted, which takes /proc: {0}")]
    ThreadsUnknown(io::Error),
    /// The kernel makes no namespaces for this user.
    #[error("namespaces may not be made ({error}): be root, or {advice}")]
    NotPermitted {
        /// What the kernel says.
        error: io::Error,
        /// What would help.
        advice: String,
    },
    /// The user cannot become root inside.
    #[error("user {uid} cannot be root in a user namespace: {error}")]
    Map {
        /// The user's number outside.
        uid: u32,
        /// What the kernel says.
        error: io::Error,
    },
    /// The kernel makes no process.
    #[error("no process can be made: {0}")]
    Fork(io::Error),
    /// The process inside cannot be tied to the one outside.
    #[error("the process inside would outlive the one outside: {0}")]
    Unbound(io::Error),
    /// The mounts cannot be separated from those of the outside.
    #[error("mounts cannot be made private ({error}){advice}")]
    Mounts {
        /// What the kernel says.
        error: io::Error,
        /// What would help, with a comma in front.
        advice: String,
    },
}

/// Goes on as two processes: one inside new PID and mount namespaces, one outside. A user who is
/// not root becomes root in a user namespace.
///
/// # Errors
/// Says what is in the way. A process with several threads is refused, and so is one whose threads
/// cannot be counted.
pub fn isolate() -> Result<Isolated, IsolationError> {
    // A copy of one thread of several could wait for a lock that another one held, and for ever.
    let threads = fs::read_dir("/proc/self/task").map_err(IsolationError::ThreadsUnknown)?;
    let threads = threads.count();
    if threads != 1 {
        return Err(IsolationError::Threads(threads));
    }
    unshare_all()?;
    let (reader, writer) = io::pipe().map_err(IsolationError::Fork)?;
    // SAFETY: this process has one thread, as was counted, so the copy may do whatever this
    // process may.
    let forked = unsafe { libc::fork() };
    if forked < 0 {
        return Err(IsolationError::Fork(io::Error::last_os_error()));
    }
    let Some(child) = Pid::from_raw(forked) else {
        // With a writer of its own the process inside would wait for its own greeting.
        drop(writer);
        return become_inside(reader);
    };
    drop(reader);
    Ok(Isolated::Outside(Outside::new(child, writer)))
}

fn unshare_all() -> Result<(), IsolationError> {
    let both = UnshareFlags::NEWNS | UnshareFlags::NEWPID;
    // SAFETY: neither flag parts file descriptors between threads, and there is one thread.
    // Root needs no user namespace, and inside one it would lose rights over the machine's own
    // devices.
    if unsafe { unshare_unsafe(both) }.is_ok() {
        return Ok(());
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: as above.
    if let Err(error) = unsafe { unshare_unsafe(both | UnshareFlags::NEWUSER) } {
        return Err(IsolationError::NotPermitted {
            error: error.into(),
            advice: advice(),
        });
    }
    let map = || {
        // The kernel takes a map of groups from a user only after this (user_namespaces(7)).
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
    };
    map().map_err(|error| IsolationError::Map { uid, error })
}

fn become_inside(mut greeting: PipeReader) -> Result<Isolated, IsolationError> {
    set_parent_process_death_signal(Some(system::Signal::KILL))
        .map_err(|error| IsolationError::Unbound(error.into()))?;
    // The signal comes only for a parent that ends after the line above. One that ended before
    // closes the pipe without a greeting, and then no process waits for a report.
    let mut pid = [0; 4];
    if greeting.read_exact(&mut pid).is_err() {
        std::process::exit(1);
    }
    super::mounts::make_private().map_err(|error| IsolationError::Mounts {
        error,
        advice: match restriction() {
            Some(advice) => format!(": {advice}"),
            None => String::new(),
        },
    })?;
    if let Err(error) = super::mounts::mount_proc() {
        // Where /proc is partly hidden there can be no new one; the old one shows more than is
        // inside.
        tracing::debug!(%error, "The processes outside stay visible");
    }
    let pid = u32::from_ne_bytes(pid);
    Ok(Isolated::Inside { pid })
}

impl Outside {
    /// Greets the process inside with its number, which it cannot see in its own PID namespace.
    fn new(child: Pid, mut greeting: PipeWriter) -> Self {
        // A child that has ended already reads nothing; `wait` finds that out.
        let _ = greeting.write_all(&child.as_raw_nonzero().get().to_ne_bytes());
        Self { child }
    }

    /// Waits for the process inside to end, and passes on the signals that ask for that.
    ///
    /// # Errors
    /// Fails when signals cannot be waited for. The process inside goes on until this one ends.
    pub fn wait(self) -> io::Result<ExitStatus> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut ended = signal(SignalKind::child())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            loop {
                if let Some(status) = self.status()? {
                    return Ok(status);
                }
                let signal = tokio::select! {
                    _ = ended.recv() => continue,
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                    // The terminal is gone, so the lab ends in order, as after SIGTERM.
                    _ = hang_up.recv() => Signal::Terminate,
                };
                // A child that has just ended takes no signal; the next turn of the loop collects
                // it.
                let _ = send(self.child.as_raw_nonzero().get(), signal);
            }
        })
    }

    fn status(&self) -> io::Result<Option<ExitStatus>> {
        let ended = system::waitpid(Some(self.child), WaitOptions::NOHANG)?;
        Ok(ended.map(|(_, status)| ExitStatus::from_raw(status.as_raw())))
    }
}

fn advice() -> String {
    restriction().unwrap_or_else(|| "ask for a kernel with user namespaces".to_owned())
}

/// Returns which setting of the kernel forbids user namespaces, and how to change it.
fn restriction() -> Option<String> {
    let switches = [
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ];
    switches.iter().find_map(|(name, bad, good)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = fs::read_to_string(path).ok()?;
        (value.trim() == *bad).then(|| format!("let users have them: sysctl -w {name}={good}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_torn_apart() {
        // The test runner has one thread at least besides this one.
        assert!(matches!(isolate(), Err(IsolationError::Threads(2..))));
    }
}
