//! The Comparison of two snapshots of one process: what is new, what is gone, told apart by id or by structure, counted by class.

use rustc_hash::FxHashMap;

use super::{
    Heap,
    classes::{Classes, Place, key_text},
    rows::DiffRow,
    structure::{self, NONE, Pairs, Side},
    text::{JsString, cmp_utf16},
};
use crate::{error::Result, graph::steps::Steps, progress::Progress};

/// How objects of two snapshots are told to be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchBy {
    /// By id where ids can be compared, else by structure.
    #[default]
    Auto,
    /// By id: DevTools' Comparison.
    Id,
    /// By what holds them and what they hold: for captures that numbered the objects anew.
    Structure,
}

impl MatchBy {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            MatchBy::Auto => "auto",
            MatchBy::Id => "id",
            MatchBy::Structure => "structure",
        }
    }
}

/// What differs between two snapshots.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// [`MatchBy::Id`] or [`MatchBy::Structure`].
    pub matched_by: MatchBy,
    /// By added bytes descending, then by name.
    pub rows: Vec<DiffRow>,
}

/// Rows for every class that gained or lost objects, by id.
pub fn compare(base: &Heap, current: &Heap, progress: &Progress) -> Result<Vec<DiffRow>> {
    Ok(compare_by(MatchBy::Id, base, current, progress)?.rows)
}

/// Rows for every class that gained or lost objects.
///
/// The base's plain objects are counted under the later snapshot's definitions, or else one object more or less of some
/// shape could rename all others.
pub fn compare_by(match_by: MatchBy, base: &Heap, current: &Heap, progress: &Progress) -> Result<Comparison> {
    let by_structure = match match_by {
        MatchBy::Id => false,
        MatchBy::Structure => true,
        MatchBy::Auto => !ids_compare(base, current, progress)?,
    };
    let base_classes = Classes::compute(&base.snapshot, base.graph.states(), &current.definitions, progress)?;
    let sides = Sides::new(&base_classes, &current.classes);
    let mut tally = Tally { base, current, base_classes: &base_classes, counts: vec![], sides: &sides };
    tally.counts.resize_with(sides.keys.len(), Counts::default);
    if by_structure {
        let pairs = sides.pair(base, &base_classes, current, progress)?;
        let mut steps = Steps::start(progress, "comparison", base.info().nodes + current.info().nodes)?;
        for (node, &pair) in (0..).zip(&pairs.of_base) {
            steps.one()?;
            tally.see(Some(node), (pair != NONE).then_some(pair));
        }
        for (node, _) in (0..).zip(&pairs.of_current).filter(|&(_, &pair)| pair == NONE) {
            steps.one()?;
            tally.see(None, Some(node));
        }
        steps.finish()?;
    } else {
        by_id(base, current, progress, |a, b| tally.see(a, b))?;
    }
    let matched_by = if by_structure { MatchBy::Structure } else { MatchBy::Id };
    Ok(Comparison { matched_by, rows: tally.rows() })
}

/// For each node of `current`, the node of `base` that is the same object by structure, or `u32::MAX`.
pub fn pair_by_structure(base: &Heap, current: &Heap, progress: &Progress) -> Result<Vec<u32>> {
    let base_classes = Classes::compute(&base.snapshot, base.graph.states(), &current.definitions, progress)?;
    let sides = Sides::new(&base_classes, &current.classes);
    Ok(sides.pair(base, &base_classes, current, progress)?.of_current)
}

/// Whether equal ids mean equal objects: not in files that say so, and not when hardly any id leads to the like of what it
/// led to before.
fn ids_compare(base: &Heap, current: &Heap, progress: &Progress) -> Result<bool> {
    if base.snapshot.has_fork_ids() || current.snapshot.has_fork_ids() {
        return Ok(false);
    }
    let (mut of_base, mut kept) = (0u64, 0u64);
    by_id(base, current, progress, |a, b| {
        of_base += u64::from(a.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            let same = base.snapshot.node_type(a) == current.snapshot.node_type(b)
                && base.snapshot.node_name(a) == current.snapshot.node_name(b);
            kept += u64::from(same);
        }
    })?;
    Ok(kept * HARDLY_ANY >= of_base)
}

/// One in so many ids of the base has to lead to the same type and name later, for ids to be comparable.
const HARDLY_ANY: u64 = 10;

/// All nodes of both, in the order of their ids; those of one id together.
fn by_id(
    base: &Heap,
    current: &Heap,
    progress: &Progress,
    mut see: impl FnMut(Option<u32>, Option<u32>),
) -> Result<()> {
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
        see(a, b);
    }
    steps.finish()
}

/// Counts what is new and gone, by class.
struct Tally<'a> {
    base: &'a Heap,
    current: &'a Heap,
    base_classes: &'a Classes,
    sides: &'a Sides,
    counts: Vec<Counts>,
}

impl Tally<'_> {
    /// An object at both moments, or at one of them.
    fn see(&mut self, a: Option<u32>, b: Option<u32>) {
        let (base, current, sides) = (self.base, self.current, self.sides);
        // Nodes without a size of their own are in no class.
        let a = a.filter(|&node| base.graph.self_size(node) > 0);
        let b = b.filter(|&node| current.graph.self_size(node) > 0);
        let class_a = a.map(|node| sides.of_base[self.base_classes.of(node) as usize]);
        let class_b = b.map(|node| sides.of_current[current.classes.of(node) as usize]);
        if let Some(class) = class_b {
            self.counts[class as usize].in_current = true;
        }
        if class_a == class_b {
            return;
        }
        if let (Some(node), Some(class)) = (a, class_a) {
            let counts = &mut self.counts[class as usize];
            counts.removed += 1;
            counts.removed_size += u64::from(base.graph.self_size(node));
            if counts.removed == 1 || base.snapshot.node_id(node) > base.snapshot.node_id(counts.last_removed) {
                counts.last_removed = node;
            }
        }
        if let (Some(node), Some(class)) = (b, class_b) {
            let counts = &mut self.counts[class as usize];
            counts.added += 1;
            counts.added_size += u64::from(current.graph.self_size(node));
        }
    }

    fn rows(&self) -> Vec<DiffRow> {
        let base = self.base;
        let mut rows = Vec::new();
        for ((place, text), &class) in &self.sides.keys {
            let counts = &self.counts[class as usize];
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
        rows
    }
}

/// Class keys that mean the same in both snapshots.
struct Sides {
    keys: FxHashMap<(Option<Place>, JsString), u32>,
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
    fn new(base: &Classes, current: &Classes) -> Self {
        let mut sides = Sides { keys: FxHashMap::default(), of_base: vec![], of_current: vec![] };
        sides.of_base = (0..base.count()).map(|class| sides.number(base, class)).collect();
        sides.of_current = (0..current.count()).map(|class| sides.number(current, class)).collect();
        sides
    }

    fn number(&mut self, classes: &Classes, class: u32) -> u32 {
        let key = (classes.key(class).place, classes.name(class).clone());
        let next = self.keys.len() as u32;
        *self.keys.entry(key).or_insert(next)
    }

    fn pair(&self, base: &Heap, base_classes: &Classes, current: &Heap, progress: &Progress) -> Result<Pairs> {
        let old = Side::new(&base.snapshot, base_classes, &self.of_base, progress)?;
        let new = Side::new(&current.snapshot, &current.classes, &self.of_current, progress)?;
        structure::pair(&old, &new, progress)
    }
}
