//! Applies random filters to a photograph. The photograph is decoded once, put into the store once,
//! and convolved with 48 kernels by as many tasks. The results, reduced in size, become a contact
//! sheet.
//!
//! The functions take views of `ndarray`. They see the photograph in shared memory, with its shape.
//!
//! `cargo run --release -p mobula-examples --example image_filter [sheet.png]`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use mobula::{Runtime, remote};
use mobula_examples::{Random, timed};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

/// The rows and columns of a kernel.
const SIDE: usize = 7;
/// The rows and columns of the sheet.
const TILES: (usize, usize) = (6, 8);
/// The rows and columns of the photograph that become one pixel of a tile.
const SHRINK: usize = 4;

/// Returns the filtered photograph, reduced in size. Axes: rows, columns, colours.
#[remote]
fn filtered(photo: ArrayView3<'_, f32>, kernel: ArrayView2<'_, f32>) -> Array3<u8> {
    let (rows, columns, colours) = photo.dim();
    let (height, width) = (rows + 1 - SIDE, columns + 1 - SIDE);
    let mut sum = Array3::zeros((height, width, colours));
    for ((row, column), &weight) in kernel.indexed_iter() {
        sum.scaled_add(
            weight,
            &photo.slice(s![row..row + height, column..column + width, ..]),
        );
    }
    shrunk(sum.view())
}

/// Returns the means of squares of pixels.
fn shrunk(photo: ArrayView3<'_, f32>) -> Array3<u8> {
    let (rows, columns, colours) = photo.dim();
    Array3::from_shape_fn(
        (rows / SHRINK, columns / SHRINK, colours),
        |(row, column, colour)| {
            let (row, column) = (row * SHRINK, column * SHRINK);
            let square = photo.slice(s![row..row + SHRINK, column..column + SHRINK, colour]);
            (square.sum() / (SHRINK * SHRINK) as f32).round() as u8
        },
    )
}

/// Returns a kernel that keeps the brightness. Kernel 0 changes nothing.
fn kernel(number: u64) -> Array2<f32> {
    let centre = SIDE / 2;
    let mut kernel = Array2::zeros((SIDE, SIDE));
    if number > 0 {
        let mut random = Random::new(1, number);
        kernel.mapv_inplace(|_: f32| 0.3 * random.normal() as f32);
    }
    kernel[[centre, centre]] += 1.0 - kernel.sum();
    kernel
}

#[mobula::main]
fn main() -> Result<()> {
    let photo = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/china.jpg"))?;
    let kernels: Vec<Array2<f32>> = (0..(TILES.0 * TILES.1) as u64).map(kernel).collect();
    println!(
        "{} x {} pixels, {} kernels of {SIDE} x {SIDE}",
        photo.dim().1,
        photo.dim().0,
        kernels.len()
    );

    let (expected, alone) = timed(|| {
        kernels
            .iter()
            .map(|kernel| filtered(photo.view(), kernel.view()))
            .collect::<Vec<_>>()
    });

    let rt = Runtime::start()?;
    let (tiles, time) = timed(|| {
        let photo = rt.put(&photo)?;
        rt.get(
            rt.spawn_all(
                kernels
                    .iter()
                    .map(|kernel| filtered::remote(&photo, kernel)),
            ),
        )
    });
    let tiles = tiles?;
    println!(
        "in this process: {alone:.2?}, on {} workers: {time:.2?}",
        rt.workers()
    );

    ensure!(tiles == expected, "workers and this process differ");
    let inner = photo.slice(s![
        SIDE / 2..photo.dim().0 - SIDE / 2,
        SIDE / 2..photo.dim().1 - SIDE / 2,
        ..
    ]);
    ensure!(
        tiles[0] == shrunk(inner),
        "the kernel that does nothing does something"
    );
    println!("All tiles are as they should be.");

    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_extension("png"),
    };
    write(&path, &tiles)?;
    println!("contact sheet: {}", path.display());
    Ok(())
}

fn read(path: &Path) -> Result<Array3<f32>> {
    let photo = image::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .into_rgb32f();
    let shape = (photo.height() as usize, photo.width() as usize, 3);
    Ok(Array3::from_shape_vec(shape, photo.into_raw())? * 255.0)
}

fn write(path: &Path, tiles: &[Array3<u8>]) -> Result<()> {
    let (rows, columns, _) = tiles[0].dim();
    let sheet = RgbImage::from_fn(
        (TILES.1 * columns) as u32,
        (TILES.0 * rows) as u32,
        |x, y| {
            let (x, y) = (x as usize, y as usize);
            let tile = &tiles[y / rows * TILES.1 + x / columns];
            image::Rgb(std::array::from_fn(|colour| {
                tile[[y % rows, x % columns, colour]]
            }))
        },
    );
    sheet
        .save(path)
        .with_context(|| format!("cannot write {}", path.display()))
}
