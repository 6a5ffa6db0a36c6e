//! Arrays: what can be read in place, and what is refused.

mod common;

use std::{collections::HashSet, sync::Arc};

use bytemuck::{Pod, Zeroable};
use mobula_store::{Array, Backing, Block, Extent, Loc, SegmentFile, Segments};

use common::{ENGINE, ID, heap, no_lease};

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(256))]
struct Wide([u8; 256]);

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Point {
    x: f32,
    y: f32,
}

/// A block in the store that holds `bytes`.
fn stored(bytes: &[u8]) -> Block {
    let (heap, _) = heap(1 << 20);
    let mut building = heap.reserve(bytes.len(), 64).expect("there is room");
    building.copy_from_slice(bytes);
    building.seal().block()
}

/// Returns equal bytes in the store and in private memory.
fn everywhere(bytes: &[u8]) -> [Block; 3] {
    [
        stored(bytes),
        Block::copy_of(bytes, 64),
        Block::from_vec(bytes.to_vec()),
    ]
}

#[test]
fn numbers_are_read_in_place() {
    let values = [1.5_f64, -2.0, f64::INFINITY];
    for block in [
        stored(bytemuck::bytes_of(&values)),
        Block::from_vec(values.to_vec()),
    ] {
        let array = Array::<f64>::from_block(block.clone()).expect("numbers");
        assert_eq!(array, values);
        assert_eq!(array.as_ptr().cast(), block.bytes().as_ptr(), "no copy");
        let clone = array.clone();
        assert!(clone.same_memory(&array) && !clone.same_memory(&values));
        drop((array, block));
        assert_eq!(clone, values, "one owner is enough");
    }
}

#[test]
fn lengths_and_alignments_are_checked() {
    for block in everywhere(&[0; 12]) {
        assert_eq!(
            Array::<u32>::from_block(block.clone())
                .expect("three")
                .len(),
            3
        );
        let error = Array::<u64>::from_block(block).expect_err("one and a half");
        assert!(error.is_type_mismatch());
        assert!(error.to_string().contains("`u64`"), "{error}");
    }
    let segments = Segments::new();
    let file = SegmentFile::create(4096, 4096, Backing::Anonymous).expect("a file");
    segments.insert(ID, &file).expect("new");
    let at = |offset, len| {
        segments.resolve(
            Loc {
                segment: ID,
                offset,
                len,
            },
            no_lease(),
            ENGINE,
        )
    };
    assert!(Array::<u64>::from_block(at(8, 16).expect("inside")).is_ok());
    assert!(Array::<Wide>::from_block(at(256, 256).expect("inside")).is_ok());
    for error in [
        Array::<u64>::from_block(at(4, 16).expect("inside")).expect_err("misaligned"),
        Array::<Wide>::from_block(at(64, 256).expect("inside")).expect_err("misaligned"),
    ] {
        assert!(
            error.is_type_mismatch() && error.to_string().contains("multiple of"),
            "{error}"
        );
    }
}

#[test]
fn types_of_size_zero_are_refused() {
    for block in everywhere(&[]) {
        assert!(
            Array::<()>::from_block(block)
                .expect_err("no bytes")
                .is_type_mismatch()
        );
    }
}

#[test]
fn invalid_bits_are_refused() {
    for block in everywhere(&[0, 1, 1]) {
        assert_eq!(
            Array::<bool>::from_block(block).expect("valid"),
            [false, true, true]
        );
    }
    for block in everywhere(&[0, 1, 2]) {
        let error = Array::<bool>::from_block(block).expect_err("2 is no bool");
        assert!(error.is_type_mismatch());
        assert!(error.to_string().contains("index 2"), "{error}");
    }
    let text: Vec<u32> = "é→𝄞".chars().map(u32::from).collect();
    let array = Array::<char>::from_block(stored(bytemuck::cast_slice(&text))).expect("valid");
    assert_eq!(array.iter().collect::<String>(), "é→𝄞");
    for bad in [0xd800_u32, 0x11_0000] {
        let block = stored(bytemuck::cast_slice(&[65, bad]));
        assert!(
            Array::<char>::from_block(block)
                .expect_err("no char")
                .is_type_mismatch()
        );
    }
}

#[test]
fn over_aligned_elements_are_possible() {
    let values = [Wide([1; 256]), Wide([2; 256])];
    let (heap, _) = heap(1 << 20);
    // Something small first, so that the next free place is not aligned by chance.
    let _small = heap.reserve(10, 1).expect("there is room");
    let mut building = heap
        .reserve(512, align_of::<Wide>())
        .expect("there is room");
    building
        .elements_mut::<Wide>()
        .expect("aligned")
        .copy_from_slice(&values);
    assert_eq!(
        Array::<Wide>::from_building(building).expect("aligned"),
        values
    );
    let block = Block::copy_of(bytemuck::bytes_of(&values), 256);
    assert_eq!(Array::<Wide>::from_block(block).expect("aligned"), values);
    assert_eq!(Array::from(values), values);
}

#[test]
fn arrays_are_built_in_place() {
    let (heap, _) = heap(1 << 20);
    let mut building = heap
        .reserve(3 * size_of::<Point>(), 4)
        .expect("there is room");
    for (i, point) in building
        .elements_mut::<Point>()
        .expect("fits")
        .iter_mut()
        .enumerate()
    {
        *point = Point {
            x: i as f32,
            y: -1.0,
        };
    }
    assert!(
        building
            .elements_mut::<Wide>()
            .expect_err("24 bytes")
            .is_type_mismatch()
    );
    assert!(
        building
            .elements_mut::<()>()
            .expect_err("no size")
            .is_type_mismatch()
    );
    let array = Array::<Point>::from_building(building).expect("fits");
    assert_eq!(array.last(), Some(&Point { x: 2.0, y: -1.0 }));
    let lease = array.as_block().lease().expect("stored").clone();
    let extent = lease.downcast::<Extent>().expect("not adopted yet");
    assert_eq!(Some(extent.loc()), array.as_block().loc());
    drop(array);
    assert_eq!(heap.in_use(), 64);
    drop(extent);
    assert_eq!(heap.in_use(), 0);
}

#[test]
fn elements_with_invalid_patterns_start_as_zeros() {
    let (heap, _) = heap(1 << 20);
    let mut building = heap.reserve(8, 1).expect("there is room");
    building.bytes_mut().fill(0xff);
    assert_eq!(building.elements_mut::<bool>().expect("fits"), [false; 8]);
    building.elements_mut::<bool>().expect("fits")[3] = true;
    assert!(
        building.elements_mut::<bool>().expect("fits")[3],
        "only at the first call"
    );
    building[0] = 7;
    assert_eq!(
        building.elements_mut::<bool>().expect("fits"),
        [false; 8],
        "bytes came between"
    );
    building.elements_mut::<u8>().expect("fits").fill(9);
    assert_eq!(
        building.elements_mut::<bool>().expect("fits"),
        [false; 8],
        "numbers came between"
    );
    let mut empty = heap.reserve(0, 1).expect("there is room");
    assert!(empty.elements_mut::<f64>().expect("fits").is_empty());
}

#[test]
fn private_copies_are_aligned() {
    for align in [0, 1, 3, 64, 100, 4096, usize::MAX] {
        for len in [1, 7, 64, 5000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let block = Block::copy_of(&bytes, align);
            assert_eq!(block.bytes(), bytes);
            let promised = match align {
                0 | 1 => 1,
                _ => align.clamp(64, 4096).next_power_of_two(),
            };
            assert_eq!(block.bytes().as_ptr() as usize % promised, 0);
            assert!(block.lease().is_none() && block.loc().is_none());
        }
    }
}

#[test]
fn small_bytes_lie_in_the_block() {
    for len in [0, 1, Block::SMALL] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        for block in [Block::copy_of(&bytes, 1), Block::from_vec(bytes.clone())] {
            let moved = Box::new(block);
            let inside = (&raw const *moved).addr()..(&raw const *moved).addr() + 32;
            assert!(inside.contains(&moved.bytes().as_ptr().addr()));
            assert_eq!((moved.bytes(), moved.len()), (&*bytes, len));
            assert_eq!(moved.clone().bytes(), bytes);
        }
    }
    // One more, or aligned ones, have an address that stays.
    let many = [9; Block::SMALL + 1];
    for block in [
        Block::copy_of(&many, 1),
        Block::from_vec(many.to_vec()),
        Block::copy_of(&[9], 2),
        Block::from_vec(vec![9_u16]),
    ] {
        let address = block.bytes().as_ptr();
        let moved = Box::new(block);
        assert_eq!(moved.bytes().as_ptr(), address);
    }
}

#[test]
fn arrays_of_small_blocks_do_not_move() {
    for len in [0, 8, 24] {
        let bytes: Vec<u8> = (0..len).collect();
        // At every position in memory that a block can have.
        let blocks: Vec<Block> = (0..4).map(|_| Block::copy_of(&bytes, 1)).collect();
        for block in blocks {
            let array = Array::<u64>::from_block(block).expect("private bytes are aligned");
            let (address, moved) = (array.as_ptr(), Box::new(array));
            assert_eq!(moved.as_ptr(), address);
            assert_eq!(bytemuck::cast_slice::<u64, u8>(&moved), bytes);
            let clone = moved.clone();
            drop(moved);
            assert_eq!(bytemuck::cast_slice::<u64, u8>(&clone), bytes);
        }
    }
    let bools = Array::<bool>::from_block(Block::copy_of(&[1, 0], 1)).expect("valid");
    assert_eq!(bools, [true, false]);
    // Misaligned private bytes are moved; those of a segment cannot be.
    let wide = Array::<Wide>::from_block(Block::from_vec(vec![3_u8; 512])).expect("moved");
    assert_eq!(wide, [Wide([3; 256]); 2]);
}

#[test]
fn vectors_become_arrays_without_a_copy() {
    let vec = vec![3_u64; 1000];
    let address = vec.as_ptr();
    let array = Array::from(vec);
    assert_eq!(array.as_ptr(), address);
    assert_eq!(array.as_block().bytes().as_ptr(), address.cast());
}

#[test]
fn empty_arrays_need_nothing() {
    let arrays = [
        Array::<u64>::default(),
        Array::from(Vec::new()),
        Array::from([]),
        Array::from_block(Block::copy_of(&[], 64)).expect("no element"),
        Array::from_block(stored(&[])).expect("no element"),
    ];
    for array in arrays {
        assert!(array.is_empty() && array.as_ptr().is_aligned());
        assert_eq!(array, Array::default());
    }
}

#[test]
fn arrays_behave_like_slices() {
    let array: Array<u32> = (1..4).collect();
    assert_eq!(format!("{array:?}"), "[1, 2, 3]");
    assert_eq!(array.to_vec(), array);
    assert_eq!((&array).into_iter().sum::<u32>(), 6);
    assert_eq!(array, *[1, 2, 3].as_slice());
    assert_ne!(array, Array::from(&[1, 2][..]));
    let set = HashSet::from([array]);
    assert!(
        set.contains(&[1_u32, 2, 3][..]),
        "borrowed as a slice, with the same hash"
    );
}

#[test]
fn arrays_travel_between_threads() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    let array = Array::<f64>::from_block(stored(bytemuck::bytes_of(&[1.0, 2.0]))).expect("two");
    check(&array);
    let array = Arc::new(array);
    let other = array.clone();
    let sum = std::thread::spawn(move || other.iter().sum::<f64>())
        .join()
        .expect("no panic");
    assert_eq!(sum, 3.0);
}

#[test]
fn what_was_built_as_elements_is_not_checked_but_all_else_is() {
    let (heap, _) = heap(1 << 20);
    let build = |bytes: &[u8]| {
        let mut building = heap.reserve(3, 1).expect("there is room");
        building.copy_from_slice(bytes);
        building
    };
    let mut building = build(&[9; 3]);
    building.elements_mut::<bool>().expect("fits")[1] = true;
    assert_eq!(
        Array::<bool>::from_building(building).expect("valid"),
        [false, true, false]
    );
    Array::<bool>::from_building(build(&[0, 1, 2])).expect_err("2 is no bool");
    let mut building = build(&[0; 3]);
    building.elements_mut::<bool>().expect("fits");
    building[2] = 2;
    Array::<bool>::from_building(building).expect_err("bytes came between");
    let mut building = build(&[0; 3]);
    building.elements_mut::<bool>().expect("fits");
    building.elements_mut::<u8>().expect("fits")[0] = 7;
    Array::<bool>::from_building(building).expect_err("numbers came between");
}
