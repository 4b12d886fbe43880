//! A snapshot that another process sends: written as our own captures are, through the same pipeline.

use std::{
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use napi::{
    Env,
    bindgen_prelude::{Buffer, Object},
};
use napi_derive::napi;

use super::{
    capture::{CaptureRequest, Job, capture_summary, finish_file},
    guard::guard,
    task::{self, Task},
};
use crate::{
    capture::{Pipeline, Writing},
    error::{Code, Error, Result},
};

/// The file of a snapshot whose text comes in pieces from elsewhere: complete under its name, or absent.
#[napi]
pub struct ForeignSnapshot {
    state: Mutex<State>,
}

enum State {
    Ready(Box<Job>),
    Writing(Pipeline),
    Ended,
}

#[napi]
impl ForeignSnapshot {
    /// Creates the temporary file, after all checks.
    #[napi(constructor)]
    pub fn new(env: Env, request: CaptureRequest) -> napi::Result<Self> {
        guard(env, "ForeignSnapshot", || {
            Ok(ForeignSnapshot { state: Mutex::new(State::Ready(Box::new(Job::new(request)?))) })
        })
    }

    /// Promises the written file, from what `write` and `end` will say.
    #[napi(ts_return_type = "Promise<CaptureSummary>")]
    pub fn start<'env>(&self, env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
        let (job, writing) = guard(*env, "ForeignSnapshot.start", || self.begin())?;
        task::run(env, "ForeignSnapshot.written", task, move |progress| {
            let (file_bytes, summary) = finish_file(writing, job.target, None, progress)?;
            Ok(capture_summary(file_bytes, summary, Default::default()))
        })
    }

    /// Hands over the next piece. Waits while the disk is 16 MB behind; false when the writer has given up, which `start`'s promise tells.
    #[napi]
    pub fn write(&self, env: Env, text: Buffer) -> napi::Result<bool> {
        guard(env, "ForeignSnapshot.write", || {
            let mut state = self.lock();
            let State::Writing(pipeline) = &mut *state else { return Ok(false) };
            if pipeline.write(&text) == ControlFlow::Continue(()) {
                return Ok(true);
            }
            *state = State::Ended;
            Ok(false)
        })
    }

    /// The text is complete; or, with `why`, it never will be and no file shall stay.
    #[napi]
    pub fn end(&self, env: Env, why: Option<String>) -> napi::Result<()> {
        guard(env, "ForeignSnapshot.end", || {
            if let State::Writing(pipeline) = std::mem::replace(&mut *self.lock(), State::Ended) {
                pipeline.finish(match why {
                    None => Ok(()),
                    Some(why) => Err(Error::new(Code::CaptureFailed, why)),
                });
            }
            Ok(())
        })
    }

    fn begin(&self) -> Result<(Box<Job>, Writing)> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Ended) {
            State::Ready(job) => {
                let (pipeline, writing) = Pipeline::new(job.compress, job.walk.deadline);
                *state = State::Writing(pipeline);
                let writing = writing.redacted(job.redaction).marked();
                Ok((job, writing))
            }
            _ => Err(Error::new(Code::Closed, "this file has been started already")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
