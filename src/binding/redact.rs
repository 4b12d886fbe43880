//! Files without the contents of strings.

use std::{fs::File, path::Path};

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::task::{self, Task};
use crate::{
    capture::{Target, TargetOptions, Writing, write_file},
    error::{Code, Error, Result},
    snapshot::Redaction,
};

/// What to copy; `lib/redact.js` has checked and completed it.
#[napi(object, object_to_js = false)]
pub struct RedactRequest {
    pub input: String,
    pub output: String,
    /// "contents" or "names".
    pub redact: String,
    pub keep_numbers: bool,
    pub compress: bool,
    pub overwrite: bool,
    pub min_free_disk: f64,
}

/// What became of it, in bytes.
#[napi(object, object_from_js = false)]
pub struct RedactSummary {
    pub file_bytes: f64,
    pub snapshot_bytes: f64,
    pub nodes: f64,
    pub edges: f64,
}

/// Copies a snapshot without what its strings say.
#[napi(ts_return_type = "Promise<RedactSummary>")]
pub fn redact_snapshot<'env>(env: &'env Env, request: RedactRequest, task: &Task) -> napi::Result<Object<'env>> {
    task::run(env, "redactSnapshot", task, move |progress| {
        let input = Path::new(&request.input);
        let redaction = redaction(Some(&request.redact), request.keep_numbers)?;
        let options =
            TargetOptions { overwrite: request.overwrite, min_free_disk: request.min_free_disk.max(0.0) as u64 };
        let meta = input.metadata().map_err(|e| Error::io(&e, "open the snapshot", input))?;
        if !meta.is_file() {
            return Err(Error::new(Code::NotAFile, "only a regular file can be redacted").with_file(input));
        }
        let file = File::open(input).map_err(|e| Error::io(&e, "open the snapshot", input))?;
        let target = Target::create(Path::new(&request.output), options)?;
        let writing = Writing::from_file(file, request.compress, None).redacted(redaction);
        let written = write_file(writing, target, progress).map_err(|e| match e.code {
            Code::Corrupt | Code::Truncated | Code::NotASnapshot => Error { file: Some(input.into()), ..e },
            _ => e,
        })?;
        Ok(RedactSummary {
            file_bytes: written.file_bytes as f64,
            snapshot_bytes: written.summary.snapshot_bytes as f64,
            nodes: written.summary.nodes as f64,
            edges: written.summary.edges as f64,
        })
    })
}

/// The redaction of this name, as JavaScript spells it; none without a name.
pub(super) fn redaction(name: Option<&str>, keep_numbers: bool) -> Result<Option<Redaction>> {
    match name {
        None => Ok(None),
        Some("contents") => Ok(Some(Redaction { dictionary_keys: false, keep_numbers })),
        Some("names") => Ok(Some(Redaction { dictionary_keys: true, keep_numbers })),
        Some(other) => Err(Error::new(Code::InvalidArgument, format!("there is no redaction \"{other}\""))),
    }
}
