//! From V8's ids to nodes. Ids are not positions: they have gaps, and embedders' reach two billion.

use super::steps::{Steps, pieces};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, Snapshot},
};

/// Finds nodes by id.
///
/// A process's first snapshot has its nodes in the order of their ids, but for a few (those of embedders come last); then
/// those few are all that is kept. Otherwise it is the nodes sorted by id, four bytes each.
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
        // From the end, one huge id among small ones is one exception; from the start, a few small ones at the end are few.
        let mut by_node = out_of_order(snapshot, (0..count).rev(), |id, next| id < next, &mut steps)?;
        if let Some(nodes) = &mut by_node {
            nodes.reverse();
        } else {
            by_node = out_of_order(snapshot, 0..count, |id, last| id > last, &mut steps)?;
        }
        let kind = if let Some(by_node) = by_node {
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

/// The nodes whose ids do not go on from those kept so far, if they are few.
fn out_of_order(
    snapshot: &Snapshot,
    nodes: impl Iterator<Item = u32>,
    goes_on: impl Fn(u32, u32) -> bool,
    steps: &mut Steps<'_>,
) -> Result<Option<Vec<u32>>> {
    let limit = snapshot.node_count() as usize / 16 + 16;
    let mut kept = None;
    let mut exceptions = Vec::new();
    for node in nodes {
        steps.one()?;
        let id = snapshot.node_id(node);
        if kept.is_none_or(|kept| goes_on(id, kept)) {
            kept = Some(id);
        } else if exceptions.len() == limit {
            return Ok(None);
        } else {
            exceptions.push(node);
        }
    }
    exceptions.shrink_to_fit();
    Ok(Some(exceptions))
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
    use crate::snapshot::ReadOptions;

    /// A snapshot whose nodes have these ids.
    fn with_ids(ids: &[u32]) -> Snapshot {
        let nodes: Vec<String> = ids.iter().map(|id| format!("0,0,{id},0,0")).collect();
        let text = format!(
            r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count"],
            "node_types":[["object"],"string","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"],"string_or_number","node"]}},
            "node_count":{},"edge_count":0}},"nodes":[{}],"edges":[],"strings":[""]}}"#,
            ids.len(),
            nodes.join(",")
        );
        Snapshot::from_bytes(text.as_bytes(), &ReadOptions::default(), &Progress::default()).unwrap()
    }

    #[test]
    fn ids_in_order_but_for_a_few_take_next_to_no_memory() {
        let ascending: Vec<u32> = (0..2000).map(|n| 2 * n + 101).collect();
        let (mut huge_first, mut small_last, mut shuffled) = (ascending.clone(), ascending.clone(), ascending.clone());
        huge_first[1] = u32::MAX;
        (0..100).for_each(|n| small_last[1900 + n] = 100 - n as u32);
        (0..2000).for_each(|n| shuffled.swap(n, n * 7919 % 2000));
        for (ids, few) in [(ascending, true), (huge_first, true), (small_last, true), (shuffled, false)] {
            let snapshot = with_ids(&ids);
            let index = IdIndex::build(&snapshot, &Progress::default()).unwrap();
            assert_eq!(index.memory() < 2000, few);
            assert!(ids.iter().zip(0..).all(|(&id, node)| index.get(&snapshot, id) == Some(node)));
            assert!((0..5000).filter(|id| !ids.contains(id)).all(|id| index.get(&snapshot, id).is_none()));
            let in_order: Vec<u32> = index.iter(&snapshot).map(|node| ids[node as usize]).collect();
            assert!(in_order.len() == 2000 && in_order.is_sorted());
        }
    }

    #[test]
    fn positions_around_exceptions() {
        let exceptions = [0, 3, 4, 9];
        let plain: Vec<u32> = (0..12).filter(|n| !exceptions.contains(n)).collect();
        for (k, &node) in plain.iter().enumerate() {
            assert_eq!(k as u32 + skipped(&exceptions, k as u32), node);
        }
    }
}
