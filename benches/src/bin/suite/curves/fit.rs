//! Fits powers to points.

/// Returns the exponent of the power of x that fits the points best, by least squares of
/// logarithms.
///
/// Only the larger half of the points counts, since constant costs hide the growth at small
/// numbers. Returns `None` if fewer than two points have logarithms.
pub(super) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let mut logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    logs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = (logs.len().div_ceil(2)).max(2.min(logs.len()));
    let larger = &logs[logs.len() - half..];
    if larger.len() < 2 {
        return None;
    }
    let count = larger.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| larger.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = larger.iter().map(|point| (point.0 - x).powi(2)).sum();
    let together: f64 = larger
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    (spread > 0.0).then(|| together / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: impl Fn(f64) -> f64) -> f64 {
        let points: Vec<_> = (2..=12)
            .map(|power| 10_f64.powf(f64::from(power) / 2.0))
            .map(|x| (x, function(x)))
            .collect();
        exponent(&points).unwrap()
    }

    #[test]
    fn powers_are_found() {
        for power in [0.0, 0.5, 1.0, 2.0] {
            assert!(
                (of(|x| 3.0 * x.powf(power)) - power).abs() < 1e-9,
                "{power}"
            );
        }
    }

    #[test]
    fn a_constant_part_does_not_hide_the_growth() {
        assert!(of(|x| 1000.0 + x * x) > 1.9);
        assert!((0.9..1.1).contains(&of(|x| 1000.0 + x)));
    }

    #[test]
    fn too_few_points_have_no_exponent() {
        assert_eq!(exponent(&[]), None);
        assert_eq!(exponent(&[(10.0, 1.0)]), None);
        assert_eq!(exponent(&[(10.0, 1.0), (100.0, 0.0)]), None);
        assert_eq!(exponent(&[(10.0, 1.0), (10.0, 2.0)]), None);
        let two = exponent(&[(10.0, 1.0), (100.0, 10.0)]).unwrap();
        assert!((two - 1.0).abs() < 1e-9);
    }
}
