//! One capture of an isolate at a time, whoever asks for it: JavaScript, a policy, another process. [`Turn`] is the right to take one.
//!
//! JavaScript's own thread never waits here for more than it can serve meanwhile: what another thread does with the turn it may need
//! this one for.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use napi::Env;
use napi_derive::napi;

use super::guard::guard;

/// The right to capture one isolate, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// Isolates stay on their threads.
    isolate: ThreadId,
}

static TAKEN: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    /// The turn of the isolate on this thread; `None` while another capture of it has it.
    pub(super) fn try_take() -> Option<Self> {
        Self::wait(thread::current().id(), Duration::ZERO)
    }

    /// The turn of the isolate on that thread, waited for.
    pub(super) fn wait(isolate: ThreadId, limit: Duration) -> Option<Self> {
        let mut taken = free(isolate, limit);
        if taken.contains(&isolate) {
            return None;
        }
        taken.push(isolate);
        Some(Turn { isolate })
    }

    /// Waits until nobody has the turn of that isolate, without taking it.
    pub(super) fn wait_until_free(isolate: ThreadId, limit: Duration) {
        drop(free(isolate, limit));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        taken().retain(|isolate| *isolate != self.isolate);
        GIVEN_BACK.notify_all();
    }
}

/// The list, without `isolate` or after `limit`.
fn free(isolate: ThreadId, limit: Duration) -> MutexGuard<'static, Vec<ThreadId>> {
    let waited = GIVEN_BACK.wait_timeout_while(taken(), limit, |taken| taken.contains(&isolate));
    waited.unwrap_or_else(PoisonError::into_inner).0
}

fn taken() -> MutexGuard<'static, Vec<ThreadId>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a capture of this isolate is under way, one of a policy's among them.
#[napi]
pub fn is_capturing(env: Env) -> napi::Result<bool> {
    guard(env, "isCapturing", || Ok(taken().contains(&thread::current().id())))
}
