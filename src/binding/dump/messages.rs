//! What owners are told of dumps, on their own event loops.

use std::{sync::Arc, time::Duration};

use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use super::{Owner, round::Dumped};
use crate::error::Result;

/// A complete file. Bytes and milliseconds.
#[napi(object, object_from_js = false)]
pub struct DumpResult {
    pub file: String,
    pub file_bytes: f64,
    pub snapshot_bytes: f64,
    pub nodes: f64,
    pub edges: f64,
    pub mode: &'static str,
    pub fallback_reason: Option<String>,
    pub pause_ms: f64,
    pub duration_ms: f64,
    pub attempts: u32,
    pub trigger: &'static str,
    pub reason: Option<String>,
}

/// Why there is none.
#[napi(object, object_from_js = false)]
pub struct DumpFailure {
    pub code: &'static str,
    pub message: String,
    pub file: Option<String>,
    pub trigger: &'static str,
    pub reason: Option<String>,
}

/// What became of one dump.
#[napi(object, object_from_js = false)]
pub struct DumpMessage {
    /// Several may share a dump; one of them publishes it.
    pub publish: bool,
    pub result: Option<DumpResult>,
    pub failure: Option<DumpFailure>,
}

/// What an owner is told.
pub(super) struct Told {
    pub(super) publish: bool,
    pub(super) cause: Cause,
    pub(super) result: Result<Dumped>,
}

/// What set a dump off.
#[derive(Clone)]
pub(super) struct Cause {
    pub(super) trigger: &'static str,
    /// In words, where the trigger does not say it all.
    pub(super) reason: Option<String>,
}

/// Tells the owners what became of a dump.
pub(super) fn deliver(owners: &[Arc<Owner>], cause: &Cause, result: &Result<Dumped>) {
    for (i, owner) in owners.iter().enumerate() {
        owner.outbox().push_back(Told { publish: i == 0, cause: cause.clone(), result: result.clone() });
        // Refused only when the environment is going: then nobody listens either.
        owner.ready.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

pub(super) fn message(Told { publish, cause: Cause { trigger, reason }, result }: Told) -> DumpMessage {
    let milliseconds = |d: Duration| d.as_secs_f64() * 1000.0;
    match result {
        Ok(Dumped { summary, fallback_reason, pause, duration, attempts }) => DumpMessage {
            publish,
            result: Some(DumpResult {
                file: summary.file.to_string_lossy().into_owned(),
                file_bytes: summary.file_bytes as f64,
                snapshot_bytes: summary.summary.snapshot_bytes as f64,
                nodes: summary.summary.nodes as f64,
                edges: summary.summary.edges as f64,
                mode: if summary.forked { "fork" } else { "inline" },
                fallback_reason,
                pause_ms: milliseconds(pause),
                duration_ms: milliseconds(duration),
                attempts,
                trigger,
                reason,
            }),
            failure: None,
        },
        Err(e) => DumpMessage {
            publish,
            result: None,
            failure: Some(DumpFailure {
                code: e.code.as_str(),
                message: e.to_string(),
                file: e.file.map(|file| file.to_string_lossy().into_owned()),
                trigger,
                reason,
            }),
        },
    }
}
