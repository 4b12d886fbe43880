//! From V8's ids to nodes. Ids are not positions: they have gaps, and embedders' reach two billion.

use super::steps::{Steps, pieces};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, Snapshot},
};

/// Finds nodes by id.
///
/// A process's first snapshot has its nodes in the order of their ids, but for a few; then those few are all that is kept.
/// Otherwise it is the nodes sorted by id, four bytes each.
pub struct IdIndex(Kind);

enum Kind {
    /// The nodes that are out of order, sorted by id, and the same sorted by position. All others are ascending.
    Ascending {
        by_id: Vec<(u32, u32)>,
        by_node: Vec<u32>,
    },
    Sorted(Column<u32>),
}

impl IdIndex {
    /// Looks at every id.
    pub fn build(snapshot: &Snapshot, progress: &Progress) -> Result<IdIndex> {
        let count = snapshot.node_count();
        let mut steps = Steps::start(progress, "ids", u64::from(count))?;
        // From the end, the ids that are less than all kept so far: one huge id among small ones is then one exception.
        let limit = count as usize / 16 + 16;
        let mut least = u64::MAX;
        let mut by_node = Vec::new();
        for node in (0..count).rev() {
            steps.one()?;
            let id = u64::from(snapshot.node_id(node));
            if id < least {
                least = id;
            } else {
                by_node.push(node);
                if by_node.len() > limit {
                    break;
                }
            }
        }
        let kind = if by_node.len() <= limit {
            by_node.reverse();
            by_node.shrink_to_fit();
            let mut by_id: Vec<(u32, u32)> = by_node.iter().map(|&node| (snapshot.node_id(node), node)).collect();
            by_id.sort_unstable();
            Kind::Ascending { by_id, by_node }
        } else {
            Kind::Sorted(sorted(snapshot, progress)?)
        };
        steps.finish()?;
        Ok(IdIndex(kind))
    }

    /// The node with an id.
    pub fn get(&self, snapshot: &Snapshot, id: u32) -> Option<u32> {
        match &self.0 {
            Kind::Sorted(nodes) => {
                nodes.binary_search_by_key(&id, |&node| snapshot.node_id(node)).ok().map(|at| nodes[at])
            }
            Kind::Ascending { by_id, by_node } => {
                if let Ok(at) = by_id.binary_search_by_key(&id, |&(id, _)| id) {
                    return Some(by_id[at].1);
                }
                // Binary search by position among the nodes that are in order: the k-th of them.
                let in_order = |k: u32| k + skipped(by_node, k);
                let (mut low, mut high) = (0, snapshot.node_count() - by_node.len() as u32);
                while low < high {
                    let middle = low + (high - low) / 2;
                    let node = in_order(middle);
                    match snapshot.node_id(node).cmp(&id) {
                        std::cmp::Ordering::Less => low = middle + 1,
                        std::cmp::Ordering::Greater => high = middle,
                        std::cmp::Ordering::Equal => return Some(node),
                    }
                }
                None
            }
        }
    }

    /// All nodes in the order of their ids.
    pub fn iter<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = u32> + 'a {
        let (sorted, by_id, by_node, count) = match &self.0 {
            Kind::Sorted(nodes) => (&nodes[..], &[][..], &[][..], 0),
            Kind::Ascending { by_id, by_node } => (&[][..], &by_id[..], &by_node[..], snapshot.node_count()),
        };
        let mut exceptions = by_node.iter().peekable();
        let in_order = (0..count).filter(move |node| exceptions.next_if_eq(&node).is_none());
        let (mut in_order, mut by_id) = (in_order.peekable(), by_id.iter().peekable());
        let merged = std::iter::from_fn(move || match (in_order.peek(), by_id.peek()) {
            (Some(&node), Some(&&(id, _))) if snapshot.node_id(node) <= id => in_order.next(),
            (Some(_), None) => in_order.next(),
            _ => by_id.next().map(|&(_, node)| node),
        });
        sorted.iter().copied().chain(merged)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> u64 {
        match &self.0 {
            Kind::Sorted(nodes) => nodes.memory(),
            Kind::Ascending { by_id, by_node } => by_id.capacity() as u64 * 8 + by_node.capacity() as u64 * 4,
        }
    }
}

/// All nodes, by id: a radix sort, which unlike the library's hears that it should stop.
fn sorted(snapshot: &Snapshot, progress: &Progress) -> Result<Column<u32>> {
    const BITS: u32 = 11;
    let count = snapshot.node_count();
    let mut nodes = Column::with_capacity(count as usize)?;
    for node in 0..count {
        nodes.push(node)?;
    }
    let mut other = Column::filled(count as usize, 0u32)?;
    for shift in [0, BITS, 2 * BITS] {
        let digit = |node: u32| (snapshot.node_id(node) >> shift) as usize & ((1 << BITS) - 1);
        let mut places = vec![0u32; 1 << BITS];
        for piece in pieces(count) {
            progress.check()?;
            piece.for_each(|node| places[digit(node)] += 1);
        }
        let mut sum = 0;
        for place in &mut places {
            sum += std::mem::replace(place, sum);
        }
        for piece in nodes.chunks(1 << 15) {
            progress.check()?;
            for &node in piece {
                let place = &mut places[digit(node)];
                other[*place as usize] = node;
                *place += 1;
            }
        }
        std::mem::swap(&mut nodes, &mut other);
    }
    Ok(nodes)
}

/// How many of `exceptions` (ascending positions) come before the `k`-th position that is none.
fn skipped(exceptions: &[u32], k: u32) -> u32 {
    // Before exceptions[i] there are exceptions[i] - i positions that are none.
    let (mut low, mut high) = (0, exceptions.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if exceptions[middle] - middle as u32 <= k { low = middle + 1 } else { high = middle }
    }
    low as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_around_exceptions() {
        let exceptions = [0, 3, 4, 9];
        let plain: Vec<u32> = (0..12).filter(|n| !exceptions.contains(n)).collect();
        for (k, &node) in plain.iter().enumerate() {
            assert_eq!(k as u32 + skipped(&exceptions, k as u32), node);
        }
    }
}
