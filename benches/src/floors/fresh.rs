//! The cost of memory that has not been used before.

use std::{io, sync::atomic::Ordering::Relaxed, time::Instant};

use mobula_store::{Backing, SegmentFile, SharedWords};

/// The words of a page.
const PAGE: usize = 4096 / size_of::<u64>();

/// Returns the seconds that the system takes for this many bytes of new shared memory.
///
/// The function writes one word on each page. So the system has to find and clear the memory, which
/// every use of new memory needs.
///
/// # Errors
/// The system does not have the memory.
pub fn touch_fresh(bytes: usize) -> io::Result<f64> {
    let len = bytes as u64;
    let start = Instant::now();
    let file = SegmentFile::create(len, len, Backing::Auto).map_err(io::Error::other)?;
    let words = SharedWords::map(&file).map_err(io::Error::other)?;
    for word in words.words().iter().step_by(PAGE) {
        word.store(1, Relaxed);
    }
    // The memory stays in use, so the time of its release does not count.
    Ok(start.elapsed().as_secs_f64())
}
