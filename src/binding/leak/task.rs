//! The detector on heaprs's background thread: reads collections, judges them, and leaves what has come of it in the outbox.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use napi::{
    Status,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use tokio::sync::Notify;

use super::events::{Clock, Message};
use crate::{
    binding::guard::catch,
    leak::{Detector, GcKind, Observation, Output},
    v8::{GcReader, GcRecord},
};

/// Messages that wait for a busy event loop at most; the oldest `gc` messages go first.
const OUTBOX: usize = 1024;

/// Waking a thread costs a collection more than all else the detector does to it. So after one has woken it, the task looks for
/// more by itself, this often, ...
const POLL: Duration = Duration::from_millis(100);
/// ... until none has come for this long.
const LINGER: Duration = Duration::from_secs(1);

pub(super) type Ready = ThreadsafeFunction<(), (), (), Status, false, true>;

/// What the JavaScript thread and the background task share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) wake: Notify,
    pub(super) closed: AtomicBool,
    /// What the detector asks of the JavaScript thread: nothing, or one of the below.
    pub(super) wish: AtomicU8,
    /// When it was asked, in nanoseconds of the clock.
    pub(super) wished_at: AtomicU64,
    pub(super) outbox: Mutex<VecDeque<Message>>,
}

pub(super) const NOTHING: u8 = 0;
pub(super) const SAMPLE: u8 = 1;
pub(super) const COLLECT: u8 = 2;
pub(super) const COLLECT_AT_ONCE: u8 = 3;

impl Shared {
    pub(super) fn outbox(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Leaves a wish for the JavaScript thread; true when it has to be told.
    fn wish(&self, wish: u8) -> bool {
        if wish == NOTHING {
            return false;
        }
        let now = u64::try_from(self.clock.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.wished_at.store(now, Ordering::Relaxed);
        self.wish.fetch_max(wish, Ordering::AcqRel) == NOTHING
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
pub(super) struct Task {
    pub(super) reader: GcReader,
    pub(super) detector: Detector,
    pub(super) ready: Ready,
    pub(super) shared: Arc<Shared>,
    pub(super) last_record: Duration,
}

impl Task {
    pub(super) async fn run(mut self) {
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
        let mut step = Step { messages: Vec::new(), wish: NOTHING };
        let mut outputs = Vec::new();
        self.reader.drain(|record| {
            self.last_record = self.last_record.max(record.at);
            // Known where somebody wants to hear of each collection.
            if record.used_before.is_some() {
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
pub(super) struct Step {
    pub(super) messages: Vec<Message>,
    pub(super) wish: u8,
}

impl Step {
    pub(super) fn take(&mut self, at: Duration, outputs: &mut Vec<Output>) {
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

pub(super) fn observation(record: &GcRecord) -> Observation {
    Observation {
        at: record.at,
        kind: (record.gc_type != 0).then(|| GcKind::from_v8(record.gc_type)),
        pause: record.pause,
        used_before: record.used_before,
        used_after: record.used_after,
        young: record.young,
        young_room: record.young_room,
        heap_limit: record.heap_limit,
        external: record.external,
    }
}
