//! Long work on threads of its own: a promise outside, progress and cancellation on the way.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use napi::{
    Env, Status,
    bindgen_prelude::{FnArgs, Function, Object, ToNapiValue},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;

use super::guard::{catch, guard, js_error};
use crate::{
    error::{Code, Error, Result},
    os,
    progress::{Progress, Report},
    service,
};

type ProgressArgs = FnArgs<(&'static str, f64, f64)>;
type ProgressFunction = ThreadsafeFunction<ProgressArgs, (), ProgressArgs, Status, false, true>;

/// A piece of work that JavaScript can watch and cancel. One `Task` serves one call.
#[napi]
pub struct Task {
    progress: Progress,
    finished: Arc<Finished>,
    max_memory: Option<u64>,
}

#[napi]
impl Task {
    /// `onProgress(phase, done, total)` is called on the JavaScript thread, at most every 50 ms. `maxMemory` is what an answer may take.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        on_progress: Option<Function<'_, ProgressArgs, ()>>,
        max_memory: Option<f64>,
    ) -> napi::Result<Self> {
        let listener = match on_progress {
            None => None,
            Some(function) => Some(progress_function(&function)?),
        };
        guard(env, "Task", || {
            Ok(Task {
                progress: match listener {
                    None => Progress::default(),
                    Some(function) => Progress::with_listener(move |Report { phase, done, total }| {
                        // Refused only when the environment is going: then nobody listens either.
                        function
                            .call((phase, done as f64, total as f64).into(), ThreadsafeFunctionCallMode::NonBlocking);
                    }),
                },
                finished: Arc::default(),
                max_memory: max_memory.map(|bytes| bytes as u64),
            })
        })
    }

    /// For a process that is about to exit: cancels, and waits up to a second until nothing half-done is left.
    #[napi]
    pub fn abandon(&self, env: Env) -> napi::Result<()> {
        guard(env, "Task.abandon", || {
            self.progress.cancel();
            self.finished.wait(TEARDOWN_LIMIT);
            Ok(())
        })
    }

    /// Asks the work to stop. It rejects with ERR_HEAPRS_ABORTED, usually within a few milliseconds.
    #[napi]
    pub fn cancel(&self, env: Env) -> napi::Result<()> {
        guard(env, "Task.cancel", || {
            self.progress.cancel();
            Ok(())
        })
    }
}

impl Task {
    /// Fails when `bytes`, which an answer is about to take, are more than it may.
    pub(super) fn afford(&self, bytes: u64) -> Result<()> {
        match self.max_memory {
            Some(allowed) if bytes > allowed => {
                let message = format!(
                    "the answer would take about {bytes} bytes of memory, but {allowed} are allowed (maxMemory)"
                );
                Err(Error::new(Code::MemoryBudget, message))
            }
            _ => Ok(()),
        }
    }
}

/// How long an environment that goes waits for its cancelled work, so that nothing half-done outlives the process.
const TEARDOWN_LIMIT: Duration = Duration::from_secs(1);

/// Runs `work` on a thread called `name` and returns the promise of its result.
///
/// One `task` serves one call. The promise keeps the process alive until it settles. When the environment goes first, the
/// work is cancelled and its result dropped. A panic in `work` rejects the promise.
pub(super) fn run<'env, T>(
    env: &'env Env,
    name: &'static str,
    task: &Task,
    work: impl FnOnce(&Progress) -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    guard(*env, name, || Ok(start(env, name, task, work)))?
}

fn start<'env, T>(
    env: &'env Env,
    name: &'static str,
    task: &Task,
    work: impl FnOnce(&Progress) -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred::<T, Box<dyn FnOnce(Env) -> napi::Result<T>>>()?;
    let (progress, finished) = (task.progress.clone(), task.finished.clone());
    let hook = env.add_env_cleanup_hook((progress.clone(), finished.clone()), |(progress, finished)| {
        progress.cancel();
        finished.wait(TEARDOWN_LIMIT);
    })?;
    let hook = OnEnvThread(hook);
    // The thread owns the deferred; when no thread can be had, this side must still be able to reject.
    let deferred = Arc::new(Mutex::new(Some(OnEnvThread((deferred, hook)))));
    let settle = {
        let deferred = deferred.clone();
        move |result: Result<T>| {
            finished.set();
            let taken = deferred.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(OnEnvThread((deferred, hook))) = taken else { return };
            deferred.resolve(Box::new(move |env| {
                let OnEnvThread(hook) = hook;
                env.remove_env_cleanup_hook(hook)?;
                result.map_err(|e| js_error(env, &e))
            }));
        }
    };
    let settle_here = settle.clone();
    let started = service::spawn_thread(name, move || {
        os::give_way();
        settle(catch(&format!("{name} thread"), || work(&progress)));
    });
    if let Err(error) = started {
        settle_here(Err(error));
    }
    Ok(promise)
}

/// Whether a thread is through with its work.
#[derive(Default)]
struct Finished {
    done: Mutex<bool>,
    changed: Condvar,
}

impl Finished {
    fn set(&self) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // Over the limit the thread is left to itself: it touches nothing of the environment.
        let _ = self.changed.wait_timeout_while(done, limit, |done| !*done);
    }
}

/// Moves to another thread only to come back: the content is used on the environment's own thread alone.
struct OnEnvThread<T>(T);

// SAFETY: `run` only unwraps it inside the deferred's resolver, which napi calls on the environment's thread; until then it
// is moved, never touched. `JsDeferred` itself may be used from any thread.
unsafe impl<T> Send for OnEnvThread<T> {}

fn progress_function(function: &Function<'_, ProgressArgs, ()>) -> napi::Result<ProgressFunction> {
    function.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()
}
