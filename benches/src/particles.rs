//! Work that is done in place: particles that move at random. Each has its own random numbers, so
//! the result does not depend on the process that moves it. `peers/rawarray.py` computes the same
//! bits.

use bytemuck::{Pod, Zeroable};

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A particle.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Particle {
    x: f64,
    v: f64,
    /// The state of its random numbers (SplitMix64).
    random: u64,
}

/// Puts all particles at their first positions.
pub fn begin(particles: &mut [Particle]) {
    for (n, particle) in (0..).zip(particles) {
        *particle = Particle {
            random: mix(mix(1).wrapping_add(n)),
            ..Particle::default()
        };
    }
}

/// Moves each particle by this many steps.
pub fn advance(particles: &mut [Particle], steps: usize) {
    for particle in particles {
        let Particle {
            mut x,
            mut v,
            mut random,
        } = *particle;
        for _ in 0..steps {
            random = random.wrapping_add(GAMMA);
            let uniform = (mix(random) >> 11) as f64 / (1_u64 << 53) as f64;
            v = v * 0.99 + (uniform - 0.5);
            x += v * 0.01;
        }
        *particle = Particle { x, v, random };
    }
}

/// Returns one number for the positions of all particles.
pub fn checksum(particles: &[Particle]) -> u64 {
    let bits = particles.iter().map(|particle| particle.x.to_bits());
    bits.fold(0, |all, bits| all ^ bits)
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
    fn it_does_not_matter_who_moves_them_and_in_how_many_calls() {
        let (mut one, mut other) = (
            vec![Particle::default(); 100],
            vec![Particle::default(); 100],
        );
        begin(&mut one);
        begin(&mut other);
        advance(&mut one, 30);
        for part in other.chunks_mut(7) {
            advance(part, 10);
            advance(part, 20);
        }
        assert_eq!(checksum(&one), checksum(&other));
        assert_ne!(checksum(&one), 0);
    }
}
