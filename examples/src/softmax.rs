//! Softmax regression. The probabilities of the ten digits are proportional to the exponentials of
//! scores. The scores are linear in the pixels of an image.

use crate::digits::{Image, PIXELS};

const CLASSES: usize = 10;
/// The number of weights of a class: one for each pixel, and a constant.
const OF_A_CLASS: usize = PIXELS + 1;
/// The number of weights.
pub const WEIGHTS: usize = CLASSES * OF_A_CLASS;

/// The length of a step, as a multiple of the mean gradient.
const RATE: f64 = 0.5;

/// Returns the gradient of the loss, summed over images.
pub fn gradient_of(images: &[Image], labels: &[u8], weights: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; WEIGHTS];
    for (image, &label) in images.iter().zip(labels) {
        let pixels = pixels(image);
        let mut shares = scores(&pixels, weights);
        let largest = shares.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        shares.iter_mut().for_each(|s| *s = (*s - largest).exp());
        let total: f64 = shares.iter().sum();
        for (class, sum) in sum.chunks_exact_mut(OF_A_CLASS).enumerate() {
            let truth = f64::from(u8::from(class == usize::from(label)));
            let error = shares[class] / total - truth;
            sum.iter_mut()
                .zip(&pixels)
                .for_each(|(s, p)| *s += error * p);
        }
    }
    sum
}

/// Returns the pixels, scaled to 0 to 1, and a 1.
fn pixels(image: &Image) -> [f64; OF_A_CLASS] {
    std::array::from_fn(|n| image.get(n).map_or(1.0, |&pixel| f64::from(pixel) / 16.0))
}

fn scores(pixels: &[f64; OF_A_CLASS], weights: &[f64]) -> [f64; CLASSES] {
    let mut classes = weights.chunks_exact(OF_A_CLASS);
    let score = |weights: &[f64]| weights.iter().zip(pixels).map(|(w, p)| w * p).sum();
    std::array::from_fn(|_| classes.next().map_or(0.0, score))
}

/// Adds a gradient to a sum.
pub fn add(sum: &mut [f64], gradient: &[f64]) {
    sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g);
}

/// Takes a step against a gradient that is the sum over this many images.
pub fn descend(weights: &mut [f64], gradient: &[f64], images: usize) {
    let rate = RATE / images as f64;
    let pairs = weights.iter_mut().zip(gradient);
    pairs.for_each(|(w, g)| *w -= rate * g);
}

/// Returns the share of images that are read rightly.
pub fn rightly_read(images: &[Image], labels: &[u8], weights: &[f64]) -> f64 {
    let read = |image| {
        let scores = scores(&pixels(image), weights).into_iter().enumerate();
        let best = scores.max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(0, |best| best.0)
    };
    let pairs = images.iter().zip(labels);
    let right = pairs.filter(|(image, label)| read(image) == usize::from(**label));
    right.count() as f64 / images.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss whose gradient `gradient_of` returns.
    fn loss(image: &Image, label: usize, weights: &[f64]) -> f64 {
        let scores = scores(&pixels(image), weights);
        scores.iter().map(|s| s.exp()).sum::<f64>().ln() - scores[label]
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let image: Image = std::array::from_fn(|n| (n % 17) as u8);
        let weights: Vec<f64> = (0..WEIGHTS).map(|n| (n as f64).sin() / 10.0).collect();
        let gradient = gradient_of(&[image, image], &[3, 3], &weights);
        for n in [0, 64, 65, 200, 3 * OF_A_CLASS + 8, WEIGHTS - 1] {
            let moved = |by| {
                let mut moved = weights.clone();
                moved[n] += by;
                loss(&image, 3, &moved)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient[n] - 2.0 * slope).abs() < 1e-7, "{n}: {slope}");
        }
    }

    #[test]
    fn steps_lead_to_the_right_answer() {
        let image: Image = std::array::from_fn(|n| (n % 17) as u8);
        let mut weights = vec![0.0; WEIGHTS];
        assert_eq!(rightly_read(&[image], &[0], &weights), 0.0);
        for _ in 0..10 {
            let gradient = gradient_of(&[image], &[0], &weights);
            descend(&mut weights, &gradient, 1);
        }
        assert_eq!(rightly_read(&[image], &[0], &weights), 1.0);
    }
}
