//! One dump of one thread, asked for by another: by fork with up to three attempts, else inline.

use std::{
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    thread,
    time::{Duration, Instant},
};

use super::{
    settle,
    threads::{Called, JsThread},
};
#[cfg(target_os = "linux")]
use crate::capture::DumpHandle;
use crate::{
    binding::turn::Turn,
    capture::{DumpMode, DumpPlan, DumpSummary, dump_inline, fork_unavailable, timeout},
    error::{Code, Error, Result},
    progress::Progress,
};

/// A complete file, and what it took.
#[derive(Clone)]
pub(super) struct Dumped {
    pub(super) summary: DumpSummary,
    pub(super) fallback_reason: Option<String>,
    /// How long JavaScript stood still, in all attempts.
    pub(super) pause: Duration,
    /// From the signal on.
    pub(super) duration: Duration,
    pub(super) attempts: u32,
}

/// What came of one try to dump a thread.
pub(super) enum Outcome {
    Finished(Result<Dumped>),
    /// The thread was busy in native code and did not answer in time; nothing was begun.
    Busy,
}

/// After these, mode `auto` goes inline; anything else would befall that one, too.
pub(super) fn falls_back(error: &Error) -> bool {
    matches!(error.code, Code::ForkFailed | Code::Unavailable | Code::MemoryBudget)
}

/// How long a fork may wait for V8's helper threads to be idle, while JavaScript stands still.
#[cfg(target_os = "linux")]
pub(super) const SPIN: Duration = Duration::from_millis(50);

/// How often is asked whether the thread must be held, and how long it may be busy in native code before it is asked again.
#[cfg(target_os = "linux")]
const LOOK: Duration = Duration::from_millis(5);
const HOLD_PATIENCE: Duration = Duration::from_millis(100);

/// The longest that a thread is held for a capture that is not ours.
const HOLD: Duration = Duration::from_secs(60);

#[cfg(target_os = "linux")]
const ATTEMPTS: u32 = 3;

/// Names of our own that another process has taken; more than a few mean something else.
const NAMES: u32 = 100;

/// A dump for which memory is short. It is taken by fork even where the estimate says that there is too little for one: of all
/// that needs memory the child is the one that can be ended, when it runs out all the same.
#[derive(Clone, Copy)]
pub(super) struct Short<'a> {
    /// The thread has to stand still from the fork on.
    pub(super) wait: bool,
    /// Asked while a child writes: whether the thread has to stand still until the file is complete, since the two together would need too much.
    pub(super) hold: &'a dyn Fn() -> bool,
}

/// Dumps `thread`, which has `patience` to begin.
pub(super) fn dump(thread: &Arc<JsThread>, plan: &DumpPlan, patience: Duration, short: Option<Short<'_>>) -> Outcome {
    let started = Instant::now();
    let deadline = started.checked_add(plan.timeout);
    let waited = turn(&plan.progress, deadline)
        .and_then(|turn| Ok((turn, isolate_turn(thread, &plan.progress, deadline, short)?)));
    let _turns = match waited {
        Ok(turns) => turns,
        Err(e) => return Outcome::Finished(Err(e)),
    };
    let mut spent = Spent { started, deadline, short, pause: Duration::ZERO, attempts: 0, ran_short: false };
    for _ in 0..NAMES {
        match spent.dump(thread, plan, patience) {
            Step::Busy => return Outcome::Busy,
            Step::Finished(Err(e)) if e.code == Code::FileExists && plan.file.is_none() => {}
            Step::Finished(result) => return Outcome::Finished(result),
        }
    }
    Outcome::Finished(Err(Error::new(Code::FileExists, "every name for the dump is taken").with_file(&plan.directory)))
}

/// Who asks at a signal and who asks through a socket take turns: one dump of the process at a time.
fn turn(progress: &Progress, deadline: Option<Instant>) -> Result<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    loop {
        match TURN.try_lock() {
            Ok(turn) => return Ok(turn),
            Err(TryLockError::Poisoned(turn)) => return Ok(turn.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        progress.check()?;
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return Err(timeout());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The app may be capturing that isolate itself: one after the other. Where memory is short the thread stands still for that as it does for ours.
fn isolate_turn(
    thread: &JsThread,
    progress: &Progress,
    deadline: Option<Instant>,
    short: Option<Short<'_>>,
) -> Result<Turn> {
    let isolate = thread.isolate();
    loop {
        if let Some(turn) = Turn::wait(isolate, Duration::from_millis(20)) {
            return Ok(turn);
        }
        progress.check()?;
        let left = deadline.map_or(HOLD, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Err(timeout());
        }
        if short.is_some_and(|short| short.wait || (short.hold)()) {
            // One that does not answer goes on; it is asked again.
            thread.call(HOLD_PATIENCE, progress, move || Turn::wait_until_free(isolate, left.min(HOLD)));
        }
    }
}

enum Step {
    Finished(Result<Dumped>),
    Busy,
}

struct Spent<'a> {
    started: Instant,
    deadline: Option<Instant>,
    short: Option<Short<'a>>,
    pause: Duration,
    attempts: u32,
    /// A child has come to the end of memory: the same walk in this process would come to the end of this process.
    ran_short: bool,
}

impl Spent<'_> {
    fn dump(&mut self, thread: &JsThread, plan: &DumpPlan, patience: Duration) -> Step {
        let (mut fallback_reason, mut refused) = (None, false);
        if plan.mode != DumpMode::Inline {
            match self.by_fork(thread, plan, patience) {
                Ok(None) => return Step::Busy,
                Ok(Some(summary)) => return Step::Finished(Ok(self.dumped(summary, None))),
                Err(e) if plan.mode == DumpMode::Auto && falls_back(&e) && !self.ran_short => {
                    refused = e.code == Code::MemoryBudget;
                    fallback_reason = Some(e.message);
                }
                Err(e) => return Step::Finished(Err(e)),
            }
        }
        let mut request = match plan.request(thread.thread_id, self.deadline) {
            Ok(request) => request,
            Err(e) => return Step::Finished(Err(e)),
        };
        request.memory_is_short = refused || self.short.is_some();
        self.attempts += 1;
        let release = !plan.comparable_ids;
        match self.call(thread, patience, &plan.progress, move || dump_inline(&request, release)) {
            Ok(None) => Step::Busy,
            Ok(Some(Ok(summary))) => Step::Finished(Ok(self.dumped(summary, fallback_reason))),
            Ok(Some(Err(e))) | Err(e) => Step::Finished(Err(e)),
        }
    }

    #[cfg(target_os = "linux")]
    fn by_fork(&mut self, thread: &JsThread, plan: &DumpPlan, patience: Duration) -> Result<Option<DumpSummary>> {
        use crate::capture::{PreparedFork, dump_by_fork};

        if let Some(why) = fork_unavailable() {
            return Err(Error::new(Code::Unavailable, format!("a capture by fork is not possible here: {why}")));
        }
        let mut attempt = 1;
        loop {
            let wait = self.short.is_some_and(|short| short.wait).then_some(plan.timeout);
            // A thread that takes memory all the while is not given the time.
            let prepared = if wait.is_none() { Some(PreparedFork::new()?) } else { None };
            let mut request = plan.request(thread.thread_id, self.deadline)?;
            request.ignore_memory |= self.short.is_some();
            self.attempts += 1;
            let forked = self.call(thread, patience, &plan.progress, move || {
                // The thread may have been busy for long.
                let fresh = match prepared.filter(|prepared| !prepared.is_stale()) {
                    Some(prepared) => prepared,
                    None => PreparedFork::new()?,
                };
                let handle = dump_by_fork(&fresh, &request, SPIN, |_| ())?;
                wait.and_then(|limit| handle.wait(limit));
                Ok(handle)
            })?;
            let Some(handle) = forked else {
                self.attempts -= 1;
                return Ok(None);
            };
            let result = handle.and_then(|handle| {
                let written = self.writing(thread, &handle);
                self.ran_short |= matches!(&written, Err(e) if e.code == Code::MemoryBudget);
                written
            });
            match result {
                Err(e) if e.code == Code::ForkFailed && attempt < ATTEMPTS => attempt += 1,
                result => return result.map(Some),
            }
        }
    }

    /// Waits for the child's file, the thread with it where it has to.
    #[cfg(target_os = "linux")]
    fn writing(&mut self, thread: &JsThread, handle: &DumpHandle) -> Result<DumpSummary> {
        let deadline = self.deadline;
        settle::note(thread, handle);
        while let Some(Short { hold, .. }) = self.short
            && deadline.is_none_or(|at| Instant::now() < at)
        {
            if let Some(result) = handle.wait(LOOK) {
                return result;
            }
            if hold() {
                let theirs = handle.clone();
                match self.call(thread, HOLD_PATIENCE, &Progress::default(), move || settle::writing(&theirs, deadline))
                {
                    Ok(Some(result)) => return result,
                    Ok(None) => {}
                    Err(_) => break, // the thread has gone; its copy is still worth having
                }
            }
        }
        settle::writing(handle, deadline)
    }

    #[cfg(not(target_os = "linux"))]
    fn by_fork(&mut self, _: &JsThread, _: &DumpPlan, _: Duration) -> Result<Option<DumpSummary>> {
        Err(Error::new(Code::Unavailable, fork_unavailable().unwrap_or_default()))
    }

    /// Has `work` done on the thread; `None` when it was too busy to begin.
    fn call<T: Send + 'static>(
        &mut self,
        thread: &JsThread,
        patience: Duration,
        progress: &Progress,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let left = self.deadline.map_or(patience, |at| at.saturating_duration_since(Instant::now()));
        let timed = move || {
            let start = Instant::now();
            (work(), start.elapsed())
        };
        match thread.call(patience.min(left), progress, timed) {
            Called::Returned(returned) => {
                let (value, pause) = returned?;
                self.pause += pause;
                Ok(Some(value))
            }
            Called::Late if progress.is_cancelled() => progress.check().map(|()| None),
            Called::Late if left <= patience => Err(timeout()),
            Called::Late => Ok(None),
            Called::Gone => {
                let message = format!("thread {} ended before it was dumped", thread.thread_id);
                Err(Error::new(Code::Aborted, message))
            }
        }
    }

    fn dumped(&self, summary: DumpSummary, fallback_reason: Option<String>) -> Dumped {
        Dumped {
            summary,
            fallback_reason,
            pause: self.pause,
            duration: self.started.elapsed(),
            attempts: self.attempts,
        }
    }
}
