//! The least that a size has been in each slice of time: what stays when the moment's work is taken away. And its mean, which
//! noise that has no outliers moves less.

use std::{collections::VecDeque, time::Duration};

/// The least size seen in one slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in seconds.
    pub at: f64,
    /// Bytes allocated by then: how much the program had worked.
    pub work: f64,
    /// Bytes.
    pub size: f64,
    /// Observations in the slice.
    pub count: u32,
    /// Their mean: seconds, bytes.
    pub mean: (f64, f64),
}

/// The points of a window, one for each slice. Its memory is fixed: what leaves the window is forgotten.
#[derive(Clone, Debug)]
pub struct Envelope {
    slice: f64,
    points: VecDeque<(u64, Point)>,
}

/// Slices of a window.
const SLICES: usize = 24;

impl Envelope {
    /// An empty one.
    pub fn new(window: Duration) -> Self {
        Envelope { slice: window.as_secs_f64() / SLICES as f64, points: VecDeque::with_capacity(SLICES + 1) }
    }

    /// Takes a size that was seen at `at` seconds. Times don't go back.
    pub fn push(&mut self, at: f64, work: f64, size: f64) {
        let slice = (at / self.slice) as u64;
        match self.points.back_mut() {
            Some((last, point)) if *last >= slice => {
                let count = point.count.saturating_add(1);
                let share = 1.0 / f64::from(count);
                let mean = (point.mean.0 + (at - point.mean.0) * share, point.mean.1 + (size - point.mean.1) * share);
                if size < point.size {
                    *point = Point { at, work, size, count, mean };
                }
                (point.count, point.mean) = (count, mean);
            }
            _ => self.points.push_back((slice, Point { at, work, size, count: 1, mean: (at, size) })),
        }
        while self.points.front().is_some_and(|(first, _)| first + SLICES as u64 <= slice) {
            self.points.pop_front();
        }
    }

    /// Oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> + ExactSizeIterator + Clone {
        self.points.iter().map(|(_, point)| point)
    }

    /// The least of the window.
    pub fn least(&self) -> Option<f64> {
        self.points().map(|p| p.size).min_by(f64::total_cmp)
    }

    /// The least of the newest slice.
    pub fn newest(&self) -> Option<f64> {
        self.points().next_back().map(|p| p.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_least_of_each_slice_and_forgets_what_is_old() {
        let mut e = Envelope::new(Duration::from_secs(24));
        for (at, size) in [(0.1, 5.0), (0.5, 3.0), (0.9, 9.0), (1.0, 7.0)] {
            e.push(at, at, size);
        }
        let sizes: Vec<_> = e.points().map(|p| (p.at, p.size, p.count)).collect();
        assert_eq!(sizes, [(0.5, 3.0, 3), (1.0, 7.0, 1)]);
        let (at, size) = e.points().next().unwrap().mean;
        assert!((at - 0.5).abs() < 1e-12 && (size - 17.0 / 3.0).abs() < 1e-12);
        assert_eq!((e.least(), e.newest()), (Some(3.0), Some(7.0)));
        for i in 0..1000 {
            e.push(2.0 + f64::from(i) * 0.1, 0.0, 50.0);
        }
        assert!(e.points().len() <= SLICES);
        assert_eq!(e.least(), Some(50.0));
        e.push(1e9, 0.0, 1.0);
        assert_eq!(e.points().len(), 1);
    }
}
