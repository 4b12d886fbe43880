//! A detector for runtimes in which V8 can't be hooked: JavaScript tells it of the collections that it has seen, and hears the
//! answer in the same call.

use std::time::Duration;

use napi::Env;
use napi_derive::napi;

use super::{
    DetectorConfig,
    events::{Clock, DetectorMessage, Message},
    task::Step,
};
use crate::{binding::guard::guard, leak::Detector, v8::GcRecord};

/// A collection as `perf_hooks` and `node:v8` tell of it. Bytes and milliseconds.
#[napi(object, object_to_js = false)]
pub struct SeenCollection {
    /// V8's `GCType`.
    pub gc_type: u32,
    /// Since the detector was made.
    pub at: f64,
    pub pause_ms: f64,
    pub used_before: f64,
    pub used_after: f64,
    /// Of `usedAfter`, in the new space.
    pub young: Option<f64>,
    pub heap_limit: f64,
    pub external: f64,
}

/// One detector, fed by JavaScript.
#[napi(js_name = "ObservedDetector")]
pub struct ObservedDetector {
    detector: Detector,
    clock: Clock,
}

#[napi]
impl ObservedDetector {
    #[napi(constructor)]
    pub fn new(env: Env, config: DetectorConfig) -> napi::Result<Self> {
        guard(env, "ObservedDetector", || {
            Ok(ObservedDetector { detector: Detector::new(config.checked()?, Duration::ZERO), clock: Clock::start() })
        })
    }

    /// Takes a collection; what follows from it, with its own `gc` event first.
    #[napi]
    pub fn observe(&mut self, env: Env, seen: SeenCollection) -> napi::Result<Vec<DetectorMessage>> {
        guard(env, "ObservedDetector.observe", || {
            let record = seen.record();
            let mut step = Step { messages: vec![Message::Gc(record)], wish: 0 };
            let mut outputs = Vec::new();
            self.detector.observe(&super::task::observation(&record), &mut outputs);
            step.take(record.at, &mut outputs);
            Ok(step.messages.into_iter().map(|message| self.clock.message(message)).collect())
        })
    }
}

impl SeenCollection {
    fn record(&self) -> GcRecord {
        let time = |ms: f64| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
        GcRecord {
            gc_type: self.gc_type,
            flags: 0,
            at: time(self.at),
            pause: time(self.pause_ms),
            used_before: Some(self.used_before as u64),
            used_after: self.used_after as u64,
            young: self.young.map(|bytes| bytes as u64),
            young_room: None,
            heap_limit: self.heap_limit as u64,
            external: self.external as u64,
        }
    }
}
