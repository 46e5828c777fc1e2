//! Which CPU a thread runs on.

#[cfg(target_os = "linux")]
pub(super) use linux::{allowed_cpus, pin_to};

/// Returns no CPU: pinning is a matter of Linux here.
#[cfg(not(target_os = "linux"))]
pub(super) fn allowed_cpus() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin_to(_cpu: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(
        unsafe_code,
        reason = "sched_getaffinity(2) and sched_setaffinity(2) have no safe wrapper"
    )]

    use std::io;
    use std::mem::{size_of, zeroed};

    /// Returns the CPUs that this thread may run on, lowest first; none if the kernel does not say.
    pub(in crate::shard) fn allowed_cpus() -> Vec<usize> {
        // SAFETY: `cpu_set_t` is a plain array of bits, for which zeroes are a value.
        let mut set: libc::cpu_set_t = unsafe { zeroed() };
        // SAFETY: the pointer and the size describe `set`, which outlives the call.
        let rc = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
        if rc != 0 {
            return Vec::new();
        }
        (0..libc::CPU_SETSIZE as usize)
            // SAFETY: `cpu` is below CPU_SETSIZE, the number of bits in the set.
            .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
            .collect()
    }

    /// Lets this thread run on `cpu` only.
    pub(in crate::shard) fn pin_to(cpu: usize) -> io::Result<()> {
        if cpu >= libc::CPU_SETSIZE as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `cpu_set_t` is a plain array of bits, for which zeroes are a value.
        let mut set: libc::cpu_set_t = unsafe { zeroed() };
        // SAFETY: `cpu` is below CPU_SETSIZE, the number of bits in the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
        // SAFETY: the pointer and the size describe `set`, which outlives the call.
        let rc = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
        if rc == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
