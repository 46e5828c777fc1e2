//! Files of one's own in a mount namespace.
#![expect(unsafe_code, reason = "mount(2) has no safe wrapper here")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Has what is mounted from now on be seen in this mount namespace only.
pub(super) fn make_private() -> io::Result<()> {
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE)
}

/// Has /proc show the processes of this PID namespace.
pub(super) fn mount_proc() -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(Some(c"proc"), c"/proc", Some(c"proc"), flags)
}

/// Has `path`, which must exist, be the file `file`, in this mount namespace.
///
/// # Errors
/// Fails when either is not there, and without the right to mount.
pub fn replace(path: &Path, file: &Path) -> io::Result<()> {
    let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (path, file) = (c_path(path)?, c_path(file)?);
    mount(Some(&file), &path, None, libc::MS_BIND)
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the strings outlive the call; there may be no source, no type and no data.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            std::ptr::null(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
