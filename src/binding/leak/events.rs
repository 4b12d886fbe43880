//! What a detector tells JavaScript: events, and the wall clock they are dated by.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use napi_derive::napi;

use crate::{
    leak::{GcKind, Stats, Verdict},
    v8::GcRecord,
};

/// The `gc` event.
#[napi(object, object_from_js = false)]
pub struct GcEvent {
    pub kind: &'static str,
    pub pause_ms: f64,
    pub used_before: f64,
    pub used_after: f64,
    pub heap_limit: f64,
    pub external: f64,
    pub timestamp: f64,
}

/// The `stats` event.
#[napi(object, object_from_js = false)]
pub struct GcStats {
    pub num_full_gc: f64,
    pub num_inc_gc: f64,
    pub usage_trend: f64,
    pub estimated_base: f64,
    pub current_base: f64,
    pub min: f64,
    pub max: f64,
    pub external: f64,
    pub heap_limit: f64,
    pub timestamp: f64,
}

/// The `suspicion` and `leak` events, apart from what needs a diagnosis. Times in milliseconds since 1970.
#[napi(object, object_from_js = false)]
pub struct LeakVerdict {
    pub start: f64,
    pub end: f64,
    pub growth: f64,
    pub reason: String,
    pub place: &'static str,
    pub gcs: f64,
    pub growth_per_hour: f64,
    pub confidence: f64,
    pub heap_used: f64,
    pub heap_limit: f64,
    pub time_to_limit_ms: Option<f64>,
}

/// Used bytes of one of V8's spaces.
#[napi(object, object_from_js = false)]
pub struct SpaceSize {
    pub name: String,
    pub used: f64,
}

/// What the two callbacks of each collection have taken together: of all, of all but one in a hundred at most, and of one at most.
#[napi(object, object_from_js = false)]
pub struct CallbackCosts {
    pub collections: f64,
    pub total_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
}

/// One thing to tell: `event` names which of the others is there.
#[napi(object, object_from_js = false)]
pub struct DetectorMessage {
    pub event: &'static str,
    pub gc: Option<GcEvent>,
    pub stats: Option<GcStats>,
    pub verdict: Option<LeakVerdict>,
    pub error: Option<String>,
}

/// An event before it is dated.
pub(super) enum Message {
    Gc(GcRecord),
    Stats(Duration, Stats),
    Suspicion(Verdict),
    Leak(Verdict),
    Failed(String),
}

/// From the monotonic clock of the observations to the wall clock of the events.
pub(super) struct Clock {
    pub(super) origin: Instant,
    epoch_ms: f64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), epoch_ms: since_epoch.as_secs_f64() * 1000.0 }
    }

    /// Milliseconds since 1970, as `Date.now()` counts them.
    fn wall(&self, at: Duration) -> f64 {
        self.epoch_ms + at.as_secs_f64() * 1000.0
    }

    pub(super) fn message(&self, message: Message) -> DetectorMessage {
        let none = DetectorMessage { event: "", gc: None, stats: None, verdict: None, error: None };
        match message {
            Message::Gc(record) => {
                let gc = GcEvent {
                    kind: GcKind::from_v8(record.gc_type).as_str(),
                    pause_ms: record.pause.as_secs_f64() * 1000.0,
                    used_before: record.used_before.unwrap_or(record.used_after) as f64,
                    used_after: record.used_after as f64,
                    heap_limit: record.heap_limit as f64,
                    external: record.external as f64,
                    timestamp: self.wall(record.at),
                };
                DetectorMessage { event: "gc", gc: Some(gc), ..none }
            }
            Message::Stats(at, stats) => {
                let stats = GcStats {
                    num_full_gc: stats.num_full_gc as f64,
                    num_inc_gc: stats.num_inc_gc as f64,
                    usage_trend: stats.usage_trend,
                    estimated_base: stats.estimated_base,
                    current_base: stats.current_base as f64,
                    min: stats.min as f64,
                    max: stats.max as f64,
                    external: stats.external as f64,
                    heap_limit: stats.heap_limit as f64,
                    timestamp: self.wall(at),
                };
                DetectorMessage { event: "stats", stats: Some(stats), ..none }
            }
            Message::Suspicion(verdict) => {
                DetectorMessage { event: "suspicion", verdict: Some(self.verdict(&verdict)), ..none }
            }
            Message::Leak(verdict) => DetectorMessage { event: "leak", verdict: Some(self.verdict(&verdict)), ..none },
            Message::Failed(error) => DetectorMessage { event: "failed", error: Some(error), ..none },
        }
    }

    fn verdict(&self, verdict: &Verdict) -> LeakVerdict {
        LeakVerdict {
            start: self.wall(verdict.start),
            end: self.wall(verdict.end),
            growth: verdict.growth as f64,
            reason: verdict.reason(),
            place: verdict.place.as_str(),
            gcs: f64::from(verdict.collections),
            growth_per_hour: verdict.growth_per_hour,
            confidence: verdict.confidence,
            heap_used: verdict.heap_used as f64,
            heap_limit: verdict.heap_limit as f64,
            time_to_limit_ms: verdict.time_to_limit.map(|time| time.as_secs_f64() * 1000.0),
        }
    }
}
