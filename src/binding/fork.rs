//! Snapshots by fork: prepared on a thread of their own, forked in a call, written while the app goes on.

use std::time::Duration;

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::{
    capture::{CaptureRequest, Job, capture_summary, finish_file},
    guard::guard,
    task::{self, Task},
    turn::Turn,
};
use crate::{
    capture::{ForkOptions, PreparedFork as Prepared, Writing},
    error::{Code, Error},
};

/// This process, looked at and ready to be forked. Serves one fork.
#[napi]
pub struct PreparedFork {
    prepared: Option<Prepared>,
}

/// Looks at this process, on a thread of its own.
#[napi(ts_return_type = "Promise<PreparedFork>")]
pub fn prepare_fork<'env>(env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
    task::run(env, "prepareFork", task, |_| Ok(PreparedFork { prepared: Some(Prepared::new()?) }))
}

#[napi]
impl PreparedFork {
    /// What was found out is too old to fork by.
    #[napi(getter)]
    pub fn stale(&self, env: Env) -> napi::Result<bool> {
        guard(env, "PreparedFork.stale", || Ok(self.prepared.as_ref().is_none_or(Prepared::is_stale)))
    }

    /// Whether V8's helper threads wait for work now, or within `spinMs`.
    #[napi]
    pub fn quiet(&self, env: Env, spin_ms: f64) -> napi::Result<bool> {
        guard(env, "PreparedFork.quiet", || {
            let spin = Duration::from_secs_f64(spin_ms.clamp(0.0, 1000.0) / 1000.0);
            Ok(self.prepared.as_ref().is_some_and(|prepared| prepared.is_quiet_within(spin)))
        })
    }

    /// Forks in this call, and promises the written file; null while another capture of this isolate is under way.
    #[napi(ts_return_type = "Promise<CaptureSummary> | null")]
    pub fn start<'env>(
        &mut self,
        env: &'env Env,
        request: CaptureRequest,
        comparable_ids: bool,
        ignore_memory: bool,
        task: &Task,
    ) -> napi::Result<Option<Object<'env>>> {
        let begun = guard(*env, "PreparedFork.start", || {
            let Some(turn) = Turn::try_take() else { return Ok(None) };
            let prepared = self.prepared.take();
            let prepared = prepared.ok_or_else(|| Error::new(Code::Closed, "a prepared fork serves one fork"))?;
            let Job { target, compress, redaction, walk, .. } = Job::new(request)?;
            let options = ForkOptions { take: walk.options, comparable_ids, ignore_memory, deadline: walk.deadline };
            let forked = prepared.fork(options)?;
            let writing = Writing::from_child(forked.text, compress, walk.deadline).redacted(redaction).marked();
            Ok(Some((turn, target, writing, forked.pause)))
        })?;
        let Some((turn, target, writing, pause)) = begun else { return Ok(None) };
        let written = task::run(env, "PreparedFork.write", task, move |progress| {
            let _turn = turn;
            let (file_bytes, summary) = finish_file(writing, target, None, progress)?;
            Ok(capture_summary(file_bytes, summary, pause))
        })?;
        Ok(Some(written))
    }
}
