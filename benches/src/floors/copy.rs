//! Measures the copies and fills of memory.

use std::{
    convert::Infallible,
    fs::File,
    hint::black_box,
    io::{self, Write},
    sync::Mutex,
    thread,
};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::{
    sampling::{Plan, measure, timed},
    table::Floor,
};

/// Two buffers between which elements are copied. Both were used before.
///
/// The speed of copies changes from second to second when other programs use the memory, too. So
/// callers measure this in turn with the figure beside it.
#[derive(Debug)]
pub struct Copying {
    source: Vec<f64>,
    target: Vec<f64>,
}

impl Copying {
    /// Makes buffers for this many elements.
    pub fn new(elements: usize) -> Copying {
        Copying {
            source: vec![1.0; elements],
            target: vec![2.0; elements],
        }
    }

    /// Returns the source of the copies.
    pub fn source(&self) -> &Vec<f64> {
        &self.source
    }

    /// Copies once. Returns the seconds.
    pub fn copy(&mut self) -> f64 {
        timed(|| black_box(&mut self.target).copy_from_slice(black_box(&self.source)))
    }

    /// Copies once, with this many threads. Each takes the next piece when it has copied the last.
    /// Returns the seconds.
    pub fn copy_by(&mut self, threads: usize) -> f64 {
        /// Elements of a piece.
        const PIECE: usize = 128 << 10;
        let pieces = self.target.chunks_mut(PIECE).zip(self.source.chunks(PIECE));
        let pieces = Mutex::new(pieces);
        let next = || pieces.lock().ok()?.next();
        let work = || {
            while let Some((target, source)) = next() {
                black_box(target).copy_from_slice(black_box(source));
            }
        };
        timed(|| {
            thread::scope(|scope| {
                (1..threads).for_each(|_| drop(scope.spawn(work)));
                work();
            });
        })
    }

    /// Fills the target once. Returns the seconds.
    pub fn fill(&mut self) -> f64 {
        timed(|| black_box(&mut self.target[..]).fill(black_box(3.0)))
    }

    /// Writes the source to a new memory file. The system gets the memory and copies. Returns the
    /// seconds.
    ///
    /// # Errors
    /// The system does not have the memory.
    pub fn write(&self) -> io::Result<f64> {
        let bytes = bytemuck::cast_slice(&self.source);
        let mut file = File::from(memfd_create("floor", MemfdFlags::CLOEXEC)?);
        let mut written = Ok(());
        let seconds = timed(|| written = file.write_all(bytes));
        written.map(|()| seconds)
    }
}

/// Returns the seconds of a copy of this many elements.
pub fn copy(elements: usize, plan: Plan) -> Floor {
    let mut buffers = Copying::new(elements);
    let Ok(summary) = measure::<Infallible>(plan, || Ok(buffers.copy()));
    Floor {
        name: "memcpy",
        value: summary.median,
    }
}
