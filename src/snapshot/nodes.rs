//! The `nodes` array into columns.

use super::{
    NodeType,
    budget::Budget,
    header::NodeLayout,
    records::{BLOCK, Highest, Rows, quick},
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the nodes";

pub(super) struct Nodes<'a> {
    layout: &'a NodeLayout,
    budget: &'a mut Budget,
    types: [Option<NodeType>; 256],
    block: Block,
    pub(super) kind: Vec<NodeType>,
    pub(super) name: Vec<u32>,
    pub(super) id: Vec<u32>,
    pub(super) self_size: Vec<u32>,
    /// Starts with a 0 for the first node; sums only after [`finish`](Self::finish).
    pub(super) first_edge: Vec<u32>,
    pub(super) detachedness: Vec<u8>,
    /// Empty while all are 0.
    pub(super) trace_node_id: Vec<u32>,
    pub(super) names: Highest,
}

/// Records on their way to the columns, in the nearest cache.
struct Block {
    kind: [NodeType; BLOCK],
    name: [u32; BLOCK],
    id: [u32; BLOCK],
    self_size: [u32; BLOCK],
    edge_count: [u32; BLOCK],
    detachedness: [u8; BLOCK],
    trace_node_id: [u32; BLOCK],
}

/// A node's bytes in the columns, for planning.
pub(super) fn bytes_per_node(layout: &NodeLayout) -> u64 {
    17 + u64::from(layout.detachedness.is_some())
}

impl<'a> Nodes<'a> {
    /// `sure` is how many nodes are expected with some certainty.
    pub(super) fn new(layout: &'a NodeLayout, budget: &'a mut Budget, sure: usize) -> Result<Self> {
        let mut types = [None; 256];
        for (place, &kind) in types.iter_mut().zip(&layout.types) {
            *place = Some(kind);
        }
        let block = Block {
            kind: [NodeType::Hidden; BLOCK],
            name: [0; BLOCK],
            id: [0; BLOCK],
            self_size: [0; BLOCK],
            edge_count: [0; BLOCK],
            detachedness: [0; BLOCK],
            trace_node_id: [0; BLOCK],
        };
        let mut nodes = Nodes {
            layout,
            budget,
            types,
            block,
            kind: Vec::new(),
            name: Vec::new(),
            id: Vec::new(),
            self_size: Vec::new(),
            first_edge: Vec::new(),
            detachedness: Vec::new(),
            trace_node_id: Vec::new(),
            names: Highest::default(),
        };
        nodes.budget.plan(&mut nodes.kind, sure, WHAT)?;
        nodes.budget.plan(&mut nodes.name, sure, WHAT)?;
        nodes.budget.plan(&mut nodes.id, sure, WHAT)?;
        nodes.budget.plan(&mut nodes.self_size, sure, WHAT)?;
        nodes.budget.plan(&mut nodes.first_edge, sure + 1, WHAT)?;
        if layout.detachedness.is_some() {
            nodes.budget.plan(&mut nodes.detachedness, sure, WHAT)?;
        }
        nodes.first_edge.push(0);
        Ok(nodes)
    }

    /// Makes edge counts the ordinals of first edges; `edges` is how many the header announces.
    pub(super) fn finish(&mut self, edges: u32, offset: u64) -> Result<()> {
        let mut sum = 0u64;
        for count in &mut self.first_edge {
            sum += u64::from(*count);
            *count = sum as u32;
        }
        if sum != u64::from(edges) {
            let message = format!("the nodes have {sum} edges together where the header announces {edges}");
            return Err(Error::at(Code::Corrupt, offset, message));
        }
        Ok(())
    }

    /// Moves the first `rows` of the block to the columns.
    fn flush(&mut self, rows: usize) -> Result<()> {
        let Nodes { block, budget, .. } = self;
        budget.grow(&mut self.kind, rows, WHAT)?;
        budget.grow(&mut self.name, rows, WHAT)?;
        budget.grow(&mut self.id, rows, WHAT)?;
        budget.grow(&mut self.self_size, rows, WHAT)?;
        budget.grow(&mut self.first_edge, rows, WHAT)?;
        let before = self.kind.len();
        self.kind.extend_from_slice(&block.kind[..rows]);
        self.name.extend_from_slice(&block.name[..rows]);
        self.id.extend_from_slice(&block.id[..rows]);
        self.self_size.extend_from_slice(&block.self_size[..rows]);
        self.first_edge.extend_from_slice(&block.edge_count[..rows]);
        if self.layout.detachedness.is_some() {
            budget.grow(&mut self.detachedness, rows, WHAT)?;
            self.detachedness.extend_from_slice(&block.detachedness[..rows]);
        }
        let traces = &block.trace_node_id[..rows];
        if self.layout.trace_node_id.is_some() && (!self.trace_node_id.is_empty() || traces.iter().any(|&t| t != 0)) {
            let missing = before + rows - self.trace_node_id.len();
            budget.grow(&mut self.trace_node_id, missing, WHAT)?;
            self.trace_node_id.resize(before, 0);
            self.trace_node_id.extend_from_slice(traces);
        }
        Ok(())
    }

    /// The layouts that V8 has written so far; `NONE` for a field that is not there.
    #[inline(always)]
    fn quick_as<const F: usize, const TRACE: usize, const DETACHED: usize>(
        &mut self,
        text: &[u8],
        offset: u64,
        limit: usize,
    ) -> (usize, usize) {
        let Nodes { block, types, names, .. } = self;
        let mut highest = *names;
        let taken = quick::<F>(text, limit, |row, record, at| {
            let row = row % BLOCK;
            let Some(&Some(kind)) = types.get(record[0] as usize) else { return false };
            block.kind[row] = kind;
            block.name[row] = record[1];
            block.id[row] = record[2];
            block.self_size[row] = record[3];
            block.edge_count[row] = record[4];
            if TRACE != NONE {
                block.trace_node_id[row] = record[TRACE % F];
            }
            if DETACHED != NONE {
                block.detachedness[row] = record[DETACHED % F].min(255) as u8;
            }
            highest.see(record[1], offset + at as u64);
            true
        });
        *names = highest;
        taken
    }
}

const NONE: usize = usize::MAX;

impl Rows for Nodes<'_> {
    fn width(&self) -> usize {
        self.layout.width
    }

    fn quick(&mut self, text: &[u8], offset: u64, limit: usize) -> Result<(usize, usize)> {
        let l = self.layout;
        if [l.kind, l.name, l.id, l.self_size, l.edge_count] != [0, 1, 2, 3, 4] {
            return Ok((0, 0));
        }
        let taken = match (l.width, l.trace_node_id, l.detachedness) {
            (6, Some(5), None) => self.quick_as::<6, 5, NONE>(text, offset, limit),
            (7, Some(5), Some(6)) => self.quick_as::<7, 5, 6>(text, offset, limit),
            (6, None, Some(5)) => self.quick_as::<6, NONE, 5>(text, offset, limit),
            _ => return Ok((0, 0)),
        };
        self.flush(taken.1)?;
        Ok(taken)
    }

    fn push(&mut self, record: &[u32], offset: u64) -> Result<()> {
        let l = self.layout;
        let kind = record[l.kind];
        let Some(&Some(kind)) = self.types.get(kind as usize) else {
            let message = format!("a node has type {kind}, and the header lists {}", l.types.len());
            return Err(Error::at(Code::Corrupt, offset, message));
        };
        self.block.kind[0] = kind;
        self.block.name[0] = record[l.name];
        self.block.id[0] = record[l.id];
        self.block.self_size[0] = record[l.self_size];
        self.block.edge_count[0] = record[l.edge_count];
        self.block.trace_node_id[0] = l.trace_node_id.map_or(0, |at| record[at]);
        self.block.detachedness[0] = l.detachedness.map_or(0, |at| record[at].min(255) as u8);
        self.names.see(record[l.name], offset);
        self.flush(1)
    }
}
