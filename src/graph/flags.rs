//! What the root's own edges say: user roots, and which nodes belong to the page.

use super::{BitSet, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, EdgeType, NodeType, Snapshot},
};

/// The synthetic node above all DOM trees.
fn is_dom_trees(snapshot: &Snapshot, node: u32) -> bool {
    snapshot.node_type(node) == NodeType::Synthetic && snapshot.node_name(node).is("(Document DOM trees)")
}

/// The targets of the root's edges, of any type, that the user's objects start from; in the order of the edges, and as
/// often as there are edges.
pub(crate) fn user_roots(snapshot: &Snapshot) -> impl Iterator<Item = u32> + '_ {
    snapshot
        .edges(snapshot.root())
        .map(|edge| edge.to)
        .filter(|&node| snapshot.node_type(node) != NodeType::Synthetic || is_dom_trees(snapshot, node))
}

/// Everything that global objects and DOM trees reach over edges that are not weak.
pub(crate) fn page_owned(snapshot: &Snapshot, progress: &Progress) -> Result<BitSet> {
    let mut steps = Steps::start(progress, "page-owned", u64::from(snapshot.node_count()))?;
    let mut owned = BitSet::new(snapshot.node_count())?;
    let mut list = Column::new();
    for edge in snapshot.edges(snapshot.root()) {
        steps.edge(edge.ordinal)?;
        let start = match edge.kind {
            EdgeType::Shortcut => true,
            EdgeType::Element => is_dom_trees(snapshot, edge.to),
            _ => false,
        };
        if start && owned.insert(edge.to) {
            list.push(edge.to)?;
        }
    }
    while let Some(node) = list.pop() {
        steps.one()?;
        for edge in snapshot.edge_range(node) {
            steps.edge(edge)?;
            let to = snapshot.edge_to(edge);
            if snapshot.edge_type(edge) != EdgeType::Weak && owned.insert(to) {
                // The last one is the next.
                snapshot.prefetch_edges(to);
                list.push(to)?;
            }
        }
    }
    steps.finish()?;
    Ok(owned)
}
