//! An opened snapshot: every question is answered on a thread of its own.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use napi::{
    Env,
    bindgen_prelude::{Object, ObjectFinalize, ToNapiValue},
};
use napi_derive::napi;

use super::{
    filters::SummaryFilter,
    guard::guard,
    rows::{
        ClassRow, Columns, DiffRow, DuplicateString, EdgeRow, HeapQuery, NodeRow, OffHeap, Statistics, Suspect, Text,
    },
    task::{self, Task},
};
use crate::{
    analysis::{self, Exported, Heap, MatchBy, Page, SummaryQuery, SuspectsQuery},
    error::{Code, Error, Result},
    graph::BYTES_PER_NODE,
    os,
    progress::Progress,
    service,
    snapshot::ReadOptions,
};

/// How long `close()` waits for the memory to be back: small heaps are, unmapping gigabytes goes on behind it.
const CLOSE_WAIT: Duration = Duration::from_millis(5);

/// A snapshot and all that was computed from it, outside of V8's heap but known to V8.
#[napi(custom_finalize)]
pub struct HeapFile {
    heap: Option<Arc<Heap>>,
    told: Told,
}

/// What V8 was told that an open snapshot takes; nothing more once that is closed. V8 paces its collections by it.
#[derive(Clone)]
struct Told(Arc<Mutex<Option<i64>>>);

impl Told {
    /// Tells V8 where it has become more: some of it is built or read when it is first asked for.
    fn now(&self, env: Env, memory: u64) {
        let memory = i64::try_from(memory).unwrap_or(i64::MAX);
        if let Some(told) = &mut *self.lock()
            && memory > *told
        {
            // It can't be refused while the environment lives.
            let _ = env.adjust_external_memory(memory - *told);
            *told = memory;
        }
    }

    fn closed(&self, env: Env) {
        if let Some(told) = self.lock().take() {
            let _ = env.adjust_external_memory(-told);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way to JavaScript, and what the snapshot takes since then.
struct Answer<T> {
    answer: T,
    memory: u64,
    told: Told,
}

impl<T: ToNapiValue> ToNapiValue for Answer<T> {
    unsafe fn to_napi_value(env: napi::sys::napi_env, value: Self) -> napi::Result<napi::sys::napi_value> {
        value.told.now(Env::from_raw(env), value.memory);
        // SAFETY: `env` is the live environment that napi passes in.
        unsafe { T::to_napi_value(env, value.answer) }
    }
}

/// How big a heap is.
#[napi(object, object_from_js = false)]
pub struct HeapInfo {
    pub root: u32,
    pub nodes: f64,
    pub edges: f64,
    pub strings: f64,
    pub total_size: f64,
    pub extra_native_bytes: f64,
}

/// Reads a file and computes what every view needs.
#[napi(ts_return_type = "Promise<HeapFile>")]
pub fn open_heap_file<'env>(
    env: &'env Env,
    file: String,
    max_memory: Option<f64>,
    threads: Option<u32>,
    task: &Task,
) -> napi::Result<Object<'env>> {
    task::run(env, "openHeapFile", task, move |progress| {
        let options = read_options(max_memory, threads);
        let heap = Heap::open(Path::new(&file), &options, progress);
        os::trim(); // computing takes more than what is left of it
        Ok(Opened(Arc::new(heap?)))
    })
}

/// What differs between two snapshots.
#[napi(object, object_from_js = false)]
pub struct HeapComparison {
    #[napi(ts_type = "'id' | 'structure'")]
    pub matched_by: &'static str,
    pub rows: Vec<DiffRow>,
}

/// What an export wrote.
#[napi(object, object_from_js = false)]
pub struct HeapExport {
    pub files: Vec<String>,
    pub bytes: f64,
}

/// Rows for each class that differs; objects are told apart by `"id"`, by `"structure"`, or by what the files allow.
#[napi(ts_return_type = "Promise<HeapComparison>")]
pub fn compare_heap_files<'env>(
    env: &'env Env,
    base: &HeapFile,
    current: &HeapFile,
    match_by: String,
    task: &Task,
) -> napi::Result<Object<'env>> {
    let (base, current) = guard(*env, "compareHeapFiles.arguments", || {
        let (base, current) = (base.get()?, current.get()?);
        if match_by == "structure" {
            task.afford(PER_NODE_BY_STRUCTURE * (base.info().nodes + current.info().nodes))?;
        }
        Ok((base, current))
    })?;
    task::run(env, "compareHeapFiles", task, move |progress| {
        let match_by = match &*match_by {
            "id" => MatchBy::Id,
            "structure" => MatchBy::Structure,
            _ => MatchBy::Auto,
        };
        let comparison = analysis::compare_by(match_by, &base, &current, progress)?;
        os::trim();
        base.check().and_then(|()| current.check())?;
        Ok(HeapComparison {
            matched_by: comparison.matched_by.name(),
            rows: comparison.rows.into_iter().map(DiffRow::from).collect(),
        })
    })
}

#[napi]
impl HeapFile {
    /// How big it is.
    #[napi]
    pub fn info(&self, env: Env) -> napi::Result<HeapInfo> {
        guard(env, "HeapFile.info", || {
            let heap = self.get()?;
            let info = heap.info();
            Ok(HeapInfo {
                root: heap.root(),
                nodes: info.nodes as f64,
                edges: info.edges as f64,
                strings: info.strings as f64,
                total_size: info.total_size as f64,
                extra_native_bytes: info.extra_native_bytes as f64,
            })
        })
    }

    /// The Statistics view.
    #[napi]
    pub fn statistics(&self, env: Env) -> napi::Result<Statistics> {
        guard(env, "HeapFile.statistics", || Ok(self.get()?.statistics().into()))
    }

    /// One node, or null.
    #[napi]
    pub fn node(&self, env: Env, id: u32) -> napi::Result<Option<NodeRow>> {
        guard(env, "HeapFile.node", || {
            let heap = self.get()?;
            let node = heap.node(id).map(NodeRow::from);
            heap.check()?;
            Ok(node)
        })
    }

    /// The Summary view.
    #[napi(ts_return_type = "Promise<Array<ClassRow>>")]
    pub fn summary<'env>(
        &self,
        env: &'env Env,
        search: Option<String>,
        filter: Option<SummaryFilter>,
        offset: f64,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let filter = guard(*env, "HeapFile.summary.filter", || filter.map(|filter| filter.get()).transpose())?;
        let query = SummaryQuery { search, filter, page: page(offset, limit) };
        if query.filter.is_some() {
            guard(*env, "HeapFile.summary.memory", || task.afford(PER_NODE_FILTERED * self.get()?.info().nodes))?;
        }
        self.ask(env, "HeapFile.summary", task, move |heap, progress| {
            rows::<_, ClassRow>(heap.summary(&query, progress)?)
        })
    }

    /// The instances of a class, the biggest first.
    #[napi(ts_return_type = "Promise<Array<NodeRow>>")]
    pub fn instances<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "string")] key: Text,
        offset: f64,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let (Text(key), page) = (key, page(offset, limit));
        self.ask(env, "HeapFile.instances", task, move |heap, progress| {
            rows::<_, NodeRow>(heap.instances(&key, page, progress)?)
        })
    }

    /// Outgoing edges.
    #[napi(ts_return_type = "Promise<Array<EdgeRow>>")]
    pub fn references<'env>(
        &self,
        env: &'env Env,
        id: u32,
        offset: f64,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let page = page(offset, limit);
        self.ask(env, "HeapFile.references", task, move |heap, progress| {
            rows::<_, EdgeRow>(heap.references(id, page, progress)?)
        })
    }

    /// Incoming edges, the nearest to a root first.
    #[napi(ts_return_type = "Promise<Array<EdgeRow>>")]
    pub fn retainers<'env>(
        &self,
        env: &'env Env,
        id: u32,
        offset: f64,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let page = page(offset, limit);
        self.ask(env, "HeapFile.retainers", task, move |heap, progress| {
            rows::<_, EdgeRow>(heap.retainers(id, page, progress)?)
        })
    }

    /// Children in the dominator tree, the biggest first.
    #[napi(ts_return_type = "Promise<Array<NodeRow>>")]
    pub fn dominated<'env>(
        &self,
        env: &'env Env,
        id: u32,
        offset: f64,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let page = page(offset, limit);
        self.ask(env, "HeapFile.dominated", task, move |heap, progress| {
            rows::<_, NodeRow>(heap.dominated(id, page, progress)?)
        })
    }

    /// The shortest paths from a root.
    #[napi(ts_return_type = "Promise<Array<Array<EdgeRow>>>")]
    pub fn retaining_paths<'env>(
        &self,
        env: &'env Env,
        id: u32,
        limit: u32,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.retainingPaths", task, move |heap, progress| {
            let paths = heap.retaining_paths(id, limit as usize, progress)?;
            paths.into_iter().map(rows::<_, EdgeRow>).collect::<Result<Vec<_>>>()
        })
    }

    /// Groups of equal strings, the biggest first.
    #[napi(ts_return_type = "Promise<Array<DuplicateString>>")]
    pub fn duplicate_strings<'env>(
        &self,
        env: &'env Env,
        limit: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let page = page(0.0, limit);
        self.ask(env, "HeapFile.duplicateStrings", task, move |heap, progress| {
            rows::<_, DuplicateString>(heap.duplicate_strings(page, progress)?)
        })
    }

    /// Where memory accumulates and who holds it; with a base, where it grew.
    #[napi(ts_return_type = "Promise<Array<Suspect>>")]
    pub fn suspects<'env>(
        &self,
        env: &'env Env,
        base: Option<&HeapFile>,
        limit: Option<f64>,
        min_size: Option<f64>,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        let base = guard(*env, "HeapFile.suspects.base", || base.map(HeapFile::get).transpose())?;
        self.ask(env, "HeapFile.suspects", task, move |heap, progress| {
            let query = SuspectsQuery {
                limit: limit.map(|limit| limit as usize),
                base: base.as_deref(),
                min_size: min_size.map(|size| size as u64),
            };
            rows::<_, Suspect>(heap.suspects(&query, progress)?)
        })
    }

    /// The nodes that a query asks for, the biggest first.
    #[napi(ts_return_type = "Promise<Array<NodeRow>>")]
    pub fn query<'env>(&self, env: &'env Env, query: HeapQuery, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.query", task, move |heap, progress| {
            rows::<_, NodeRow>(heap.query(&query.query()?, progress)?)
        })
    }

    /// What is outside of V8's heap.
    #[napi(ts_return_type = "Promise<OffHeap>")]
    pub fn off_heap<'env>(&self, env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.offHeap", task, move |heap, progress| Ok(OffHeap::from(heap.off_heap(progress)?)))
    }

    /// Every node's numbers.
    #[napi(ts_return_type = "Promise<Columns>")]
    pub fn columns<'env>(&self, env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.columns", task, move |heap, progress| Ok(Columns::from(heap.columns(progress)?)))
    }

    /// Every column as a file in a folder.
    #[napi(ts_return_type = "Promise<HeapExport>")]
    pub fn export<'env>(
        &self,
        env: &'env Env,
        directory: String,
        overwrite: bool,
        task: &Task,
    ) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.export", task, move |heap, progress| {
            let Exported { files, bytes } = heap.export(Path::new(&directory), overwrite, progress)?;
            Ok(HeapExport { files, bytes: bytes as f64 })
        })
    }

    /// Gives the memory back, at once or when the last running question is answered.
    #[napi]
    pub fn close(&mut self, env: Env) -> napi::Result<()> {
        guard(env, "HeapFile.close", || {
            self.release(env);
            Ok(())
        })
    }
}

impl HeapFile {
    pub(super) fn get(&self) -> Result<Arc<Heap>> {
        let closed = || Error::new(Code::Closed, "the snapshot was closed; open the file again to go on");
        self.heap.clone().ok_or_else(closed)
    }

    pub(super) fn ask<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        name: &'static str,
        task: &Task,
        answer: impl FnOnce(&Heap, &Progress) -> Result<T> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let heap = guard(*env, "HeapFile", || {
            let heap = self.get()?;
            task.afford(per_node(name) * heap.info().nodes)?;
            Ok(heap)
        })?;
        let told = self.told.clone();
        task::run(env, name, task, move |progress| {
            let answer = answer(&heap, progress)?;
            heap.check()?;
            Ok(Answer { answer, memory: heap.memory(), told })
        })
    }

    fn release(&mut self, env: Env) {
        let Some(heap) = self.heap.take() else { return };
        self.told.closed(env);
        let (done, wait) = mpsc::channel();
        let freed = service::spawn_thread("close", move || {
            // Not while a question is still being answered: then its thread is the last to hold the heap.
            let last = Arc::into_inner(heap);
            let freed = last.is_some();
            drop(last);
            if freed {
                os::trim();
            }
            // Refused when nobody waits any more.
            let _ = done.send(());
        });
        // Without a thread the closure was dropped here, and the heap with it.
        if freed.is_ok() {
            let _ = wait.recv_timeout(CLOSE_WAIT);
        }
    }
}

impl ObjectFinalize for HeapFile {
    fn finalize(mut self, env: Env) -> napi::Result<()> {
        self.release(env);
        Ok(())
    }
}

/// A heap on its way to JavaScript, where it becomes a [`HeapFile`].
pub(super) struct Opened(pub(super) Arc<Heap>);

impl ToNapiValue for Opened {
    unsafe fn to_napi_value(env: napi::sys::napi_env, value: Self) -> napi::Result<napi::sys::napi_value> {
        let (memory, told) = (value.0.memory(), Told(Arc::new(Mutex::new(Some(0)))));
        let file = HeapFile { heap: Some(value.0), told: told.clone() };
        // SAFETY: `env` is the live environment that napi passes in; the conversion is the one `#[napi]` generates.
        let wrapped = unsafe { HeapFile::to_napi_value(env, file)? };
        told.now(Env::from_raw(env), memory);
        Ok(wrapped)
    }
}

/// Called where reading begins, on its own thread: it looks at the machine.
pub(super) fn read_options(max_memory: Option<f64>, threads: Option<u32>) -> ReadOptions {
    // One core is left to JavaScript, and more than some readers wait for the one who cuts the text.
    let some = || thread::available_parallelism().map_or(1, |cores| (usize::from(cores) - 1).clamp(1, 4));
    ReadOptions {
        max_memory: max_memory.map(|bytes| bytes as u64).or_else(free_memory),
        beside_each_node: BYTES_PER_NODE,
        threads: threads.map_or_else(some, |threads| threads as usize),
    }
}

/// What may be taken when nobody says how much: what the system has free, but for a little that others will need.
fn free_memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return os::memory_room().map(|room| room.free / 16 * 15);
    #[cfg(not(target_os = "linux"))]
    None
}

/// Bytes that answering takes for each node of the snapshot, the answer included. Rows for JavaScript are not counted: they are as many
/// as were asked for.
fn per_node(question: &str) -> u64 {
    match question {
        "HeapFile.columns" => 36,
        "HeapFile.suspects" => 24,
        "HeapFile.duplicateStrings" => 16,
        "HeapFile.nativeContexts" | "HeapFile.allocationSites" | "HeapFile.allocationStack" | "HeapFile.timeline" => 8,
        "HeapFile.retainingPaths" => 8,
        "HeapFile.query" | "HeapFile.instances" | "HeapFile.dominated" => 4,
        // A page of what is there already, or a stream.
        _ => 0,
    }
}

/// Which objects pass, and what they retain.
const PER_NODE_FILTERED: u64 = 9;

/// For each node of both snapshots: symbols, fingerprints, pairs. By id nothing is kept but counts by class.
const PER_NODE_BY_STRUCTURE: u64 = 24;

fn page(offset: f64, limit: Option<f64>) -> Page {
    Page { offset: offset as usize, limit: limit.map(|limit| limit as usize) }
}

pub(super) fn rows<A, B: From<A>>(rows: Vec<A>) -> Result<Vec<B>> {
    Ok(rows.into_iter().map(B::from).collect())
}
