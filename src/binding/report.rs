//! The report of one file, or of what changed between two.

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::{
    guard::guard,
    snapshot::HeapFile,
    task::{self, Task},
};
use crate::{
    error::{Code, Error},
    os,
    report::{Report, ReportOptions, TextOptions},
};

/// A finished report: a few kilobytes, independent of the snapshots it came from.
#[napi]
pub struct HeapReport {
    report: Report,
}

/// The report of an opened snapshot, with a base of what grew since; both stay open.
#[napi(ts_return_type = "Promise<HeapReport>")]
pub fn report_heap<'env>(
    env: &'env Env,
    heap: &HeapFile,
    file: String,
    base: Option<&HeapFile>,
    base_file: Option<String>,
    limit: Option<f64>,
    task: &Task,
) -> napi::Result<Object<'env>> {
    let (heap, base) = guard(*env, "reportHeap.arguments", || Ok((heap.get()?, base.map(HeapFile::get).transpose()?)))?;
    task::run(env, "reportHeap", task, move |progress| {
        let options = ReportOptions {
            file: Some(&file),
            base: base.as_ref().map(|heap| (&**heap, base_file.as_deref())),
            limit: limit.map(|limit| limit as usize),
        };
        let report = Report::new(&heap, &options, progress);
        os::trim();
        let report = report?;
        std::iter::once(&heap).chain(&base).try_for_each(|heap| heap.check())?;
        Ok(HeapReport { report })
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
