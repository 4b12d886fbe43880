//! The report of one file, or of what changed between two.

use std::path::Path;

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::{
    guard::guard,
    snapshot::read_options,
    task::{self, Task},
};
use crate::{
    analysis::Heap,
    error::{Code, Error},
    os,
    report::{Report, ReportOptions, TextOptions},
};

/// A finished report: a few kilobytes, independent of the snapshots it came from.
#[napi]
pub struct HeapReport {
    report: Report,
}

/// Opens the files, makes the report, closes the files.
#[napi(ts_return_type = "Promise<HeapReport>")]
pub fn report_heap_file<'env>(
    env: &'env Env,
    file: String,
    base: Option<String>,
    limit: Option<f64>,
    max_memory: Option<f64>,
    task: &Task,
) -> napi::Result<Object<'env>> {
    let options = read_options(max_memory);
    task::run(env, "reportHeapFile", task, move |progress| {
        let report = (|| {
            let open = |file: &String| Heap::open(Path::new(file), &options, progress);
            let base_heap = base.as_ref().map(&open).transpose()?;
            let heap = open(&file)?;
            let options = ReportOptions {
                file: Some(&file),
                base: base_heap.as_ref().map(|heap| (heap, base.as_deref())),
                limit: limit.map(|limit| limit as usize),
            };
            Report::new(&heap, &options, progress)
        })();
        os::trim(); // the heaps are gone by here
        Ok(HeapReport { report: report? })
    })
}

#[napi]
impl HeapReport {
    /// For a terminal.
    #[napi]
    pub fn to_text(&self, env: Env, width: Option<u32>, color: bool) -> napi::Result<String> {
        guard(env, "HeapReport.toText", || {
            Ok(self.report.to_text(&TextOptions { width: width.map(|width| width as usize), color }))
        })
    }

    /// Markdown.
    #[napi]
    pub fn to_markdown(&self, env: Env) -> napi::Result<String> {
        guard(env, "HeapReport.toMarkdown", || Ok(self.report.to_markdown()))
    }

    /// JSON text.
    #[napi]
    pub fn to_json_text(&self, env: Env) -> napi::Result<String> {
        guard(env, "HeapReport.toJsonText", || {
            serde_json::to_string(&self.report)
                .map_err(|e| Error::new(Code::Internal, format!("the report could not be written as JSON: {e}")))
        })
    }
}
