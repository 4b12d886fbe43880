//! The Comparison of two snapshots of one process: what is new and what is gone, counted by class.

use super::{
    Heap,
    classes::{Classes, key_text},
    matching::{MatchBy, Matching, Sides},
    rows::DiffRow,
};
use crate::{error::Result, progress::Progress};

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
pub fn compare_by(match_by: MatchBy, base: &Heap, current: &Heap, progress: &Progress) -> Result<Comparison> {
    Matching::new(match_by, base, current, progress)?.comparison(progress)
}

impl Matching<'_> {
    /// Rows for every class that gained or lost objects.
    ///
    /// The base's plain objects are counted under the later snapshot's definitions, or else one object more or less of some
    /// shape could rename all others.
    pub fn comparison(&self, progress: &Progress) -> Result<Comparison> {
        let (base, current) = (self.base, self.current);
        let made;
        let (base_classes, sides) = match &self.sides {
            Some(sides) => sides,
            None => {
                made = Sides::new(base, current, progress)?;
                &made
            }
        };
        let mut tally = Tally { base, current, base_classes, counts: vec![], sides };
        tally.counts.resize_with(sides.keys.len(), Counts::default);
        self.each(progress, |a, b| tally.see(a, b))?;
        Ok(Comparison { matched_by: self.matched_by(), rows: tally.rows() })
    }
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
            let names = || a.name.as_js_str().cmp_utf16(b.name.as_js_str());
            let keys = || a.key.as_js_str().cmp_utf16(b.key.as_js_str());
            b.added_size.cmp(&a.added_size).then_with(names).then_with(keys)
        });
        rows
    }
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
