//! Entering the namespaces of a process that [`isolate`](super::isolate) made.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Proof that this process is inside; it starts programs there and does nothing else any more.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined;

/// A namespace that could not be entered, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of process {pid} cannot be entered: {error}")]
pub struct JoinError {
    /// Which namespace.
    what: &'static str,
    /// The process that is in it.
    pid: u32,
    /// What the kernel says.
    error: io::Error,
}

/// Enters the namespaces that process `pid` is the first one in, and there the network namespace
/// that it holds by the descriptor `netns`. Programs that are started after it are inside.
///
/// # Errors
/// Names the namespace that cannot be entered: for those of another user it takes root.
pub fn join(pid: u32, netns: i32) -> Result<Joined, JoinError> {
    let failed = |what| move |error| JoinError { what, pid, error };
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let network = File::open(folder.join(format!("fd/{netns}"))).map_err(failed("network"))?;
    // The user namespace comes first: it gives the right to enter the others.
    let namespaces = [
        ("users", "ns/user", LinkNameSpaceType::User),
        ("processes", "ns/pid", LinkNameSpaceType::ProcessID),
        ("files", "ns/mnt", LinkNameSpaceType::Mount),
    ];
    let mut links = Vec::new();
    for (what, name, kind) in namespaces {
        let link = File::open(folder.join(name)).map_err(failed(what))?;
        if !is_own(name, &link) {
            links.push((what, link, kind));
        }
    }
    links.push(("network", network, LinkNameSpaceType::Network));
    let home = std::env::current_dir();
    for (what, link, kind) in &links {
        move_into_link_name_space(link.as_fd(), Some(*kind))
            .map_err(|error| failed(*what)(error.into()))?;
    }
    // Entering other mounts has led to their root; a folder that does not exist there is no reason
    // to stay out.
    let _ = home.and_then(std::env::set_current_dir);
    Ok(Joined)
}

/// Returns whether this process is in the namespace already: the kernel refuses a process that
/// enters its own user namespace once more.
fn is_own(name: &str, link: &File) -> bool {
    let own = std::fs::metadata(PathBuf::from("/proc/self").join(name));
    matches!((own, link.metadata()), (Ok(own), Ok(other)) if own.ino() == other.ino())
}
