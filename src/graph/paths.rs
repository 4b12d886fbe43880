//! Retaining paths: by which edges a root holds a node, shortest first.

use std::{cmp::Reverse, collections::BinaryHeap};

use rustc_hash::FxHashMap;

use super::{Graph, NO_DISTANCE, Retainers, SYSTEM_DISTANCE, retainers, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{EdgeType, Snapshot},
};

/// Partial paths looked at beyond what the shortest path itself needs.
const BUDGET: u64 = 200_000;
/// How far back a longer-than-shortest path is checked for going round in circles; beyond, it is given up.
const LOOP_CHECK: u32 = 10_000;

/// Up to `limit` paths without repeated nodes from the snapshot's root to `node`, as edges in the order of walking.
///
/// Searched backwards, the partial path first whose steps so far and distance still to go are least. The distances are
/// DevTools': what user roots hold comes before what only synthetic roots hold.
pub(crate) fn shortest(
    snapshot: &Snapshot,
    graph: &Graph,
    retainers: &Retainers,
    node: u32,
    limit: usize,
    progress: &Progress,
) -> Result<Vec<Vec<u32>>> {
    let mut search = Search {
        snapshot,
        graph,
        retainers,
        width: limit.min(1 << 20) * 2 + 16,
        states: vec![State { edge: NONE, node, toward: NONE, steps: 0, nearest: to_go(snapshot, graph, node) }],
        queue: BinaryHeap::from([Reverse((0, 0))]),
        nearby: Vec::new(),
    };
    let mut budget = BUDGET + (to_go(snapshot, graph, node) % SYSTEM_DISTANCE as u64) * 2;
    let mut visits: FxHashMap<u32, usize> = FxHashMap::default();
    let mut found = Vec::new();
    let mut steps = Steps::start(progress, "retaining paths", 0)?;
    while let Some(Reverse((_, state))) = search.queue.pop() {
        steps.one()?;
        let at = search.states[state as usize].node;
        if at == snapshot.root() {
            found.push(search.path(state));
            if found.len() >= limit {
                break;
            }
            continue;
        }
        budget -= 1;
        if budget == 0 {
            break;
        }
        // The k shortest paths through a node need no more than its k shortest beginnings.
        let visits = visits.entry(at).or_insert(0);
        if *visits < limit {
            *visits += 1;
            search.expand(state, &steps)?;
        }
    }
    steps.finish()?;
    Ok(found)
}

const NONE: u32 = u32::MAX;

/// The end of a partial path: `node`, which leads by `edge` to the node of the state `toward`.
struct State {
    edge: u32,
    node: u32,
    toward: u32,
    steps: u32,
    /// The least distance on the partial path: a node nearer than that is not on it yet.
    nearest: u64,
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    graph: &'a Graph,
    retainers: &'a Retainers,
    /// How many retainers of a node are tried.
    width: usize,
    states: Vec<State>,
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    nearby: Vec<(u64, usize, u32, u32)>,
}

impl Search<'_> {
    fn expand(&mut self, state: u32, steps: &Steps<'_>) -> Result<()> {
        let State { node, steps: length, nearest, .. } = self.states[state as usize];
        self.nearby.clear();
        for (place, &edge) in self.retainers.of(node).iter().enumerate() {
            steps.edge(edge)?;
            let from = retainers::source(self.snapshot, edge);
            let kind = self.snapshot.edge(edge).kind;
            let weak = matches!(kind, EdgeType::Weak | EdgeType::Invisible) && from != self.snapshot.root();
            if !weak && from != node {
                // A thing that ten million refer to: keep the nearest.
                if self.nearby.len() >= 4 * self.width {
                    self.nearby.select_nth_unstable(self.width);
                    self.nearby.truncate(self.width);
                }
                self.nearby.push((to_go(self.snapshot, self.graph, from), place, edge, from));
            }
        }
        if self.nearby.len() > self.width {
            self.nearby.select_nth_unstable(self.width);
            self.nearby.truncate(self.width);
        }
        self.nearby.sort_unstable();
        for i in 0..self.nearby.len() {
            let (distance, _, edge, from) = self.nearby[i];
            if distance >= nearest && self.is_on_path(state, from) {
                continue;
            }
            let next = self.states.len() as u32;
            self.states.push(State {
                edge,
                node: from,
                toward: state,
                steps: length + 1,
                nearest: nearest.min(distance),
            });
            self.queue.push(Reverse((distance + u64::from(length) + 1, next)));
        }
        Ok(())
    }

    fn is_on_path(&self, mut state: u32, node: u32) -> bool {
        for _ in 0..LOOP_CHECK {
            if state == NONE {
                return false;
            }
            if self.states[state as usize].node == node {
                return true;
            }
            state = self.states[state as usize].toward;
        }
        true
    }

    fn path(&self, mut state: u32) -> Vec<u32> {
        let mut edges = Vec::with_capacity(self.states[state as usize].steps as usize);
        while self.states[state as usize].edge != NONE {
            edges.push(self.states[state as usize].edge);
            state = self.states[state as usize].toward;
        }
        edges
    }
}

/// How far the root is: user roots are one step from it, and what only synthetic roots reach comes after all others.
fn to_go(snapshot: &Snapshot, graph: &Graph, node: u32) -> u64 {
    match graph.distance(node) {
        _ if node == snapshot.root() => 0,
        NO_DISTANCE => 2 * SYSTEM_DISTANCE as u64,
        distance => distance as u64,
    }
}
