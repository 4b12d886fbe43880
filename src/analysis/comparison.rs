//! The Comparison of two snapshots of one process: what is new, what is gone, by id and class.

use rustc_hash::FxHashMap;

use super::{
    Heap,
    classes::{Classes, Place, key_text},
    rows::DiffRow,
    text::{JsString, cmp_utf16},
};
use crate::{error::Result, graph::steps::Steps, progress::Progress};

/// Rows for every class that gained or lost objects, by added bytes descending, then by name.
///
/// The base's plain objects are counted under the later snapshot's definitions, or else one object more or less of some
/// shape could rename all others.
pub fn compare(base: &Heap, current: &Heap, progress: &Progress) -> Result<Vec<DiffRow>> {
    let base_classes = Classes::compute(&base.snapshot, base.graph.states(), &current.definitions, progress)?;
    let mut sides = Sides { keys: FxHashMap::default(), counts: Vec::new(), of_base: vec![], of_current: vec![] };
    sides.of_base = (0..base_classes.count()).map(|class| sides.number(&base_classes, class)).collect();
    sides.of_current = (0..current.classes.count()).map(|class| sides.number(&current.classes, class)).collect();

    // Both in the order of their ids, like the two halves of a zip.
    let mut steps = Steps::start(progress, "comparison", base.info().nodes + current.info().nodes)?;
    let mut old = base.graph.ids().iter(&base.snapshot).peekable();
    let mut new = current.graph.ids().iter(&current.snapshot).peekable();
    loop {
        steps.one()?;
        let (a, b) = (old.peek().copied(), new.peek().copied());
        let id = match (a, b) {
            (Some(a), Some(b)) => base.snapshot.node_id(a).min(current.snapshot.node_id(b)),
            (Some(a), None) => base.snapshot.node_id(a),
            (None, Some(b)) => current.snapshot.node_id(b),
            (None, None) => break,
        };
        let a = old.next_if(|&node| base.snapshot.node_id(node) == id);
        let b = new.next_if(|&node| current.snapshot.node_id(node) == id);
        // Nodes without a size of their own are in no class.
        let a = a.filter(|&node| base.graph.self_size(node) > 0);
        let b = b.filter(|&node| current.graph.self_size(node) > 0);
        let class_a = a.map(|node| sides.of_base[base_classes.of(node) as usize]);
        let class_b = b.map(|node| sides.of_current[current.classes.of(node) as usize]);
        if let Some(class) = class_b {
            sides.counts[class as usize].in_current = true;
        }
        if class_a == class_b {
            continue;
        }
        if let (Some(node), Some(class)) = (a, class_a) {
            let counts = &mut sides.counts[class as usize];
            counts.removed += 1;
            counts.removed_size += u64::from(base.graph.self_size(node));
            counts.last_removed = node;
        }
        if let (Some(node), Some(class)) = (b, class_b) {
            let counts = &mut sides.counts[class as usize];
            counts.added += 1;
            counts.added_size += u64::from(current.graph.self_size(node));
        }
    }
    steps.finish()?;

    let mut rows = Vec::new();
    for ((place, text), &class) in &sides.keys {
        let counts = &sides.counts[class as usize];
        if counts.added == 0 && counts.removed == 0 {
            continue;
        }
        // A class that is gone has the name that its last object has in the base alone.
        let name = if counts.in_current {
            text.clone()
        } else {
            base.classes.name(base.classes.of(counts.last_removed)).clone()
        };
        rows.push(DiffRow {
            key: key_text(*place, text),
            name,
            added_count: counts.added,
            removed_count: counts.removed,
            count_delta: counts.added as i64 - counts.removed as i64,
            added_size: counts.added_size,
            removed_size: counts.removed_size,
            size_delta: counts.added_size as i64 - counts.removed_size as i64,
        });
    }
    rows.sort_by(|a, b| {
        let names = || cmp_utf16(a.name.as_js_str(), b.name.as_js_str());
        let keys = || cmp_utf16(a.key.as_js_str(), b.key.as_js_str());
        b.added_size.cmp(&a.added_size).then_with(names).then_with(keys)
    });
    Ok(rows)
}

/// Class keys that mean the same in both snapshots.
struct Sides {
    keys: FxHashMap<(Option<Place>, JsString), u32>,
    counts: Vec<Counts>,
    of_base: Vec<u32>,
    of_current: Vec<u32>,
}

#[derive(Default)]
struct Counts {
    added: u64,
    added_size: u64,
    removed: u64,
    removed_size: u64,
    /// The removed node with the greatest id.
    last_removed: u32,
    in_current: bool,
}

impl Sides {
    fn number(&mut self, classes: &Classes, class: u32) -> u32 {
        let key = (classes.key(class).place, classes.name(class).clone());
        let next = self.keys.len() as u32;
        let number = *self.keys.entry(key).or_insert(next);
        self.counts.resize_with(self.keys.len(), Counts::default);
        number
    }
}
