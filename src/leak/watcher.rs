//! One window of the detector: what has lived in it, what can have, and what that looks like.

use std::time::Duration;

use super::{
    envelope::Envelope,
    policy::Watch,
    shape::{Assessment, Shape},
    verdict::Place,
};

/// What a look at the window has given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    Nothing,
    /// For the first time since there was none.
    Suspicion(Place, Assessment),
    /// `told`: there was a suspicion before.
    Leak {
        place: Place,
        growth: Assessment,
        told: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Watcher {
    pub(super) watch: Watch,
    /// What lived, by full collections.
    heap: Envelope,
    off_heap: Envelope,
    /// What can have lived, by all collections.
    heap_bound: Envelope,
    off_heap_bound: Envelope,
    /// Since when growth has been suspected, as last seen.
    suspected: Option<Duration>,
    /// Whether there is a trend, however weak.
    growing: bool,
    /// What lives before is a program that is still loading.
    settled: Duration,
}

/// A bound that has risen by this share of the growth that counts makes curious.
const CURIOUS: f64 = 1.0 / 16.0;
/// In a window that only counts a share of the heap's limit, it has to be more.
const CURIOUS_OF_SHARE: f64 = 0.5;

/// Of Kendall's test: a trend that chance gives once in 15 times.
const GROWING: f64 = 1.5;

impl Watcher {
    pub(super) fn new(watch: Watch, start: Duration) -> Self {
        let envelope = || Envelope::new(watch.window);
        Watcher {
            watch,
            heap: envelope(),
            off_heap: envelope(),
            heap_bound: envelope(),
            off_heap_bound: envelope(),
            suspected: None,
            growing: false,
            settled: start.saturating_add(watch.window / 48),
        }
    }

    pub(super) fn bound(&mut self, at: Duration, heap: f64, off_heap: f64) {
        self.heap_bound.push(at.as_secs_f64(), 0.0, heap);
        self.off_heap_bound.push(at.as_secs_f64(), 0.0, off_heap);
    }

    pub(super) fn heap_lives(&mut self, at: Duration, work: f64, size: f64) {
        if at >= self.settled {
            self.heap.push(at.as_secs_f64(), work, size);
        }
    }

    pub(super) fn off_heap_lives(&mut self, at: Duration, work: f64, size: f64) {
        if at >= self.settled {
            self.off_heap.push(at.as_secs_f64(), work, size);
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.watch.interval(self.growing)
    }

    /// Whether a full collection could show growth that counts here.
    pub(super) fn is_curious(&self, min_growth: f64, limit: f64) -> bool {
        [(&self.heap, &self.heap_bound), (&self.off_heap, &self.off_heap_bound)].into_iter().any(|(lives, bound)| {
            let Some(now) = bound.newest() else { return false };
            if self.watch.share > 0.0 {
                let Some(base) = lives.least().into_iter().chain(bound.least()).min_by(f64::total_cmp) else {
                    return false;
                };
                return now - base >= CURIOUS_OF_SHARE * self.watch.needed(base, limit, min_growth);
            }
            if self.growing && self.watch.insists() {
                return true;
            }
            // Against what lived at last: each further bit of growth wants to be known.
            let Some(last) = lives.newest() else { return true };
            now - last >= CURIOUS * min_growth
        })
    }

    pub(super) fn judge(&mut self, at: Duration, min_growth: f64, limit: f64) -> Finding {
        let mut suspicion = None;
        self.growing = false;
        for (place, lives) in [(Place::Heap, &self.heap), (Place::OffHeap, &self.off_heap)] {
            let counts = |a: &Assessment, of_window: f64| {
                a.shape == Shape::Growing && a.growth() >= of_window * self.watch.needed(a.base, limit, min_growth)
            };
            let Some(late) = Assessment::of(lives, self.watch.demand) else { continue };
            if counts(&late, 1.0) {
                let told = self.suspected.replace(at).is_some();
                return Finding::Leak { place, growth: late, told };
            }
            let early = Assessment::of(lives, self.watch.early);
            self.growing |= early.is_some_and(|a| a.trend.slope > 0.0 && a.trend.z >= GROWING);
            if let Some(early) = early.filter(|a| counts(a, (a.to - a.from) / self.watch.window.as_secs_f64())) {
                suspicion.get_or_insert((place, early));
            }
        }
        match suspicion {
            Some((place, growth)) => {
                if self.suspected.replace(at).is_none() {
                    return Finding::Suspicion(place, growth);
                }
            }
            // It may begin anew once it has been gone for half a window.
            None => self.suspected = self.suspected.filter(|&last| at < last.saturating_add(self.watch.window / 2)),
        }
        Finding::Nothing
    }
}
