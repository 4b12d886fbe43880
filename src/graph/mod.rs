//! Columns to graph: who is reachable, how far, who dominates whom, and how much each node retains.
//!
//! The numbers are those of Chrome DevTools, to the byte. Everything here is iterative (a linked list of millions of
//! nodes is an ordinary heap) and linear or nearly so in nodes and edges. Nodes and edges are ordinals (`u32`).

mod bits;
mod children;
mod detached;
mod distances;
use distances::Distances;
pub(crate) use distances::parse_int;
mod dominators;
mod essential;
mod flags;
mod ids;
pub(crate) mod paths;
mod retained;
pub(crate) mod retainers;
mod shallow;
pub(crate) mod steps;
mod weakmap;

use std::sync::OnceLock;

pub use bits::BitSet;
pub use children::Children;
pub use detached::{DETACHED_PREFIX, DomStates};
pub use dominators::DominatorTree;
pub use ids::IdIndex;

pub use retained::RetainedSizes;
pub use retainers::Retainers;
pub use weakmap::WeakMapNames;

use crate::{
    beside::both,
    error::Result,
    progress::Progress,
    snapshot::{Column, Narrow, Snapshot},
};

/// Bytes for each node that computing takes at most, beside the snapshot's own, when next to no node has more than one
/// retainer.
pub const BYTES_PER_NODE: u64 = 28;

/// The distance of a node that no search reached.
pub const NO_DISTANCE: i32 = -5;

/// Distances from here on belong to nodes that only synthetic roots reach; people see none.
pub const SYSTEM_DISTANCE: i32 = 100_000_000;

/// What the edges of a snapshot mean: a column for each number that DevTools shows of a node.
pub struct Graph {
    states: DomStates,
    self_size: Narrow,
    distance: Distances,
    dominator: Column<u32>,
    retained: RetainedSizes,
    ids: IdIndex,
    retainers: OnceLock<Retainers>,
}

/// What computing a graph gives.
pub struct Computed<T> {
    /// The graph.
    pub graph: Graph,
    /// Its dominator tree downwards, which takes eight bytes a node and is seldom needed.
    pub children: Children,
    /// What was done beside.
    pub beside: T,
}

impl Graph {
    /// Computes every column, phase by phase; what a phase needs only for itself is gone before the next one starts. Two
    /// threads, where there may be two, share the work: dominators are half of it and depend on nothing else. `beside`
    /// is done by the other one, with DOM states and self sizes.
    pub(crate) fn compute<T: Send>(
        snapshot: &Snapshot,
        progress: &Progress,
        beside: impl FnOnce(&DomStates, &Narrow, &Progress) -> Result<T> + Send,
    ) -> Result<Computed<T>> {
        let (nodes, edges) = (u64::from(snapshot.node_count()), u64::from(snapshot.edge_count()));
        snapshot.allow(nodes * BYTES_PER_NODE + edges / 8, "computing who retains whom")?;
        let threads = snapshot.threads();
        let weak_maps = WeakMapNames::find(snapshot, progress)?;
        let (tree, (states, self_size, beside, distance, ids)) = both(
            threads,
            progress,
            |progress| DominatorTree::compute(snapshot, essential::Rules::new(snapshot, &weak_maps)?, progress),
            |progress| {
                // First what takes memory for itself: dominators take the most towards their end.
                let states = DomStates::compute(snapshot, progress)?;
                let self_size = shallow::self_sizes(snapshot, &states, progress)?;
                let distance = distances::compute(snapshot, &weak_maps, progress)?;
                let beside = beside(&states, &self_size, progress)?;
                Ok((states, self_size, beside, distance, IdIndex::build(snapshot, progress)?))
            },
        )?;
        drop(weak_maps);
        let DominatorTree { dominator, order } = tree;
        let (retained, children) = both(
            threads,
            progress,
            |progress| {
                let order = order;
                RetainedSizes::compute(snapshot.root(), |node| self_size.get(node), &dominator, &order, progress)
            },
            |progress| Children::of_tree(&dominator, snapshot.root(), progress),
        )?;
        let graph = Graph { states, self_size, distance, dominator, retained, ids, retainers: OnceLock::new() };
        Ok(Computed { graph, children, beside })
    }

    /// DOM states, and which nodes are renamed for them.
    pub fn states(&self) -> &DomStates {
        &self.states
    }

    /// A node's own bytes, after DevTools' transfers from internal pieces to their owners.
    pub fn self_size(&self, node: u32) -> u32 {
        self.self_size.get(node)
    }

    /// A node's distance from the user roots, [`NO_DISTANCE`], or from [`SYSTEM_DISTANCE`] up.
    pub fn distance(&self, node: u32) -> i32 {
        self.distance.get(node)
    }

    /// A node's immediate dominator; the root's is the root.
    pub fn dominator(&self, node: u32) -> u32 {
        self.dominator[node as usize]
    }

    /// The dominators of all nodes.
    pub fn dominators(&self) -> &[u32] {
        &self.dominator
    }

    /// The bytes that would be freed with a node.
    pub fn retained_size(&self, node: u32) -> u64 {
        self.retained.get(node)
    }

    /// From ids to nodes.
    pub fn ids(&self) -> &IdIndex {
        &self.ids
    }

    /// The reversed edges, built when they are first asked for: no number above needs them.
    pub fn retainers(&self, snapshot: &Snapshot, progress: &Progress) -> Result<&Retainers> {
        if let Some(built) = self.retainers.get() {
            return Ok(built);
        }
        // Two threads may both build them; one result is kept. A lock would make one wait beyond its cancellation.
        let built = Retainers::build(snapshot, progress)?;
        Ok(self.retainers.get_or_init(|| built))
    }

    /// Bytes that the columns take.
    pub fn memory(&self) -> u64 {
        let columns = self.self_size.memory() + self.distance.memory() + self.dominator.memory();
        columns
            + self.states.memory()
            + self.retained.memory()
            + self.ids.memory()
            + self.retainers.get().map_or(0, Retainers::memory)
    }
}
