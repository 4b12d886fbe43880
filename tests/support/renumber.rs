//! A snapshot with other ids, and what comparing by structure finds of what ids say.

use std::collections::HashMap;

use heaprs::{
    analysis::{Heap, MatchBy, compare_by, pair_by_structure},
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use serde_json::Value;

/// How well structure stands in for ids, in counts of objects and class rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    /// Objects that are new by id, and those of them that are also new by structure.
    pub(crate) new: u64,
    pub(crate) new_found: u64,
    /// Objects that are old by id, those of them that structure takes for new, and those it takes for another old one.
    pub(crate) old: u64,
    pub(crate) old_missed: u64,
    pub(crate) old_mistaken: u64,
    /// Class rows whose net count, or net size, differs.
    pub(crate) rows: u64,
    pub(crate) wrong_counts: u64,
    pub(crate) wrong_sizes: u64,
}

impl Score {
    /// Of the new objects, those recognised.
    pub(crate) fn found(&self) -> f64 {
        100.0 * self.new_found as f64 / self.new.max(1) as f64
    }
    /// Of the old objects, those reported as new.
    pub(crate) fn missed(&self) -> f64 {
        100.0 * self.old_missed as f64 / self.old.max(1) as f64
    }
}

/// Gives every node another id, at random; the names of WeakMap entries, which hold ids, are changed with them.
pub(crate) fn renumber(text: &[u8]) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(text).unwrap();
    let fields = file["snapshot"]["meta"]["node_fields"].as_array().unwrap().clone();
    let at = fields.iter().position(|field| field == "id").unwrap();
    let nodes = file["nodes"].as_array_mut().unwrap();
    let count = nodes.len() / fields.len();
    // Odd numbers in an order that a xorshift shuffles.
    let mut order: Vec<u64> = (0..count as u64).map(|i| 2 * i + 1).collect();
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for i in (1..count).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(i, (seed % (i as u64 + 1)) as usize);
    }
    let mut ids = HashMap::new();
    for (record, new) in nodes.chunks_mut(fields.len()).zip(order) {
        ids.insert(record[at].as_u64().unwrap(), new);
        record[at] = new.into();
    }
    for string in file["strings"].as_array_mut().unwrap() {
        let old = string.as_str().unwrap();
        if !old.contains(" pair in WeakMap (table @") {
            continue;
        }
        let mut new = String::new();
        for (i, part) in old.split('@').enumerate() {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let id = part[..digits].parse().ok().and_then(|id: u64| ids.get(&id));
            match id {
                Some(id) if i > 0 => new += &format!("@{id}{}", &part[digits..]),
                _ => new += &format!("{}{part}", if i > 0 { "@" } else { "" }),
            }
        }
        *string = new.into();
    }
    // Readers rely on this order.
    let keys = ["snapshot", "nodes", "edges", "trace_function_infos", "trace_tree", "samples", "locations", "strings"];
    let parts: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{}", file[key])).collect();
    format!("{{{}}}", parts.join(",\n")).into_bytes()
}

pub(crate) fn heap(text: &[u8]) -> Heap {
    let snapshot = Snapshot::from_bytes(text, &ReadOptions::default(), &Progress::default()).unwrap();
    Heap::from_snapshot(snapshot, &Progress::default()).unwrap()
}

/// Compares by id, then by structure with the later snapshot renumbered, and holds the one against the other.
pub(crate) fn score(base: &[u8], current: &[u8]) -> Score {
    let (base, by_id, renumbered) = (heap(base), heap(current), heap(&renumber(current)));
    let progress = Progress::default();
    let truth = compare_by(MatchBy::Id, &base, &by_id, &progress).unwrap();
    let found = compare_by(MatchBy::Auto, &base, &renumbered, &progress).unwrap();
    assert_eq!(found.matched_by, MatchBy::Structure, "ids at random don't compare");
    let mut score = Score::default();
    let pairs = pair_by_structure(&base, &renumbered, &progress).unwrap();
    let old_id = |node| base.snapshot().node_id(node);
    let ids: HashMap<u32, u32> = (0..base.snapshot().node_count()).map(|node| (old_id(node), node)).collect();
    // An embedder's nodes have even ids, which Node 20 gives anew in each snapshot: no truth to hold against.
    let counts = |node| by_id.graph().self_size(node) > 0 && by_id.snapshot().node_id(node) % 2 == 1;
    for (node, &pair) in (0..).zip(&pairs).filter(|&(node, _)| counts(node)) {
        match ids.get(&by_id.snapshot().node_id(node)) {
            Some(&same) => {
                score.old += 1;
                score.old_missed += u64::from(pair == u32::MAX);
                score.old_mistaken += u64::from(pair != u32::MAX && pair != same);
            }
            None => {
                score.new += 1;
                score.new_found += u64::from(pair == u32::MAX);
            }
        }
    }
    let mut rows: HashMap<Vec<u8>, [i64; 4]> = HashMap::new();
    for (at, row) in truth.rows.iter().map(|row| (0, row)).chain(found.rows.iter().map(|row| (2, row))) {
        let nets = rows.entry(row.key.as_bytes().to_vec()).or_default();
        nets[at] = row.count_delta;
        nets[at + 1] = row.size_delta;
    }
    score.rows = rows.len() as u64;
    score.wrong_counts = rows.values().filter(|nets| nets[0] != nets[2]).count() as u64;
    score.wrong_sizes = rows.values().filter(|nets| nets[1] != nets[3]).count() as u64;
    score
}
