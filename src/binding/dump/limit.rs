//! Dumps near the heap limit, inside V8's callback on the JavaScript thread: the first call dumps and raises the limit a little, the next one holds
//! the thread until the file is complete; then V8 goes on as it would without us.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Cause, Owner, Trigger, deliver, owners,
    round::{Dumped, falls_back},
    settle,
    threads::{self, JsThread},
};
use crate::{
    binding::turn::Turn,
    capture::{DumpHandle, DumpMode, DumpPlan, DumpRequest, DumpSummary, dump_inline, is_walking, timeout},
    error::{Code, Error, Result},
    v8::{Feature, Isolate, LimitAnswer, Limits, NearHeapLimit},
};

const CAUSE: Cause = Cause { trigger: "heap-limit", reason: None };

const MIB: usize = 1 << 20;

/// What is left for the callback that V8 asks after us (Node.js's own, in a worker) to be asked at all: room for the next allocation.
const SLACK: usize = 2 * MIB;

/// How long a called-off dump is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the end waits for files of others.
const HOLD: Duration = Duration::from_secs(60);

/// How often a thread that waits for its turn looks whether it is needed.
const LOOK: Duration = Duration::from_millis(5);

thread_local! {
    /// The callback of this thread.
    static HOOK: RefCell<Option<NearHeapLimit>> = const { RefCell::new(None) };
}

/// Hooks this thread's limit, anew where it was.
pub(super) fn hook() -> Result<()> {
    let thread = threads::current().ok_or_else(|| Error::new(Code::Internal, "this thread is not registered"))?;
    unhook();
    let isolate = Isolate::current(Feature::NearHeapLimit)?;
    let mut watch = Watch { thread, running: None };
    let hooked = isolate.near_heap_limit(Box::new(move |limits| watch.answer(limits)))?;
    HOOK.with(|hook| *hook.borrow_mut() = Some(hooked));
    Ok(())
}

/// Takes this thread's callback down.
pub(super) fn unhook() {
    let hooked = HOOK.with(RefCell::take);
    drop(hooked);
}

/// A thread that has just been registered is watched where somebody has asked for all.
pub(super) fn hook_new_thread() {
    if owners().iter().any(|owner| owner.trigger == Trigger::HeapLimit && owner.all_threads) {
        // Where it can't be, the owner's own start has said so.
        let _ = hook();
    }
}

/// Who is told of this thread's limit.
fn owners_of(thread: &JsThread) -> Vec<Arc<Owner>> {
    let concerns = |o: &Arc<Owner>| o.trigger == Trigger::HeapLimit && (o.all_threads || o.token == thread.token);
    owners().iter().filter(|owner| concerns(owner)).cloned().collect()
}

/// What one thread's callback knows.
struct Watch {
    thread: Arc<JsThread>,
    running: Option<Running>,
}

/// A dump whose child is still at work.
struct Running {
    handle: DumpHandle,
    plan: DumpPlan,
    owners: Vec<Arc<Owner>>,
    deadline: Instant,
}

impl Watch {
    fn answer(&mut self, limits: Limits) -> LimitAnswer {
        if is_walking() {
            // V8 walks this heap for a file in this very moment.
            return match room(limits).min(step(limits)) {
                0 => LimitAnswer::Leave(SLACK),
                more => LimitAnswer::Raise(more),
            };
        }
        self.hold();
        let concerned = owners_of(&self.thread);
        let now = Instant::now();
        let ready: Vec<_> = concerned.iter().filter(|owner| owner.budget().allows(now)).cloned().collect();
        let left = room(limits);
        if let Some(first) = ready.first() {
            let plan = first.plan.clone();
            for owner in &ready {
                owner.budget().begin();
            }
            self.dump(&plan, &ready);
            for owner in &ready {
                owner.budget().end(Instant::now());
            }
        }
        let more = self.running.is_some() || concerned.iter().any(|owner| !owner.budget().is_used_up());
        HOOK.with(|hook| {
            if let Ok(Some(hook)) = hook.try_borrow().as_deref() {
                hook.put_back_later();
            }
        });
        if more && left > 0 {
            return LimitAnswer::Raise(left.min(step(limits)));
        }
        // No room left to wait in: the file first, also one that a signal or memory has set off.
        self.hold();
        settle::hold(HOLD);
        LimitAnswer::Leave(SLACK)
    }

    fn dump(&mut self, plan: &DumpPlan, ready: &[Arc<Owner>]) {
        let start = Instant::now();
        let deadline = start + plan.timeout.min(Duration::from_secs(24 * 3600));
        let mut reason = None;
        if plan.mode != DumpMode::Inline {
            match self.fork(plan, ready, deadline) {
                Ok(handle) => {
                    settle::note(&self.thread, &handle);
                    self.running = Some(Running { handle, plan: plan.clone(), owners: ready.to_vec(), deadline });
                    return;
                }
                Err(e) if plan.mode == DumpMode::Auto && falls_back(&e) => reason = Some(e),
                Err(e) => return deliver(ready, &CAUSE, &Err(e)),
            }
        }
        self.inline(plan, ready, deadline, reason);
    }

    #[cfg(target_os = "linux")]
    fn fork(&self, plan: &DumpPlan, ready: &[Arc<Owner>], deadline: Instant) -> Result<DumpHandle> {
        use super::round::SPIN;
        use crate::capture::{PreparedFork, dump_by_fork};

        let turn = self.turn(deadline)?;
        let prepared = PreparedFork::new()?;
        let request = plan.request(self.thread.thread_id, Some(deadline))?;
        let told = ready.to_vec();
        dump_by_fork(&prepared, &request, SPIN, move |result| {
            let _turn = turn;
            deliver(&told, &CAUSE, &result.clone().map(|summary| dumped(summary, None, 1)));
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn fork(&self, _: &DumpPlan, _: &[Arc<Owner>], _: Instant) -> Result<DumpHandle> {
        Err(Error::new(Code::Unavailable, crate::capture::fork_unavailable().unwrap_or_default()))
    }

    fn inline(&self, plan: &DumpPlan, ready: &[Arc<Owner>], deadline: Instant, reason: Option<Error>) {
        let attempts = if reason.is_some() { 2 } else { 1 };
        let refused = reason.as_ref().is_some_and(|e| e.code == Code::MemoryBudget);
        let reason = reason.map(|e| e.message);
        let result = self
            .turn(deadline)
            .and_then(|turn| Ok((turn, plan.request(self.thread.thread_id, Some(deadline))?)))
            .and_then(|(_turn, request)| {
                dump_inline(&DumpRequest { memory_is_short: refused, ..request }, !plan.comparable_ids)
            })
            .map(|summary| dumped(summary, reason, attempts));
        deliver(ready, &CAUSE, &result);
    }

    /// The right to capture this isolate, after whoever has it.
    fn turn(&self, deadline: Instant) -> Result<Turn> {
        let until = deadline.min(Instant::now() + HOLD);
        loop {
            if let Some(turn) = Turn::wait(self.thread.isolate(), LOOK) {
                return Ok(turn);
            }
            if Instant::now() >= until {
                return Err(timeout());
            }
            // Who has it may be waiting for this thread.
            threads::serve_current();
        }
    }

    /// Holds JavaScript until the running dump is complete; one whose child has failed is taken anew, inline.
    fn hold(&mut self) {
        let Some(Running { handle, plan, owners, deadline }) = self.running.take() else { return };
        match handle.wait(deadline.saturating_duration_since(Instant::now())) {
            None => {
                handle.cancel();
                handle.wait(FAREWELL);
            }
            // What has come to the end of memory in a child would come to the end of this process.
            Some(Err(e)) if plan.mode == DumpMode::Auto && falls_back(&e) && e.code != Code::MemoryBudget => {
                self.inline(&plan, &owners, deadline, Some(e));
            }
            Some(_) => {}
        }
    }
}

/// How far the limit is raised at once, and how far it may be in all.
fn step(limits: Limits) -> usize {
    (limits.initial / 5).clamp(8 * MIB, 128 * MIB)
}

fn room(limits: Limits) -> usize {
    let most = (limits.initial / 2).clamp(16 * MIB, 256 * MIB);
    (limits.initial.saturating_add(most)).saturating_sub(limits.current)
}

fn dumped(summary: DumpSummary, fallback_reason: Option<String>, attempts: u32) -> Dumped {
    Dumped { fallback_reason, pause: summary.pause, duration: summary.duration, attempts, summary }
}
