//! What is below a few nodes of the dominator tree.

use crate::{analysis::Heap, error::Result, graph::steps::Steps, progress::Progress};

const UNKNOWN: u8 = u8::MAX;
const NONE: u8 = u8::MAX - 1;

/// For each node: the bytes outside of V8's heap that it retains, and how many nodes of the class with it are below it, itself
/// counted. The root has neither: what is everybody's tells nothing.
pub(super) fn sums(heap: &Heap, nodes: &[(u32, Option<u32>)], progress: &Progress) -> Result<Vec<(u64, u64)>> {
    let mut sums = vec![(0, 0); nodes.len()];
    // More than a byte can number are not asked for by anybody who reads them.
    let named = &nodes[..nodes.len().min(usize::from(NONE))];
    let root = heap.snapshot.root();
    let mut nearest = vec![UNKNOWN; heap.snapshot.node_count() as usize];
    for (i, &(node, _)) in named.iter().enumerate().rev() {
        nearest[node as usize] = i as u8;
    }
    nearest[root as usize] = NONE;
    // Those within others count for these, too.
    let mut above = vec![NONE; named.len()];
    let mut steps = Steps::start(progress, "suspects", u64::from(heap.snapshot.node_count()))?;
    let mut walked: Vec<u32> = Vec::new();
    let mut owner = |node: u32, steps: &Steps<'_>| -> Result<u8> {
        let mut at = node;
        while nearest[at as usize] == UNKNOWN {
            walked.push(at);
            steps.edge(walked.len() as u32)?;
            at = heap.graph.dominator(at);
        }
        let owner = nearest[at as usize];
        for at in walked.drain(..) {
            nearest[at as usize] = owner;
        }
        Ok(owner)
    };
    for (above, &(node, _)) in above.iter_mut().zip(named).filter(|&(_, &(node, _))| node != root) {
        *above = owner(heap.graph.dominator(node), &steps)?;
    }
    for node in 0..heap.snapshot.node_count() {
        steps.one()?;
        let mut at = owner(node, &steps)?;
        let outside = heap.kind_off_heap(node).map_or(0, |_| u64::from(heap.snapshot.raw_self_size(node)));
        while let Some(&(_, class)) = named.get(usize::from(at)) {
            let sum = &mut sums[usize::from(at)];
            sum.0 += outside;
            sum.1 += u64::from(class == Some(heap.classes.of(node)));
            at = above[usize::from(at)];
        }
    }
    steps.finish()?;
    Ok(sums)
}
