//! Which edges retain: the ones that dominators and retained sizes follow.

use super::{BitSet, WeakMapNames, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Edge, EdgeType, Snapshot},
};

/// The edges that keep their targets alive.
pub(crate) struct EssentialEdges {
    /// By edge ordinal. Of what the root itself holds, the root's edge alone: others change nothing there.
    pub(crate) edges: BitSet,
    /// By node ordinal: the targets of all essential edges.
    pub(crate) held: BitSet,
}

impl EssentialEdges {
    /// Looks at every edge once.
    pub(crate) fn find(
        snapshot: &Snapshot,
        weak_maps: &WeakMapNames,
        page_owned: &BitSet,
        progress: &Progress,
    ) -> Result<EssentialEdges> {
        let root = snapshot.root();
        let rules = Rules { snapshot, weak_maps, page_owned, root };
        let mut steps = Steps::start(progress, "edges", u64::from(snapshot.node_count()))?;
        let mut edges = BitSet::new(snapshot.edge_count());
        let mut held = BitSet::new(snapshot.node_count());
        for edge in snapshot.edges(root) {
            steps.edge(edge.ordinal)?;
            if rules.is_essential(root, edge) {
                edges.insert(edge.ordinal);
                held.insert(edge.to);
            }
        }
        let by_root = held.clone();
        for node in 0..snapshot.node_count() {
            steps.one()?;
            if node == root {
                continue;
            }
            for edge in snapshot.edges(node) {
                steps.edge(edge.ordinal)?;
                if rules.is_essential(node, edge) && !by_root.contains(edge.to) {
                    edges.insert(edge.ordinal);
                    held.insert(edge.to);
                }
            }
        }
        steps.finish()?;
        Ok(EssentialEdges { edges, held })
    }
}

struct Rules<'a> {
    snapshot: &'a Snapshot,
    weak_maps: &'a WeakMapNames,
    page_owned: &'a BitSet,
    root: u32,
}

impl Rules<'_> {
    /// Whether `edge`, which leaves `from`, keeps its target alive.
    #[inline]
    fn is_essential(&self, from: u32, edge: Edge) -> bool {
        match edge.kind {
            EdgeType::Weak => return false,
            // The key alone holds the value of a WeakMap entry, not the table.
            EdgeType::Internal => {
                if let Some(entry) = self.weak_maps.get(edge.name_or_index)
                    && entry.table == Some(self.snapshot.node_id(from))
                {
                    return false;
                }
            }
            // At the root, shortcuts mark the global objects.
            EdgeType::Shortcut if from != self.root => return false,
            _ => {}
        }
        if edge.to == from {
            return false;
        }
        // What the debugger holds of the page does not count, or it would hide who holds it in the page.
        from == self.root || !self.page_owned.contains(edge.to) || self.page_owned.contains(from)
    }
}
