//! What hangs on the same edge of the same object.

use super::{
    Mode, Side, Walk,
    likeness::{Likeness, compatible, likeness, reshaped},
    side::SLOT,
};
use crate::{
    error::Result,
    snapshot::{Edge, EdgeType, NodeType},
};

impl Walk<'_> {
    /// Pairs what two nodes hold, which are the same.
    pub(super) fn children(&mut self, a: u32, b: u32) -> Result<()> {
        let (mut named_a, mut counted_a, mut hashed_a) = (Vec::new(), Vec::new(), Vec::new());
        let (mut named_b, mut counted_b, mut hashed_b) = (Vec::new(), Vec::new(), Vec::new());
        let weak = self.mode == Mode::Relaxed;
        for (side, node, named, counted, hashed) in [
            (self.a, a, &mut named_a, &mut counted_a, &mut hashed_a),
            (self.b, b, &mut named_b, &mut counted_b, &mut hashed_b),
        ] {
            let kind = side.snapshot.node_type(node);
            for edge in side.snapshot.edges(node) {
                self.steps.edge(edge.ordinal)?;
                if edge.kind == EdgeType::Weak && !weak {
                    continue;
                }
                match side.label(kind, &edge) {
                    // What code has seen of objects is told apart by their hidden classes: these first.
                    Some(label) if label & SLOT != 0 && !weak && is_feedback(side, node) => {}
                    Some(label) => named.push((label, edge.to)),
                    None if self.is_hashed(side, &edge) => hashed.push((edge.kind, edge.to)),
                    None => counted.push((edge.kind, edge.to)),
                }
            }
        }
        // What a singleton holds under a name is a singleton's part, however it has changed.
        let alone = self.mode == Mode::Relaxed && self.a.is_rare_class(a) && self.b.is_rare_class(b);
        self.named(named_a, named_b, alone);
        if !counted_a.is_empty() && !counted_b.is_empty() {
            self.sequence(&counted_a, &counted_b)?;
        }
        if !hashed_a.is_empty() && !hashed_b.is_empty() {
            self.by_content(&hashed_a, &hashed_b, true)?;
        }
        Ok(())
    }

    /// Whether an edge that is only counted is a place in a hash table, where order and neighbours mean nothing.
    fn is_hashed(&self, side: &Side<'_>, edge: &Edge) -> bool {
        edge.kind == EdgeType::Weak
            || edge.kind == EdgeType::Internal
                && side.snapshot.strings().get(edge.name_or_index).as_bytes().last() == Some(&b')')
    }

    /// The k-th edge of a name with the k-th of that name.
    fn named(&mut self, mut a: Vec<(u64, u32)>, mut b: Vec<(u64, u32)>, alone: bool) {
        let in_step = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0);
        if !in_step {
            // Stable: those of one name stay in their order.
            a.sort_by_key(|&(label, _)| label);
            b.sort_by_key(|&(label, _)| label);
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() && j < b.len() {
            match a[i].0.cmp(&b[j].0) {
                std::cmp::Ordering::Equal => {
                    self.offer(a[i].1, b[j].1, alone, a[i].0 & SLOT != 0);
                    (i, j) = (i + 1, j + 1);
                }
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
            }
        }
    }

    /// Pairs two nodes on an edge of the same name, unless something speaks against it.
    fn offer(&mut self, a: u32, b: u32, alone: bool, slot: bool) {
        // A list stays the same whatever is in it; one of many other objects was rather replaced than changed altogether.
        let lasting = self.a.is_container(a) && self.a.snapshot.node_type(a) == NodeType::Object;
        let changed = (self.mode == Mode::Relaxed || lasting)
            && !slot
            && (lasting
                || alone
                || self.a.snapshot.node_type(a) != NodeType::Object
                || self.a.is_rare_class(a) && self.b.is_rare_class(b));
        let may_be = || compatible(self.a, self.b, (a, b)) || reshaped(self.a, self.b, (a, b));
        if changed && self.both_free(a, b) && may_be() {
            self.join(a, b);
        } else {
            self.offer_neighbour(a, b);
        }
    }

    /// Pairs two nodes at the same place among others that are only counted: never against what they hold.
    pub(super) fn offer_neighbour(&mut self, a: u32, b: u32) {
        if !self.both_free(a, b) {
            return;
        }
        let said = || likeness(self.a, self.b, &self.pairs, (a, b));
        let same = if compatible(self.a, self.b, (a, b)) {
            said() != Likeness::Different
        } else {
            reshaped(self.a, self.b, (a, b)) && said() == Likeness::Same
        };
        if same {
            self.join(a, b);
        }
    }
}

fn is_feedback(side: &Side<'_>, node: u32) -> bool {
    side.snapshot.short_name(node).is("system / FeedbackVector")
}
