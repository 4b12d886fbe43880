//! Watches a forked child from heaprs's background thread: a child that hangs is ended, so that another can be tried.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    capture::memory,
    error::{Code, Error, Result},
    os::{self, Child, ChildEnd, ChildState, MemoryRoom},
    service::{self, Lease},
};

/// One child under watch.
#[derive(Debug)]
pub(super) struct Supervision {
    shared: Arc<Shared>,
    /// Keeps the background thread. Given back on the reader's thread, never on the background thread itself.
    lease: Lease,
}

#[derive(Debug, Default)]
struct Shared {
    child: Mutex<Option<Child>>,
    pid: AtomicU64,
    /// The reader has nothing to read: a child that does nothing either is no slow disk's victim.
    reader_waits: AtomicBool,
    verdict: OnceLock<Error>,
    narrowest: Mutex<Option<MemoryRoom>>,
    cpu: AtomicU64,
    resident: AtomicU64,
}

/// How often the child is looked at, where nothing tells of memory.
const LOOK: Duration = Duration::from_millis(100);

/// A child that has waited for something for this long, without using the CPU, while its reader waited for it, hangs: there is nothing
/// that a child could wait for.
const HUNG_AFTER: Duration = Duration::from_millis(800);

const HUNG: &str = "the child process that walked the heap hung: it was forked at an unlucky moment";

static REFUSED: OnceLock<String> = OnceLock::new();

/// Why this system refuses to fork, when it once has for a reason that stays.
pub(super) fn refused() -> Option<&'static str> {
    REFUSED.get().map(String::as_str)
}

/// A filter of system calls stays; a limit of processes or memory may pass.
pub(super) fn remember_refusal(error: &io::Error) {
    if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EACCES)) {
        let _ = REFUSED.set(error.to_string());
    }
}

impl Supervision {
    /// Makes sure that there is somebody to watch, before there is somebody to be watched. `room` is what memory there is now.
    pub(super) fn prepare(room: Option<MemoryRoom>) -> Result<Self> {
        let shared = Shared { narrowest: Mutex::new(room), ..Shared::default() };
        Ok(Supervision { shared: Arc::new(shared), lease: service::lease()? })
    }

    pub(super) fn watch(&self, child: Child) {
        self.shared.pid.store(child.pid().into(), Ordering::Relaxed);
        *self.shared.lock() = Some(child);
        let shared = self.shared.clone();
        drop(self.lease.handle().spawn(async move {
            let mut seen = Seen::default();
            while let Some(pause) = shared.look(&mut seen) {
                tokio::time::sleep(pause).await;
            }
        }));
    }

    pub(super) fn pid(&self) -> u32 {
        u32::try_from(self.shared.pid.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(super) fn usage(&self) -> (Duration, u64) {
        let cpu = Duration::from_nanos(self.shared.cpu.load(Ordering::Relaxed));
        (cpu, self.shared.resident.load(Ordering::Relaxed))
    }

    pub(super) fn reader_waits(&self, waits: bool) {
        self.shared.reader_waits.store(waits, Ordering::Relaxed);
    }

    /// Why the child was ended, when it was.
    pub(super) fn verdict(&self) -> Option<Error> {
        self.shared.verdict.get().cloned()
    }

    /// The least memory there has been for it, as far as it was looked at.
    pub(super) fn narrowest_room(&self) -> Option<MemoryRoom> {
        *self.shared.narrowest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the child's end, and brings it about when it does not come within `patience`.
    pub(super) fn end(&self, patience: Duration) -> ChildEnd {
        // Taken out, so that the watching ends and does not wait for this lock.
        let child = self.shared.lock().take();
        child.map_or(ChildEnd::Unknown, |mut child| {
            self.shared.note(child.state());
            child.reap(patience)
        })
    }
}

/// What the last looks have shown.
#[derive(Debug, Default)]
struct Seen {
    cpu: Duration,
    idle_since: Option<Instant>,
}

impl Seen {
    /// Whether the child hangs, by one more look at it.
    fn hangs(&mut self, state: ChildState, reader_waits: bool, now: Instant) -> bool {
        // Stopped, by whomever, is no better.
        let idle = matches!(state.state, b'S' | b'T' | b'?') && state.cpu == self.cpu && reader_waits;
        self.idle_since = if idle { self.idle_since.or(Some(now)) } else { None };
        self.cpu = state.cpu;
        // Without its state, it may be waiting for its turn on a core.
        let patience = if state.state == b'?' { 10 * HUNG_AFTER } else { HUNG_AFTER };
        self.idle_since.is_some_and(|since| now.duration_since(since) >= patience)
    }
}

impl Shared {
    /// One look; when to look again, or `None` when there is nothing to watch any more.
    fn look(&self, seen: &mut Seen) -> Option<Duration> {
        let mut child = self.lock();
        let child = child.as_mut()?;
        if child.try_reap().is_some() {
            return None;
        }
        let state = child.state();
        self.note(state);
        if state.is_some_and(|state| seen.hangs(state, self.reader_waits.load(Ordering::Relaxed), Instant::now())) {
            self.end_for(child, Error::new(Code::ForkFailed, HUNG));
            return None;
        }
        let room = os::shared_memory_room();
        let mut narrowest = self.narrowest.lock().unwrap_or_else(PoisonError::into_inner);
        *narrowest = (*narrowest).into_iter().chain(room).min_by_key(|room| room.free);
        if let Some(why) = room.and_then(memory::shortage) {
            self.end_for(child, why);
            return None;
        }
        Some(room.map_or(LOOK, memory::look_again_in))
    }

    fn end_for(&self, child: &mut Child, why: Error) {
        let _ = self.verdict.set(why);
        child.kill();
    }

    fn note(&self, state: Option<ChildState>) {
        let Some(ChildState { cpu, resident, .. }) = state else { return };
        self.cpu.store(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.resident.fetch_max(resident, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hangs_when_it_and_its_reader_wait_for_long() {
        let at = |state, ms| ChildState { state, cpu: Duration::from_millis(ms), resident: 0 };
        let looks = |state: u8, step: u64, reader_waits| {
            let mut seen = Seen::default();
            let start = Instant::now();
            (1..=20).any(|n| {
                let now = start + Duration::from_millis(n * 100);
                seen.hangs(at(state, 10 + n * step), reader_waits, now)
            })
        };
        assert!(looks(b'S', 0, true) && looks(b'T', 0, true));
        assert!(!looks(b'?', 0, true), "not yet");
        assert!(!looks(b'R', 0, true), "it waits for its turn on a core");
        assert!(!looks(b'D', 0, true), "it waits for a disk");
        assert!(!looks(b'S', 1, true), "it gets on");
        assert!(!looks(b'S', 0, false), "it waits for its reader");
    }
}
