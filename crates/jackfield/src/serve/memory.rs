//! How much memory may wait for clients.

use std::fs;
use std::path::Path;

use jackfield_sansio::{Budget, BudgetLimits};
use rustix::process::{Resource, getrlimit};

/// Returns the budget of the process. What is not configured is a quarter: of the memory that the
/// process may use, and of that for one network.
pub(super) fn budget(total: Option<usize>, per_network: Option<usize>) -> Budget {
    let total = total.unwrap_or_else(|| {
        let usable = usable().unwrap_or(UNKNOWN);
        usize::try_from(usable / 4).unwrap_or(usize::MAX)
    });
    let per_network = per_network.unwrap_or(total / 4);
    Budget::new(BudgetLimits {
        total,
        per_network: per_network.min(total),
    })
}

/// Returns the bytes of memory that this process may use: those of the machine, of its control
/// group, and of its own limit, whichever is least.
fn usable() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(mem_total);
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(group_limit);
    let own = getrlimit(Resource::As).current;
    [machine, group, own].into_iter().flatten().min()
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the least limit of a control group and of those that it is in, by `cgroups(7)`, version
/// 2.
fn group_limit(cgroup: &str) -> Option<u64> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let groups = Path::new(path).ancestors();
    let limits = groups.filter_map(|group| {
        let file = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
        // It is `max` where there is no limit.
        fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    limits.min()
}

/// Where nothing tells how much memory there is.
const UNKNOWN: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        let meminfo = "MemTotal:       24590284 kB\nMemFree:         1048 kB\n";
        assert_eq!(mem_total(meminfo), Some(24_590_284 << 10));
        assert_eq!(mem_total("MemFree: 1 kB"), None);
        assert!(usable().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn what_is_not_configured_is_a_quarter() {
        let limits = |total, per_network| budget(total, per_network).limits();
        assert_eq!(limits(Some(400 << 20), None).per_network, 100 << 20);
        assert_eq!(limits(Some(4 << 20), Some(9 << 20)).per_network, 4 << 20);
        let unset = limits(None, None);
        assert_eq!(unset.per_network, unset.total / 4);
    }
}
