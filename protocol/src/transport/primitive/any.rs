//! A sleep on several futexes.

use std::{
    ptr,
    sync::{OnceLock, atomic::AtomicU32},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    thread::{
        ClockId,
        futex::{self, Timespec, Wait, WaitFlags, WaitPtr, WaitvFlags},
    },
    time::clock_gettime,
};

use super::Futex;

/// The largest number of futexes in one call: `FUTEX_WAITV_MAX` of Linux.
const MOST: usize = 128;

/// Asks the kernel once, and returns the number of futexes that one call takes.
pub(super) fn most_at_once() -> usize {
    static ANSWER: OnceLock<usize> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let word = AtomicU32::new(0);
        // The expected value differs from the value, so an answer comes at once.
        match waitv(&[(&word, 1)], None) {
            Err(Errno::AGAIN) => MOST,
            _ => 1,
        }
    })
}

pub(super) fn wait_any(all: &[(&AtomicU32, u32)], timeout: Option<Duration>) {
    if let [(futex, expected)] = all {
        return futex.wait(*expected, timeout);
    }
    match waitv(all, timeout) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
        // The kernel is short of memory. The caller would try again at once, so it waits here.
        Err(_) => thread::sleep(Duration::from_millis(1)),
    }
}

fn waitv(all: &[(&AtomicU32, u32)], timeout: Option<Duration>) -> Result<usize, Errno> {
    let wait = |(futex, expected): &(&AtomicU32, u32)| {
        let mut wait = Wait::new();
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(ptr::from_ref(*futex).cast_mut().cast());
        // The futex is not private, since the waking thread is in another process.
        wait.flags = WaitFlags::SIZE_U32;
        wait
    };
    let waits: Vec<Wait> = all.iter().map(wait).collect();
    // A timeout that the kernel's type cannot hold counts as none.
    let deadline = timeout
        .and_then(|timeout| Timespec::try_from(timeout).ok())
        .and_then(|timeout| clock_gettime(ClockId::Monotonic).checked_add(timeout));
    let flags = WaitvFlags::empty();
    futex::waitv(&waits, flags, deadline.as_ref(), ClockId::Monotonic)
}
