//! Files, descriptors and mappings as processes exchange them.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mobula_store::{
    Backing, Budget, Capacity, Heap, Lease, Loc, SegmentFile, SegmentId, Segments, SharedWords,
};

use common::{ENGINE, ID, heap, no_lease, put};

const BOTH: [Backing; 2] = [Backing::SharedMemory, Backing::Anonymous];

fn file(backing: Backing) -> SegmentFile {
    SegmentFile::create(1 << 20, 1 << 20, backing).expect("a file")
}

/// A file as another process gets it.
fn received(file: &SegmentFile, writable: bool) -> SegmentFile {
    let read_only = file
        .read_only_fd()
        .try_clone_to_owned()
        .expect("a descriptor");
    let read_write = file.read_write_fd(ENGINE).filter(|_| writable);
    let read_write = read_write.map(|fd| fd.try_clone_to_owned().expect("a descriptor"));
    SegmentFile::from_descriptors(read_only, read_write, file.len(), ENGINE).expect("a file")
}

#[test]
fn files_have_no_name_and_descriptors_do_not_leak() {
    for backing in BOTH {
        let file = file(backing);
        assert_eq!(file.is_anonymous(), backing == Backing::Anonymous);
        assert_eq!(received(&file, false).is_anonymous(), file.is_anonymous());
        for fd in [
            file.read_only_fd(),
            file.read_write_fd(ENGINE).expect("the creator has it"),
        ] {
            let stat = rustix::fs::fstat(fd).expect("a descriptor");
            assert_eq!(stat.st_nlink, 0, "no name");
            assert_eq!(stat.st_size, 1 << 20);
            assert_eq!(stat.st_blocks, 0, "no memory yet");
            let flags = rustix::io::fcntl_getfd(fd).expect("a descriptor");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}

#[test]
fn the_read_only_descriptor_cannot_write() {
    for backing in BOTH {
        let file = file(backing);
        let error = rustix::io::write(file.read_only_fd(), b"x").expect_err("read-only");
        assert_eq!(error, rustix::io::Errno::BADF);
        let reader = received(&file, false);
        assert!(
            reader
                .reserve(0, 4096)
                .expect_err("no producer")
                .is_invalid_handle()
        );
        reader.punch(0, 4096, ENGINE).expect_err("no producer");
        let budget: Arc<dyn Budget> = Arc::new(Capacity::new(1 << 20));
        assert!(
            Heap::new(ID, reader, budget)
                .expect_err("no producer")
                .is_invalid_handle()
        );
    }
}

#[test]
fn memory_is_reserved_and_given_back() {
    for backing in BOTH {
        let file = file(backing);
        let blocks = || {
            rustix::fs::fstat(file.read_only_fd())
                .expect("a descriptor")
                .st_blocks
        };
        file.reserve(4096, 1 << 18).expect("there is memory");
        assert!(blocks() * 512 >= 1 << 18);
        file.punch(0, file.len(), ENGINE).expect("possible");
        assert_eq!(blocks(), 0);
        for (offset, len) in [(0, (1 << 20) + 1), (1 << 20, 1), (u64::MAX, u64::MAX)] {
            assert!(
                file.reserve(offset, len)
                    .expect_err("not in it")
                    .is_invalid_handle()
            );
            file.punch(offset, len, ENGINE).expect_err("not in it");
        }
    }
}

#[test]
fn impossible_files_are_errors() {
    for backing in [Backing::Auto, Backing::SharedMemory, Backing::Anonymous] {
        for len in [0, u64::MAX, 1 << 63] {
            let error = SegmentFile::create(len, 1, backing).expect_err("impossible");
            assert!(error.to_string().contains("bytes"), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_too_short_is_refused() {
    let (one, other) = (file(Backing::Anonymous), file(Backing::Anonymous));
    let ro = || {
        one.read_only_fd()
            .try_clone_to_owned()
            .expect("a descriptor")
    };
    for len in [0, (1 << 20) + 1, u64::MAX] {
        let error = SegmentFile::from_descriptors(ro(), None, len, ENGINE).expect_err("too short");
        assert!(error.is_invalid_handle(), "{error}");
    }
    let rw = other
        .read_write_fd(ENGINE)
        .expect("a descriptor")
        .try_clone_to_owned();
    let error =
        SegmentFile::from_descriptors(ro(), Some(rw.expect("a descriptor")), 1 << 20, ENGINE);
    assert!(error.expect_err("two files").is_invalid_handle());
}

#[test]
fn an_anonymous_file_cannot_be_cut() {
    let file = file(Backing::Anonymous);
    let fd = file.read_write_fd(ENGINE).expect("the creator has it");
    assert_eq!(rustix::fs::ftruncate(fd, 0), Err(rustix::io::Errno::PERM));
}

#[test]
fn the_segments_of_others_are_read_by_location() {
    for backing in BOTH {
        let budget = Arc::new(Capacity::new(1 << 20));
        let heap = Heap::new(ID, file(backing), budget as Arc<dyn Budget>).expect("a heap");
        let segments = Segments::new();
        let mapped = received(heap.file(), false);
        segments.insert(ID, &mapped).expect("new");
        drop(mapped);
        segments
            .insert(ID, heap.file())
            .expect_err("its number is taken");
        assert!(segments.contains(ID) && !segments.contains(SegmentId(1)));

        let loc = put(&heap, b"written after it was mapped");
        let block = segments
            .resolve(loc, no_lease(), ENGINE)
            .expect("it is there");
        assert_eq!(block.bytes(), b"written after it was mapped");
        assert_eq!(block.loc(), Some(loc));
        assert_ne!(
            block.bytes().as_ptr(),
            heap.block(loc, no_lease(), ENGINE)
                .expect("it is there")
                .bytes()
                .as_ptr(),
            "a mapping of its own"
        );

        assert!(segments.remove(ID) && !segments.remove(ID));
        assert!(
            segments
                .resolve(loc, no_lease(), ENGINE)
                .expect_err("gone")
                .is_invalid_handle()
        );
        assert_eq!(
            block.bytes(),
            b"written after it was mapped",
            "a block keeps its mapping"
        );
    }
}

#[test]
fn locations_outside_of_a_segment_are_errors() {
    let segments = Segments::new();
    segments.insert(ID, &file(Backing::Anonymous)).expect("new");
    let resolve = |segment, offset, len| {
        segments.resolve(
            Loc {
                segment,
                offset,
                len,
            },
            no_lease(),
            ENGINE,
        )
    };
    assert_eq!(resolve(ID, 0, 1 << 20).expect("all of it").len(), 1 << 20);
    assert!(
        resolve(ID, 1 << 20, 0)
            .expect("nothing at its end")
            .is_empty()
    );
    for (offset, len) in [
        (0, (1 << 20) + 1),
        (1 << 20, 1),
        (u64::MAX, 1),
        (1, u64::MAX),
        (u64::MAX, u64::MAX),
    ] {
        let error = resolve(ID, offset, len).expect_err("outside");
        assert!(error.is_invalid_handle(), "{error}");
    }
    let mapped = segments.find(ID).expect("it is mapped");
    let elsewhere = Loc {
        segment: SegmentId(1),
        offset: 0,
        len: 1,
    };
    assert!(mapped.resolve(elsewhere, no_lease(), ENGINE).is_err());
    assert!(segments.find(SegmentId(1)).is_none());
    let error = resolve(SegmentId(1), 0, 1).expect_err("unknown");
    assert!(
        error.is_invalid_handle() && error.to_string().contains("segment 1"),
        "{error}"
    );
}

#[test]
fn a_lease_ends_with_the_last_clone() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (heap, _) = heap(1 << 20);
    let loc = put(&heap, b"x");
    let ended = Arc::new(AtomicBool::new(false));
    let lease: Lease = Arc::new(Flag(ended.clone()));
    let block = heap.block(loc, lease, ENGINE).expect("it is there");
    let clone = block.clone();
    drop(block);
    assert!(!ended.load(Ordering::Relaxed));
    drop(clone);
    assert!(ended.load(Ordering::Relaxed));
}

#[test]
fn words_are_shared() {
    for backing in BOTH {
        let file = file(backing);
        let ours = SharedWords::map(&file).expect("a mailbox");
        let theirs = SharedWords::map(&received(&file, true)).expect("a mailbox");
        assert_eq!(
            ours.words().len(),
            ((1 << 20) - SharedWords::NARROW_BYTES) / 8
        );
        assert_eq!(ours.narrow_words().len(), SharedWords::NARROW_BYTES / 4);
        ours.words()[5].store(u64::MAX, Ordering::Release);
        assert_eq!(theirs.words()[5].load(Ordering::Acquire), u64::MAX);
        let word = ours.word32(8).expect("it is there");
        word.store(7, Ordering::Release);
        assert_eq!(theirs.narrow_words()[2].load(Ordering::Acquire), 7);
        for none in [1, 4095, 4096, usize::MAX - 3] {
            assert!(ours.word32(none).is_none(), "{none}");
        }
        // The last word of all can be written: its memory was reserved.
        ours.words()
            .last()
            .expect("not empty")
            .store(1, Ordering::Relaxed);
    }
}

#[test]
fn words_need_a_writable_file_with_room() {
    let file = file(Backing::Anonymous);
    assert!(
        SharedWords::map(&received(&file, false))
            .expect_err("no")
            .is_invalid_handle()
    );
    let page = SegmentFile::create(1, 1, Backing::Anonymous).expect("a file");
    if page.len() == SharedWords::NARROW_BYTES as u64 {
        assert!(
            SharedWords::map(&page)
                .expect_err("no 64-bit word")
                .is_invalid_handle()
        );
    }
}

#[test]
fn a_file_is_not_words_and_objects_at_once() {
    let words = file(Backing::Anonymous);
    let _mailbox = SharedWords::map(&words).expect("a mailbox");
    Segments::new().insert(ID, &words).expect_err("a mailbox");
    let objects = file(Backing::Anonymous);
    Segments::new().insert(ID, &objects).expect("a segment");
    SharedWords::map(&objects).expect_err("a segment");
}
