//! What is made anew although nothing of it changes: inline caches that have lost a hidden class, keys of a Map that went and came back.
//!
//! A full collection, and each snapshot begins with one, clears the hidden classes that nothing else held from the caches. The next call
//! misses, and V8 writes a new cache: the same function, the same slot, the same size, and often the same content once the next snapshot has
//! cleared it again. In a service under load nearly all of them are others by the next snapshot (488 of 505 on Node 20 and 26), where of those that lost
//! nothing one in a hundred is. In a process that did nothing in between they are the same.

use rustc_hash::FxHashMap;

use super::{NONE, Side, Walk, side::is_text};
use crate::{
    error::Result,
    snapshot::{Edge, EdgeType, NodeType},
};

/// One in so many nodes has to be new, for a process to have done something.
const ACTIVE: u64 = 100;

/// The size of a cache's head, and of each of its slots, in bytes: without pointer compression, as in Node.js.
const HEAD: u32 = 16;
const SLOT: u32 = 8;

impl Walk<'_> {
    /// Takes back the pairs of what was made anew.
    pub(super) fn split_remade(&mut self) -> Result<()> {
        self.split_caches()?;
        self.split_keys()
    }

    /// A text that is a Map's key at another place than before, with a value that is new, was deleted and set again: what is set while it is there
    /// stays where it is. (Or else the Map was rehashed in between: where both happens, the key is taken for new.)
    fn split_keys(&mut self) -> Result<()> {
        for map in 0..self.a.snapshot.node_count() {
            self.steps.edge(map)?;
            let other = self.pairs.of_base[map as usize];
            if other == NONE || !self.a.snapshot.short_name(map).is("Map") {
                continue;
            }
            let (Some(old), Some(new)) = (table(self.a, map), table(self.b, other)) else { continue };
            let new: FxHashMap<u32, (u32, u32)> =
                self.entries(self.b, new)?.into_iter().map(|(place, key, value)| (key, (place, value))).collect();
            for (place, key, value) in self.entries(self.a, old)? {
                let Some(&(place_now, value_now)) = new.get(&self.pairs.of_base[key as usize]) else { continue };
                let text = is_text(self.a.snapshot.node_type(key)) && self.a.is_rare(key);
                if text && place != place_now && self.both_free(value, value_now) {
                    self.part(key);
                }
            }
        }
        Ok(())
    }

    /// Place, key and value of each entry that has both as objects.
    fn entries(&self, side: &Side<'_>, table: u32) -> Result<Vec<(u32, u32, u32)>> {
        let mut slots = Vec::new();
        for edge in side.snapshot.edges(table) {
            self.steps.edge(edge.ordinal)?;
            if let Some(place) = place(side, &edge).filter(|_| edge.kind == EdgeType::Internal) {
                slots.push((place, edge.to));
            }
        }
        slots.sort_unstable();
        // A key, its value, and a number.
        let pairs = slots.windows(2).filter(|pair| pair[0].0 + 1 == pair[1].0);
        Ok(pairs.map(|pair| (pair[0].0, pair[0].1, pair[1].1)).collect())
    }

    /// Takes back the pairs of caches that have lost a class, and of the handlers of these classes.
    fn split_caches(&mut self) -> Result<()> {
        let nodes = u64::from(self.b.snapshot.node_count());
        let new = self.pairs.of_current.iter().filter(|&&node| node == NONE).count() as u64;
        if new * ACTIVE < nodes {
            return Ok(());
        }
        for vector in 0..self.a.snapshot.node_count() {
            self.steps.edge(vector)?;
            let code = self.a.snapshot.node_type(vector) == NodeType::Code;
            if !code || !self.a.snapshot.short_name(vector).is("system / FeedbackVector") {
                continue;
            }
            for edge in self.a.snapshot.edges(vector) {
                if let Some(lost) = self.handlers_of_lost(edge.to) {
                    self.part(edge.to);
                    lost.into_iter().for_each(|handler| self.part(handler));
                }
            }
        }
        Ok(())
    }

    /// Of a cache that has lost a class, the handlers of those; `None` for all else.
    fn handlers_of_lost(&self, node: u32) -> Option<Vec<u32>> {
        let snapshot = self.a.snapshot;
        let size = snapshot.raw_self_size(node);
        if !snapshot.short_name(node).is("system / WeakFixedArray") || size < HEAD || !size.is_multiple_of(2 * SLOT) {
            return None;
        }
        // Pairs of a class, weakly, and its handler.
        let slots = (size - HEAD) / SLOT;
        let mut classes = 0;
        let mut targets = vec![(NONE, false); slots as usize];
        for edge in snapshot.edges(node) {
            let Some(place) = place(self.a, &edge) else { continue };
            *targets.get_mut(place as usize)? = (edge.to, edge.kind == EdgeType::Weak);
            classes += u32::from(place % 2 == 0);
        }
        (classes < slots / 2).then(|| {
            let lost = targets.chunks_exact(2).filter(|pair| pair[0].0 == NONE).map(|pair| pair[1]);
            lost.filter(|&(node, weak)| node != NONE && !weak).map(|(node, _)| node).collect()
        })
    }

    fn part(&mut self, a: u32) {
        let b = std::mem::replace(&mut self.pairs.of_base[a as usize], NONE);
        if b != NONE {
            self.pairs.of_current[b as usize] = NONE;
        }
    }
}

/// The array that a Map's entries are in.
fn table(side: &Side<'_>, map: u32) -> Option<u32> {
    let snapshot = side.snapshot;
    let mut edges = snapshot.edges(map).filter(|edge| edge.kind == EdgeType::Internal);
    edges.find(|edge| snapshot.strings().short(edge.name_or_index).is("table")).map(|edge| edge.to)
}

/// The slot that an edge stands for.
fn place(side: &Side<'_>, edge: &Edge) -> Option<u32> {
    if edge.kind.has_index_name() {
        return Some(edge.name_or_index);
    }
    std::str::from_utf8(side.snapshot.strings().get(edge.name_or_index).as_bytes()).ok()?.parse().ok()
}
