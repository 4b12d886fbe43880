//! The leak detector between V8 and JavaScript: collections are read and judged on heaprs's background thread, and what has
//! come of it waits in a bounded outbox until the event loop fetches it.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use napi::{
    CleanupEnvHook, Env, Status,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use tokio::sync::Notify;

use super::guard::{catch, guard};
use crate::{
    error::{Code, Error, Result},
    leak::{Config, Detector, GcKind, Observation, Output, Sensitivity, Stats, Verdict},
    service::{self, Lease},
    v8::{Feature, GcReader, GcRecord, GcWatch, Isolate, KnownStatistics, Pressure},
};

/// Messages that wait for a busy event loop at most; the oldest `gc` messages go first.
const OUTBOX: usize = 1024;

/// Waking a thread costs a collection more than all else the detector does to it. So after one has woken it, the task looks for
/// more by itself, this often, ...
const POLL: Duration = Duration::from_millis(50);
/// ... until none has come for this long.
const LINGER: Duration = Duration::from_secs(1);

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

/// One thing to tell: `event` names which of the others is there.
#[napi(object, object_from_js = false)]
pub struct DetectorMessage {
    pub event: &'static str,
    pub gc: Option<GcEvent>,
    pub stats: Option<GcStats>,
    pub verdict: Option<LeakVerdict>,
    pub error: Option<String>,
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

    /// Whether somebody listens for every collection. The other messages are rare and always come.
    #[napi]
    pub fn want_gc(&self, env: Env, wanted: bool) -> napi::Result<()> {
        guard(env, "GcDetector.wantGc", || {
            if let Some(running) = &*self.running.borrow() {
                running.shared.want_gc.store(wanted, Ordering::Relaxed);
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

type Ready = ThreadsafeFunction<(), (), (), Status, false, true>;

/// A started detector, on the JavaScript thread. Dropping it unhooks V8 and ends the task.
struct Running {
    /// First of all: no callback may come once the rest is going.
    watch: GcWatch,
    shared: Arc<Shared>,
    _lease: Lease,
    hook: Option<CleanupEnvHook<Rc<RefCell<Option<Running>>>>>,
}

/// What the JavaScript thread and the background task share.
struct Shared {
    clock: Clock,
    wake: Notify,
    closed: AtomicBool,
    want_gc: AtomicBool,
    /// What the detector asks of the JavaScript thread: nothing, or one of the below.
    wish: AtomicU8,
    outbox: Mutex<VecDeque<Message>>,
}

const NOTHING: u8 = 0;
const SAMPLE: u8 = 1;
const COLLECT: u8 = 2;
const COLLECT_AT_ONCE: u8 = 3;

enum Message {
    Gc(GcRecord),
    Stats(Duration, Stats),
    Suspicion(Verdict),
    Leak(Verdict),
    Failed(String),
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
            want_gc: AtomicBool::new(false),
            wish: AtomicU8::new(NOTHING),
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
        let pressure = match self.shared.wish.swap(NOTHING, Ordering::AcqRel) {
            SAMPLE => return self.watch.sample(),
            COLLECT => Pressure::Moderate,
            COLLECT_AT_ONCE => Pressure::Critical,
            _ => return,
        };
        // Where V8 can't be asked, its own collections have to do.
        if let Ok(isolate) = Isolate::current(Feature::FullGc) {
            let _ = isolate.memory_pressure(pressure);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Leaves a wish for the JavaScript thread; true when it has to be told.
    fn wish(&self, wish: u8) -> bool {
        wish != NOTHING && self.wish.fetch_max(wish, Ordering::AcqRel) == NOTHING
    }

    /// Adds what fits; true when the event loop has to be told. An event loop that does not fetch loses `gc` messages first.
    fn post(&self, messages: Vec<Message>) -> bool {
        let mut outbox = self.outbox();
        let was_empty = outbox.is_empty();
        outbox.extend(messages);
        while outbox.len() > OUTBOX {
            let oldest = outbox.iter().position(|m| matches!(m, Message::Gc(_))).unwrap_or(0);
            outbox.remove(oldest);
        }
        was_empty && !outbox.is_empty()
    }
}

/// The detector's side on the background thread.
struct Task {
    reader: GcReader,
    detector: Detector,
    ready: Ready,
    shared: Arc<Shared>,
    last_record: Duration,
}

impl Task {
    async fn run(mut self) {
        loop {
            let now = self.shared.clock.origin.elapsed();
            let lingering = now < self.last_record.saturating_add(LINGER) || !self.reader.rest();
            if lingering {
                tokio::time::sleep(POLL).await;
            } else {
                let due = self.detector.next_tick().saturating_sub(now);
                // Woken or due: either way there is something to look at.
                let _ = tokio::time::timeout(due, self.shared.wake.notified()).await;
            }
            if self.shared.is_closed() {
                return;
            }
            let stepped = catch("LeakDetector thread", || Ok(self.step()));
            let failed = stepped.is_err();
            let tell = match stepped {
                Ok(step) => self.shared.wish(step.wish) | self.shared.post(step.messages),
                Err(error) => self.shared.post(vec![Message::Failed(error.to_string())]),
            };
            if tell {
                // Refused only when the environment is going: then nobody listens either.
                self.ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
            if failed {
                return;
            }
        }
    }

    fn step(&mut self) -> Step {
        let want_gc = self.shared.want_gc.load(Ordering::Relaxed);
        let mut step = Step { messages: Vec::new(), wish: NOTHING };
        let mut outputs = Vec::new();
        self.reader.drain(|record| {
            self.last_record = self.last_record.max(record.at);
            if want_gc && record.gc_type != 0 {
                step.messages.push(Message::Gc(record));
            }
            self.detector.observe(&observation(&record), &mut outputs);
            step.take(record.at, &mut outputs);
        });
        let now = self.shared.clock.origin.elapsed();
        self.detector.tick(now, &mut outputs);
        step.take(now, &mut outputs);
        step
    }
}

/// What one look at the ring has led to.
struct Step {
    messages: Vec<Message>,
    wish: u8,
}

impl Step {
    fn take(&mut self, at: Duration, outputs: &mut Vec<Output>) {
        for output in outputs.drain(..) {
            match output {
                Output::Stats(stats) => self.messages.push(Message::Stats(at, stats)),
                Output::Suspicion(verdict) => self.messages.push(Message::Suspicion(verdict)),
                Output::Leak(verdict) => self.messages.push(Message::Leak(verdict)),
                Output::WantSample => self.wish = self.wish.max(SAMPLE),
                Output::WantFullGc { at_once: false } => self.wish = self.wish.max(COLLECT),
                Output::WantFullGc { at_once: true } => self.wish = COLLECT_AT_ONCE,
            }
        }
    }
}

fn observation(record: &GcRecord) -> Observation {
    Observation {
        at: record.at,
        kind: (record.gc_type != 0).then(|| GcKind::from_v8(record.gc_type)),
        pause: record.pause,
        used_before: record.used_before,
        used_after: record.used_after,
        young: record.young,
        heap_limit: record.heap_limit,
        external_before: record.external_before,
        external: record.external,
    }
}

/// From the monotonic clock of the observations to the wall clock of the events.
struct Clock {
    origin: Instant,
    epoch_ms: f64,
}

impl Clock {
    fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), epoch_ms: since_epoch.as_secs_f64() * 1000.0 }
    }

    /// Milliseconds since 1970, as `Date.now()` counts them.
    fn wall(&self, at: Duration) -> f64 {
        self.epoch_ms + at.as_secs_f64() * 1000.0
    }

    fn message(&self, message: Message) -> DetectorMessage {
        let none = DetectorMessage { event: "", gc: None, stats: None, verdict: None, error: None };
        match message {
            Message::Gc(record) => {
                let gc = GcEvent {
                    kind: GcKind::from_v8(record.gc_type).as_str(),
                    pause_ms: record.pause.as_secs_f64() * 1000.0,
                    used_before: record.used_before as f64,
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
