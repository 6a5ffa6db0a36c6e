//! The processor's clock, for very short times.

use std::{sync::OnceLock, time::Instant};

/// Empty if the kernel uses the processor's counter for its own clock. Then the counter is equal on
/// all cores, and does not stop. Otherwise the start of another clock.
static COUNTER: OnceLock<Option<Instant>> = OnceLock::new();

/// Returns a count that grows with time at one unknown rate, for comparisons of short durations.
/// Costs 10 to 25 ns if the processor's counter can be trusted, and otherwise as much as
/// [`Instant::now`].
#[inline]
pub fn ticks() -> u64 {
    match COUNTER.get_or_init(other_clock) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction reads a counter and touches no memory. Each x86-64 has it, and
        // the kernel lets processes execute it unless
        // they ask it not to (`PR_SET_TSC`).
        None => unsafe { std::arch::x86_64::_rdtsc() },
        #[cfg(not(target_arch = "x86_64"))]
        None => 0,
        Some(origin) => origin.elapsed().as_nanos() as u64,
    }
}

/// Returns the start of a clock that replaces the counter, or `None` if the counter can be trusted.
fn other_clock() -> Option<Instant> {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let trusted = cfg!(target_arch = "x86_64")
        && std::fs::read_to_string(path).is_ok_and(|name| name.trim() == "tsc");
    (!trusted).then(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ticks_grow_with_time() {
        let before = ticks();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(5) {}
        assert!(ticks() > before);
    }
}
