//! Robust trend of a few points: Theil and Sen's slope, Kendall's test for it.
//!
//! Half of the points may lie anywhere without moving the slope much, and nothing is assumed about how noise is distributed: a
//! batch that was in memory at the moment of a collection does not look like growth.

/// A trend of `y` over `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The median of the slopes between all pairs of points.
    pub slope: f64,
    /// With 95 % confidence the slope is at least this.
    pub slope_low: f64,
    /// Kendall's S in standard deviations: above 3, chance alone gives such an order once in 740 times.
    pub z: f64,
}

impl Trend {
    /// Of points in the order of `x`; `None` for fewer than four, or when all are at one `x`.
    pub fn of(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let mut slopes = Vec::new();
        let mut rising = 0.0;
        let mut n = 0.0;
        let mut rest = points;
        while let Some((x0, y0)) = rest.next() {
            n += 1.0;
            for (x1, y1) in rest.clone() {
                let (dx, dy) = (x1 - x0, y1 - y0);
                if dx > 0.0 {
                    slopes.push(dy / dx);
                    rising += if dy > 0.0 {
                        1.0
                    } else if dy < 0.0 {
                        -1.0
                    } else {
                        0.0
                    };
                }
            }
        }
        if n < 4.0 || slopes.is_empty() {
            return None;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let deviation = f64::sqrt(n * (n - 1.0) * (2.0 * n + 5.0) / 18.0);
        // S is a whole number that stands for a continuous one.
        let corrected: f64 = if rising > 0.0 { rising - 1.0 } else { f64::min(rising + 1.0, 0.0) };
        let low = (slopes.len() as f64 - ONE_SIDED_95 * deviation) / 2.0;
        Some(Trend {
            slope: median(&slopes),
            slope_low: slopes[(low.max(0.0) as usize).min(slopes.len() - 1)],
            z: corrected / deviation,
        })
    }

    /// How sure it is that there is growth: the share of chance in the order of the points, and how much of the slope is
    /// certain. From 0 to 1.
    pub fn confidence(&self) -> f64 {
        if self.slope <= 0.0 {
            return 0.0;
        }
        let certain = (self.slope_low / self.slope).clamp(0.0, 1.0);
        normal_cdf(self.z) * (0.8 + 0.2 * certain)
    }
}

/// Of the standard normal distribution.
const ONE_SIDED_95: f64 = 1.645;

/// Of sorted values, not empty.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Abramowitz and Stegun 26.2.17, good to seven digits.
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let upper = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if z >= 0.0 { 1.0 - upper } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(y: &[f64]) -> Trend {
        Trend::of(y.iter().enumerate().map(|(x, &y)| (x as f64, y))).unwrap()
    }

    #[test]
    fn a_line_is_found_through_outliers() {
        let mut y: Vec<f64> = (0..20).map(|i| 100.0 + 3.0 * f64::from(i)).collect();
        let clean = trend(&y);
        assert_eq!(clean.slope, 3.0);
        assert!(clean.z > 5.0 && clean.confidence() > 0.999);
        (y[3], y[11], y[12]) = (10_000.0, 5_000.0, -8_000.0);
        let t = trend(&y);
        assert!((t.slope - 3.0).abs() < 0.1 && t.slope_low > 1.0 && t.z > 3.0, "{t:?}");
    }

    #[test]
    fn what_falls_or_stays_is_no_growth() {
        let down = trend(&[9.0, 8.0, 7.0, 6.0, 5.0]);
        assert_eq!((down.slope, down.confidence()), (-1.0, 0.0));
        let flat = trend(&[1.0; 6]);
        assert_eq!((flat.slope, flat.z), (0.0, 0.0));
        let saw = trend(&[1.0, 9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 9.0]);
        assert!(saw.z < 1.0 && saw.slope_low <= 0.0, "{saw:?}");
    }

    #[test]
    fn z_is_what_kendall_says() {
        // 8 points in order: S = 28, variance 65.33.
        let z = trend(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).z;
        assert!((z - 27.0 / 65.333_f64.sqrt()).abs() < 1e-3);
        assert!((normal_cdf(1.959_964) - 0.975).abs() < 1e-6 && (normal_cdf(-3.0) - 0.001_349_9).abs() < 1e-6);
    }

    #[test]
    fn too_few_points_say_nothing() {
        assert_eq!(Trend::of([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)].into_iter()), None);
        assert_eq!(Trend::of([(1.0, 1.0); 9].into_iter()), None);
    }
}
