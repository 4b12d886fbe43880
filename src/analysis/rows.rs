//! What the views are made of: plain rows, to be turned into JavaScript objects, JSON or text by whoever asks.

use serde::Serialize;

use super::text::JsString;

/// One class in the Summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassRow {
    /// Tells classes of one name but different places of definition apart; stable between snapshots of a process.
    pub key: JsString,
    /// The class name.
    pub name: JsString,
    /// How many instances have a size of their own.
    pub count: u64,
    /// The least distance of an instance.
    pub distance: i32,
    /// Bytes of the instances themselves.
    pub self_size: u64,
    /// Bytes that would be freed with all instances.
    pub retained_size: u64,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRow {
    /// V8's id.
    pub id: u32,
    /// The name, as DevTools shows it, without quotes and brackets.
    pub name: JsString,
    /// The class it is counted under.
    pub class_name: JsString,
    /// Its type, as the file spells it.
    #[serde(rename = "type")]
    pub node_type: String,
    /// Its own bytes.
    pub self_size: u32,
    /// Bytes that would be freed with it.
    pub retained_size: u64,
    /// Steps from the user roots.
    pub distance: i32,
    /// Whether it is (part of) a DOM tree that no page shows any more, or an embedder's object of that state.
    pub detached: bool,
    /// The id of its immediate dominator.
    pub dominator: u32,
    /// How many edges leave it.
    pub edge_count: u32,
}

/// One edge, with the node at its other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeRow {
    /// The edge's type.
    #[serde(rename = "type")]
    pub edge_type: &'static str,
    /// Its name, a number in decimal where it has no other.
    pub name: JsString,
    /// The target of a reference; the source of a retainer.
    pub node: NodeRow,
}

/// One step of a retaining path: an edge, and the node it leads to.
pub type PathStep = EdgeRow;

/// The Statistics view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Everything: what percentages are of.
    pub total: u64,
    /// V8's heap.
    pub v8heap: V8HeapStatistics,
    /// Outside V8's heap.
    pub native: NativeStatistics,
}

/// V8's heap by kind; what is left is other JavaScript objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct V8HeapStatistics {
    /// All of it.
    pub total: u64,
    /// Machine code and bytecode.
    pub code: u64,
    /// Arrays with their elements.
    pub js_arrays: u64,
    /// Strings.
    pub strings: u64,
    /// V8's own objects.
    pub system: u64,
}

/// Memory outside V8's heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NativeStatistics {
    /// All of it.
    pub total: u64,
    /// Backing stores of array buffers.
    pub typed_arrays: u64,
}

/// One class in the Comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffRow {
    /// As in [`ClassRow`].
    pub key: JsString,
    /// The class name.
    pub name: JsString,
    /// Objects that the later snapshot has and the base has not.
    pub added_count: u64,
    /// Objects that the base has and the later snapshot has not.
    pub removed_count: u64,
    /// Added less removed.
    pub count_delta: i64,
    /// Bytes of the added ones.
    pub added_size: u64,
    /// Bytes of the removed ones.
    pub removed_size: u64,
    /// Added less removed bytes.
    pub size_delta: i64,
}

/// Strings of equal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DuplicateString {
    /// The text, as far as V8 wrote it.
    pub value: JsString,
    /// How many strings have it.
    pub count: u64,
    /// Bytes of all of them.
    pub self_size: u64,
}

/// The realms of a heap, and how much each of them uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NativeContexts {
    /// In the order of the file.
    pub native_contexts: Vec<NativeContextRow>,
    /// Bytes of objects that several realms use.
    pub shared_size: u64,
    /// Bytes of objects that no realm uses.
    pub no_attribution_size: u64,
}

/// One realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NativeContextRow {
    /// V8's id of the native context.
    pub id: u32,
    /// Its name.
    pub name: JsString,
    /// Bytes of objects that only this realm uses.
    pub attributed_size: u64,
    /// Bytes of the native context itself.
    pub self_size: u32,
    /// Bytes that would be freed with it.
    pub retained_size: u64,
}

/// One interval of an allocation timeline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineBucket {
    /// Its end, in milliseconds since the recording began.
    pub timestamp: f64,
    /// The last id that had been given out then.
    pub last_assigned_id: u64,
    /// Objects allocated in it that are still alive and have a size of their own.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
}

/// One call of an allocation stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationFrame {
    /// The function's name.
    pub function: JsString,
    /// Its script's name.
    pub url: JsString,
    /// V8's id of the script.
    pub script_id: u32,
    /// Line of the function, from 1; 0 when it has none.
    pub line: u32,
    /// Column of the function, from 1; 0 when it has none.
    pub column: u32,
}

/// What was allocated by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationSites {
    /// By the innermost function, those that allocated most first.
    pub functions: Vec<AllocationFunction>,
    /// By call stack: a tree, its root first, parents before their children, siblings by `total_live_size` descending.
    pub sites: Vec<AllocationSite>,
}

/// What one function allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationFunction {
    /// The function.
    #[serde(flatten)]
    pub frame: AllocationFrame,
    /// Objects it allocated.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
    /// Objects of these that are still alive.
    pub live_count: u64,
    /// Their bytes.
    pub live_size: u64,
}

/// What one call stack allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationSite {
    /// The stack without its last call, as a place in the list; `None` for the root, which is no call.
    pub parent: Option<u32>,
    /// The last call.
    #[serde(flatten)]
    pub frame: AllocationFrame,
    /// Objects allocated here.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
    /// Objects of these that are still alive.
    pub live_count: u64,
    /// Their bytes.
    pub live_size: u64,
    /// Bytes allocated here and in calls from here.
    pub total_size: u64,
    /// Objects allocated here and in calls from here that are still alive.
    pub total_live_count: u64,
    /// Their bytes.
    pub total_live_size: u64,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many rows to skip.
    pub offset: usize,
    /// How many rows at most; all without.
    pub limit: Option<usize>,
}

impl Page {
    /// The first row that is not wanted any more.
    pub(crate) fn end(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| self.offset.saturating_add(limit))
    }
}

/// One column for each number, by node ordinal.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// V8's ids.
    pub id: Vec<f64>,
    /// Own bytes.
    pub self_size: Vec<f64>,
    /// Retained bytes.
    pub retained_size: Vec<f64>,
    /// Distances.
    pub distance: Vec<i32>,
    /// Ordinals of the immediate dominators.
    pub dominator: Vec<u32>,
    /// Indices into `class_names`.
    pub class_index: Vec<u32>,
    /// The class names.
    pub class_names: Vec<JsString>,
}
