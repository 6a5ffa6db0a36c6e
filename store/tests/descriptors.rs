//! Descriptors 0 to 2 are the program's, also where it has closed them.

mod common;

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use mobula_store::{Backing, Budget, Capacity, Heap, SegmentFile, descriptors};
use rustix::{
    fs::{Mode, OFlags},
    process::getpid,
};

use common::{ENGINE, ID, again, role};

const DONE: i32 = 7;

fn close_standard() {
    unsafe extern "C" {
        fn close(fd: i32) -> i32;
    }
    for fd in 0..3 {
        // SAFETY: this process is made for that; nothing else owns these descriptors.
        unsafe { close(fd) };
    }
}

/// Writes to descriptors 1 and 2, wherever they lead.
fn print() {
    for fd in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let _ = rustix::io::write(fd, &[b'x'; 5000]);
    }
}

/// Whether all of this holds in a process that has closed its standard descriptors; else a number
/// that says which does not. It cannot print.
fn closes() -> i32 {
    let backings = [
        Backing::Auto,
        Backing::SharedMemory,
        Backing::Anonymous,
        Backing::Unnamed,
    ];
    let len = 1 << 20;
    for (n, backing) in (0..).zip(backings) {
        close_standard();
        let Ok(file) = SegmentFile::create(len, len, backing) else {
            return 10 + n;
        };
        let own = [Some(file.read_only_fd()), file.read_write_fd(ENGINE)];
        if own.iter().flatten().any(|fd| fd.as_raw_fd() < 3) {
            return 20 + n;
        }
        let budget = Arc::new(Capacity::new(len)) as Arc<dyn Budget>;
        let Ok(heap) = Heap::new(ID, file, budget) else {
            return 30 + n;
        };
        let extent = heap.copy(&[1; 10_000], 64).map(|building| building.seal());
        print();
        if extent
            .map(|extent| extent.block().bytes() == [1; 10_000])
            .ok()
            != Some(true)
        {
            return 40 + n;
        }
    }
    DONE
}

fn opens() -> i32 {
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let one = |opened: Result<OwnedFd, rustix::io::Errno>| opened.map(|fd| fd.as_raw_fd());
    let two = |opened: Result<(OwnedFd, OwnedFd), rustix::io::Errno>| {
        opened.map(|(a, b)| a.as_raw_fd().min(b.as_raw_fd()))
    };
    let all: [&dyn Fn() -> _; 6] = [
        &|| one(descriptors::open("/proc", read, Mode::empty())),
        &|| one(descriptors::event()),
        &|| one(descriptors::process(getpid())),
        &|| one(descriptors::open("/", read, Mode::empty()).and_then(descriptors::raise)),
        &|| two(descriptors::pipe()),
        &|| two(descriptors::socket_pair()),
    ];
    for (n, open) in (10..).zip(all) {
        close_standard();
        match open() {
            Ok(fd) if fd >= 3 => {}
            _ => return n,
        }
    }
    close_standard();
    // The file is opened elsewhere, while standard descriptors are in use.
    let number = descriptors::with_standard_in_use(|| std::fs::File::open("/proc"));
    match number {
        Ok(file) if file.as_raw_fd() >= 3 => DONE,
        _ => 30,
    }
}

#[track_caller]
fn runs(test: &str, role: &str) {
    let output = again(test, role).output().unwrap();
    assert_eq!(output.status.code(), Some(DONE), "{output:?}");
}

#[test]
fn a_print_after_the_closing_of_descriptors_changes_no_object() {
    match role() {
        Some(_) => std::process::exit(closes()),
        None => runs(
            "a_print_after_the_closing_of_descriptors_changes_no_object",
            "closes",
        ),
    }
}

#[test]
fn what_is_opened_has_a_number_from_three_up() {
    match role() {
        Some(_) => std::process::exit(opens()),
        None => runs("what_is_opened_has_a_number_from_three_up", "opens"),
    }
}
