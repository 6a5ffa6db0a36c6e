//! How much memory this process has for itself.

use mobula_protocol::{Error, Result};

/// Returns how many bytes are resident and shared with no other process. Objects of the store do
/// not count. Returns `None` where there is no `/proc`.
fn own_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let own = own_pages(&pages)?;
    own.checked_mul(rustix::param::page_size() as u64)
}

/// Returns the resident pages that are not shared. The second number of `statm` counts resident
/// pages, the third number counts the shared pages among them.
fn own_pages(statm: &str) -> Option<u64> {
    let mut numbers = statm.split_ascii_whitespace().skip(1);
    let mut next = || numbers.next()?.parse::<u64>().ok();
    let (resident, shared) = (next()?, next()?);
    Some(resident.saturating_sub(shared))
}

/// Checks the memory of this process before its first task.
///
/// # Errors
/// This process has more than the limit. Each process that takes its place would have more, too.
pub(super) fn check_at_start(limit: Option<u64>) -> Result<()> {
    match (limit, own_bytes()) {
        (Some(limit), Some(own)) if own > limit => Err(Error::usage(format!(
            "a worker has {own} bytes of its own before its first task, and is to be replaced with more than {limit} \
             (`max_worker_rss`): it would run one task only; raise the limit, or set up less"
        ))),
        _ => Ok(()),
    }
}

/// Whether this process has more than `limit` bytes of its own.
pub(super) fn exceeds(limit: u64) -> bool {
    own_bytes().is_some_and(|own| own > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_pages_do_not_count() {
        assert_eq!(own_pages("5000 700 300 10 0 400 0\n"), Some(400));
        assert_eq!(own_pages("5000 700\n"), None);
        assert_eq!(own_pages(""), None);
    }

    #[test]
    fn memory_that_is_written_counts() {
        let before = own_bytes().unwrap();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = own_bytes().unwrap();
        // Other tests of this process may free some meanwhile.
        assert!(after > before + (32 << 20), "{before} to {after}");
        drop(memory);
    }

    #[test]
    fn a_limit_below_what_is_there_at_the_start_is_refused() {
        assert!(check_at_start(None).is_ok() && check_at_start(Some(u64::MAX)).is_ok());
        let error = check_at_start(Some(1)).unwrap_err();
        assert!(error.to_string().contains("`max_worker_rss`"), "{error}");
    }
}
