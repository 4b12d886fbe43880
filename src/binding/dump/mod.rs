//! Dumps that were decided on beforehand: at a signal, near the heap limit, whenever another process asks. Who asked for them ([`Owner`]) is told on its own event loop.
//!
//! The signal's handler only notes it ([`os::catch_signal`]); one thread waits for that, decides, and has the JavaScript threads
//! [dumped](round), one after the other. Near the limit it all happens in V8's [callback](limit); memory outside of V8 is
//! [watched](memory) by a thread of its own.

mod limit;
#[cfg(target_os = "linux")]
mod memory;
mod messages;
mod round;
mod settle;
mod socket;
mod threads;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use napi::{CleanupEnvHook, Env, bindgen_prelude::Function};
use napi_derive::napi;

use super::{
    guard::{catch, guard},
    redact::redaction,
};
use crate::{
    capture::{DumpBudget, DumpMode, DumpPlan, TargetOptions},
    error::{Code, Error, Result},
    os::{self, Listener},
    progress::Progress,
    service,
    v8::TakeOptions,
};
use messages::{Cause, DumpMessage, Told, deliver, message};
use round::{Outcome, Short};
use settle::Round;
use threads::{JsThread, Wake};

/// What to do and when; `lib/dump.js` has checked and completed it.
#[napi(object, object_to_js = false)]
pub struct DumpConfig {
    /// The number of a signal; without one, the heap limit or the socket.
    pub signal: Option<i32>,
    /// Where to listen for `heaprs capture`.
    pub socket: Option<String>,
    pub all_threads: bool,
    pub cooldown_ms: f64,
    pub max_dumps: f64,
    pub file: Option<String>,
    pub heapdump_names: bool,
    pub directory: String,
    pub compress: bool,
    pub mode: String,
    pub expose_internals: bool,
    pub expose_numeric_values: bool,
    pub comparable_ids: bool,
    pub redact: Option<String>,
    pub overwrite: bool,
    pub min_free_disk: f64,
    pub timeout_ms: f64,
}

/// One policy of one JavaScript thread.
#[napi]
pub struct DumpWatch {
    owner: Arc<Owner>,
    hook: Option<CleanupEnvHook<Arc<Owner>>>,
}

#[napi]
impl DumpWatch {
    /// Begins; `ready` is called on the event loop when there is something to [`take`](Self::take). It never keeps the process alive.
    #[napi(constructor)]
    pub fn new(env: Env, config: DumpConfig, ready: Function<'_, (), ()>) -> napi::Result<Self> {
        let ready = ready.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
        guard(env, "DumpWatch", || {
            let thread = threads::current()
                .ok_or_else(|| Error::new(Code::Unavailable, "this JavaScript environment is shutting down"))?;
            let owner = Arc::new(Owner::new(config, &thread, ready)?);
            // Before it begins, so that nothing is begun that can't be ended.
            let hook = env
                .add_env_cleanup_hook(owner.clone(), |owner| owner.end())
                .map_err(|_| Error::new(Code::Unavailable, "this JavaScript environment is shutting down"))?;
            match owner.begin() {
                Ok(()) => Ok(DumpWatch { owner, hook: Some(hook) }),
                Err(e) => {
                    owner.end();
                    // Refused only when the environment is going, which then runs the hook on nothing.
                    let _ = env.remove_env_cleanup_hook(hook);
                    Err(e)
                }
            }
        })
    }

    /// What has become of dumps since the last call, oldest first.
    #[napi]
    pub fn take(&self, env: Env) -> napi::Result<Vec<DumpMessage>> {
        guard(env, "DumpWatch.take", || Ok(self.owner.outbox().drain(..).map(message).collect()))
    }

    /// Puts our handler before one that has taken its place.
    #[napi]
    pub fn rearm(&self, env: Env) -> napi::Result<()> {
        guard(env, "DumpWatch.rearm", || self.owner.arm())
    }

    /// Ends it; a signal whose last policy ends gets its earlier handler back.
    #[napi]
    pub fn stop(&mut self, env: Env) -> napi::Result<()> {
        guard(env, "DumpWatch.stop", || {
            self.owner.end();
            if let Some(hook) = self.hook.take() {
                let _ = env.remove_env_cleanup_hook(hook);
            }
            Ok(())
        })
    }
}

/// What sets a policy off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Signal(i32),
    HeapLimit,
    Socket,
}

/// Who has asked for dumps.
struct Owner {
    trigger: Trigger,
    all_threads: bool,
    /// The thread that asked.
    token: usize,
    plan: DumpPlan,
    budget: Mutex<DumpBudget>,
    outbox: Mutex<VecDeque<Told>>,
    ready: Wake,
    /// Of a [`Trigger::Socket`]: where it listens, and with what.
    socket: PathBuf,
    listener: Mutex<Option<Arc<Listener>>>,
}

static OWNERS: Mutex<Vec<Arc<Owner>>> = Mutex::new(Vec::new());

/// Whether the thread that waits for signals runs. Changed under the lock of `OWNERS`.
static WAITING: AtomicBool = AtomicBool::new(false);

fn owners() -> MutexGuard<'static, Vec<Arc<Owner>>> {
    OWNERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    fn new(config: DumpConfig, thread: &JsThread, ready: Wake) -> Result<Self> {
        let mode = match config.mode.as_str() {
            "auto" => DumpMode::Auto,
            "fork" => DumpMode::Fork,
            "inline" => DumpMode::Inline,
            other => return Err(Error::new(Code::InvalidArgument, format!("there is no mode '{other}'"))),
        };
        let duration = |ms: f64| Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or(Duration::MAX);
        Ok(Owner {
            trigger: match (config.signal, &config.socket) {
                (Some(signal), _) => Trigger::Signal(signal),
                (None, Some(_)) => Trigger::Socket,
                (None, None) => Trigger::HeapLimit,
            },
            all_threads: config.all_threads,
            token: thread.token,
            plan: DumpPlan {
                file: config.file.map(PathBuf::from),
                heapdump_names: config.heapdump_names,
                directory: config.directory.into(),
                compress: config.compress,
                mode,
                take: TakeOptions {
                    expose_internals: config.expose_internals,
                    expose_numeric_values: config.expose_numeric_values,
                },
                comparable_ids: config.comparable_ids,
                redaction: redaction(config.redact.as_deref(), config.expose_numeric_values)?,
                target: TargetOptions {
                    overwrite: config.overwrite,
                    min_free_disk: config.min_free_disk.max(0.0) as u64,
                },
                timeout: duration(config.timeout_ms),
                progress: Progress::default(),
            },
            budget: Mutex::new(DumpBudget::new(duration(config.cooldown_ms), config.max_dumps.max(0.0) as u32)),
            outbox: Mutex::default(),
            ready,
            socket: config.socket.map(PathBuf::from).unwrap_or_default(),
            listener: Mutex::default(),
        })
    }

    fn begin(self: &Arc<Self>) -> Result<()> {
        let mut all = owners();
        all.push(self.clone());
        if self.trigger == Trigger::Socket {
            drop(all);
            *self.listener() = Some(socket::listen(self, &self.socket)?);
            return Ok(());
        }
        if self.trigger == Trigger::HeapLimit {
            drop(all);
            limit::hook()?;
            if self.all_threads {
                for thread in threads::all().into_iter().filter(|thread| thread.token != self.token) {
                    // A thread that goes needs no hook; one that can't be hooked has the reasons of this one.
                    thread.ask(Box::new(|| drop(limit::hook())));
                }
            }
            #[cfg(target_os = "linux")]
            memory::watch()?;
            return Ok(());
        }
        self.arm()?;
        if !WAITING.load(Ordering::SeqCst) {
            service::spawn_thread("signals", wait_for_signals)?;
            WAITING.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn arm(&self) -> Result<()> {
        let Trigger::Signal(signal) = self.trigger else { return Ok(()) };
        os::catch_signal(signal).map_err(|e| {
            Error::new(Code::InvalidArgument, format!("a handler for signal {signal} can't be installed: {e}"))
        })
    }

    fn end(&self) {
        let mut all = owners();
        let before = all.len();
        all.retain(|owner| !std::ptr::eq(&raw const **owner, self));
        if all.len() == before {
            return;
        }
        match self.trigger {
            Trigger::Signal(signal) => {
                if !all.iter().any(|owner| owner.trigger == self.trigger) {
                    // It can be refused only for signals that could not be caught either.
                    let _ = os::release_signal(signal);
                }
                if !all.iter().any(|owner| matches!(owner.trigger, Trigger::Signal(_))) {
                    os::end_signal_wait();
                }
            }
            Trigger::Socket => {
                drop(all);
                if let Some(listener) = self.listener().take() {
                    listener.close();
                }
            }
            Trigger::HeapLimit => {
                let wanted = all.iter().any(|o| o.trigger == self.trigger && (o.all_threads || o.token == self.token));
                drop(all);
                #[cfg(target_os = "linux")]
                memory::look_again();
                // On other threads the callback finds nobody to dump for, and goes by itself.
                if !wanted && threads::current().is_none_or(|thread| thread.token == self.token) {
                    limit::unhook();
                }
            }
        }
    }

    fn budget(&self) -> MutexGuard<'_, DumpBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listener(&self) -> MutexGuard<'_, Option<Arc<Listener>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> MutexGuard<'_, VecDeque<Told>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that answers signals, for as long as somebody wants them answered.
fn wait_for_signals() {
    let mut due: Vec<i32> = Vec::new();
    let mut round: Option<Round> = None;
    loop {
        if due.is_empty() {
            drop(round.take());
            let waited = os::wait_for_signals();
            round = Some(Round::begin());
            due = waited.and_then(|()| os::take_signals()).unwrap_or_default();
        }
        if let Some(signal) = due.pop() {
            answer(signal);
            // What came of the same signal meanwhile is answered with it.
            let later = os::take_signals().unwrap_or_default();
            due.extend(later.into_iter().filter(|&other| other != signal));
            due.sort_unstable();
            due.dedup();
        }
        let all = owners();
        if !all.iter().any(|owner| matches!(owner.trigger, Trigger::Signal(_))) {
            WAITING.store(false, Ordering::SeqCst);
            drop(round);
            return;
        }
    }
}

/// How long a thread may keep the next one waiting that could be dumped at once.
const PATIENCE: Duration = Duration::from_secs(5);

fn answer(signal: i32) {
    let now = Instant::now();
    let ready: Vec<Arc<Owner>> = owners()
        .iter()
        .filter(|owner| owner.trigger == Trigger::Signal(signal) && owner.budget().allows(now))
        .cloned()
        .collect();
    let Some(first) = ready.first() else { return };
    for owner in &ready {
        owner.budget().begin();
    }
    let targets = match ready.iter().any(|owner| owner.all_threads) {
        true => threads::all(),
        false => threads::with_token(first.token).into_iter().collect(),
    };
    let targets = targets.into_iter().map(|thread| Target { thread, owners: ready.clone() }).collect();
    dump_all(targets, &Cause { trigger: "signal", reason: None }, None);
    for owner in &ready {
        owner.budget().end(Instant::now());
    }
}

/// A thread that is to be dumped, and for whom; the first one's plan counts.
struct Target {
    thread: Arc<JsThread>,
    owners: Vec<Arc<Owner>>,
}

/// Dumps one after the other and tells their owners; who is busy comes again at the end. Returns whether memory was too short for every one.
fn dump_all(mut targets: VecDeque<Target>, cause: &Cause, short: Option<Short<'_>>) -> bool {
    let mut again = VecDeque::new();
    let mut refused = true;
    while let Some(target) = targets.pop_front() {
        let last = targets.is_empty();
        let patience = if last { Duration::MAX } else { PATIENCE };
        let Target { thread, owners } = &target;
        let outcome = catch("DumpWatch thread", || match owners.first() {
            Some(first) => Ok(round::dump(thread, &first.plan, patience, short)),
            None => Err(Error::new(Code::Internal, "nobody has asked for this thread's dump")),
        });
        match outcome {
            Ok(Outcome::Finished(result)) => {
                refused &= matches!(&result, Err(e) if e.code == Code::MemoryBudget);
                deliver(owners, cause, &result);
            }
            Ok(Outcome::Busy) => again.push_back(target),
            Err(e) => deliver(owners, cause, &Err(e)),
        }
        if last {
            targets.append(&mut again);
        }
    }
    refused
}
