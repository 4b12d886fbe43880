//! DOM states: which embedder nodes are attached to a page, which are detached from it.

use super::{BitSet, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{EdgeType, NodeType, Snapshot},
};

const UNKNOWN: u8 = 0;
const ATTACHED: u8 = 1;
const DETACHED: u8 = 2;

/// The prefix that DevTools gives to the names of detached nodes.
pub const DETACHED_PREFIX: &str = "Detached ";

/// The DOM state of every node: 0 unknown, 1 attached, 2 detached.
///
/// Two bits a node, and none at all for a heap without any state: that is, for nearly every Node.js heap.
#[derive(Default)]
pub struct DomStates {
    attached: BitSet,
    detached: BitSet,
    /// Whether the file has states: only then are nodes renamed.
    in_file: bool,
}

impl DomStates {
    /// Spreads the states that the file knows over the embedder's nodes.
    ///
    /// Every node with a state of its own is settled before anything spreads: an explicitly detached node stays detached
    /// though an attached one leads to it, while a node without own state that both lead to is attached.
    pub fn compute(snapshot: &Snapshot, progress: &Progress) -> Result<DomStates> {
        let count = snapshot.node_count();
        let mut steps = Steps::start(progress, "detachedness", u64::from(count))?;
        let mut states = DomStates { in_file: snapshot.detachedness(snapshot.root()).is_some(), ..Default::default() };
        let mut spread = Spread::default();
        for node in 0..count {
            steps.one()?;
            let state = if states.in_file {
                snapshot.detachedness(node).unwrap_or(UNKNOWN) & 3
            } else if snapshot.node_type(node) == NodeType::Native
                && snapshot.node_name(node).as_bytes().starts_with(DETACHED_PREFIX.as_bytes())
            {
                DETACHED
            } else {
                UNKNOWN
            };
            if state == UNKNOWN {
                continue;
            }
            states.set(node, state, count)?;
            if states.in_file {
                spread.settle(snapshot, node, state, &mut states)?;
            }
        }
        for state in [ATTACHED, DETACHED] {
            while let Some(node) = spread.list(state).pop() {
                for edge in snapshot.edges(node) {
                    steps.edge(edge.ordinal)?;
                    if !matches!(edge.kind, EdgeType::Hidden | EdgeType::Invisible | EdgeType::Weak) {
                        spread.visit(snapshot, edge.to, state, &mut states)?;
                    }
                }
            }
        }
        steps.finish()?;
        Ok(states)
    }

    /// The state of a node.
    pub fn get(&self, node: u32) -> u8 {
        u8::from(self.attached.contains(node)) | u8::from(self.detached.contains(node)) << 1
    }

    /// Whether the node's name carries [`DETACHED_PREFIX`] on top of what the file says.
    pub fn is_renamed(&self, snapshot: &Snapshot, node: u32) -> bool {
        self.in_file && self.get(node) == DETACHED && snapshot.node_type(node) == NodeType::Native
    }

    pub(super) fn memory(&self) -> u64 {
        self.attached.memory() + self.detached.memory()
    }

    fn set(&mut self, node: u32, state: u8, count: u32) -> Result<()> {
        for (bit, set) in [(1, &mut self.attached), (2, &mut self.detached)] {
            if state & bit != 0 {
                if set.memory() == 0 {
                    *set = BitSet::new(count)?;
                }
                set.insert(node);
            }
        }
        Ok(())
    }
}

/// The work lists, and the nodes that are settled.
#[derive(Default)]
struct Spread {
    visited: BitSet,
    attached: Vec<u32>,
    detached: Vec<u32>,
}

impl Spread {
    fn list(&mut self, state: u8) -> &mut Vec<u32> {
        if state == ATTACHED { &mut self.attached } else { &mut self.detached }
    }

    /// A node whose state the file knows. Nothing spreads from JavaScript objects.
    fn settle(&mut self, snapshot: &Snapshot, node: u32, state: u8, states: &mut DomStates) -> Result<()> {
        if self.visited.memory() == 0 {
            self.visited = BitSet::new(snapshot.node_count())?;
        }
        self.visited.insert(node);
        if snapshot.node_type(node) == NodeType::Native && matches!(state, ATTACHED | DETACHED) {
            states.set(node, state, snapshot.node_count())?;
            self.list(state).push(node);
        }
        Ok(())
    }

    /// A node that another one's state reaches: the first state to arrive stays.
    fn visit(&mut self, snapshot: &Snapshot, node: u32, state: u8, states: &mut DomStates) -> Result<()> {
        if self.visited.insert(node) && snapshot.node_type(node) == NodeType::Native {
            states.set(node, state, snapshot.node_count())?;
            self.list(state).push(node);
        }
        Ok(())
    }
}
