//! Graph to answers: classes, statistics, lists of objects, the comparison of two snapshots.
//!
//! [`Heap`] is the entry point: a snapshot with every computed column, immutable, to be shared between threads.

mod allocations;
mod census;
mod classes;
mod comparison;
mod duplicates;
mod export;
mod filters;
pub(crate) mod format;
mod holders;
mod interfaces;
mod matching;
mod names;
mod off_heap;
mod query;
mod rows;
mod sorting;
mod statistics;
mod structure;
mod suspects;
mod table;
pub mod text;
mod views;

use std::path::Path;

pub use census::{Census, CensusDiff, KindDiff};
pub use comparison::{Comparison, compare, compare_by};
pub use export::Exported;
pub use filters::SummaryFilter;
pub use matching::{MatchBy, Matching, pair_by_structure};
pub use off_heap::{OffHeap, OffHeapKind};
pub use query::{NamePattern, Query};
pub use rows::*;
pub use suspects::{Suspect, SuspectGrowth, SuspectKind, SuspectStep, SuspectsQuery};
pub use text::JsString;
pub use views::SummaryQuery;

use crate::{
    error::{Code, Error, Result},
    graph::{self, Computed, Graph, steps::pieces},
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use classes::Classes;
use interfaces::Definition;
use table::Totals;

/// A heap snapshot and all that is computed from it.
///
/// Its methods take `&self` and may be called from several threads; those that can take long report progress and can be
/// cancelled.
pub struct Heap {
    snapshot: Snapshot,
    graph: Graph,
    definitions: Vec<Definition>,
    classes: Classes,
    /// By class key.
    totals: Vec<Totals>,
    statistics: Statistics,
    max_js_object_id: u32,
}

/// How big a heap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Nodes in the graph.
    pub nodes: u64,
    /// Edges in the graph.
    pub edges: u64,
    /// Strings in the file's table.
    pub strings: u64,
    /// All bytes: what percentages are of.
    pub total_size: u64,
    /// Of these, what V8 reports outside the graph.
    pub extra_native_bytes: u64,
}

impl Heap {
    /// Reads and computes.
    pub fn open(file: &Path, options: &ReadOptions, progress: &Progress) -> Result<Heap> {
        let options = ReadOptions { beside_each_node: graph::BYTES_PER_NODE, ..*options };
        Heap::from_snapshot(Snapshot::open(file, &options, progress)?, progress).map_err(|e| e.with_file(file))
    }

    /// Computes everything of a snapshot that was read.
    pub fn from_snapshot(snapshot: Snapshot, progress: &Progress) -> Result<Heap> {
        let Computed { graph, children, beside: (definitions, classes, statistics, max_js_object_id) } =
            Graph::compute(&snapshot, progress, |states, self_size, progress| {
                let definitions = interfaces::infer(&snapshot, progress)?;
                let classes = Classes::compute(&snapshot, states, &definitions, progress)?;
                let statistics = statistics::compute(&snapshot, states, self_size, progress)?;
                let mut max_js_object_id = 0;
                for piece in pieces(snapshot.node_count()) {
                    progress.check()?;
                    let ids = piece.map(|node| snapshot.node_id(node)).filter(|id| id % 2 == 1);
                    max_js_object_id = ids.fold(max_js_object_id, u32::max);
                }
                Ok((definitions, classes, statistics, max_js_object_id))
            })?;
        let totals = table::totals(&snapshot, &graph, &classes, &children, None, progress)?;
        drop(children);
        snapshot.strings().check()?;
        Ok(Heap { snapshot, graph, definitions, classes, totals, statistics, max_js_object_id })
    }

    /// Fails when an answer may be wrong, since the file has changed and long strings could not be read from it: to be asked
    /// behind each.
    pub fn check(&self) -> Result<()> {
        self.snapshot.strings().check()
    }

    /// How big it is.
    pub fn info(&self) -> Info {
        Info {
            nodes: u64::from(self.snapshot.node_count()),
            edges: u64::from(self.snapshot.edge_count()),
            strings: self.snapshot.strings().len() as u64,
            total_size: self.statistics.total,
            extra_native_bytes: self.snapshot.extra_native_bytes(),
        }
    }

    /// The id of the root node.
    pub fn root(&self) -> u32 {
        self.snapshot.node_id(self.snapshot.root())
    }

    /// The Statistics view.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The snapshot as it was read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What its edges mean.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The greatest id of a JavaScript object (they are odd): what was allocated later in the process has greater ones.
    pub fn max_js_object_id(&self) -> u32 {
        self.max_js_object_id
    }

    /// The names that plain objects are counted under, most common first.
    pub fn interface_names(&self) -> impl Iterator<Item = &JsString> {
        self.definitions.iter().map(|definition| &definition.name)
    }

    /// Bytes that it all takes: the snapshot's columns and the computed ones.
    pub fn memory(&self) -> u64 {
        let totals = (self.totals.capacity() * size_of::<Totals>()) as u64;
        self.snapshot.memory() + self.graph.memory() + self.classes.memory() + totals
    }

    /// The node with an id.
    fn find(&self, id: u32) -> Result<u32> {
        self.graph.ids().get(&self.snapshot, id).ok_or_else(|| {
            Error::new(Code::NoSuchNode, format!("the snapshot has no node @{id}: ids are those of its own rows"))
        })
    }
}
