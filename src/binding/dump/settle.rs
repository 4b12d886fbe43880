//! What is under way when the process is about to exit: it gets a moment, and what is not finished then leaves nothing behind.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use napi::Env;
use napi_derive::napi;

use super::{super::guard::guard, threads};
use crate::{
    capture::{DumpHandle, DumpSummary, timeout},
    error::Result,
    os,
};

/// How long the cancelled rest is waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often is looked.
const LOOK: Duration = Duration::from_millis(5);

/// Rounds of dumps that are being worked on.
static ROUNDS: AtomicUsize = AtomicUsize::new(0);

/// Files that are being written while the app goes on.
static WRITING: Mutex<Vec<DumpHandle>> = Mutex::new(Vec::new());

/// For a process that is about to exit: waits up to `limitMs` until dumps that were asked for are finished, then calls off what is not.
#[napi]
pub fn settle_dumps(env: Env, limit_ms: f64) -> napi::Result<()> {
    guard(env, "settleDumps", || {
        let until = Instant::now() + Duration::from_secs_f64(limit_ms.clamp(0.0, 60_000.0) / 1000.0);
        while !idle() && Instant::now() < until {
            threads::serve_current();
            thread::sleep(LOOK);
        }
        let rest = std::mem::take(&mut *handles());
        for handle in &rest {
            handle.cancel();
        }
        for handle in &rest {
            handle.wait(FAREWELL);
        }
        Ok(())
    })
}

/// A round, for as long as this lives.
pub(super) struct Round;

impl Round {
    pub(super) fn begin() -> Self {
        ROUNDS.fetch_add(1, Ordering::SeqCst);
        Round
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        ROUNDS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Notes a file that is being written, so that an exit waits for it or calls it off.
pub(super) fn note(handle: &DumpHandle) {
    let mut handles = handles();
    handles.retain(|h| h.wait(Duration::ZERO).is_none());
    handles.push(handle.clone());
}

/// Waits for a file; over the deadline it is called off.
pub(super) fn writing(handle: &DumpHandle, deadline: Option<Instant>) -> Result<DumpSummary> {
    /// Without a deadline, and beyond one, whose passing the writer notices by itself.
    const LONG: Duration = Duration::from_secs(365 * 24 * 3600);
    note(handle);
    let limit = deadline.map_or(LONG, |at| at.saturating_duration_since(Instant::now()) + FAREWELL);
    handle.wait(limit).unwrap_or_else(|| {
        handle.cancel();
        Err(timeout())
    })
}

/// Waits until no file is being written, at most `limit`.
pub(super) fn hold(limit: Duration) {
    let until = Instant::now() + limit;
    let writing = handles().clone();
    for handle in writing {
        handle.wait(until.saturating_duration_since(Instant::now()));
    }
}

fn idle() -> bool {
    let written = handles().iter().all(|handle| handle.wait(Duration::ZERO).is_some());
    written && !os::signals_waiting() && ROUNDS.load(Ordering::SeqCst) == 0
}

fn handles() -> MutexGuard<'static, Vec<DumpHandle>> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}
