//! The heap walk in this process: V8's text into a pipeline, while JavaScript stands still.

use std::{
    cell::Cell,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use super::memory;
use super::{Pipeline, timeout};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
    v8::{Feature, Isolate, TakeOptions},
};

/// The part of a capture that runs on V8's thread.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What V8 shows.
    pub options: TakeOptions,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Whether to forget the object ids afterwards.
    pub release_object_ids: bool,
    /// Whether the walk has to leave room for the most that V8 may take in one step, rather than for what it takes of nearly all heaps.
    pub memory_is_short: bool,
    /// What calls it off.
    pub progress: Progress,
}

thread_local! {
    static WALKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether V8 walks this thread's heap further up the stack.
pub fn is_walking() -> bool {
    WALKING.get()
}

/// For as long as this lives, it does.
struct Walking;

impl Walking {
    fn begin() -> Self {
        WALKING.set(true);
        Walking
    }
}

impl Drop for Walking {
    fn drop(&mut self) {
        WALKING.set(false);
    }
}

impl Walk {
    /// Takes the snapshot and feeds the pipeline; whatever goes wrong here becomes the writer's error. `pause` is set to how long it
    /// took, which is how long JavaScript stood still, before the writer hears of the end.
    pub fn run(&self, mut pipeline: Pipeline, pause: &OnceLock<Duration>) {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| self.feed(&mut pipeline)))
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "heaprs failed in the heap walk; please report it")));
        let _ = pause.set(start.elapsed());
        pipeline.finish(result);
    }

    /// The walk alone.
    pub fn feed(&self, pipeline: &mut Pipeline) -> Result<()> {
        let isolate = Isolate::current(Feature::Snapshot)?;
        let _walking = Walking::begin();
        let late = || self.deadline.is_some_and(|d| Instant::now() >= d);
        let go_on =
            || if late() || self.progress.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        #[cfg(target_os = "linux")]
        let (mut watch, mut shortage) = (memory::Watch::new(isolate.estimate_heap().ok(), self.memory_is_short), None);
        let snapshot = isolate.take_heap_snapshot(
            self.options,
            &mut |_, #[cfg_attr(not(target_os = "linux"), allow(unused_variables))] nodes| {
                #[cfg(target_os = "linux")]
                if let Some(why) = watch.shortage(nodes) {
                    shortage = Some(why);
                    return ControlFlow::Break(());
                }
                go_on()
            },
        );
        #[cfg(target_os = "linux")]
        let snapshot = shortage.map_or(snapshot, Err);
        let result = snapshot.and_then(|snapshot| {
            snapshot.serialize(&mut |text| {
                go_on()?;
                pipeline.write(text)
            })
        });
        if self.release_object_ids {
            // Where V8 has no such call, the ids stay; the snapshot is none the worse.
            let _ = isolate.clear_object_ids();
        }
        match result {
            Err(e) if e.code == Code::Aborted && late() => Err(timeout()),
            other => other,
        }
    }
}
