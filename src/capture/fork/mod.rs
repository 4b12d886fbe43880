//! A snapshot without the pause: a forked child walks its copy of the heap, and its text comes through a pipe.
//!
//! [`PreparedFork`] looks at the process beforehand and forks at a quiet moment; what comes out is a [`ForkedHeap`], whose
//! [`text`](ForkedHeap::text) anybody may read: the writing thread ([`Writing::from_child`](super::Writing::from_child)), or a reader that
//! never makes a file of it. No JavaScript runs in any of this, so that it also works inside V8's interrupts and near-heap-limit callbacks.

mod frames;
mod supervise;
mod text;

use std::{
    mem,
    ops::ControlFlow,
    sync::OnceLock,
    time::{Duration, Instant},
};

pub use text::ForkedText;

use crate::{
    capture::memory,
    error::{Code, Error, Result},
    os,
    snapshot::FORK_MARK,
    v8::{self, ChildPlatform, Feature, ForkLock, Isolate, TakeOptions},
};
use frames::{Frame, FrameWriter};
use supervise::Supervision;

/// What the child is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct ForkOptions {
    /// What V8 shows.
    pub take: TakeOptions,
    /// Give every object its id before the fork, in this process: a pause of a tenth of V8's own, and slower allocation until the ids are
    /// released. Without it the file's ids are the child's own and the file is marked so.
    pub comparable_ids: bool,
    /// Fork even where memory looks too short for it. The child is watched, and ended before memory runs out, in any case.
    pub ignore_memory: bool,
    /// When to give up.
    pub deadline: Option<Instant>,
}

/// A process that has been looked at and may be forked.
#[derive(Debug)]
pub struct PreparedFork {
    preparation: os::ForkPreparation,
    room: Option<os::MemoryRoom>,
}

/// A child that walks the heap.
#[derive(Debug)]
pub struct ForkedHeap {
    /// How long this thread was held by the fork.
    pub pause: Duration,
    /// The snapshot's text as it comes. Dropped, it ends the child.
    pub text: ForkedText,
}

/// What was found out about the process may be this old at the fork.
const FRESH: Duration = Duration::from_millis(500);

/// How long the child may live when nobody has said.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The child gives way to the app where both want the same core.
const NICE: i32 = 5;

/// Progress is told at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Why snapshots can't be taken by fork in this process, or `None` when they can.
pub fn fork_unavailable() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        return Some("captures by fork are only tried on x86-64 Linux with glibc so far".into());
    }
    v8::unavailable(Feature::Snapshot)
        .or_else(|| ChildPlatform::find().err().map(str::to_owned))
        .or_else(|| supervise::refused().map(|why| format!("this system refuses to fork: {why}")))
}

impl PreparedFork {
    /// Looks at the process; takes 3 ms for a small one and 20 ms for each GB resident. On any thread, best not JavaScript's.
    pub fn new() -> Result<Self> {
        if let Some(why) = fork_unavailable() {
            return Err(Error::new(Code::Unavailable, why));
        }
        let preparation = os::ForkPreparation::new().map_err(|e| {
            Error::new(Code::Unavailable, format!("could not read /proc/self, which a fork needs: {e}"))
        })?;
        workers(); // while there is time
        Ok(PreparedFork { preparation, room: os::memory_room() })
    }

    /// Whether it is too long ago.
    pub fn is_stale(&self) -> bool {
        self.preparation.age() > FRESH
    }

    /// Whether V8's helper threads wait for work just now, which is when a fork is safe; asks again for `spin` before it says no. A child
    /// forked while they mark the heap hangs in a few cases of a hundred.
    pub fn is_quiet_within(&self, spin: Duration) -> bool {
        let Some(workers) = workers() else { return true };
        let start = Instant::now();
        loop {
            if workers.all_wait() {
                return true;
            }
            if start.elapsed() >= spin {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Forks, now, on the thread of the isolate whose heap is wanted. In the child this does not return.
    ///
    /// Fails with [`Code::Unavailable`] when the system refuses, with [`Code::MemoryBudget`] when memory looks too short.
    pub fn fork(&self, options: ForkOptions) -> Result<ForkedHeap> {
        let unavailable = |why: &str| Error::new(Code::Unavailable, why);
        let isolate = Isolate::current(Feature::Snapshot)?;
        let platform = ChildPlatform::find().map_err(unavailable)?;
        let memory = memory::plan(isolate.estimate_heap().ok(), self.room, options.ignore_memory)?;
        // Its address space a child has for itself.
        let supervision = Supervision::prepare(self.room.filter(|room| !room.is_address_space()))?;
        let now = Instant::now();
        let lifetime = options.deadline.map_or(LIFETIME, |at| at.saturating_duration_since(now));
        if options.comparable_ids {
            isolate.track_object_ids()?;
        }
        // What came before may have taken a moment.
        self.is_quiet_within(Duration::from_millis(1));
        let limits = os::ChildLimits { lifetime, nice: NICE, memory };
        let lock = ForkLock::take();
        let forked = os::fork(&self.preparation, limits, |pipe| {
            platform.enter();
            lock.release_in_child();
            let mut frames = FrameWriter::new(pipe);
            let walked = walk(isolate, options, &mut frames);
            frames.finish(walked)
        });
        lock.release();
        let pause = now.elapsed();
        let forked = forked.map_err(|e| {
            supervise::remember_refusal(&e);
            unavailable(&format!("a child process could not be forked: {e}"))
        })?;
        Ok(ForkedHeap { pause, text: ForkedText::new(forked, supervision, options.deadline) })
    }
}

/// The worker threads of Node's platform, which live as long as the process.
fn workers() -> Option<&'static os::WorkerThreads> {
    static WORKERS: OnceLock<Option<os::WorkerThreads>> = OnceLock::new();
    WORKERS.get_or_init(|| os::WorkerThreads::find(ChildPlatform::pool_size())).as_ref()
}

/// In the child: V8's text, frame by frame.
fn walk(isolate: Isolate, options: ForkOptions, frames: &mut FrameWriter<'_>) -> Result<()> {
    // Where it can't be lifted, a walk near the limit ends the child.
    let _ = isolate.lift_heap_limit();
    let mut told = Instant::now();
    let snapshot = isolate.take_heap_snapshot(options.take, &mut |done, total| {
        if told.elapsed() < PROGRESS_INTERVAL {
            return ControlFlow::Continue(());
        }
        told = Instant::now();
        frames.write(&Frame::Progress { done, total })
    })?;
    let mut head = !options.comparable_ids;
    let result = snapshot.serialize(&mut |text| {
        let text = match text.strip_prefix(HEAD) {
            Some(rest) if mem::take(&mut head) => {
                frames.write(&Frame::Text(HEAD))?;
                frames.write(&Frame::Text(FORK_MARK.as_bytes()))?;
                frames.write(&Frame::Text(b","))?;
                rest
            }
            _ => text,
        };
        frames.write(&Frame::Text(text))
    });
    // The process ends in a moment, and the memory with it.
    mem::forget(snapshot);
    result
}

/// How V8 begins; the mark of a fork's file goes behind it.
const HEAD: &[u8] = br#"{"snapshot":{"#;
