//! The JavaScript threads that have loaded heaprs, and how another thread has something done in each: by an interrupt where JavaScript runs, by a
//! call of the event loop where it is idle, whichever comes first.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use napi::{
    Env, Status,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;

use super::{
    super::guard::{catch, guard},
    limit,
};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
    v8::{self, Feature, Interrupts, Isolate},
};

/// Calls a function on the event loop, and never keeps the process alive for it.
pub(super) type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

type Job = Box<dyn FnOnce() + Send>;

/// One thread that runs JavaScript.
pub(super) struct JsThread {
    /// What interrupts are asked for with; never used twice.
    pub(super) token: usize,
    /// What Node.js calls it.
    pub(super) thread_id: u32,
    on: ThreadId,
    interrupts: Option<Interrupts>,
    wake: Wake,
    /// What is to be done there; `None` once the thread goes.
    jobs: Mutex<Option<VecDeque<Job>>>,
}

/// What came of asking a thread.
pub(super) enum Called<T> {
    /// It was done, or panicked.
    Returned(Result<T>),
    /// Not begun within the time, or called off before, and will not be.
    Late,
    /// The thread has ended, or ends.
    Gone,
}

static THREADS: Mutex<Vec<Arc<JsThread>>> = Mutex::new(Vec::new());

/// Makes this thread known, until its environment goes. `wake` has to call `serveThread` on the event loop.
#[napi]
pub fn register_thread(env: Env, thread_id: u32, wake: Function<'_, (), ()>) -> napi::Result<()> {
    let wake = wake.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
    guard(env, "registerThread", || {
        static TOKENS: AtomicUsize = AtomicUsize::new(1);
        if current().is_some() {
            return Ok(());
        }
        v8::on_interrupt(serve_token);
        let isolate = Isolate::current(Feature::Interrupts);
        let thread = Arc::new(JsThread {
            token: TOKENS.fetch_add(1, Ordering::Relaxed),
            thread_id,
            on: thread::current().id(),
            // Where there are no interrupts, threads are asked when they are idle.
            interrupts: isolate.and_then(Isolate::interrupts).ok(),
            wake,
            jobs: Mutex::new(Some(VecDeque::new())),
        });
        env.add_env_cleanup_hook(thread.clone(), |thread| {
            limit::unhook();
            thread.close();
        })
        .map_err(|_| Error::new(Code::Unavailable, "this JavaScript environment is shutting down"))?;
        threads().push(thread);
        limit::hook_new_thread();
        Ok(())
    })
}

/// Does what other threads have asked of this one.
#[napi]
pub fn serve_thread(env: Env) -> napi::Result<()> {
    guard(env, "serveThread", || {
        serve_current();
        Ok(())
    })
}

/// All of them, in the order in which they have loaded heaprs.
pub(super) fn all() -> Vec<Arc<JsThread>> {
    threads().clone()
}

/// The one this is called on.
pub(super) fn current() -> Option<Arc<JsThread>> {
    let us = thread::current().id();
    threads().iter().find(|thread| thread.on == us).cloned()
}

/// The one with that token, unless it has gone.
pub(super) fn with_token(token: usize) -> Option<Arc<JsThread>> {
    threads().iter().find(|thread| thread.token == token).cloned()
}

/// Does what this thread was asked for.
pub(super) fn serve_current() {
    if let Some(thread) = current() {
        thread.serve();
    }
}

fn serve_token(token: usize) {
    let us = thread::current().id();
    if let Some(thread) = with_token(token).filter(|thread| thread.on == us) {
        thread.serve();
    }
}

fn threads() -> MutexGuard<'static, Vec<Arc<JsThread>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often who waits for a thread looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(50);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl JsThread {
    /// Whose heap it is, as [turns](crate::binding::turn) know it.
    pub(super) fn isolate(&self) -> ThreadId {
        self.on
    }

    /// Has `work` done on the thread, between two steps of JavaScript, and waits for it; `work` must not run JavaScript. When it has not begun
    /// after `limit`, or when it is called off, it never will.
    pub(super) fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        progress: &Progress,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Called<T> {
        let state = Arc::new(AtomicU8::new(WAITING));
        let theirs = state.clone();
        let begin =
            |state: &AtomicU8, to| state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        let (sender, receiver) = mpsc::channel();
        let asked = self.ask(Box::new(move || {
            if begin(&theirs, BEGUN) {
                // Refused only when nobody waits any more.
                let _ = sender.send(catch("a job for a thread", || Ok(work())));
            }
        }));
        if !asked {
            return Called::Gone;
        }
        let until = Instant::now().checked_add(limit);
        loop {
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            match receiver.recv_timeout(left.min(LOOK)) {
                Ok(value) => return Called::Returned(value),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Called::Gone,
                Err(mpsc::RecvTimeoutError::Timeout) if left > LOOK && !progress.is_cancelled() => {}
                Err(mpsc::RecvTimeoutError::Timeout) if until.is_none() && !progress.is_cancelled() => {}
                Err(mpsc::RecvTimeoutError::Timeout) if begin(&state, WITHDRAWN) => return Called::Late,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return receiver.recv().map_or(Called::Gone, Called::Returned);
                }
            }
        }
    }

    /// Leaves a job for the thread and makes it look; false when it is going.
    pub(super) fn ask(&self, job: Job) -> bool {
        match &mut *self.jobs() {
            Some(jobs) => jobs.push_back(job),
            None => return false,
        }
        if let Some(interrupts) = &self.interrupts {
            interrupts.request(self.token);
        }
        // Refused only when the environment is going: then the jobs go with it.
        self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        true
    }

    fn serve(&self) {
        loop {
            let job = self.jobs().as_mut().and_then(VecDeque::pop_front);
            let Some(job) = job else { return };
            // No panic may reach V8, whose interrupt this may be; jobs tell of their own.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// From now on nothing is asked of the thread; who waits for it is told.
    fn close(&self) {
        if let Some(interrupts) = &self.interrupts {
            interrupts.close();
        }
        threads().retain(|thread| thread.token != self.token);
        let jobs = self.jobs().take();
        drop(jobs);
    }

    fn jobs(&self) -> MutexGuard<'_, Option<VecDeque<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
