//! A capture to a file where no JavaScript may run: inside V8's interrupts and near-heap-limit callbacks.
//!
//! [`dump_by_fork`] returns as soon as the child is forked, with a handle to wait on; [`dump_inline`] returns when the file is complete.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use super::{ForkOptions, PreparedFork};
use super::{Pipeline, Summary, Target, TargetOptions, Walk, Writing};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
    service,
    snapshot::Redaction,
    v8::TakeOptions,
};

/// What to write, and where to.
#[derive(Clone, Debug)]
pub struct DumpRequest {
    /// The final name.
    pub file: PathBuf,
    /// How it may appear.
    pub target: TargetOptions,
    /// gzip.
    pub compress: bool,
    /// What V8 shows.
    pub take: TakeOptions,
    /// Fork even where memory looks too short for it (mode `'fork'`, as opposed to `'auto'`).
    pub ignore_memory: bool,
    /// The dump is taken because memory comes to its end: a walk inline then ends sooner than it would have to, so that nothing ends the process.
    pub memory_is_short: bool,
    /// What of it must not reach the file.
    pub redaction: Option<Redaction>,
    /// Object ids that match those of the process's other comparable files. Without it, an inline dump releases them afterwards.
    pub comparable_ids: bool,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Who hears how far it is, and may call it off.
    pub progress: Progress,
}

/// A finished dump.
#[derive(Clone, Debug)]
pub struct DumpSummary {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub file_bytes: u64,
    /// What is in it.
    pub summary: Summary,
    /// By fork, else inline.
    pub forked: bool,
    /// How long JavaScript stood still.
    pub pause: Duration,
    /// From the request to the complete file.
    pub duration: Duration,
}

/// A dump that is being written. Dropped, it goes on; the process may end before it.
#[derive(Clone, Debug)]
pub struct DumpHandle {
    state: Arc<State>,
    progress: Progress,
}

#[derive(Debug, Default)]
struct State {
    result: Mutex<Option<Result<DumpSummary>>>,
    changed: Condvar,
}

/// Forks a child that walks this thread's heap, and writes what it sends on a thread of its own, which calls `done` at the end.
///
/// Waits up to `spin` (50 ms are enough for nearly all) for a moment in which V8's helper threads are idle; without one it forks all the
/// same: then the child hangs in some cases of a hundred, which ends with [`Code::ForkFailed`] about a second later. That is the code
/// after which another try makes sense.
#[cfg(target_os = "linux")]
pub fn dump_by_fork(
    prepared: &PreparedFork,
    request: &DumpRequest,
    spin: Duration,
    done: impl FnOnce(&Result<DumpSummary>) + Send + 'static,
) -> Result<DumpHandle> {
    let start = Instant::now();
    let target = Target::create(&request.file, request.target.clone())?;
    prepared.is_quiet_within(spin);
    let DumpRequest { compress, take, redaction, comparable_ids, ignore_memory, deadline, .. } = *request;
    let forked = prepared.fork(ForkOptions { take, comparable_ids, ignore_memory, deadline })?;
    let pause = start.elapsed();
    let handle = DumpHandle { state: Arc::default(), progress: request.progress.clone() };
    let theirs = handle.clone();
    service::spawn_thread("write", move || {
        let result = caught(|| {
            let writing = Writing::from_child(forked.text, compress, deadline).redacted(redaction).marked();
            let written = write_file(writing, target, &theirs.progress)?;
            Ok(written.into_dump(true, pause, start))
        });
        let _ = catch_unwind(AssertUnwindSafe(|| done(&result)));
        theirs.state.set(result);
    })?;
    Ok(handle)
}

/// Walks this thread's heap in this call, and returns when the file is complete. `release_object_ids` gives allocation its speed back.
pub fn dump_inline(request: &DumpRequest, release_object_ids: bool) -> Result<DumpSummary> {
    let start = Instant::now();
    let DumpRequest { compress, take: options, redaction, deadline, memory_is_short, .. } = *request;
    let target = Target::create(&request.file, request.target.clone())?;
    let (pipeline, writing) = Pipeline::new(compress, deadline);
    let (sender, receiver) = mpsc::channel();
    let progress = request.progress.clone();
    service::spawn_thread("write", move || {
        // Refused only when the caller has gone, which it does not before it has the result.
        let _ = sender.send(caught(|| write_file(writing.redacted(redaction).marked(), target, &progress)));
    })?;
    let pause = OnceLock::new();
    Walk { options, deadline, release_object_ids, memory_is_short, progress: request.progress.clone() }
        .run(pipeline, &pause);
    let lost = || Err(Error::new(Code::Internal, "the writing thread ended without a result"));
    let written = receiver.recv().unwrap_or_else(|_| lost())?;
    Ok(written.into_dump(false, pause.into_inner().unwrap_or_default(), start))
}

impl DumpHandle {
    /// Waits until it is finished or has failed; `None` when that takes longer than `limit`.
    pub fn wait(&self, limit: Duration) -> Option<Result<DumpSummary>> {
        let result = self.state.result.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.state.changed.wait_timeout_while(result, limit, |result| result.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Ends it within about 50 ms, with [`Code::Aborted`]; nothing half-written stays.
    pub fn cancel(&self) {
        self.progress.cancel();
    }
}

impl State {
    fn set(&self, result: Result<DumpSummary>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.changed.notify_all();
    }
}

/// A complete file.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name.
    pub file: PathBuf,
    /// Its size.
    pub file_bytes: u64,
    /// What is in it.
    pub summary: Summary,
}

impl Written {
    fn into_dump(self, forked: bool, pause: Duration, start: Instant) -> DumpSummary {
        let Written { file, file_bytes, summary } = self;
        DumpSummary { file, file_bytes, summary, forked, pause, duration: start.elapsed() }
    }
}

/// Writes all that comes to the target and gives it its name. An error names the file.
pub fn write_file(writing: Writing, target: Target, progress: &Progress) -> Result<Written> {
    let file = target.path().to_path_buf();
    let written = writing.run(target, progress).and_then(|(target, summary)| Ok((target.commit()?, summary)));
    match written {
        Ok((file_bytes, summary)) => Ok(Written { file, file_bytes, summary }),
        Err(e) => Err(e.with_file(file)),
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "heaprs failed while it wrote a dump; please report it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_node_a_dump_fails_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let request = DumpRequest {
            file: directory.path().join("a.heapsnapshot"),
            target: TargetOptions::default(),
            compress: false,
            take: TakeOptions::default(),
            ignore_memory: false,
            memory_is_short: false,
            redaction: None,
            comparable_ids: false,
            deadline: None,
            progress: Progress::default(),
        };
        assert_eq!(dump_inline(&request, true).unwrap_err().code, Code::Unavailable);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let handle = DumpHandle { state: Arc::default(), progress: Progress::default() };
        assert!(handle.wait(Duration::from_millis(1)).is_none());
        handle.state.set(Err(Error::new(Code::ForkFailed, "x")));
        assert_eq!(handle.wait(Duration::ZERO).unwrap().unwrap_err().code, Code::ForkFailed);
    }
}
