//! A `/dev/shm` that is too small, as in a Docker container: errors, never SIGBUS.
//!
//! The tests run themselves again with a small file system mounted there, in a mount namespace of
//! their own. Where that is not permitted (not root, or a locked-down container) they say so and
//! pass.

mod common;

use std::{process::Command, sync::Arc};

use mobula_store::{Backing, Budget, Capacity, Heap, SegmentFile, SharedWords, shared_memory_free};

use common::{ID, role, with_arguments};

const MIB: u64 = 1 << 20;

/// The size of the small file system. Memory is reserved in steps; one of them fits, two do not.
const SMALL: u64 = 24 * MIB;

/// Whether this process is the one in the namespace. If not, starts it and checks how it ends.
fn in_small_shm(test: &str) -> bool {
    if role().is_some() {
        return true;
    }
    let namespace = |script: &str| {
        let mut command = Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={SMALL} tmpfs /dev/shm && {script}");
        command.args(["--mount", "--", "sh", "-c", &mount]);
        command
    };
    match namespace("true").output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            skip(&format!(
                "cannot mount a small /dev/shm here: {}",
                why.trim()
            ));
            return false;
        }
        Err(error) => {
            skip(&format!("cannot run `unshare`: {error}"));
            return false;
        }
    }
    let mut command = namespace("exec \"$0\" \"$@\"");
    command.arg(std::env::current_exe().expect("an executable"));
    with_arguments(&mut command, test, "small");
    let output = command.output().expect("it ran before");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}",
        output.status
    );
    assert!(stdout.contains("1 passed"), "{stdout}");
    false
}

/// Not by a macro, whose output the harness keeps to itself.
fn skip(why: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: {why}\n"));
}

fn names() -> usize {
    std::fs::read_dir("/dev/shm")
        .expect("it is mounted")
        .count()
}

#[test]
fn shared_memory_that_ends_is_a_clean_error() {
    if !in_small_shm("shared_memory_that_ends_is_a_clean_error") {
        return;
    }
    assert_eq!(shared_memory_free(), Some(SMALL));
    // More than there is: sparse files may be so long.
    let capacity = 64 * MIB;
    let file = SegmentFile::create(2 * capacity, capacity, Backing::SharedMemory).expect("sparse");
    assert!(!file.is_anonymous());
    assert_eq!(names(), 0, "the file has no name any more");
    assert_eq!(shared_memory_free(), Some(SMALL), "and no memory yet");
    let budget = Arc::new(Capacity::new(capacity));
    let heap = Heap::new(ID, file, budget.clone() as Arc<dyn Budget>).expect("a heap");

    // With the gap behind it this takes 2 MiB.
    let mut first = heap.reserve((2 << 20) - 4096, 64).expect("there is room");
    first.bytes_mut().fill(1);
    for wanted in [23 * MIB, 60 * MIB] {
        let error = heap.reserve(wanted as usize, 64).expect_err("too much");
        assert!(error.is_full(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("/dev/shm") && text.contains("MiB wanted"),
            "{text}"
        );
        assert_eq!(budget.used(), 2 * MIB, "nothing was charged");
        assert_eq!(
            shared_memory_free(),
            Some(SMALL - 2 * MIB),
            "nothing stayed reserved"
        );
    }
    // A copy fails, too, when some bytes are copied while the memory is made.
    let bytes = vec![4; 23 << 20];
    let error = heap.copy(&bytes, 64).expect_err("too much");
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains("23 MiB wanted"), "{error}");
    assert_eq!(
        (budget.used(), shared_memory_free()),
        (2 * MIB, Some(SMALL - 2 * MIB))
    );
    let copied = heap.copy(&bytes[..21 << 20], 64).expect("there is room");
    assert!(copied.iter().all(|&byte| byte == 4));
    drop(copied);
    heap.trim(0);

    // Write to the last byte that can be had: if one were not reserved, this would be SIGBUS.
    let mut held = Vec::new();
    loop {
        match heap.reserve(100_000, 64) {
            Ok(mut building) => {
                building.bytes_mut().fill(2);
                held.push(building.seal());
            }
            Err(error) => {
                assert!(error.is_full(), "{error}");
                break;
            }
        }
    }
    assert_eq!(held.len(), (SMALL - 2 * MIB) as usize / (100_032 + 4096));
    assert!(first.iter().all(|&byte| byte == 1));
    assert!(
        held.iter()
            .all(|extent| extent.block().bytes().iter().all(|&byte| byte == 2))
    );

    // With less in use there is room again, for something that fits only where they all were.
    held.clear();
    drop(first);
    let mut all = heap.reserve(SMALL as usize, 64).expect("there is room");
    all.bytes_mut().fill(3);
    drop(all);
    heap.trim(0);
    assert_eq!((budget.used(), shared_memory_free()), (0, Some(SMALL)));
}

#[test]
fn the_store_falls_back_to_anonymous_memory() {
    if !in_small_shm("the_store_falls_back_to_anonymous_memory") {
        return;
    }
    let create = |needed| SegmentFile::create(64 * MIB, needed, Backing::Auto).expect("a file");
    assert!(!create(SMALL).is_anonymous(), "it just fits");
    let file = create(SMALL + 1);
    assert!(file.is_anonymous());
    let budget = Arc::new(Capacity::new(32 * MIB));
    let heap = Heap::new(ID, file, budget as Arc<dyn Budget>).expect("a heap");
    let mut building = heap.reserve(16 << 20, 64).expect("there is room");
    building.bytes_mut().fill(1);
    assert_eq!(
        (shared_memory_free(), names()),
        (Some(SMALL), 0),
        "it needed none of that"
    );
}

#[test]
fn a_mailbox_without_memory_is_an_error() {
    if !in_small_shm("a_mailbox_without_memory_is_an_error") {
        return;
    }
    let file = SegmentFile::create(2 * SMALL, 0, Backing::SharedMemory).expect("sparse");
    assert!(SharedWords::map(&file).expect_err("too much").is_full());
    drop(file);
    assert_eq!((shared_memory_free(), names()), (Some(SMALL), 0));
}

#[test]
fn a_directory_on_a_disk_is_no_shared_memory() {
    if !in_small_shm("a_directory_on_a_disk_is_no_shared_memory") {
        return;
    }
    // Some containers have no file system of its own there. `/proc` is surely not `tmpfs`.
    let covered = Command::new("mount")
        .args(["--bind", "/proc", "/dev/shm"])
        .status();
    assert!(covered.expect("it ran before").success());
    assert_eq!(shared_memory_free(), None);
    let file = SegmentFile::create(MIB, MIB, Backing::Auto).expect("a file");
    assert!(file.is_anonymous());
    SegmentFile::create(MIB, MIB, Backing::SharedMemory).expect_err("nothing can be made there");
}

#[test]
fn a_limit_on_file_sizes_is_an_error() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    if role().is_none() {
        let output = common::again("a_limit_on_file_sizes_is_an_error", "limited").output();
        let output = output.expect("the test can start itself");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let limit = Rlimit {
        current: Some(MIB),
        maximum: Some(MIB),
    };
    setrlimit(Resource::Fsize, limit).expect("limits can be lowered");
    for backing in [Backing::SharedMemory, Backing::Anonymous, Backing::Auto] {
        SegmentFile::create(MIB, 1, backing).expect("at the limit");
        let error = SegmentFile::create(2 * MIB, 1, backing).expect_err("beyond the limit");
        assert!(error.to_string().contains("ulimit -f"), "{error}");
    }
}
