//! Self sizes: the bytes of internal pieces belong to the object that alone owns them.

use super::{DomStates, flags, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, EdgeType, Narrow, NodeType, Snapshot, prefetch},
};

/// Nobody has been seen to own it.
const FREE: u32 = u32::MAX;
/// More than one object reaches it.
const SHARED: u32 = u32::MAX - 1;

/// The self size of every node, with that of internal arrays and the like moved to their only owner.
pub(crate) fn self_sizes(snapshot: &Snapshot, states: &DomStates, progress: &Progress) -> Result<Narrow> {
    let count = snapshot.node_count();
    let mut sizes = snapshot.raw_self_sizes().copy()?;
    // Without user roots the file was taken with "expose internals": then it shows the allocations as they are.
    if flags::user_roots(snapshot).next().is_none() {
        return Ok(sizes);
    }
    let owner = owners(snapshot, states, progress)?;
    let mut steps = Steps::start(progress, "shallow sizes", u64::from(count))?;
    for (node, &owner) in (0u32..).zip(&owner[..]) {
        steps.one()?;
        if owner >= SHARED || owner == node || owner == snapshot.root() {
            continue;
        }
        if snapshot.node_type(owner) == NodeType::Synthetic {
            continue;
        }
        // An owner is never owned itself, so its size is never moved on. DevTools keeps 32 bits, and wraps.
        let moved = sizes.get(node);
        sizes.set(node, 0)?;
        sizes.set(owner, sizes.get(owner).wrapping_add(moved))?;
    }
    steps.finish()?;
    Ok(sizes)
}

/// Who owns each node: itself, one other, [`SHARED`] or [`FREE`].
///
/// Each self-owner spreads over its edges; a node's owner changes at most twice, so the work is linear.
fn owners(snapshot: &Snapshot, states: &DomStates, progress: &Progress) -> Result<Column<u32>> {
    let count = snapshot.node_count();
    let mut steps = Steps::start(progress, "owners", u64::from(count))?;
    let ownable = |node: u32| match snapshot.node_type(node) {
        NodeType::Hidden | NodeType::Array => true,
        NodeType::Native => {
            snapshot.short_name(node).is("system / ExternalStringData") && !states.is_renamed(snapshot, node)
        }
        _ => false,
    };
    let mut owner = Column::with_capacity(count as usize)?;
    for node in 0..count {
        owner.push(if ownable(node) { FREE } else { node })?;
    }
    let mut list = Column::new();
    for start in 0..count {
        steps.one()?;
        if owner[start as usize] != start {
            continue;
        }
        list.push(start)?;
        while let Some(node) = list.pop() {
            let mine = owner[node as usize];
            for edge in snapshot.edge_range(node) {
                steps.edge(edge)?;
                // Nearly always the next start is the next node.
                if let Some(soon) = snapshot.edge_to_ahead(edge) {
                    prefetch(&owner, soon as usize);
                }
                let to = snapshot.edge_to(edge);
                let target = &mut owner[to as usize];
                if *target == to || *target == mine || *target == SHARED {
                    continue;
                }
                if snapshot.edge_type(edge) == EdgeType::Weak {
                    continue;
                }
                *target = if *target == FREE { mine } else { SHARED };
                list.push(to)?;
            }
        }
    }
    steps.finish()?;
    Ok(owner)
}
