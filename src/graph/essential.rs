//! Which edges retain: the ones that dominators and retained sizes follow.

use super::{BitSet, WeakMapNames};
use crate::snapshot::{Edge, EdgeType, Snapshot};

/// Tells of each edge whether it keeps its target alive.
pub(crate) struct Essential<'a> {
    snapshot: &'a Snapshot,
    weak_maps: &'a WeakMapNames,
    page_owned: &'a BitSet,
    root: u32,
}

impl<'a> Essential<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, weak_maps: &'a WeakMapNames, page_owned: &'a BitSet) -> Self {
        Essential { snapshot, weak_maps, page_owned, root: snapshot.root() }
    }

    /// Whether `edge`, which leaves `from`, keeps its target alive.
    #[inline]
    pub(crate) fn is(&self, from: u32, edge: Edge) -> bool {
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
