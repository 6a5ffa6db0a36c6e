//! Tells whether this process is a forked child that goes on without `exec`.
//!
//! Writable mappings, threads and locks of the parent do not exist in such a child, so handles must
//! do nothing there. A system call for the process id at each drop of a handle would cost more than
//! the drop. A page that the kernel clears in the child costs a load.

use std::{
    ptr::NonNull,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The mark of the page in the process that made it.
const PARENT: u32 = 0x6d6f_6275;

/// The identity of a process among those that are forked off each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId(u32);

struct Page(NonNull<Words>);

#[repr(C)]
struct Words {
    /// [`PARENT`], or 0 in a child.
    mark: AtomicU32,
    /// The number of this process, or 0 before the kernel was asked for it.
    id: AtomicU32,
}

// SAFETY: the page is never unmapped and holds atomics; its address may go anywhere.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// The page, or `None` if the kernel does not know `MADV_WIPEONFORK` (before 4.14).
static PAGE: OnceLock<Option<Page>> = OnceLock::new();

/// Returns whether this process was forked off a process that had called this before. Costs two
/// loads.
///
/// The first call marks this process as the original.
#[inline]
pub fn is_forked_child() -> bool {
    match PAGE.get_or_init(Page::new) {
        Some(page) => page.words().mark.load(Ordering::Relaxed) != PARENT,
        None => false,
    }
}

/// Returns the number that `getpid` returns. Only the first call in a process, or in a forked
/// child, asks the kernel.
#[inline]
pub(crate) fn this_process() -> ProcessId {
    let ask = || rustix::process::getpid().as_raw_pid().cast_unsigned();
    let Some(page) = PAGE.get_or_init(Page::new) else {
        return ProcessId(ask());
    };
    let id = &page.words().id;
    match id.load(Ordering::Relaxed) {
        0 => {
            let own = ask();
            id.store(own, Ordering::Relaxed);
            ProcessId(own)
        }
        known => ProcessId(known),
    }
}

impl Page {
    #[inline]
    fn words(&self) -> &Words {
        // SAFETY: `new` made the page with these words at its start, and nothing unmaps it. In a
        // forked child it is there too, all zero.
        unsafe { self.0.as_ref() }
    }

    fn new() -> Option<Page> {
        const LEN: usize = 4096;
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that
        // exists.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                LEN,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .ok()?;
        // SAFETY: the advice is for exactly the mapping above, which holds nothing yet.
        unsafe { madvise(start, LEN, Advice::LinuxWipeOnFork) }.ok()?;
        // The page is mapped, writable, zero, and aligned for the words.
        let page = Page(NonNull::new(start.cast::<Words>())?);
        page.words().mark.store(PARENT, Ordering::Relaxed);
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_knows_that_it_is_one() {
        unsafe extern "C" {
            fn fork() -> i32;
            fn _exit(status: i32) -> !;
            fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        }
        assert!(!is_forked_child());
        let parent = this_process();
        // SAFETY: the child makes system calls and loads only.
        let status = unsafe {
            let child = fork();
            if child == 0 {
                let own = rustix::process::getpid().as_raw_pid().cast_unsigned();
                let knows = this_process() == ProcessId(own) && this_process() != parent;
                _exit(if is_forked_child() && knows { 7 } else { 1 });
            }
            let mut status = 0;
            assert_eq!(waitpid(child, &mut status, 0), child);
            status
        };
        assert_eq!(status >> 8, 7);
        assert!(!is_forked_child());
        assert_eq!(this_process(), parent);
    }
}
