//! V8's `.heapsnapshot` text as columns. Knows no graph and no Node.js.
//!
//! A node is an *ordinal* (`u32`): its position in the file counted in nodes. An edge is a `u32` alike.
//! Field layouts, type names and traps are those of SEMANTICS section 1 (see ARCHITECTURE.md).

mod budget;
mod edges;
mod header;
mod in_file;
mod in_order;
mod indices;
mod jsstr;
mod labels;
mod literals;
mod locations;
mod narrow;
mod nodes;
mod open;
mod packed;
mod pages;
mod parallel;
mod parse;
mod records;
mod redact;
mod sequence;
mod source;
mod strings;
mod text;
mod trace;
mod types;
mod unescape;

pub use header::FORK_MARK;
pub use jsstr::JsStr;
use labels::Labels;
pub use locations::{Location, Locations};
pub(crate) use narrow::Narrow;
pub use open::ReadOptions;
pub(crate) use packed::Packed;
pub(crate) use pages::{Column, prefetch};
pub use redact::{Redaction, redact};
pub(crate) use strings::Spelled;
pub use strings::Strings;
pub use trace::{Sample, TraceFunction, TraceNode};
pub use types::{EdgeType, NodeType, TypeNames};

use crate::error::Result;
use budget::Budget;
use sequence::Sequence;

/// Position of the root node when the header names none.
pub const DEFAULT_ROOT: u32 = 0;

/// One edge, with its name still as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The edge's position among all edges.
    pub ordinal: u32,
    /// Its type.
    pub kind: EdgeType,
    /// A string index, or for `element` and `hidden` edges the number itself.
    pub name_or_index: u32,
    /// The target's ordinal.
    pub to: u32,
}

/// A whole snapshot in columns.
#[derive(Default)]
pub struct Snapshot {
    node_type: Column<NodeType>,
    node_name: Column<u32>,
    node_id: Sequence,
    self_size: Narrow,
    /// `first_edge[o]..first_edge[o + 1]` are the edges of node `o`; one longer than the nodes.
    first_edge: Column<u32>,
    /// 0 unknown, 1 attached, 2 detached; empty when that is 0 for all nodes.
    detachedness: Column<u8>,
    /// Whether the file has such a field.
    has_detachedness: bool,
    /// Empty when the file has no such field, or 0 in all of them.
    trace_node_id: Column<u32>,
    edge_label: Labels,
    edge_to: Packed,
    strings: Strings,
    locations: Locations,
    samples: Column<Sample>,
    trace_functions: Column<TraceFunction>,
    trace_tree: Column<TraceNode>,
    root: u32,
    extra_native_bytes: u64,
    fork_ids: bool,
    /// Names of node types by [`NodeType`], as the file spells them (unknown ones included).
    type_names: TypeNames,
    header_json: String,
    /// [`ReadOptions::max_memory`], for what is computed.
    max_memory: Option<u64>,
    /// [`ReadOptions::threads`], for what is computed.
    threads: usize,
}

impl Snapshot {
    /// How many nodes.
    pub fn node_count(&self) -> u32 {
        self.node_type.len() as u32
    }
    /// How many edges.
    pub fn edge_count(&self) -> u32 {
        self.edge_to.len() as u32
    }
    /// The root's ordinal.
    pub fn root(&self) -> u32 {
        self.root
    }
    /// Bytes outside the graph that V8 reports in the header (Node 24 and later), else 0.
    pub fn extra_native_bytes(&self) -> u64 {
        self.extra_native_bytes
    }
    /// Whether the file says that its ids were given out in a forked child ([`FORK_MARK`]).
    pub fn has_fork_ids(&self) -> bool {
        self.fork_ids
    }
    /// The string table.
    pub fn strings(&self) -> &Strings {
        &self.strings
    }
    /// The type of a node.
    pub fn node_type(&self, node: u32) -> NodeType {
        self.node_type[node as usize]
    }
    /// The name of a node as the file has it.
    pub fn node_name(&self, node: u32) -> JsStr<'_> {
        self.strings.get(self.node_name[node as usize])
    }
    /// The name of a node, to compare with names that heaprs knows: [`Strings::short`].
    pub(crate) fn short_name(&self, node: u32) -> JsStr<'_> {
        self.strings.short(self.node_name[node as usize])
    }
    /// The string index of a node's name.
    pub fn node_name_index(&self, node: u32) -> u32 {
        self.node_name[node as usize]
    }
    /// V8's id of a node (`@id` in DevTools).
    pub fn node_id(&self, node: u32) -> u32 {
        self.node_id.get(node)
    }
    /// The file's own self size of a node, in bytes, before DevTools' transfers.
    pub fn raw_self_size(&self, node: u32) -> u32 {
        self.self_size.get(node)
    }
    /// The same of all nodes.
    pub(crate) fn raw_self_sizes(&self) -> &Narrow {
        &self.self_size
    }
    /// The file's detachedness of a node, or `None` when it has no such field at all.
    pub fn detachedness(&self, node: u32) -> Option<u8> {
        self.has_detachedness.then(|| self.detachedness.get(node as usize).copied().unwrap_or(0))
    }
    /// The call stack that allocated a node, as the id of a [`TraceNode`]; 0 when that was not recorded.
    pub fn trace_node_id(&self, node: u32) -> u32 {
        self.trace_node_id.get(node as usize).copied().unwrap_or(0)
    }
    /// The edge ordinals of a node.
    pub fn edge_range(&self, node: u32) -> std::ops::Range<u32> {
        self.first_edge[node as usize]..self.first_edge[node as usize + 1]
    }
    /// One edge.
    pub fn edge(&self, edge: u32) -> Edge {
        Edge { ordinal: edge, kind: self.edge_type(edge), name_or_index: self.edge_name(edge), to: self.edge_to(edge) }
    }
    /// The type of an edge.
    #[inline(always)]
    pub fn edge_type(&self, edge: u32) -> EdgeType {
        self.edge_label.kind(edge)
    }
    /// The name of an edge as a string index, or for `element` and `hidden` edges the number itself.
    #[inline]
    pub fn edge_name(&self, edge: u32) -> u32 {
        self.edge_label.name(edge)
    }
    /// The target of an edge.
    #[inline(always)]
    pub fn edge_to(&self, edge: u32) -> u32 {
        self.edge_to.get(edge as usize)
    }
    /// The target of an edge some way behind this one: what a walk in file order will need.
    #[inline(always)]
    pub(crate) fn edge_to_ahead(&self, edge: u32) -> Option<u32> {
        let ahead = edge as usize + 24;
        (ahead < self.edge_to.len()).then(|| self.edge_to.get(ahead))
    }
    /// For walks that know which nodes come next: begins to load what is needed of the one after `at` steps.
    #[inline(always)]
    pub(crate) fn prefetch(&self, next: &[u32], at: usize) {
        if let Some(&node) = next.get(at + 12) {
            self.prefetch_edge_range(node);
        }
        if let Some(&node) = next.get(at + 6) {
            self.prefetch_edges(node);
        }
    }
    /// Begins to load where a node's edges are.
    #[inline(always)]
    pub(crate) fn prefetch_edge_range(&self, node: u32) {
        prefetch(&self.first_edge, node as usize);
    }
    /// Begins to load a node's edges; where they are should be there already.
    #[inline(always)]
    pub(crate) fn prefetch_edges(&self, node: u32) {
        let edge = self.first_edge[node as usize] as usize;
        self.edge_label.prefetch(edge);
        self.edge_to.prefetch(edge);
    }
    /// The edges of a node, in file order.
    pub fn edges(&self, node: u32) -> impl Iterator<Item = Edge> + '_ {
        self.edge_range(node).map(|e| self.edge(e))
    }
    /// Where objects' constructors were defined, in file order (a later record of a node replaces an earlier one).
    pub fn locations(&self) -> &Locations {
        &self.locations
    }
    /// A node type's name as the file spells it.
    pub fn type_name(&self, kind: NodeType) -> &str {
        self.type_names.get(kind)
    }
    /// The node types' names as the file spells them, by [`NodeType`]: all that heaprs knows, then those of this file alone.
    pub fn type_names(&self) -> &[String] {
        &self.type_names.0
    }
    /// Which ids had been given out by when, of an allocation timeline.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
    /// The functions of allocation stacks.
    pub fn trace_functions(&self) -> &[TraceFunction] {
        &self.trace_functions
    }
    /// The tree of allocation stacks, parents before children.
    pub fn trace_tree(&self) -> &[TraceNode] {
        &self.trace_tree
    }
    /// The JSON text of the file's own header (the value of its key `snapshot`).
    pub fn header_json(&self) -> &str {
        &self.header_json
    }
    /// Fails when `bytes` beside the snapshot's own, said to be needed for `what`, would be more than is allowed.
    pub(crate) fn allow(&self, bytes: u64, what: &str) -> Result<()> {
        Budget::new(self.max_memory).check(self.memory().saturating_add(bytes), what)
    }
    /// How many threads may work on it.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }
    /// Bytes that the columns and strings take.
    pub fn memory(&self) -> u64 {
        fn of<T: Copy>(column: &Column<T>) -> u64 {
            column.memory()
        }
        let nodes = of(&self.node_type) + of(&self.node_name) + self.node_id.memory() + self.self_size.memory();
        let more = of(&self.first_edge) + of(&self.detachedness) + of(&self.trace_node_id);
        let edges = self.edge_label.memory() + self.edge_to.memory();
        let traces = of(&self.samples) + of(&self.trace_functions) + of(&self.trace_tree);
        nodes
            + more
            + edges
            + traces
            + self.locations.memory()
            + self.strings.memory()
            + self.header_json.capacity() as u64
    }
}
