//! The places of the bands of a grid, and the first state of the grid.

use std::ops::Range;

use mobula_examples::Random;
use serde::{Deserialize, Serialize};

/// A grid as consecutive bands, each with a ghost row above and one below.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) bands: usize,
}

impl Layout {
    /// Returns the rows of the grid in a band.
    pub(crate) fn rows(self, band: usize) -> Range<usize> {
        self.height * band / self.bands..self.height * (band + 1) / self.bands
    }

    /// Returns the elements of a band with its ghost rows.
    pub(crate) fn block(self, band: usize) -> Range<usize> {
        let rows = self.rows(band);
        (rows.start + 2 * band) * self.width..(rows.end + 2 * band + 2) * self.width
    }

    /// Returns the elements of a band without its ghost rows.
    pub(crate) fn own(self, band: usize) -> Range<usize> {
        let block = self.block(band);
        block.start + self.width..block.end - self.width
    }

    /// Returns the elements of the ghost row above a band. The range is empty if there is no such
    /// band.
    pub(crate) fn above(self, band: usize) -> Range<usize> {
        match band < self.bands {
            true => self.block(band).start..self.own(band).start,
            false => 0..0,
        }
    }

    /// Returns the elements of the ghost row below a band. The range is empty without a band.
    pub(crate) fn below(self, band: Option<usize>) -> Range<usize> {
        band.map_or(0..0, |band| self.own(band).end..self.block(band).end)
    }

    /// Returns the number of elements with all ghost rows.
    pub(crate) fn len(self) -> usize {
        (self.height + 2 * self.bands) * self.width
    }

    /// Writes the first state: a warm disc on a cold plate, some noise, and a hot wall above the
    /// first row.
    pub(crate) fn begin(self, grid: &mut [f64]) {
        let radius = self.height.min(self.width) as f64 / 3.0;
        for band in 0..self.bands {
            let rows = self.rows(band);
            let block = grid[self.block(band)].chunks_exact_mut(self.width);
            // The ghost rows show rows of the neighbours. `row` is one more than in the grid.
            for (row, points) in (rows.start..).zip(block) {
                if row == 0 || row > self.height {
                    points.fill(if row == 0 { 1.0 } else { 0.0 });
                    continue;
                }
                let mut random = Random::new(2, row as u64);
                let y = row as f64 - self.height as f64 / 2.0;
                for (column, point) in points.iter_mut().enumerate() {
                    let x = column as f64 - self.width as f64 / 2.0;
                    let warm = f64::from(x.hypot(y) < radius);
                    *point = 0.5 * warm + 0.1 * random.uniform();
                }
            }
        }
    }

    /// Returns the place of an edge in the array of atomics, for even or odd steps. Side 0 is the
    /// last row above a cut between bands, side 1 the first row below it.
    pub(crate) fn edge(self, step: usize, cut: usize, side: usize) -> Range<usize> {
        let number = (step % 2 * self.bands + cut) * 2 + side;
        number * self.width..(number + 1) * self.width
    }
}
