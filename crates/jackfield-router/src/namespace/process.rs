//! Starting, collecting and ending programs.
#![expect(
    unsafe_code,
    reason = "what runs between fork(2) and exec(2), and unshare(2), have no safe wrappers"
)]

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use rustix::process::{self, Pid, WaitOptions};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A signal that ends a process, or asks it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// Sends a signal to a process, or with a negative number to each process of a process group.
///
/// # Errors
/// Fails when no such process exists, and when it is another user's.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    let signal = match signal {
        Signal::Interrupt => process::Signal::INT,
        Signal::Terminate => process::Signal::TERM,
        Signal::Kill => process::Signal::KILL,
    };
    let id = i32::try_from(pid.unsigned_abs())
        .ok()
        .and_then(Pid::from_raw);
    let id = id.ok_or(io::ErrorKind::InvalidInput)?;
    let sent = if pid < 0 {
        process::kill_process_group(id, signal)
    } else {
        process::kill_process(id, signal)
    };
    sent.map_err(io::Error::from)
}

/// Returns the next child that has ended and how, without waiting.
///
/// The first process of a PID namespace inherits the children of processes that ended before them.
#[must_use]
pub fn collect() -> Option<(u32, ExitStatus)> {
    let (pid, status) = process::wait(WaitOptions::NOHANG).ok().flatten()?;
    let status = ExitStatus::from_raw(status.as_raw());
    Some((pid.as_raw_nonzero().get().unsigned_abs(), status))
}

/// Gives a program a host name of its own (a UTS namespace).
pub fn set_host_name(command: &mut Command, name: &str) {
    let name = name.as_bytes().to_vec();
    let rename = move || {
        // SAFETY: the flag leaves file descriptors shared, and the new namespace is this process's
        // alone.
        unsafe { unshare_unsafe(UnshareFlags::NEWUTS) }?;
        rustix::system::sethostname(&name).map_err(io::Error::from)
    };
    // SAFETY: both are bare system calls, so they are async-signal-safe, and they allocate
    // nothing.
    unsafe { command.pre_exec(rename) };
}

/// Starts the program in a new session (setsid), so that closing the terminal does not end it.
pub fn detach(command: &mut Command) {
    // SAFETY: setsid(2) is async-signal-safe.
    unsafe { command.pre_exec(|| process::setsid().map(drop).map_err(io::Error::from)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_to_a_process_that_does_not_exist_is_an_error() {
        // The kernel gives out no such high process id.
        for pid in [i32::MAX, i32::MIN, 0] {
            assert!(send(pid, Signal::Terminate).is_err());
        }
    }
}
