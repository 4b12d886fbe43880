//! How far growth is from a straight line, by what is smooth in it. Noise alone makes a leak's points stray from their line; a season, a
//! cache that fills, a step, or a few of them at once bend it, and that shows in polynomials of a low degree long before the points
//! look scattered.

/// The highest degree that is looked at: finer than that is noise.
const DEGREE: usize = 7;
/// Points that have to be left over.
const SPARE: usize = 4;

/// The part of the points that polynomials of the second degree and up to the seventh describe, as a share of the part that a straight line
/// does: 0 for a line, about 0.35 for the rising half of a sine. `None` for too few points, or when they do not rise.
pub(super) fn bend(points: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let degree = DEGREE.min(points.len().checked_sub(SPARE)?);
    if degree < 2 || last <= first {
        return None;
    }
    let xs: Vec<f64> = points.iter().map(|&(at, _)| 2.0 * (at - first) / (last - first) - 1.0).collect();
    let offset = points[0].1;
    // An orthonormal basis on these very points, by Gram and Schmidt's method.
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(degree + 1);
    let mut parts = Vec::with_capacity(degree + 1);
    for _ in 0..=degree {
        let mut next: Vec<f64> = match basis.last() {
            None => vec![1.0; xs.len()],
            Some(before) => before.iter().zip(&xs).map(|(b, x)| b * x).collect(),
        };
        let before = dot(&next, &next).sqrt();
        // Twice, for the rounding of the first time.
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&next, other);
                next.iter_mut().zip(other).for_each(|(value, o)| *value -= along * o);
            }
        }
        let length = dot(&next, &next).sqrt();
        // Fewer moments than points: no polynomial of this degree tells them apart.
        if length <= before * 1e-9 {
            return None;
        }
        next.iter_mut().for_each(|value| *value /= length);
        parts.push(points.iter().zip(&next).map(|(&(_, size), b)| (size - offset) * b).sum::<f64>());
        basis.push(next);
    }
    let (line, rest) = (parts[1], &parts[2..]);
    (line > 0.0).then(|| dot(rest, rest).sqrt() / line)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: impl Fn(f64) -> f64) -> Option<f64> {
        bend(&(0..24).map(|i| (f64::from(i), size(f64::from(i) / 23.0))).collect::<Vec<_>>())
    }

    #[test]
    fn a_line_does_not_bend_and_noise_hardly() {
        assert!(of(|t| 1e9 + 1e8 * t).unwrap() < 1e-6);
        let noisy = of(|t| 100.0 + 20.0 * t + (t * 1000.0 * 12.9898).sin()).unwrap();
        assert!((0.01..0.1).contains(&noisy), "{noisy}");
    }

    #[test]
    fn what_fills_rises_in_steps_or_swings_bends() {
        assert!(of(|t| (t * 2.0).min(1.0)).unwrap() > 0.3, "a cache that is full at half time");
        assert!(of(|t| 1.0 - (-3.0 * t).exp()).unwrap() > 0.3, "one that fills ever more slowly");
        assert!(of(|t| if t > 0.5 { 1.0 } else { 0.0 }).unwrap() > 0.4, "a step");
        assert!(of(|t| -(t * std::f64::consts::PI * 1.5).cos()).unwrap() > 0.3, "three quarters of a season");
        assert!(of(|t| t + 0.2 * (t * std::f64::consts::TAU).sin()).unwrap() > 0.2, "a line with a season");
    }

    #[test]
    fn nothing_is_said_of_few_points_or_of_a_fall() {
        assert_eq!(of(|t| 1.0 - t), None);
        assert_eq!(bend(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0)]), None);
        assert_eq!(bend(&[(1.0, 1.0); 12]), None);
        assert_eq!(bend(&[]), None);
        assert_eq!(bend(&[(0.0, 1.0), (0.0, 2.0), (0.0, 3.0), (0.0, 4.0), (0.0, 4.0), (0.0, 4.0), (4.0, 5.0)]), None);
    }
}
