//! Mounts that only one mount namespace sees.

use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

/// Keeps later mounts in this mount namespace: by default the outside would see them.
pub(super) fn make_private() -> io::Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(io::Error::from)
}

/// Mounts a /proc that shows the processes of this PID namespace.
pub(super) fn mount_proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(io::Error::from)
}

/// Puts `file` in the place of `path`, which must exist, for this mount namespace (a bind mount).
///
/// # Errors
/// Fails when either file does not exist, and without the right to mount.
pub fn replace(path: &Path, file: &Path) -> io::Result<()> {
    mount_bind(file, path).map_err(io::Error::from)
}
