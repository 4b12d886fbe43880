//! What the root's own edges say: user roots, and which nodes belong to the page.

use super::{BitSet, steps::Steps};
use crate::{
    error::Result,
    snapshot::{Column, Edge, EdgeType, NodeType, Snapshot},
};

/// The synthetic node above all DOM trees.
fn is_dom_trees(snapshot: &Snapshot, node: u32) -> bool {
    snapshot.node_type(node) == NodeType::Synthetic && snapshot.short_name(node).is("(Document DOM trees)")
}

/// The targets of the root's edges, of any type, that the user's objects start from; in the order of the edges, and as
/// often as there are edges.
pub(crate) fn user_roots(snapshot: &Snapshot) -> impl Iterator<Item = u32> + '_ {
    snapshot
        .edges(snapshot.root())
        .map(|edge| edge.to)
        .filter(|&node| snapshot.node_type(node) != NodeType::Synthetic || is_dom_trees(snapshot, node))
}

/// Whether an edge of the root leads to what belongs to the page: to global objects and DOM trees.
pub(crate) fn leads_to_page(snapshot: &Snapshot, edge: Edge) -> bool {
    match edge.kind {
        EdgeType::Shortcut => true,
        EdgeType::Element => is_dom_trees(snapshot, edge.to),
        _ => false,
    }
}

/// Adds everything that `list` reaches over edges that are not weak.
pub(crate) fn spread_page(
    snapshot: &Snapshot,
    owned: &mut BitSet,
    mut list: Column<u32>,
    steps: &Steps<'_>,
) -> Result<()> {
    while let Some(node) = list.pop() {
        if !owned.insert(node) {
            continue;
        }
        for edge in snapshot.edge_range(node) {
            steps.edge(edge)?;
            let to = snapshot.edge_to(edge);
            if snapshot.edge_type(edge) != EdgeType::Weak && !owned.contains(to) {
                // The last one is the next.
                snapshot.prefetch_edge_range(to);
                list.push(to)?;
            }
        }
    }
    Ok(())
}
