//! The common parts of the tests.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use mobula::prelude::*;

/// A runtime with a small store.
pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .store_capacity(256 << 20)
        .start()
        .unwrap()
}

/// Waits until `holds`, for things that other processes do in their own time. Fails after a time
/// that only a hang explains.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All that a test put or made is gone again.
#[track_caller]
pub(crate) fn nothing_is_left(rt: &Runtime) {
    eventually("the store is empty", || {
        rt.store().used_bytes() == 0 && rt.store().object_count() == 0
    });
}

/// Returns whether a process runs. A zombie does not.
pub(crate) fn lives(pid: u32) -> bool {
    !matches!(state(pid), Some('Z' | 'X') | None)
}

/// The letter that the system has for what a process does: `T` if it is stopped.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = Path::new("/proc").join(pid.to_string()).join("stat");
    let stat = std::fs::read_to_string(stat).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// The message of an error and all its causes.
pub(crate) fn whole(error: &mobula::Error) -> String {
    format!("{error:?}")
}

/// Says that this machine does not have what the test needs, which counts as passed. Not by a
/// macro, whose output the harness keeps to itself.
pub(crate) fn skip(why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: {test}: {why}\n"),
    );
}

/// A file whose length counts events of several processes.
pub(crate) struct Marks(std::path::PathBuf);

impl Marks {
    pub(crate) fn new() -> Marks {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "mobula-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::File::create_new(&path).unwrap();
        Marks(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn count(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |metadata| metadata.len())
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Adds a mark, and says how many there are.
///
/// The file has to exist. Otherwise a task that runs on after its test would leave a file that no
/// code removes.
pub(crate) fn mark(path: &str) -> u64 {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"x").unwrap();
    file.metadata().unwrap().len()
}
