//! Dumps that another process asks for, `heaprs capture PID`: a Unix socket, one thread that waits for callers and one for each caller.
//!
//! A line of JSON each way: who we are; what is asked ([`Ask`]); then how far it is, as often as there is news, and at last the result or the error.
//! A caller who hangs up calls the dump off. Nobody but the process's own user and root is listened to, and what is asked counts only
//! within what the process does by itself: it never redacts less, never replaces a file, never takes longer.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cause, Owner, deliver, owners,
    round::{self, Dumped, Outcome},
    settle::Round,
    threads,
};
use crate::{
    binding::{guard::catch, redact::redaction},
    capture::{DumpPlan, timeout},
    error::{Code, Error, Result},
    os::{self, Listener},
    progress::{Progress, Report},
    service,
    snapshot::Redaction,
};

const CAUSE: Cause = Cause { trigger: "request", reason: None };

/// The version of what is said here. It grows when something changes its meaning.
const PROTOCOL: u32 = 1;

/// What a request may take, and how long it may take to come.
const LONGEST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// How long who has been answered may take to hang up.
const FAREWELL: Duration = Duration::from_secs(1);

/// Callers at a time. Dumps are taken one after the other in any case.
const CALLERS: usize = 8;

/// How often the caller is looked at while the dump is being taken.
const LOOK: Duration = Duration::from_millis(50);

/// How folders are called that are made for a socket: so, with process id, `-` and something random.
const FOLDER: &str = "heaprs-";

/// What a caller asks for. What is not given is as the process has been told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ask {
    protocol: u32,
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
    redact: Option<String>,
    timeout_ms: Option<f64>,
}

/// Listens at `path` for `owner`, until the listener is closed.
pub(super) fn listen(owner: &Arc<Owner>, path: &Path) -> Result<Arc<Listener>> {
    if let Some((folder, base)) =
        path.parent().and_then(|folder| Some((folder.file_name()?.to_str()?, folder.parent()?)))
        && folder.starts_with(&format!("{FOLDER}{}-", std::process::id()))
        && let Some(name) = path.file_name().and_then(|name| name.to_str())
    {
        os::remove_dead_listeners(base, FOLDER, name);
    }
    let listener = Listener::bind(path).map(Arc::new).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let message = "another process listens there, or it is something else than a socket; choose another path";
            Error::new(Code::FileExists, message).with_file(path)
        }
        std::io::ErrorKind::InvalidInput => {
            let message = "the path is too long for a socket (about 100 bytes on most systems); choose a shorter one";
            Error::new(Code::InvalidArgument, message).with_file(path)
        }
        _ => Error::io(&e, "listen", path),
    })?;
    os::pin_library();
    let (owner, ours) = (owner.clone(), listener.clone());
    service::spawn_thread("listen", move || wait_for_callers(&owner, &ours))?;
    Ok(listener)
}

fn wait_for_callers(owner: &Arc<Owner>, listener: &Listener) {
    while !listener.is_closed() {
        let waited = catch("DumpWatch listen thread", || {
            match listener.accept() {
                Ok(None) => {}
                Ok(Some(stream)) => receive(owner, stream),
                // Out of descriptors, for example: that may pass.
                Err(_) => thread::sleep(LOOK),
            }
            Ok(())
        });
        if let Err(e) = waited {
            deliver(std::slice::from_ref(owner), &CAUSE, &Err(e));
        }
    }
}

/// A caller's place, while this lives.
struct Place;

/// The places that are taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Place {
    fn take() -> Option<Self> {
        let before = TAKEN.fetch_add(1, Ordering::SeqCst);
        // Dropped where it is one too many.
        let place = Place;
        (before < CALLERS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::SeqCst);
    }
}

fn receive(owner: &Arc<Owner>, stream: UnixStream) {
    let mut caller = Caller(stream);
    let Some(place) = Place::take() else {
        let message = format!("{CALLERS} others are asking this process already; try again later");
        return caller.fail(&Error::new(Code::Unavailable, message));
    };
    let owner = owner.clone();
    // Without a thread the caller is hung up on, and sees that.
    let _ = service::spawn_thread("caller", move || {
        let answered = catch("DumpWatch caller thread", || answer(&owner, &mut caller));
        if let Err(e) = answered {
            caller.fail(&e);
        }
        caller.part();
        drop(place);
    });
}

fn answer(owner: &Arc<Owner>, caller: &mut Caller) -> Result<()> {
    if !os::is_same_user(&caller.0).unwrap_or(false) {
        return Err(Error::new(Code::Permission, "only the user of this process and root may ask it for a snapshot"));
    }
    caller.say(&json!({ "heaprs": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL, "pid": std::process::id() }));
    let Some(line) = caller.line()? else { return Ok(()) };
    let news = Arc::new(Mutex::new(None));
    let told = news.clone();
    let progress =
        Progress::with_listener(move |report| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(report));
    let plan = plan(owner, &line, progress.clone())?;
    let (sender, result) = mpsc::channel();
    let theirs = owner.clone();
    service::spawn_thread("dump", move || {
        let dumped = catch("DumpWatch dump thread", || dump(&theirs, &plan));
        deliver(std::slice::from_ref(&theirs), &CAUSE, &dumped);
        // Refused only when the caller's thread has gone.
        let _ = sender.send(dumped);
    })?;
    loop {
        match result.recv_timeout(LOOK) {
            Ok(dumped) => {
                caller.say(&json!({ "result": result_json(&dumped?) }));
                return Ok(());
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Code::Internal, "the dumping thread ended without a result"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let report = news.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Report { phase, done, total }) = report {
            caller.say(&json!({ "progress": { "phase": phase, "done": done, "total": total } }));
        }
        if os::has_hung_up(&caller.0) {
            progress.cancel();
        }
    }
}

fn dump(owner: &Owner, plan: &DumpPlan) -> Result<Dumped> {
    let _round = Round::begin();
    let thread = threads::with_token(owner.token)
        .ok_or_else(|| Error::new(Code::Aborted, "the thread that was to be dumped has ended"))?;
    match round::dump(&thread, plan, Duration::MAX, None) {
        Outcome::Finished(result) => result,
        Outcome::Busy => Err(timeout()),
    }
}

/// What is asked for, within what the process allows.
fn plan(owner: &Owner, line: &[u8], progress: Progress) -> Result<DumpPlan> {
    let refused = |message: String| Error::new(Code::InvalidArgument, message);
    let ask: Ask = serde_json::from_slice(line).map_err(|e| refused(format!("the request means nothing: {e}")))?;
    if ask.protocol != PROTOCOL {
        return Err(refused(format!(
            "the request is of protocol {}; heaprs in this process speaks {PROTOCOL}",
            ask.protocol
        )));
    }
    if ask.file.is_some() && ask.directory.is_some() {
        return Err(refused("file and directory exclude each other".into()));
    }
    let mut plan = DumpPlan { progress, ..owner.plan.clone() };
    for path in ask.file.iter().chain(&ask.directory) {
        if !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(refused("file and directory must be absolute paths".into()).with_file(path));
        }
    }
    if let Some(directory) = ask.directory {
        plan.directory = directory;
    }
    if let Some(file) = ask.file {
        plan.compress = file.extension().is_some_and(|extension| extension == "gz");
        plan.file = Some(file);
    }
    if let Some(ms) = ask.timeout_ms {
        plan.timeout = plan.timeout.min(Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or(Duration::MAX));
    }
    plan.target.overwrite = false;
    let asked = redaction(ask.redact.as_deref(), plan.take.expose_numeric_values)?;
    // Whatever of this process writes redacted files: no caller gets another one.
    let policies: Vec<_> = owners().iter().map(|owner| owner.plan.redaction).collect();
    plan.redaction = policies.into_iter().chain([owner.plan.redaction, asked]).flatten().reduce(strictest);
    Ok(plan)
}

fn strictest(a: Redaction, b: Redaction) -> Redaction {
    Redaction {
        dictionary_keys: a.dictionary_keys || b.dictionary_keys,
        keep_numbers: a.keep_numbers && b.keep_numbers,
    }
}

fn result_json(dumped: &Dumped) -> Value {
    let milliseconds = |d: Duration| d.as_secs_f64() * 1000.0;
    let Dumped { summary, fallback_reason, pause, duration, attempts } = dumped;
    let mut result = json!({
        "file": summary.file.to_string_lossy(),
        "fileBytes": summary.file_bytes,
        "snapshotBytes": summary.summary.snapshot_bytes,
        "nodes": summary.summary.nodes,
        "edges": summary.summary.edges,
        "mode": if summary.forked { "fork" } else { "inline" },
        "pauseMs": milliseconds(*pause),
        "durationMs": milliseconds(*duration),
        "attempts": attempts,
    });
    if let Some(reason) = fallback_reason {
        result["fallbackReason"] = json!(reason);
    }
    result
}

/// Who has called. One who does not listen is not waited for long.
struct Caller(UnixStream);

impl Caller {
    /// Refused only to somebody who has hung up, which is noticed elsewhere.
    fn say(&mut self, message: &Value) {
        let _ =
            self.0.set_write_timeout(Some(PATIENCE)).and_then(|()| self.0.write_all(format!("{message}\n").as_bytes()));
    }

    fn fail(&mut self, error: &Error) {
        self.say(&json!({ "error": { "code": error.code.as_str(), "message": error.to_string() } }));
    }

    /// Hangs up once the caller has, or after a moment: closed on what nobody has read, the connection would take our last word with it.
    fn part(mut self) {
        let until = Instant::now() + FAREWELL;
        let _ = self.0.shutdown(Shutdown::Write).and_then(|()| self.0.set_read_timeout(Some(FAREWELL)));
        while Instant::now() < until && self.0.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    }

    /// The line that is asked, without its end; `None` when the caller has hung up before it.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let (until, mut line) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let mut piece = [0; 4096];
            let read = self.0.set_read_timeout(Some(left)).and_then(|()| self.0.read(&mut piece));
            match read {
                Ok(0) => return Ok(None),
                Ok(n) => line.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(_) => return Ok(None),
            }
            if let Some(end) = memchr::memchr(b'\n', &line) {
                line.truncate(end);
                return Ok(Some(line));
            }
            if line.len() > LONGEST {
                return Err(Error::new(Code::InvalidArgument, format!("the request is longer than {LONGEST} bytes")));
            }
            if Instant::now() >= until {
                let message = format!("no request came within {} seconds", PATIENCE.as_secs());
                return Err(Error::new(Code::Timeout, message));
            }
        }
    }
}
