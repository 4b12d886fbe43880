//! A heap as bytes describe it: every byte string is one, and a small change of the bytes is a small change of the heap.

use crate::model::{EDGE_TYPES, Edge, Model, NODE_TYPES, Node, edge_name, names_of};

/// Bytes to be used up; then zeros.
pub(crate) struct Dice<'a>(pub(crate) &'a [u8]);

impl Dice<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// The next heap: up to 32 nodes, 128 edges, 4 entries of WeakMaps, 8 locations.
    pub(crate) fn heap(&mut self) -> Model {
        let has_states = self.byte() % 2 == 1;
        let count = self.below(32) + 1;
        let mut nodes: Vec<Node> = (0..count).map(|place| self.node(place, has_states)).collect();
        if count > 1 {
            nodes[0] = Node { kind: "synthetic", name: String::new(), size: 0, state: 0, ..nodes[0].clone() };
        }
        let mut edges: Vec<Edge> = (0..self.below(129)).map(|_| self.edge(count)).collect();
        for _ in 0..self.below(5) {
            let entry = [(); 3].map(|()| self.below(count));
            self.entry(entry, &nodes, &mut edges);
        }
        edges.sort_by_key(|edge| edge.from);
        let locations = (0..self.below(9)).map(|_| (self.below(count), self.byte().into(), self.byte().into()));
        Model { locations: locations.collect(), extra_native_bytes: self.byte().into(), nodes, edges, has_states }
    }

    fn node(&mut self, place: usize, has_states: bool) -> Node {
        // Objects are most of every heap; the number of node types is odd.
        let kind = match self.below(2 * NODE_TYPES.len()) {
            kind if kind < NODE_TYPES.len() => NODE_TYPES[kind],
            _ => "object",
        };
        let names = names_of(kind);
        let name = names[self.below(names.len())].to_owned();
        let state = if has_states { self.byte() % 4 } else { 0 };
        // All different, and in no order: 89 is a prime, 32 nodes at most.
        let id = (place as u32 * 37 + 11) % 89 + 1;
        Node { kind, name, id, size: u32::from(self.byte()) % 40, state }
    }

    fn edge(&mut self, count: usize) -> Edge {
        let (from, to, kind) = (self.below(count), self.below(count), EDGE_TYPES[self.below(EDGE_TYPES.len())]);
        Edge { from, to, kind, name: edge_name(kind, self.byte().into()), ephemeron: None }
    }

    /// Both halves of an entry of a WeakMap; some with a name that DevTools does not recognise.
    fn entry(&mut self, [key, value, table]: [usize; 3], nodes: &[Node], edges: &mut Vec<Edge>) {
        let whole = !self.byte().is_multiple_of(4);
        let text = if whole { "Foo" } else { "x\ny" };
        let id = |node: usize| nodes[node].id;
        let pair = format!(
            " / part of key ({text} @{}) -> value (Bar @{}) pair in WeakMap (table @{})",
            id(key),
            id(value),
            id(table)
        );
        for from in [table, key] {
            let ephemeron = whole.then(|| (pair.clone(), id(table)));
            edges.push(Edge { from, to: value, kind: "internal", name: format!("{}{pair}", self.byte()), ephemeron });
        }
    }
}
