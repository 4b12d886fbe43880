//! What the points of a window look like: a leak grows through the whole of it, at a pace that does not die away.

use super::{
    curve,
    envelope::{Envelope, Point},
    trend::{Trend, median},
};

/// What a series of live sizes does over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not enough seen yet.
    Unknown,
    /// No trend, or a falling one: noise, batches, a steady state.
    Flat,
    /// It grew by a step or two, and stays: a new load, a big thing loaded once.
    Step,
    /// It grew, ever more slowly: a cache that fills, a program that warms up.
    Plateau,
    /// It went back in between: seasons, sessions that come and go.
    Wave,
    /// It grows.
    Growing,
}

/// A shape with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// What it looks like.
    pub shape: Shape,
    /// The trend over time, bytes a second.
    pub trend: Trend,
    /// First and last second.
    pub from: f64,
    /// See `from`.
    pub to: f64,
    /// Bytes at the beginning, on the trend's line.
    pub base: f64,
    /// How far the points are from the trend's line, in the median, as a share of the growth.
    pub spread: f64,
    /// Full collections it rests on.
    pub collections: u32,
}

/// How much has to be seen before anything is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Seconds.
    pub span: f64,
    /// Points.
    pub points: usize,
    /// Of Kendall's test.
    pub z: f64,
    /// Equal parts of the span, fewer where some would be empty; growth must be seen from each to the next.
    pub parts: usize,
    /// The share of the mean rise from part to part that each of them has to reach. Low: noise may hide one; high: the beginning
    /// and the end of a season's rise, which are slow, give it away.
    pub rise: f64,
    /// The most that [`Assessment::spread`] may be.
    pub spread: f64,
    /// The most that the means of the slices may bend: see `curve::bend`.
    pub bend: f64,
}

/// See [`Demand::parts`].
const FEWEST_PARTS: usize = 4;
/// The pace at the end that still counts as the pace of the whole.
const LASTING: f64 = 0.4;
/// One rise that is more of the growth than this is a step.
const STEP: f64 = 0.6;
/// A fall by more than this share of the growth is a wave.
const FALL: f64 = 0.1;
/// The slope that is certain, as a share of the slope.
const CERTAIN: f64 = 0.25;

impl Assessment {
    /// From 0 to 1: how sure the order of the points is, how much of the slope, and how well a line fits them.
    pub fn confidence(&self) -> f64 {
        self.trend.confidence() * (1.0 - 0.5 * self.spread.min(1.0))
    }

    /// Growth over the span, bytes.
    pub fn growth(&self) -> f64 {
        self.trend.slope * (self.to - self.from)
    }

    /// Looks at the points of `envelope`; `None` while there are hardly any.
    pub fn of(envelope: &Envelope, demand: Demand) -> Option<Self> {
        let points = envelope.points();
        let (first, last) = (points.clone().next()?, points.clone().next_back()?);
        let trend = Trend::of(points.clone().map(|p| (p.at, p.size)))?;
        let mut rests: Vec<f64> = points.clone().map(|p| p.size - trend.slope * (p.at - first.at)).collect();
        rests.sort_unstable_by(f64::total_cmp);
        let base = median(&rests);
        let mut off: Vec<f64> = rests.iter().map(|rest| (rest - base).abs()).collect();
        off.sort_unstable_by(f64::total_cmp);
        let mut assessment = Assessment {
            shape: Shape::Unknown,
            trend,
            from: first.at,
            to: last.at,
            base,
            spread: median(&off) / (trend.slope * (last.at - first.at)).abs().max(1.0),
            collections: points.clone().fold(0, |sum, p| sum.saturating_add(p.count)),
        };
        let points: Vec<Point> = points.copied().collect();
        if last.at - first.at >= demand.span && points.len() >= demand.points {
            assessment.shape = match shape(&points, &assessment.trend, demand) {
                Shape::Growing if assessment.spread > demand.spread => Shape::Flat,
                Shape::Growing if demand.bend.is_finite() && !straight(&points, demand.bend) => Shape::Wave,
                shape => shape,
            };
        }
        Some(assessment)
    }
}

fn shape(points: &[Point], trend: &Trend, demand: Demand) -> Shape {
    if trend.slope <= 0.0 || trend.z < demand.z || trend.slope_low < CERTAIN * trend.slope {
        return Shape::Flat;
    }
    // On a large heap collections are dear and few: then the parts are longer.
    let fewest = demand.parts.min(FEWEST_PARTS);
    let Some(least) = (fewest..=demand.parts).rev().find_map(|parts| least_of_parts(points, parts)) else {
        return Shape::Unknown;
    };
    let growth = least[least.len() - 1] - least[0];
    let rises: Vec<f64> = least.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = growth / rises.len() as f64;
    if growth <= 0.0 || rises.iter().any(|&rise| rise < -FALL * growth) {
        return Shape::Wave;
    }
    if !lasting(points, trend) {
        return Shape::Plateau;
    }
    if rises.iter().any(|&rise| rise > STEP * growth || rise < demand.rise * mean) {
        return Shape::Step;
    }
    Shape::Growing
}

fn straight(points: &[Point], most: f64) -> bool {
    let means: Vec<(f64, f64)> = points.iter().map(|p| p.mean).collect();
    curve::bend(&means).is_some_and(|bend| bend < most)
}

/// The least size in each of `count` equal parts of the span; `None` when one of them is empty.
fn least_of_parts(points: &[Point], count: usize) -> Option<Vec<f64>> {
    let (from, to) = (points.first()?.at, points.last()?.at);
    let mut least = vec![f64::INFINITY; count];
    for point in points {
        let part = ((point.at - from) / (to - from) * count as f64) as usize;
        let part = &mut least[part.min(count - 1)];
        *part = part.min(point.size);
    }
    least.iter().all(|size| size.is_finite()).then_some(least)
}

/// Whether the end of the window still grows at the pace of the whole: by the clock, or by the work done when the program itself
/// has slowed down (a leak often slows it).
fn lasting(points: &[Point], trend: &Trend) -> bool {
    let late = &points[points.len() - (points.len() * 2 / 5).max(4).min(points.len())..];
    let Some(by_clock) = Trend::of(late.iter().map(|p| (p.at, p.size))) else { return false };
    if by_clock.slope >= LASTING * trend.slope {
        return true;
    }
    let whole = Trend::of(points.iter().map(|p| (p.work, p.size)));
    let late = Trend::of(late.iter().map(|p| (p.work, p.size)));
    matches!((whole, late), (Some(whole), Some(late)) if late.slope >= LASTING * whole.slope && whole.slope > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DEMAND: Demand =
        Demand { span: 80.0, points: 8, z: 3.0, parts: 6, rise: 0.1, spread: 0.2, bend: f64::INFINITY };

    fn look(size: impl Fn(f64) -> f64) -> Shape {
        let mut envelope = Envelope::new(Duration::from_secs(96));
        for i in 0..48 {
            let at = f64::from(i) * 2.0;
            envelope.push(at, at, size(at));
        }
        Assessment::of(&envelope, DEMAND).unwrap().shape
    }

    #[test]
    fn shapes_are_told_apart() {
        let noise = |at: f64| (at * 12.9898).sin() * 0.5;
        assert_eq!(look(|at| 100.0 + noise(at)), Shape::Flat);
        assert_eq!(look(|at| 100.0 - at), Shape::Flat);
        assert_eq!(look(|at| 100.0 + at + noise(at)), Shape::Growing);
        assert_eq!(look(|at| 100.0 + at.sqrt() * 8.0), Shape::Growing, "slows as a leak with a slow list does");
        assert_ne!(look(|at| 100.0 + if at > 48.0 { 50.0 } else { 0.0 } + noise(at)), Shape::Growing);
        assert_ne!(look(|at| 100.0 + (at / 32.0).floor() * 30.0 + noise(at)), Shape::Growing, "three steps");
        assert_ne!(look(|at| 100.0 + 50.0 * (1.0 - (-at / 20.0).exp()) + noise(at)), Shape::Growing, "fills");
        assert_ne!(look(|at| 100.0 + at.min(50.0) + noise(at)), Shape::Growing, "has filled");
        assert_ne!(look(|at| 100.0 - 30.0 * (at / 96.0 * std::f64::consts::TAU).sin()), Shape::Growing);
        assert_ne!(look(|at| 100.0 + (at % 14.0) * 5.0), Shape::Growing, "sawtooth");
    }

    #[test]
    fn nothing_is_said_too_early() {
        let mut envelope = Envelope::new(Duration::from_secs(96));
        for i in 0..20 {
            envelope.push(f64::from(i) * 3.0, 0.0, f64::from(i));
        }
        let assessment = Assessment::of(&envelope, DEMAND).unwrap();
        assert_eq!(assessment.shape, Shape::Unknown);
        assert!((assessment.growth() - 19.0).abs() < 1e-9 && assessment.collections == 20);
    }
}
