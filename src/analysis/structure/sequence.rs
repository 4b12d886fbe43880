//! Elements of arrays and entries of hash tables: their numbers change when something is inserted, removed or rehashed, so
//! they are found by content, then by their neighbours.

use super::{NONE, Walk, likeness::compatible};
use crate::{error::Result, snapshot::EdgeType};

/// Edges that are only counted, in file order: their type and target.
type Counted = [(EdgeType, u32)];

impl Walk<'_> {
    /// Pairs what two sequences hold.
    pub(super) fn sequence(&mut self, a: &Counted, b: &Counted) -> Result<()> {
        let left_a = a.iter().any(|&(_, node)| self.pairs.of_base[node as usize] == NONE);
        if !left_a || !b.iter().any(|&(_, node)| self.pairs.of_current[node as usize] == NONE) {
            return Ok(());
        }
        self.by_content(a, b, true)?;
        self.by_neighbours(a, b)?;
        self.by_content(a, b, false)
    }

    /// Pairs those of equal content: the ones whose content is there once on both sides, or else the first of each content
    /// with the first, and so on.
    pub(super) fn by_content(&mut self, a: &Counted, b: &Counted, once: bool) -> Result<()> {
        let free = |list: &Counted, prints: &[u32], taken: &[u32]| {
            let open = list.iter().filter(|(_, node)| taken[*node as usize] == NONE);
            let mut found: Vec<(u32, u32, u32)> =
                open.zip(0..).map(|(&(_, node), place)| (prints[node as usize], place, node)).collect();
            found.sort_unstable();
            // One node can be an element twice.
            found.dedup_by_key(|&mut (print, _, node)| (print, node));
            found
        };
        let left = free(a, &self.a.deep, &self.pairs.of_base);
        self.steps.edge(0)?;
        let right = free(b, &self.b.deep, &self.pairs.of_current);
        self.steps.edge(0)?;
        let mut right = &right[..];
        for group in left.chunk_by(|x, y| x.0 == y.0) {
            let start = right.partition_point(|&(print, ..)| print < group[0].0);
            right = &right[start..];
            let end = right.partition_point(|&(print, ..)| print == group[0].0);
            if once && (group.len() != 1 || end != 1) {
                continue;
            }
            for (&(_, _, x), &(_, _, y)) in group.iter().zip(&right[..end]) {
                if self.both_free(x, y) && compatible(self.a, self.b, (x, y)) {
                    self.join(x, y);
                }
            }
        }
        Ok(())
    }

    /// Pairs those that stand before or behind two that are paired, and so on from there; the sequences' ends count as paired.
    fn by_neighbours(&mut self, a: &Counted, b: &Counted) -> Result<()> {
        // Where in `b` each node is.
        let mut places: Vec<(u32, u32)> = b.iter().zip(0..).map(|(&(_, node), place)| (node, place)).collect();
        places.sort_unstable();
        self.steps.edge(0)?;
        let partner = |walk: &Self, at: usize| {
            let node = walk.pairs.of_base[a[at].1 as usize];
            let found = places.partition_point(|&(other, _)| other < node);
            places.get(found).filter(|&&(other, _)| other == node && node != NONE).map(|&(_, place)| place as usize)
        };
        // Forwards: the place in `b` behind the last partner, as long as places go on side by side.
        let mut next = Some(0);
        for at in 0..a.len() {
            self.steps.edge(at as u32)?;
            next = match partner(self, at) {
                Some(place) => Some(place + 1),
                None => next.filter(|&place| self.side_by_side(a, b, at, place)).map(|place| place + 1),
            };
        }
        let mut last = b.len().checked_sub(1);
        for at in (0..a.len()).rev() {
            self.steps.edge(at as u32)?;
            last = match partner(self, at) {
                Some(place) => place.checked_sub(1),
                None => last.filter(|&place| self.side_by_side(a, b, at, place)).and_then(|place| place.checked_sub(1)),
            };
        }
        Ok(())
    }

    /// Offers the nodes at two places; tells whether those behind them may be looked at: not when one is paired elsewhere.
    fn side_by_side(&mut self, a: &Counted, b: &Counted, at: usize, place: usize) -> bool {
        let Some(&(kind, node)) = b.get(place) else { return false };
        if self.pairs.of_current[node as usize] != NONE || self.pairs.of_base[a[at].1 as usize] != NONE {
            return false;
        }
        if kind == a[at].0 {
            self.offer_neighbour(a[at].1, node);
        }
        true
    }
}
