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

use super::{
    super::guard::guard,
    threads::{self, JsThread},
};
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

/// Files that are being written while the app goes on, and the token of the thread whose heap is in each.
static WRITING: Mutex<Vec<(usize, DumpHandle)>> = Mutex::new(Vec::new());

/// For a process that is about to exit: waits up to `limitMs` until dumps that were asked for are finished, then calls off what is not. Without a
/// limit, for a thread that is about to exit: calls off those of its own heap.
#[napi]
pub fn settle_dumps(env: Env, limit_ms: Option<f64>) -> napi::Result<()> {
    guard(env, "settleDumps", || {
        if let Some(limit) = limit_ms {
            let until = Instant::now() + Duration::from_secs_f64(limit.clamp(0.0, 60_000.0) / 1000.0);
            while !idle() && Instant::now() < until {
                threads::serve_current();
                thread::sleep(LOOK);
            }
        }
        let own = threads::current().map(|thread| thread.token);
        let concerned = |token: usize| limit_ms.is_some() || own == Some(token);
        let rest: Vec<_> = handles().extract_if(.., |(token, _)| concerned(*token)).map(|(_, handle)| handle).collect();
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
pub(super) fn note(thread: &JsThread, handle: &DumpHandle) {
    let mut handles = handles();
    handles.retain(|(_, h)| h.wait(Duration::ZERO).is_none());
    handles.push((thread.token, handle.clone()));
}

/// Waits for a file that was [noted](note); over the deadline it is called off.
pub(super) fn writing(handle: &DumpHandle, deadline: Option<Instant>) -> Result<DumpSummary> {
    /// Without a deadline, and beyond one, whose passing the writer notices by itself.
    const LONG: Duration = Duration::from_secs(365 * 24 * 3600);
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
    for (_, handle) in writing {
        handle.wait(until.saturating_duration_since(Instant::now()));
    }
}

fn idle() -> bool {
    let written = handles().iter().all(|(_, handle)| handle.wait(Duration::ZERO).is_some());
    written && !os::signals_waiting() && ROUNDS.load(Ordering::SeqCst) == 0
}

fn handles() -> MutexGuard<'static, Vec<(usize, DumpHandle)>> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}
