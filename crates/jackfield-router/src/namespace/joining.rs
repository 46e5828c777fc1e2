#![expect(unsafe_code, reason = "setns(2) has no safe wrapper here")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Proof that this process is inside; it starts programs there and does nothing else any more.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined;

/// Why there is no way in.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of process {pid} cannot be entered: {error}")]
pub struct JoinError {
    /// Which namespace.
    what: &'static str,
    /// Whose.
    pid: u32,
    /// What the kernel says.
    error: io::Error,
}

/// Enters the world that process `pid` is the first one in, and there the network namespace that it holds by the
/// descriptor `netns`. Programs that are started after it are inside.
///
/// # Errors
/// Names the namespace that cannot be entered: for those of another user it takes root.
pub fn join(pid: u32, netns: i32) -> Result<Joined, JoinError> {
    let failed = |what| move |error| JoinError { what, pid, error };
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let network = File::open(folder.join(format!("fd/{netns}"))).map_err(failed("network"))?;
    let namespaces = [
        ("users", "ns/user", libc::CLONE_NEWUSER),
        ("processes", "ns/pid", libc::CLONE_NEWPID),
        ("files", "ns/mnt", libc::CLONE_NEWNS),
    ];
    let mut doors = Vec::new();
    for (what, name, kind) in namespaces {
        let door = File::open(folder.join(name)).map_err(failed(what))?;
        if !is_ours(name, &door) {
            doors.push((what, door, kind));
        }
    }
    doors.push(("network", network, libc::CLONE_NEWNET));
    let home = std::env::current_dir();
    for (what, door, kind) in &doors {
        // SAFETY: the descriptor is open during the call, which touches no memory of ours.
        if unsafe { libc::setns(door.as_raw_fd(), *kind) } != 0 {
            return Err(failed(*what)(io::Error::last_os_error()));
        }
    }
    // Entering other mounts has led to their root; a folder that is not there is no reason to stay out.
    let _ = home.and_then(std::env::set_current_dir);
    Ok(Joined)
}

/// Nobody may enter the user namespace that they are in.
fn is_ours(name: &str, door: &File) -> bool {
    let own = std::fs::metadata(PathBuf::from("/proc/self").join(name));
    matches!((own, door.metadata()), (Ok(own), Ok(theirs)) if own.ino() == theirs.ino())
}
