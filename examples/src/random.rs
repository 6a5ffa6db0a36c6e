//! Random numbers that are the same in every run and in every process.

use std::f64::consts::TAU;

/// The difference between two successive states.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A small generator (SplitMix64). It is fast, and good enough for simulations of this size.
///
/// Parallel programs give each part of the work a stream of its own. So the numbers do not depend
/// on which process does which part, or when.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Returns the generator for one stream of a seed.
    pub fn new(seed: u64, stream: u64) -> Random {
        Random {
            state: mix(mix(seed).wrapping_add(stream)),
        }
    }

    /// Returns the generator of the first stream after this many numbers, in constant time. So
    /// number n depends only on the seed and on n.
    pub fn at(seed: u64, numbers: u64) -> Random {
        let mut random = Random::new(seed, 0);
        random.state = random.state.wrapping_add(numbers.wrapping_mul(STEP));
        random
    }

    /// Returns a generator that continues from this state.
    pub fn resume(state: u64) -> Random {
        Random { state }
    }

    /// Returns the state, for [`resume`](Self::resume).
    pub fn state(&self) -> u64 {
        self.state
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Returns a number from 0 to 1, without 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number from the normal distribution with mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }

    /// Shuffles the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.uniform() * (last + 1) as f64) as usize);
        }
    }
}

/// Mixes each bit into all others.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let numbers = |stream| {
            let mut random = Random::new(1, stream);
            [random.bits(), random.bits()]
        };
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
    }

    #[test]
    fn a_stream_can_be_entered_anywhere() {
        let mut random = Random::new(5, 0);
        let numbers: Vec<u64> = (0..10).map(|_| random.bits()).collect();
        let entered: Vec<u64> = (0..10).map(|n| Random::at(5, n).bits()).collect();
        assert_eq!(numbers, entered);
    }

    #[test]
    fn a_resumed_stream_goes_on() {
        let mut random = Random::new(1, 0);
        random.bits();
        let mut resumed = Random::resume(random.state());
        assert_eq!(resumed.bits(), random.bits());
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = Random::new(1, 0);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }
}
