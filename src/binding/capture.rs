//! Snapshots of the calling isolate: to a file, to memory; and what they leave behind.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};

use napi::{
    Env,
    bindgen_prelude::{Buffer, Object},
};
use napi_derive::napi;

use super::{
    guard::{catch, guard},
    redact::redaction,
    task::{self, Task},
    turn::Turn,
};
use crate::{
    capture::{
        self, ChunkStore, Pipeline, StoredChunks, Summary, Target, TargetOptions, Walk, Writing, fork_unavailable,
        write_file,
    },
    error::{Code, Error, Result},
    progress::Progress,
    service,
    snapshot::Redaction,
    v8::{self, Feature, Isolate, TakeOptions},
};

/// What to capture and where to; `lib/capture.js` has checked and completed it.
#[napi(object, object_to_js = false)]
pub struct CaptureRequest {
    pub file: String,
    pub overwrite: bool,
    pub compress: bool,
    pub min_free_disk: f64,
    pub timeout_ms: Option<f64>,
    pub expose_internals: bool,
    pub expose_numeric_values: bool,
    /// Contents of strings stay out of the file: "contents", with keys of dictionaries: "names".
    pub redact: Option<String>,
    /// Forget the object ids afterwards.
    pub release_object_ids: bool,
    /// A fork was refused for lack of memory: the walk ends before it could take too much of it.
    pub memory_is_short: Option<bool>,
    /// A file that `node:v8` has written instead, where V8's symbols can't be used; it is removed in any case.
    pub written_by_v8: Option<String>,
}

/// What became of it. Bytes and milliseconds.
#[napi(object, object_from_js = false)]
pub struct CaptureSummary {
    pub file_bytes: f64,
    pub snapshot_bytes: f64,
    pub nodes: f64,
    pub edges: f64,
    pub pause_ms: f64,
    /// Of the child, in a capture by fork.
    pub child_cpu_ms: Option<f64>,
    /// See `childCpuMs`.
    pub child_peak_bytes: Option<f64>,
}

/// Why a feature can't be used here; a feature that can has no entry.
#[napi(object, object_from_js = false)]
pub struct UnavailableFeatures {
    pub snapshot: Option<String>,
    pub release_object_ids: Option<String>,
    pub gc_events: Option<String>,
    pub full_gc: Option<String>,
    pub fork: Option<String>,
}

/// Looks up V8's symbols (once a process) and tells which features lack them.
#[napi]
pub fn unavailable_features(env: Env) -> napi::Result<UnavailableFeatures> {
    guard(env, "unavailableFeatures", || {
        Ok(UnavailableFeatures {
            snapshot: v8::unavailable(Feature::Snapshot),
            release_object_ids: v8::unavailable(Feature::ReleaseObjectIds),
            gc_events: v8::unavailable(Feature::GcEvents),
            full_gc: v8::unavailable(Feature::FullGc),
            fork: fork_unavailable(),
        })
    })
}

/// The number in the next file name, counted over all threads of the process.
#[napi]
pub fn next_sequence(env: Env) -> napi::Result<u32> {
    guard(env, "nextSequence", || Ok(capture::next_sequence()))
}

/// Takes a snapshot and writes it, all in this call.
#[napi]
pub fn write_heap_snapshot(env: Env, request: CaptureRequest) -> napi::Result<CaptureSummary> {
    guard(env, "writeHeapSnapshot", || {
        let job = Job::new(request)?;
        let (pipeline, writing) = job.pipeline()?;
        let Job { target, source, walk, .. } = job;
        let written = on_writer_thread(move || finish_file(writing, target, source, &Progress::default()))?;
        let pause = walk_into(pipeline, &walk);
        let (file_bytes, summary) = written()?;
        Ok(capture_summary(file_bytes, summary, pause))
    })
}

/// Takes a snapshot in this call, and promises the written file; null while another capture of this isolate is under way.
#[napi(ts_return_type = "Promise<CaptureSummary> | null")]
pub fn capture_heap_snapshot<'env>(
    env: &'env Env,
    request: CaptureRequest,
    task: &Task,
) -> napi::Result<Option<Object<'env>>> {
    let begun = guard(*env, "captureHeapSnapshot", || {
        let job = Job::new(request)?;
        let (pipeline, writing) = job.pipeline()?;
        Ok(Turn::try_take().map(|turn| (turn, job, pipeline, writing.marked())))
    })?;
    let Some((turn, Job { target, source, walk, .. }, pipeline, writing)) = begun else { return Ok(None) };
    let pause = Arc::new(OnceLock::new());
    let told = pause.clone();
    let promise = task::run(env, "captureHeapSnapshot.start", task, move |progress| {
        let _turn = turn;
        let (file_bytes, summary) = finish_file(writing, target, source, progress)?;
        Ok(capture_summary(file_bytes, summary, told.get().copied().unwrap_or_default()))
    })?;
    walk_recording(pipeline, &walk, &pause);
    Ok(Some(promise))
}

/// The text of a snapshot, compressed in memory (about a fifth of it) until it is read.
#[napi]
pub struct SnapshotText {
    chunks: StoredChunks,
}

#[napi]
impl SnapshotText {
    /// The next at most 128 KB, or null at the end.
    #[napi]
    pub fn next(&mut self, env: Env) -> napi::Result<Option<Buffer>> {
        guard(env, "SnapshotText.next", || Ok(self.chunks.next_chunk()?.map(Buffer::from)))
    }
}

/// Takes a snapshot, all in this call, and keeps its text.
#[napi]
pub fn heap_snapshot_text(env: Env, expose_internals: bool, expose_numeric_values: bool) -> napi::Result<SnapshotText> {
    guard(env, "heapSnapshotText", || {
        Ok(SnapshotText { chunks: take_text(TakeOptions { expose_internals, expose_numeric_values })? })
    })
}

/// A snapshot's text, all of it, compressed in memory.
pub(super) fn take_text(options: TakeOptions) -> Result<StoredChunks> {
    let walk = Walk {
        options,
        deadline: None,
        release_object_ids: false,
        memory_is_short: false,
        progress: Progress::default(),
    };
    let (pipeline, writing) = Pipeline::new(false, None);
    let stored = on_writer_thread(move || {
        let (store, _) = writing.run(ChunkStore::default(), &Progress::default())?;
        store.finish()
    })?;
    walk_into(Some(pipeline), &walk);
    stored()
}

/// Gives the process back the speed that snapshots have taken from it.
#[napi]
pub fn release_object_ids(env: Env) -> napi::Result<()> {
    guard(env, "releaseObjectIds", || Isolate::current(Feature::ReleaseObjectIds)?.clear_object_ids())
}

/// A request that has passed all checks which need no snapshot.
pub(super) struct Job {
    pub(super) target: Target,
    source: Option<tempfile::TempPath>,
    pub(super) compress: bool,
    pub(super) redaction: Option<Redaction>,
    pub(super) walk: Walk,
}

impl Job {
    pub(super) fn new(request: CaptureRequest) -> Result<Self> {
        let source = request.written_by_v8.map(|path| tempfile::TempPath::try_from_path(PathBuf::from(path)));
        let source = source.transpose().map_err(|e| Error::io(&e, "use the file V8 wrote", &request.file))?;
        let options =
            TargetOptions { overwrite: request.overwrite, min_free_disk: request.min_free_disk.max(0.0) as u64 };
        Ok(Job {
            target: Target::create(Path::new(&request.file), options)?,
            source,
            compress: request.compress,
            redaction: redaction(request.redact.as_deref(), request.expose_numeric_values)?,
            walk: Walk {
                options: TakeOptions {
                    expose_internals: request.expose_internals,
                    expose_numeric_values: request.expose_numeric_values,
                },
                deadline: request
                    .timeout_ms
                    .and_then(|ms| Instant::now().checked_add(Duration::from_secs_f64(ms.clamp(0.0, 1e12) / 1000.0))),
                memory_is_short: request.memory_is_short.unwrap_or(false),
                release_object_ids: request.release_object_ids,
                progress: Progress::default(),
            },
        })
    }

    /// Where V8 writes to, unless it has written already, and where that comes out.
    fn pipeline(&self) -> Result<(Option<Pipeline>, Writing)> {
        let compress = self.compress;
        match &self.source {
            None => {
                v8::unavailable(Feature::Snapshot).map_or(Ok(()), |why| Err(Error::new(Code::Unavailable, why)))?;
                let (pipeline, writing) = Pipeline::new(compress, self.walk.deadline);
                Ok((Some(pipeline), writing.redacted(self.redaction)))
            }
            Some(path) => {
                let file = File::open(path).map_err(|e| Error::io(&e, "read the snapshot that V8 wrote", path))?;
                Ok((None, Writing::from_file(file, compress, self.walk.deadline).redacted(self.redaction)))
            }
        }
    }
}

/// Takes the snapshot and feeds the pipeline; whatever goes wrong here becomes the writer's error. Returns how long it
/// took, which is how long JavaScript stood still.
fn walk_into(pipeline: Option<Pipeline>, walk: &Walk) -> Duration {
    let pause = OnceLock::new();
    walk_recording(pipeline, walk, &pause);
    pause.into_inner().unwrap_or_default()
}

/// The same; `pause` is set before the writer hears of the end.
fn walk_recording(pipeline: Option<Pipeline>, walk: &Walk, pause: &OnceLock<Duration>) {
    let Some(mut pipeline) = pipeline else { return };
    let start = Instant::now();
    let result = catch("the heap walk", || walk.feed(&mut pipeline));
    let _ = pause.set(start.elapsed());
    pipeline.finish(result);
}

pub(super) fn finish_file(
    writing: Writing,
    target: Target,
    source: Option<tempfile::TempPath>,
    progress: &Progress,
) -> Result<(u64, Summary)> {
    let written = write_file(writing, target, progress);
    drop(source);
    written.map(|written| (written.file_bytes, written.summary))
}

/// Runs `work` on a thread of its own; the returned function waits for its result.
fn on_writer_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<impl FnOnce() -> Result<T>> {
    let (sender, receiver) = mpsc::channel();
    service::spawn_thread("write", move || {
        // Refused only when the caller has gone, and then nobody wants the result.
        let _ = sender.send(catch("write thread", work));
    })?;
    Ok(move || {
        receiver.recv().unwrap_or_else(|_| Err(Error::new(Code::Internal, "the writing thread ended without a result")))
    })
}

pub(super) fn capture_summary(file_bytes: u64, summary: Summary, pause: Duration) -> CaptureSummary {
    CaptureSummary {
        file_bytes: file_bytes as f64,
        snapshot_bytes: summary.snapshot_bytes as f64,
        nodes: summary.nodes as f64,
        edges: summary.edges as f64,
        pause_ms: pause.as_secs_f64() * 1000.0,
        child_cpu_ms: (summary.child_peak > 0).then_some(summary.child_cpu.as_secs_f64() * 1000.0),
        child_peak_bytes: (summary.child_peak > 0).then_some(summary.child_peak as f64),
    }
}
