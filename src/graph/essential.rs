//! Which edges retain: the ones that dominators and retained sizes follow.

use super::{BitSet, WeakMapNames};
use crate::{
    error::Result,
    snapshot::{EdgeType, Snapshot},
};

/// Tells which edges keep their targets alive.
pub(crate) struct Rules<'a> {
    snapshot: &'a Snapshot,
    weak_maps: &'a WeakMapNames,
    /// What belongs to the page. As long as that is not known, only what does may be asked about.
    pub(crate) page_owned: BitSet,
    /// Nodes that may be tables of WeakMaps.
    tables: BitSet,
}

/// What has to be known of the node that edges leave.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    node: u32,
    is_root: bool,
    /// Whether it may hold what belongs to the page.
    holds_page: bool,
    /// Whether names of its edges are to be looked at.
    may_be_table: bool,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, weak_maps: &'a WeakMapNames) -> Result<Self> {
        Ok(Rules { snapshot, weak_maps, page_owned: BitSet::default(), tables: weak_maps.tables(snapshot)? })
    }

    #[inline(always)]
    pub(crate) fn source(&self, node: u32) -> Source {
        let is_root = node == self.snapshot.root();
        let holds_page = is_root || self.page_owned.contains(node);
        Source { node, is_root, holds_page, may_be_table: self.tables.contains(node) }
    }

    /// The node that `edge`, which leaves `source`, keeps alive.
    #[inline(always)]
    pub(crate) fn follow(&self, source: Source, edge: u32) -> Option<u32> {
        let kind = self.snapshot.edge_type(edge);
        match kind {
            EdgeType::Weak => return None,
            // The key alone holds the value of a WeakMap entry, not the table.
            EdgeType::Internal if source.may_be_table => {
                if let Some(entry) = self.weak_maps.get(self.snapshot.edge_name(edge))
                    && entry.table == Some(self.snapshot.node_id(source.node))
                {
                    return None;
                }
            }
            // At the root, shortcuts mark the global objects.
            EdgeType::Shortcut if !source.is_root => return None,
            _ => {}
        }
        let to = self.snapshot.edge_to(edge);
        // What the debugger holds of the page does not count, or it would hide who holds it in the page.
        (to != source.node && (source.holds_page || !self.page_owned.contains(to))).then_some(to)
    }
}
