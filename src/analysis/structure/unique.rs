//! Objects whose content exists once in each heap: the same wherever they hang.

use rustc_hash::FxHashMap;

use super::{NONE, Walk, likeness::compatible, side::is_text};
use crate::error::Result;

/// How often a fingerprint was seen, up to two, and where.
#[derive(Clone, Copy)]
struct Seen {
    base: u32,
    base_count: u8,
    current: u32,
    current_count: u8,
}

impl Walk<'_> {
    /// Pairs free nodes whose fingerprint no other node has, be it free or not: something that looks like many others is not
    /// to be found by its look.
    pub(super) fn unique(&mut self, base: &[u32], current: &[u32]) -> Result<()> {
        let mut seen: FxHashMap<u32, Seen> = FxHashMap::default();
        for (node, &print) in (0u32..).zip(base) {
            self.steps.edge(node)?;
            // A text that is there again may have been made again.
            if self.pairs.of_base[node as usize] == NONE && !is_text(self.a.snapshot.node_type(node)) {
                let seen =
                    seen.entry(print).or_insert(Seen { base: node, base_count: 0, current: NONE, current_count: 0 });
                seen.base_count = (seen.base_count + 1).min(2);
            }
        }
        for (node, &print) in (0u32..).zip(base) {
            self.steps.edge(node)?;
            if self.pairs.of_base[node as usize] != NONE
                && let Some(seen) = seen.get_mut(&print)
            {
                seen.base_count = 2;
            }
        }
        for (node, &print) in (0u32..).zip(current) {
            self.steps.edge(node)?;
            if let Some(seen) = seen.get_mut(&print) {
                seen.current = node;
                seen.current_count = (seen.current_count + 1).min(2);
            }
        }
        for (node, &print) in (0u32..).zip(base) {
            self.steps.edge(node)?;
            let Some(&seen) = seen.get(&print) else { continue };
            if (seen.base, seen.base_count, seen.current_count) == (node, 1, 1)
                && self.both_free(node, seen.current)
                && compatible(self.a, self.b, (node, seen.current))
            {
                self.join(node, seen.current);
            }
        }
        Ok(())
    }
}
