//! Rectangles of shared arrays, as views of the `ndarray` that the parent module names `nd`.

use mobula::prelude::*;

use super::{
    super::support::{nothing_is_left, runtime},
    nd::{Array2, ArrayViewMut2, Ix1, Ix2, IxDyn, array},
};

#[remote]
fn mark(mut tile: ArrayViewMut2<'_, u32>, n: u32) -> (usize, usize) {
    tile.fill(n);
    tile.dim()
}

#[remote]
fn fill_rows(rows: &mut [u32], n: u32) {
    rows.fill(n);
}

#[mobula::test]
fn tiles_are_written_as_views() {
    let rt = runtime(2);
    let (height, width) = (100, 130);
    let array = rt.shared_array::<u32>((height, width), 0).unwrap();
    let tiles = array.tiles_mut(30, 50).unwrap();
    let places: Vec<_> = tiles
        .iter()
        .map(|tile| (tile.rows(), tile.columns()))
        .collect();
    assert_eq!(places.len(), 4 * 3);
    let calls = tiles
        .into_iter()
        .zip(1..)
        .map(|(tile, n)| mark::remote(tile, n));
    let shapes = rt.get(rt.spawn_all(calls)).unwrap();
    assert_eq!(shapes[0], (30, 50));
    assert_eq!(shapes[11], (10, 30));
    assert!(array.settle().unwrap().is_empty());
    let sealed: Array2<u32> = array.seal_nd::<Ix2>().unwrap().get().unwrap();
    for ((rows, columns), n) in places.into_iter().zip(1..) {
        for row in rows {
            for column in columns.clone() {
                assert_eq!(sealed[(row, column)], n, "row {row} column {column}");
            }
        }
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn tiles_that_touch_do_not_overlap_and_others_are_refused() {
    let rt = runtime(1);
    let array = rt.shared_array::<u32>((10, 10), 0).unwrap();
    let tiles = array
        .split_tiles([(0..5, 0..5), (0..5, 5..10), (5..10, 0..10)])
        .unwrap();
    assert!(array.split_tiles([(4..6, 4..6)]).unwrap_err().is_usage());
    assert!(array.part_mut(3..4).unwrap_err().is_usage());
    drop(tiles);
    assert!(
        array
            .split_tiles([(0..2, 0..2), (1..3, 1..3)])
            .unwrap_err()
            .is_usage()
    );
    assert!(array.split_tiles([(0..2, 9..11)]).unwrap_err().is_usage());
    let rows = array.rows_mut(3).unwrap();
    assert_eq!(
        rows.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [30, 30, 30, 10]
    );
    let calls = rows
        .into_iter()
        .zip(0..)
        .map(|(part, n)| fill_rows::remote(part, n));
    rt.get(rt.spawn_all(calls)).unwrap();
    let mut tile = array
        .split_tiles([(2..4, 1..3)])
        .unwrap()
        .pop()
        .unwrap()
        .open()
        .unwrap();
    let view: ArrayViewMut2<'_, u32> = tile.view_mut();
    assert_eq!(view, array![[0, 0], [1, 1]]);
    tile.row_mut(1).fill(8);
    drop(tile);
    array.with(|all| assert_eq!(all[31..33], [8, 8])).unwrap();
    let line = rt.shared_array::<u32>(10, 0).unwrap();
    assert!(line.tiles_mut(1, 1).unwrap_err().is_usage());
}

/// Arrays of up to 4 KiB are copied, larger ones are not.
#[mobula::test]
fn sealed_arrays_have_their_shape() {
    let rt = runtime(1);
    for rows in [2, 2000] {
        let array = rt.shared_array::<u32>((rows, 3), 7).unwrap();
        assert!(array.clone().seal_nd::<Ix1>().unwrap_err().is_usage());
        let sealed = array.seal_nd::<IxDyn>().unwrap();
        assert_eq!(sealed.view().unwrap().shape(), [rows, 3]);
        assert_eq!(sealed.get().unwrap().sum(), 21 * rows as u32);
    }
}
