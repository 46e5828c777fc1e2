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
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Returns the CPUs that this thread may run on, lowest first; none if the kernel does not
    /// say.
    pub(in crate::shard) fn allowed_cpus() -> Vec<usize> {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        (0..CpuSet::MAX_CPU)
            .filter(|cpu| allowed.is_set(*cpu))
            .collect()
    }

    /// Lets this thread run on `cpu` only.
    pub(in crate::shard) fn pin_to(cpu: usize) -> io::Result<()> {
        // A set panics over a CPU that it has no bit for.
        if cpu >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut only = CpuSet::new();
        only.set(cpu);
        sched_setaffinity(None, &only).map_err(io::Error::from)
    }
}
