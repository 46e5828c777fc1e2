#![expect(
    unsafe_code,
    reason = "unshare(2), fork(2) and prctl(2) have no safe wrappers here"
)]

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use tokio::signal::unix::{SignalKind, signal};

use super::process::{Signal, send};

/// Which of the two this process has become.
#[derive(Debug)]
pub enum Isolated {
    /// The first process inside: the mother of all orphans there.
    Inside {
        /// Its process id as seen from outside.
        pid: u32,
    },
    /// The one that stays outside and waits.
    Outside(Outside),
}

/// What the process outside has of the one inside.
#[derive(Debug)]
pub struct Outside {
    pid: u32,
    /// The inside ends when it finds this closed.
    _lifeline: PipeWriter,
}

/// Why there is no world of one's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// Threads would be torn apart.
    #[error("namespaces are made before threads are, and there are {0} already")]
    Threads(usize),
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
        /// Who.
        uid: u32,
        /// What the kernel says.
        error: io::Error,
    },
    /// The kernel makes no process.
    #[error("no process can be made: {0}")]
    Fork(io::Error),
    /// The mounts cannot be parted from those of the outside.
    #[error("mounts cannot be made private ({error}){advice}")]
    Mounts {
        /// What the kernel says.
        error: io::Error,
        /// What would help, with a comma in front.
        advice: String,
    },
}

/// Goes on twice: inside new PID and mount namespaces, and outside. Who is not root becomes so in a user namespace.
///
/// # Errors
/// Says what does not let us. It has to be called while there is one thread only.
pub fn isolate() -> Result<Isolated, IsolationError> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(IsolationError::Threads(threads));
    }
    unshare_all()?;
    let (lifeline, holder) = io::pipe().map_err(IsolationError::Fork)?;
    // SAFETY: there is one thread, so the copy may do whatever this process may.
    match unsafe { libc::fork() } {
        -1 => Err(IsolationError::Fork(io::Error::last_os_error())),
        0 => {
            drop(holder);
            become_inside(lifeline)
        }
        pid => {
            drop(lifeline);
            Ok(Isolated::Outside(Outside::new(pid as u32, holder)))
        }
    }
}

fn unshare_all() -> Result<(), IsolationError> {
    let both = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    // SAFETY: these change what this process sees of the system, and no memory.
    if unsafe { libc::unshare(both) } == 0 {
        return Ok(());
    }
    // SAFETY: they always succeed.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: as above.
    if unsafe { libc::unshare(both | libc::CLONE_NEWUSER) } != 0 {
        return Err(IsolationError::NotPermitted {
            error: io::Error::last_os_error(),
            advice: advice(),
        });
    }
    let map = || {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
    };
    map().map_err(|error| IsolationError::Map { uid, error })
}

fn become_inside(mut lifeline: PipeReader) -> Result<Isolated, IsolationError> {
    // SAFETY: the option takes a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // The parent that died before that cannot have told us who we are.
    let mut pid = [0; 4];
    if lifeline.read_exact(&mut pid).is_err() {
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
        // Where /proc is partly hidden there can be no new one; the old one shows more than is inside.
        tracing::debug!(%error, "The processes outside stay visible");
    }
    let pid = u32::from_ne_bytes(pid);
    Ok(Isolated::Inside { pid })
}

impl Outside {
    fn new(pid: u32, mut lifeline: PipeWriter) -> Self {
        // A child that has ended already is waited for all the same.
        let _ = lifeline.write_all(&pid.to_ne_bytes());
        Self {
            pid,
            _lifeline: lifeline,
        }
    }

    /// Waits for the inside to end, and passes on the signals that ask for that.
    ///
    /// # Errors
    /// Fails when the system cannot tell of signals; the inside ends then, too.
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
                let order = tokio::select! {
                    _ = ended.recv() => continue,
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                    _ = hang_up.recv() => Signal::Terminate,
                };
                // One that is no more need not be told.
                let _ = send(self.pid as i32, order);
            }
        })
    }

    fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut status = 0;
        // SAFETY: the status outlives the call.
        match unsafe { libc::waitpid(self.pid as i32, &raw mut status, libc::WNOHANG) } {
            0 => Ok(None),
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(Some(ExitStatus::from_raw(status))),
        }
    }
}

fn advice() -> String {
    restriction().unwrap_or_else(|| "ask for a kernel with user namespaces".to_owned())
}

/// Says which switch of the system is in the way of user namespaces.
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
