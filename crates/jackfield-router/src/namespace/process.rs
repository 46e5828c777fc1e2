//! Starting, collecting and ending programs.
#![expect(
    unsafe_code,
    reason = "what happens between fork(2) and exec(2), waitpid(2) and kill(2) have no safe wrappers here"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// What a process can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// As Ctrl-C does.
    Interrupt,
    /// To end in order.
    Terminate,
    /// Nothing: it ends.
    Kill,
}

/// Tells a process, or with a negative number each one of a process group.
///
/// # Errors
/// Fails when there is none, and when it is another user's.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
    };
    // SAFETY: it touches no memory.
    check(unsafe { libc::kill(pid, number) })
}

/// Returns the next child that has ended and how, without waiting; the children of ended children are ours in a PID
/// namespace that we are the first in.
pub fn collect() -> Option<(u32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid as u32, ExitStatus::from_raw(status)))
}

/// Has a program see `name` as the name of the host that it runs on.
pub fn call_host(command: &mut Command, name: &str) {
    let name = name.as_bytes().to_vec();
    let rename = move || {
        // SAFETY: the name outlives the call, and its length is right; a new namespace is this process's alone.
        check(unsafe { libc::unshare(libc::CLONE_NEWUTS) })
            .and_then(|()| check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }))
    };
    // SAFETY: both system calls are async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(rename) };
}

/// Has a program be of a session of its own, which no terminal ends.
pub fn detach(command: &mut Command) {
    // SAFETY: setsid(2) is async-signal-safe.
    unsafe { command.pre_exec(|| check(libc::setsid())) };
}

/// Locks a file for as long as this process, or one that it forks, has it open; returns whether nobody else has.
///
/// # Errors
/// Fails when files cannot be locked.
pub fn try_lock(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open during the call.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_file_is_free_again_when_it_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = File::open(file.path()).unwrap();
        let second = File::open(file.path()).unwrap();
        assert!(try_lock(&first).unwrap());
        assert!(!try_lock(&second).unwrap());
        drop(first);
        assert!(try_lock(&second).unwrap());
    }

    #[test]
    fn nobody_is_told_anything_where_there_is_nobody() {
        // The kernel gives out no such high process id.
        assert!(send(i32::MAX, Signal::Terminate).is_err());
    }
}
