//! The leak detector between V8 and JavaScript: collections are read and judged on heaprs's background thread, and what has
//! come of it waits in a bounded outbox until the event loop fetches it. Where V8 can't be hooked, JavaScript tells of collections.

mod events;
mod observed;
mod task;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use napi::{CleanupEnvHook, Env, bindgen_prelude::Function};
use napi_derive::napi;
use tokio::sync::Notify;

use super::guard::guard;
use crate::{
    error::{Code, Error, Result},
    leak::{Config, Detector, Sensitivity},
    service::{self, Lease},
    v8::{Feature, GcWatch, Isolate, KnownStatistics},
};
use events::{CallbackCosts, Clock, DetectorMessage, SpaceSize};
use task::{COLLECT, COLLECT_AT_ONCE, NOTHING, Ready, SAMPLE, Shared, Task};

/// Options, checked by `lib/detector.js`.
#[napi(object, object_to_js = false)]
pub struct DetectorConfig {
    pub sensitivity: String,
    pub min_growth: Option<f64>,
    pub cooldown_ms: Option<f64>,
}

/// What `v8.getHeapStatistics()` said just before.
#[napi(object, object_to_js = false)]
pub struct HeapStatistics {
    pub total_heap_size: f64,
    pub used_heap_size: f64,
    pub heap_size_limit: f64,
    pub external_memory: f64,
}

/// One detector of this JavaScript thread.
#[napi(js_name = "GcDetector")]
pub struct GcDetector {
    config: Config,
    running: Rc<RefCell<Option<Running>>>,
}

#[napi]
impl GcDetector {
    #[napi(constructor)]
    pub fn new(env: Env, config: DetectorConfig) -> napi::Result<Self> {
        guard(env, "GcDetector", || Ok(GcDetector { config: config.checked()?, running: Rc::default() }))
    }

    /// Hooks the collections; `ready` is called on the event loop when there is something to [`take`](Self::take). It never
    /// keeps the process alive.
    #[napi]
    pub fn start(&self, env: Env, statistics: HeapStatistics, ready: Function<'_, (), ()>) -> napi::Result<()> {
        let ready = ready.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
        guard(env, "GcDetector.start", || {
            if self.running.borrow().is_some() {
                return Ok(());
            }
            let mut started = Running::start(self.config, &statistics, ready)?;
            // V8 must not call us once the isolate goes.
            let hook = env
                .add_env_cleanup_hook(self.running.clone(), |running| drop(running.take()))
                .map_err(|_| Error::new(Code::Unavailable, "this JavaScript environment is shutting down"))?;
            started.hook = Some(hook);
            *self.running.borrow_mut() = Some(started);
            Ok(())
        })
    }

    /// Unhooks them. What has not been taken is forgotten.
    #[napi]
    pub fn stop(&self, env: Env) -> napi::Result<()> {
        guard(env, "GcDetector.stop", || {
            if let Some(hook) = self.running.take().and_then(|mut running| running.hook.take()) {
                // Refused only when the environment is going, which then runs the hook on nothing.
                let _ = env.remove_env_cleanup_hook(hook);
            }
            Ok(())
        })
    }

    /// What each of V8's spaces held after the last full collection; empty until one has come after the first call.
    #[napi]
    pub fn spaces(&self, env: Env) -> napi::Result<Vec<SpaceSize>> {
        guard(env, "GcDetector.spaces", || {
            let running = self.running.borrow();
            let sizes = running.as_ref().map(|running| running.watch.space_sizes()).unwrap_or_default();
            Ok(sizes.into_iter().map(|(name, used)| SpaceSize { name, used: used as f64 }).collect())
        })
    }

    /// What the GC callbacks have taken of this thread since the start; absent when it is not running.
    #[napi]
    pub fn costs(&self, env: Env) -> napi::Result<Option<CallbackCosts>> {
        guard(env, "GcDetector.costs", || {
            let running = self.running.borrow();
            Ok(running.as_ref().map(|running| {
                let costs = running.watch.costs();
                let ms = |time: Duration| time.as_secs_f64() * 1000.0;
                CallbackCosts {
                    collections: costs.collections as f64,
                    total_ms: ms(costs.total),
                    p99_ms: ms(costs.p99),
                    worst_ms: ms(costs.worst),
                }
            }))
        })
    }

    /// Whether somebody listens for every collection. The other messages are rare and always come.
    #[napi]
    pub fn want_gc(&self, env: Env, wanted: bool) -> napi::Result<()> {
        guard(env, "GcDetector.wantGc", || {
            if let Some(running) = &*self.running.borrow() {
                running.watch.want_used_before(wanted);
            }
            Ok(())
        })
    }

    /// What has come since the last call, oldest first. What the detector has asked V8 for is done on the way: between two
    /// callbacks of the event loop, where it holds up nothing that is in the middle of something.
    #[napi]
    pub fn take(&self, env: Env) -> napi::Result<Vec<DetectorMessage>> {
        guard(env, "GcDetector.take", || {
            let running = self.running.borrow();
            let Some(running) = &*running else { return Ok(Vec::new()) };
            running.serve();
            let messages = std::mem::take(&mut *running.shared.outbox());
            Ok(messages.into_iter().map(|message| running.shared.clock.message(message)).collect())
        })
    }
}

impl DetectorConfig {
    fn checked(&self) -> Result<Config> {
        let sensitivity = match self.sensitivity.as_str() {
            "low" => Sensitivity::Low,
            "medium" => Sensitivity::Medium,
            "high" => Sensitivity::High,
            other => {
                let message = format!("sensitivity must be 'low', 'medium' or 'high', not '{other}'");
                return Err(Error::new(Code::InvalidArgument, message));
            }
        };
        Ok(Config {
            sensitivity,
            min_growth: self.min_growth.map(|bytes| bytes as u64),
            cooldown: self.cooldown_ms.map(|ms| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX)),
        })
    }
}

/// A started detector, on the JavaScript thread. Dropping it unhooks V8 and ends the task.
struct Running {
    /// First of all: no callback may come once the rest is going.
    watch: GcWatch,
    shared: Arc<Shared>,
    _lease: Lease,
    hook: Option<CleanupEnvHook<Rc<RefCell<Option<Running>>>>>,
}

impl Running {
    fn start(config: Config, statistics: &HeapStatistics, ready: Ready) -> Result<Self> {
        let isolate = Isolate::current(Feature::GcEvents)?;
        let known = KnownStatistics {
            total: statistics.total_heap_size as u64,
            used: statistics.used_heap_size as u64,
            limit: statistics.heap_size_limit as u64,
            external: statistics.external_memory as u64,
        };
        let lease = service::lease()?;
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            wake: Notify::new(),
            closed: AtomicBool::new(false),
            wish: AtomicU8::new(NOTHING),
            wished_at: AtomicU64::new(0),
            outbox: Mutex::default(),
        });
        let waker = shared.clone();
        let (watch, reader) =
            isolate.watch_gc(known, shared.clock.origin, Box::new(move || waker.wake.notify_one()))?;
        let task = Task {
            reader,
            detector: Detector::new(config, Duration::ZERO),
            ready,
            shared: shared.clone(),
            last_record: Duration::ZERO,
        };
        drop(lease.handle().spawn(task.run()));
        Ok(Running { watch, shared, _lease: lease, hook: None })
    }
}

impl Running {
    fn serve(&self) {
        let at_once = match self.shared.wish.swap(NOTHING, Ordering::AcqRel) {
            SAMPLE => return self.watch.sample(),
            COLLECT => false,
            COLLECT_AT_ONCE => true,
            _ => return,
        };
        // V8 may have collected by itself before the event loop has come to this.
        if self.watch.last_full() > Duration::from_nanos(self.shared.wished_at.load(Ordering::Relaxed)) {
            return;
        }
        // Where V8 can't be asked, its own collections have to do.
        let _ = if at_once { self.watch.collect() } else { self.watch.begin_marking() };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}
