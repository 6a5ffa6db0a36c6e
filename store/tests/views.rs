//! A view never changes: stray writes end the process that writes, and nothing else.
//!
//! Each test starts its executable again and lets the child do the damage.

mod common;

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Command, Stdio},
    sync::Arc,
};

use mobula_store::{Backing, Block, Heap, Loc, SegmentFile, Segments};

use common::{ENGINE, ID, again, heap, no_core_file, no_lease, put, role};

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
const CONTENTS: [u8; 5000] = [42; 5000];
const LEN: u64 = 1 << 20;

/// The child's line before it does the damage.
const READY: &str = "about to write";

/// Writes through a pointer made of a view, as a stray pointer in native code would.
fn write_into(block: &Block) {
    no_core_file();
    println!("{READY}");
    let address = block.bytes().as_ptr().cast_mut();
    // SAFETY: none. This is the accident that the store has to contain: the page is mapped
    // read-only, so the write faults.
    unsafe { address.write_volatile(0) };
    println!("the view was changed");
}

/// Runs the child, and checks that it came to the write and died there.
fn dies(command: &mut Command) {
    let output = command.output().expect("the test can start itself");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{stdout}\n{stderr}");
    assert!(
        stdout.contains(READY) && !stdout.contains("changed"),
        "{stdout}"
    );
}

#[test]
fn a_reader_that_writes_dies_and_harms_nobody() {
    if role().is_some() {
        // The driver passes the read-only descriptor; here it comes as standard input.
        let fd = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .expect("a descriptor");
        let file = SegmentFile::from_descriptors(fd, None, 2 * LEN, ENGINE).expect("a segment");
        let segments = Segments::new();
        segments.insert(ID, &file).expect("new");
        let loc = Loc {
            segment: ID,
            offset: 0,
            len: CONTENTS.len() as u64,
        };
        let block = segments
            .resolve(loc, no_lease(), ENGINE)
            .expect("it is there");
        assert_eq!(block.bytes(), CONTENTS);
        write_into(&block);
        return;
    }
    let (heap, _) = heap(LEN);
    let loc = put(&heap, &CONTENTS);
    assert_eq!(loc.offset, 0, "what the child expects");
    let fd: OwnedFd = heap
        .file()
        .read_only_fd()
        .try_clone_to_owned()
        .expect("a descriptor");
    let mut child = again("a_reader_that_writes_dies_and_harms_nobody", "reader");
    dies(child.stdin(Stdio::from(fd)));
    assert_eq!(
        heap.block(loc, no_lease(), ENGINE)
            .expect("it is there")
            .bytes(),
        CONTENTS
    );
}

#[test]
fn the_producer_itself_cannot_write_through_a_view() {
    if role().is_some() {
        for backing in [Backing::SharedMemory, Backing::Anonymous] {
            let file = SegmentFile::create(LEN, LEN, backing).expect("a file");
            let budget = Arc::new(mobula_store::Capacity::new(LEN));
            let heap = Heap::new(ID, file, budget).expect("a heap");
            let mut building = heap.reserve(100, 1).expect("there is room");
            building.bytes_mut().fill(1);
            let block = building.seal().block();
            assert_eq!(block.bytes(), [1; 100]);
            // The mapping is what the kernel says it is, before one of the two is tried.
            assert!(is_read_only(&block), "{backing:?}");
            if backing == Backing::Anonymous {
                write_into(&block);
            }
        }
        return;
    }
    dies(&mut again(
        "the_producer_itself_cannot_write_through_a_view",
        "producer",
    ));
}

/// Whether the kernel has mapped the view for reading alone.
fn is_read_only(block: &Block) -> bool {
    let address = block.bytes().as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let around = maps.lines().find(|line| {
        let (range, _) = line.split_once(' ').expect("addresses first");
        let (start, end) = range.split_once('-').expect("a range");
        let parse = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
        (parse(start)..parse(end)).contains(&address)
    });
    around.expect("a view is mapped").contains(" r--s ")
}

/// Runs `check` in a forked child that has everything of this process but its other threads.
///
/// Gives what `check` returned there, or the signal that ended the child.
fn in_forked_child(mut check: impl FnMut() -> bool + Send + Sync + 'static) -> Result<bool, i32> {
    let mut command = Command::new("/proc/self/exe");
    // Without tests to run, what is executed afterwards ends at once and well.
    command
        .args(["--exact", "no such test"])
        .stdout(Stdio::null());
    // SAFETY: `check` runs in the child between `fork` and `exec`. It allocates and takes no lock
    // that another thread of a test could hold but those of the allocator, which the C library
    // makes usable in the child.
    unsafe {
        command.pre_exec(move || {
            if check() {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(95))
            }
        });
    }
    match command.status() {
        Ok(status) => status.signal().map_or(Ok(true), Err),
        Err(_) => Ok(false),
    }
}

#[test]
fn handles_are_inert_in_a_forked_child() {
    let (heap, budget) = heap(LEN);
    let loc = put(&heap, &CONTENTS);
    let block = heap.block(loc, no_lease(), ENGINE).expect("it is there");
    let mut building = Some(heap.reserve(100, 1).expect("there is room"));
    let mut extent = Some(heap.reserve(100, 1).expect("there is room").seal());
    let (used, in_use) = (budget.used(), heap.in_use());

    let ours = heap.clone();
    let child = move || {
        // Handles freed in the child must not touch the budget, or wait for its lock.
        drop((building.take(), extent.take()));
        let silent = heap.trim(0) == 0 && heap.in_use() == 0 && heap.committed() == 0;
        let errors = heap.reserve(1, 1).is_err() && heap.free(loc, ENGINE).is_err();
        let readable = block.bytes() == CONTENTS;
        silent && errors && readable
    };
    // The closure, and with it the parent's copies of the handles, is dropped here.
    assert_eq!(in_forked_child(child), Ok(true));
    assert_eq!(budget.used(), used, "the child gave nothing back");
    assert!(ours.in_use() < in_use, "the parent's own handles worked");
    assert_eq!(
        ours.block(loc, no_lease(), ENGINE)
            .expect("it is there")
            .bytes(),
        CONTENTS
    );
    ours.free(loc, ENGINE).expect("it is there");
    assert_eq!(ours.in_use(), 0);
}

#[test]
fn a_forked_child_cannot_go_on_building() {
    let (heap, _) = heap(LEN);
    let mut building = heap.reserve(100, 1).expect("there is room");
    building.bytes_mut().fill(1);
    let mut building = Some(building);
    let child = move || {
        no_core_file();
        // It panics, which aborts between `fork` and `exec`; the address may be another thing's.
        building
            .take()
            .is_some_and(|mut building| building.bytes_mut().is_empty())
    };
    assert_eq!(in_forked_child(child), Err(SIGABRT));
    assert_eq!(heap.in_use(), 0, "the parent's handle was not the child's");
}

#[test]
fn a_forked_child_does_not_inherit_the_writable_mapping() {
    let (heap, _) = heap(LEN);
    let mut building = heap.reserve(CONTENTS.len(), 1).expect("there is room");
    building.bytes_mut().copy_from_slice(&CONTENTS);
    let address = building.bytes_mut().as_mut_ptr() as usize;
    let child = move || {
        no_core_file();
        // SAFETY: none; see `write_into`. In the child nothing is mapped at this address.
        unsafe { (address as *mut u8).write_volatile(0) };
        true
    };
    assert_eq!(in_forked_child(child), Err(SIGSEGV));
    assert_eq!(building.seal().block().bytes(), CONTENTS);
}
