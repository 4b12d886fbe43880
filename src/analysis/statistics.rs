//! The Statistics view: where the bytes are, by kind.

use super::rows::{NativeStatistics, Statistics, V8HeapStatistics};
use crate::{
    error::Result,
    graph::{BitSet, DomStates, steps::Steps},
    progress::Progress,
    snapshot::{EdgeType, Narrow, NodeType, Snapshot},
};

/// Sums self sizes by node type.
pub(crate) fn compute(
    snapshot: &Snapshot,
    states: &DomStates,
    self_size: &Narrow,
    progress: &Progress,
) -> Result<Statistics> {
    let mut total = snapshot.extra_native_bytes();
    let mut v8heap = V8HeapStatistics::default();
    let mut native = NativeStatistics { total: snapshot.extra_native_bytes(), typed_arrays: 0 };
    let mut elements = Vec::new();
    let mut steps = Steps::start(progress, "statistics", u64::from(snapshot.node_count()))?;
    let [array, elements_name, data] =
        ["Array", "elements", "system / JSArrayBufferData"].map(|name| snapshot.strings().spelled(name));
    for node in 0..snapshot.node_count() {
        steps.one()?;
        let size = u64::from(self_size.get(node));
        total += size;
        match snapshot.node_type(node) {
            NodeType::Hidden => v8heap.system += size,
            NodeType::Native => {
                native.total += size;
                if data.at(snapshot.node_name_index(node)) && !states.is_renamed(snapshot, node) {
                    native.typed_arrays += size;
                }
            }
            NodeType::Code => v8heap.code += size,
            NodeType::String | NodeType::ConcatenatedString | NodeType::SlicedString => v8heap.strings += size,
            _ if array.at(snapshot.node_name_index(node)) => {
                v8heap.js_arrays += size;
                for edge in snapshot.edges(node) {
                    steps.edge(edge.ordinal)?;
                    if edge.kind == EdgeType::Internal && elements_name.at(edge.name_or_index) {
                        if self_size.get(edge.to) > 0 {
                            elements.push(edge.to);
                        }
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    // An array's elements count with it when nothing else refers to them.
    if !elements.is_empty() {
        let shared = referred_to_twice(snapshot, &elements, &steps)?;
        let sizes = elements.iter().filter(|&&node| !shared.contains(node)).map(|&n| u64::from(self_size.get(n)));
        v8heap.js_arrays += sizes.sum::<u64>();
    }
    steps.finish()?;
    v8heap.total = total - native.total;
    Ok(Statistics { total, v8heap, native })
}

/// Those of `nodes` with two or more incoming edges, weak ones and repeated ones counted.
fn referred_to_twice(snapshot: &Snapshot, nodes: &[u32], steps: &Steps<'_>) -> Result<BitSet> {
    let mut asked = BitSet::new(snapshot.node_count())?;
    for &node in nodes {
        asked.insert(node);
    }
    let mut once = BitSet::new(snapshot.node_count())?;
    let mut twice = BitSet::new(snapshot.node_count())?;
    for edge in 0..snapshot.edge_count() {
        steps.edge(edge)?;
        let to = snapshot.edge_to(edge);
        if asked.contains(to) && !once.insert(to) {
            twice.insert(to);
        }
    }
    Ok(twice)
}
