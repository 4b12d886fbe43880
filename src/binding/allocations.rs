//! Allocation recordings: when the objects of a heap were allocated, and by which calls.

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::{
    rows::Text,
    snapshot::{HeapFile, rows},
    task::Task,
};
use crate::analysis;

/// One interval of a recording.
#[napi(object, object_from_js = false)]
pub struct TimelineBucket {
    pub timestamp: f64,
    pub last_assigned_id: f64,
    pub count: f64,
    pub size: f64,
}

impl From<analysis::TimelineBucket> for TimelineBucket {
    fn from(bucket: analysis::TimelineBucket) -> Self {
        TimelineBucket {
            timestamp: bucket.timestamp,
            last_assigned_id: bucket.last_assigned_id as f64,
            count: bucket.count as f64,
            size: bucket.size as f64,
        }
    }
}

/// One call.
#[napi(object, object_from_js = false)]
pub struct AllocationFrame {
    #[napi(ts_type = "string")]
    pub function: Text,
    #[napi(ts_type = "string")]
    pub url: Text,
    pub script_id: u32,
    pub line: u32,
    pub column: u32,
}

impl From<analysis::AllocationFrame> for AllocationFrame {
    fn from(frame: analysis::AllocationFrame) -> Self {
        AllocationFrame {
            function: Text(frame.function),
            url: Text(frame.url),
            script_id: frame.script_id,
            line: frame.line,
            column: frame.column,
        }
    }
}

/// What was allocated by whom.
#[napi(object, object_from_js = false)]
pub struct AllocationSites {
    pub functions: Vec<AllocationFunction>,
    /// Parents before their children.
    pub sites: Vec<AllocationSite>,
}

/// What one function allocated.
#[napi(object, object_from_js = false)]
pub struct AllocationFunction {
    pub frame: AllocationFrame,
    pub count: f64,
    pub size: f64,
    pub live_count: f64,
    pub live_size: f64,
}

impl From<analysis::AllocationFunction> for AllocationFunction {
    fn from(row: analysis::AllocationFunction) -> Self {
        AllocationFunction {
            frame: row.frame.into(),
            count: row.count as f64,
            size: row.size as f64,
            live_count: row.live_count as f64,
            live_size: row.live_size as f64,
        }
    }
}

/// What one call stack allocated.
#[napi(object, object_from_js = false)]
pub struct AllocationSite {
    /// A place in the list; none at the root.
    pub parent: Option<u32>,
    pub frame: AllocationFrame,
    pub count: f64,
    pub size: f64,
    pub live_count: f64,
    pub live_size: f64,
    pub total_size: f64,
    pub total_live_count: f64,
    pub total_live_size: f64,
}

impl From<analysis::AllocationSite> for AllocationSite {
    fn from(row: analysis::AllocationSite) -> Self {
        AllocationSite {
            parent: row.parent,
            frame: row.frame.into(),
            count: row.count as f64,
            size: row.size as f64,
            live_count: row.live_count as f64,
            live_size: row.live_size as f64,
            total_size: row.total_size as f64,
            total_live_count: row.total_live_count as f64,
            total_live_size: row.total_live_size as f64,
        }
    }
}

#[napi]
impl HeapFile {
    /// What is still alive of each interval.
    #[napi(ts_return_type = "Promise<Array<TimelineBucket>>")]
    pub fn timeline<'env>(&self, env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.timeline", task, move |heap, progress| {
            rows::<_, TimelineBucket>(heap.timeline(progress)?)
        })
    }

    /// The calls that allocated an object, the innermost first, or null.
    #[napi(ts_return_type = "Promise<Array<AllocationFrame> | null>")]
    pub fn allocation_stack<'env>(&self, env: &'env Env, id: u32, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.allocationStack", task, move |heap, progress| {
            heap.allocation_stack(id, progress)?.map(rows::<_, AllocationFrame>).transpose()
        })
    }

    /// Where memory was allocated.
    #[napi(ts_return_type = "Promise<AllocationSites>")]
    pub fn allocation_sites<'env>(
        &self,
        env: &'env Env,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.allocationSites", task, move |heap, progress| {
            let found = heap.allocation_sites(limit.map(|limit| limit as usize), progress)?;
            Ok(AllocationSites { functions: rows(found.functions)?, sites: rows(found.sites)? })
        })
    }
}
