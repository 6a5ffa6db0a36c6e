//! The cores and the memory of this machine, within the limits of the container.

use mobula_store::limits::CgroupLimit;

use super::MIN_CAPACITY;

/// Returns the number of cores that affinity and the cgroup's quota leave to this process, as `std`
/// counts them.
pub(super) fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns 30 % of the memory that this process may have.
///
/// The free bytes of `/dev/shm` bound the result. Containers often give it 64 MiB. If it has less
/// than half of the 30 %, anonymous memory takes its place and the bound does not count.
pub(super) fn default_capacity() -> u64 {
    let memory = machine_memory().min(cgroup_memory().unwrap_or(u64::MAX));
    let share = (memory / SHARE.1 * SHARE.0).max(MIN_CAPACITY);
    match mobula_store::shared_memory_free() {
        Some(free) if free >= share / 2 => share.min(free),
        _ => share,
    }
}

/// Returns the machine's memory in bytes, from `/proc`. `sysinfo` cannot say that it has failed.
pub(super) fn machine_memory() -> u64 {
    memory_info("MemTotal").unwrap_or(UNKNOWN_MEMORY)
}

/// Returns the value of a line of `/proc/meminfo`, in bytes.
pub(super) fn memory_info(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line?.trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the lowest memory limit of this process' cgroup and the cgroups above it, version 2 or
/// 1.
pub(super) fn cgroup_memory() -> Option<u64> {
    memory_limit().map(|limit| limit.limit)
}

pub(super) fn memory_limit() -> Option<CgroupLimit> {
    CgroupLimit::of("memory", "memory.max", "memory.limit_in_bytes")
}

/// Returns the sum of the cgroup's memory limit and the bytes that the cgroup may swap out. Beyond
/// this sum, the kernel kills processes.
pub(super) fn cgroup_memory_with_swap() -> Option<u64> {
    let limit = memory_limit()?;
    let swap = memory_info("SwapTotal").unwrap_or(0);
    let swap = limit
        .read("memory.swap.max")
        .map_or(swap, |most| most.min(swap));
    Some(limit.limit.saturating_add(swap))
}

/// The share of the machine's memory that the store takes by default: 30 %.
const SHARE: (u64, u64) = (3, 10);

/// The assumed memory of the machine, in bytes, if the system does not say it.
const UNKNOWN_MEMORY: u64 = 1 << 30;
