//! Work on a grid whose parts need their neighbours: heat that spreads over a plate. The grid lies
//! in bands, each with a ghost row at both ends that shows the edge of its neighbour.
//! `examples/heat` explains it.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use mobula::AtomicF64;

/// A square grid in bands.
#[derive(Clone, Copy, Debug)]
pub struct Plate {
    /// The number of rows, and of columns. A multiple of `bands`.
    pub size: usize,
    /// The number of bands.
    pub bands: usize,
}

impl Plate {
    /// Returns the number of elements of the grid, with all ghost rows.
    pub fn elements(self) -> usize {
        (self.size + 2 * self.bands) * self.size
    }

    /// Returns the range of a band with its ghost rows.
    pub fn block(self, band: usize) -> Range<usize> {
        let block = self.elements() / self.bands;
        band * block..(band + 1) * block
    }

    /// Returns the range of a band without its ghost rows.
    pub fn own(self, band: usize) -> Range<usize> {
        let block = self.block(band);
        block.start + self.size..block.end - self.size
    }

    /// Returns the ranges of the ghost rows in other bands that show the edges of this band. The
    /// first is in the band above, the second in the band below. A range is empty if there is no
    /// such band.
    pub fn shown(self, band: usize) -> [Range<usize>; 2] {
        let above = band
            .checked_sub(1)
            .map(|above| self.own(above).end..self.block(above).end);
        let below =
            (band + 1 < self.bands).then(|| self.block(band + 1).start..self.own(band + 1).start);
        [above.unwrap_or_default(), below.unwrap_or_default()]
    }

    /// Returns the number of elements for the edges of all bands, for [`steps`](Self::steps).
    pub fn edges(self) -> usize {
        4 * self.bands * self.size
    }

    /// Writes the first state of the grid. It is uneven, and the ghost rows are correct.
    pub fn begin(self, grid: &mut [f64]) {
        for (n, block) in grid.chunks_mut(self.elements() / self.bands).enumerate() {
            let above = n * self.size / self.bands;
            for (row, points) in (above..).zip(block.chunks_mut(self.size)) {
                let point = |column: usize| ((row * 31 + column * 17) % 101) as f64;
                (0..)
                    .zip(points)
                    .for_each(|(column, to)| *to = point(column));
            }
        }
    }

    /// Returns one number for all points, without the ghost rows.
    pub fn checksum(self, grid: &[f64]) -> u64 {
        let points = (0..self.bands).flat_map(|band| &grid[self.own(band)]);
        points.fold(0, |all, point| all ^ point.to_bits())
    }

    /// Computes one step of a band. `from` has ghost rows, `to` has none.
    pub fn step(self, from: &[f64], to: &mut [f64]) {
        let size = self.size;
        for (row, to) in to.chunks_exact_mut(size).enumerate() {
            let from = &from[row * size..][..3 * size];
            let (above, here, below) = (&from[..size], &from[size..2 * size], &from[2 * size..]);
            let inner = 1..size - 1;
            let neighbours = above[inner.clone()].iter().zip(&below[inner.clone()]);
            let points = to[inner].iter_mut().zip(here.windows(3)).zip(neighbours);
            for ((to, row), (above, below)) in points {
                *to = row[1] + 0.2 * (((above + below) + (row[0] + row[2])) - 4.0 * row[1]);
            }
            to[0] = here[0];
            to[size - 1] = here[size - 1];
        }
    }

    /// Computes this many steps of a band. `from` and `to` are its parts of both grids. After each
    /// step, `meet` waits until all bands have completed the step.
    ///
    /// # Errors
    /// The error of `meet`.
    pub fn steps<E>(
        self,
        band: usize,
        blocks: [&mut [f64]; 2],
        edges: &[AtomicF64],
        steps: usize,
        meet: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let size = self.size;
        let [mut from, mut to] = blocks;
        // The last row above a cut between bands, and the first row below it. Two sets take turns.
        let edge = |step: usize, cut: usize, side: usize| {
            let number = (step % 2 * self.bands + cut) * 2 + side;
            &edges[number * size..(number + 1) * size]
        };
        let load = |row: &mut [f64], edge: &[AtomicF64]| {
            let points = row.iter_mut().zip(edge);
            points.for_each(|(point, edge)| *point = edge.load(Relaxed));
        };
        let store = |edge: &[AtomicF64], row: &[f64]| {
            let points = edge.iter().zip(row);
            points.for_each(|(edge, point)| edge.store(*point, Relaxed));
        };
        let (above, below) = (band > 0, band + 1 < self.bands);
        for number in 0..steps {
            let last = from.len() - size;
            if number > 0 && above {
                load(&mut from[..size], edge(number, band - 1, 0));
            }
            if number > 0 && below {
                load(&mut from[last..], edge(number, band, 1));
            }
            let own = &mut to[size..last];
            self.step(from, own);
            if above {
                store(edge(number + 1, band - 1, 1), &own[..size]);
            }
            if below {
                store(edge(number + 1, band, 0), &own[own.len() - size..]);
            }
            meet()?;
            (from, to) = (to, from);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{convert::Infallible, sync::Barrier, thread};

    #[test]
    fn bands_of_threads_come_to_the_same_as_one() {
        let result = |bands: usize| {
            let plate = Plate { size: 12, bands };
            let mut grids = [vec![0.0; plate.elements()], vec![0.0; plate.elements()]];
            grids.iter_mut().for_each(|grid| plate.begin(grid));
            let [even, odd] = &mut grids;
            let edges: Vec<AtomicF64> = (0..plate.edges()).map(|_| AtomicF64::new(0.0)).collect();
            let barrier = Barrier::new(bands);
            let block = plate.block(0).len();
            thread::scope(|scope| {
                let blocks = even.chunks_mut(block).zip(odd.chunks_mut(block));
                for (band, (even, odd)) in blocks.enumerate() {
                    let (edges, barrier) = (&edges, &barrier);
                    scope.spawn(move || {
                        let meet = || {
                            barrier.wait();
                            Ok::<_, Infallible>(())
                        };
                        plate.steps(band, [even, odd], edges, 5, meet)
                    });
                }
            });
            let rows = (0..bands).flat_map(|band| odd[plate.own(band)].to_vec());
            rows.map(f64::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(result(1), result(3));
        assert_eq!(result(1), result(2));
    }

    #[test]
    fn ghost_rows_of_others_show_the_edges_of_a_band() {
        let plate = Plate { size: 12, bands: 3 };
        let mut grid = vec![0.0; plate.elements()];
        plate.begin(&mut grid);
        for band in 0..3 {
            let own = &grid[plate.own(band)];
            let [above, below] = plate.shown(band);
            assert_eq!((above.is_empty(), below.is_empty()), (band == 0, band == 2));
            assert!(above.is_empty() || grid[above] == own[..12]);
            assert!(below.is_empty() || grid[below] == own[own.len() - 12..]);
        }
    }
}
