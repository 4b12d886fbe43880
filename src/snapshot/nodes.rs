//! The `nodes` array into columns.

use super::{
    NodeType, Snapshot,
    budget::Budget,
    header::NodeLayout,
    indices::Highest,
    narrow::Narrow,
    pages::Column,
    records::{BLOCK, Block, Columns, Parse, quick},
    sequence::Sequence,
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the nodes";

/// A node's bytes in the columns, at least, for planning.
pub(super) const BYTES_PER_NODE: u64 = 11;

/// Reads records of a layout.
pub(super) struct NodeParser<'a> {
    layout: &'a NodeLayout,
    types: [Option<NodeType>; 256],
}

impl<'a> NodeParser<'a> {
    pub(super) fn new(layout: &'a NodeLayout) -> Self {
        let mut types = [None; 256];
        for (place, &kind) in types.iter_mut().zip(&layout.types) {
            *place = Some(kind);
        }
        NodeParser { layout, types }
    }

    /// The layouts that V8 has written so far; [`NONE`] for a field that is not there.
    #[inline(always)]
    fn quick_as<const F: usize, const TRACE: usize, const DETACHED: usize>(
        &self,
        text: &[u8],
        offset: u64,
        limit: usize,
        block: &mut NodeBlock,
    ) -> (usize, usize) {
        let mut names = block.names;
        let start = block.len;
        let taken = quick::<F>(text, limit, |row, record, at| {
            let row = (start + row) % BLOCK;
            let Some(&Some(kind)) = self.types.get(record[0] as usize) else { return false };
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
            names.see(record[1], offset + at as u64);
            true
        });
        block.names = names;
        block.len += taken.1;
        taken
    }
}

const NONE: usize = usize::MAX;

impl Parse for NodeParser<'_> {
    type Block = NodeBlock;

    fn width(&self) -> usize {
        self.layout.width
    }

    fn quick(&self, text: &[u8], offset: u64, limit: usize, block: &mut NodeBlock) -> (usize, usize) {
        let l = self.layout;
        if [l.kind, l.name, l.id, l.self_size, l.edge_count] != [0, 1, 2, 3, 4] {
            return (0, 0);
        }
        match (l.width, l.trace_node_id, l.detachedness) {
            (6, Some(5), None) => self.quick_as::<6, 5, NONE>(text, offset, limit, block),
            (7, Some(5), Some(6)) => self.quick_as::<7, 5, 6>(text, offset, limit, block),
            (6, None, Some(5)) => self.quick_as::<6, NONE, 5>(text, offset, limit, block),
            _ => (0, 0),
        }
    }

    fn push(&self, record: &[u32], offset: u64, block: &mut NodeBlock) -> Result<()> {
        let l = self.layout;
        let kind = record[l.kind];
        let Some(&Some(kind)) = self.types.get(kind as usize) else {
            let message = format!("a node has type {kind}, and the header lists {}", l.types.len());
            return Err(Error::at(Code::Corrupt, offset, message));
        };
        let row = block.len;
        block.kind[row] = kind;
        block.name[row] = record[l.name];
        block.id[row] = record[l.id];
        block.self_size[row] = record[l.self_size];
        block.edge_count[row] = record[l.edge_count];
        block.trace_node_id[row] = l.trace_node_id.map_or(0, |at| record[at]);
        block.detachedness[row] = l.detachedness.map_or(0, |at| record[at].min(255) as u8);
        block.names.see(record[l.name], offset);
        block.len += 1;
        Ok(())
    }
}

pub(super) struct NodeBlock {
    len: usize,
    names: Highest,
    kind: [NodeType; BLOCK],
    name: [u32; BLOCK],
    id: [u32; BLOCK],
    self_size: [u32; BLOCK],
    edge_count: [u32; BLOCK],
    detachedness: [u8; BLOCK],
    trace_node_id: [u32; BLOCK],
}

impl Default for NodeBlock {
    fn default() -> Self {
        NodeBlock {
            len: 0,
            names: Highest::default(),
            kind: [NodeType::Hidden; BLOCK],
            name: [0; BLOCK],
            id: [0; BLOCK],
            self_size: [0; BLOCK],
            edge_count: [0; BLOCK],
            detachedness: [0; BLOCK],
            trace_node_id: [0; BLOCK],
        }
    }
}

impl Block for NodeBlock {
    fn len(&self) -> usize {
        self.len
    }

    fn clear(&mut self) {
        self.len = 0;
        self.names = Highest::default();
    }
}

/// The columns, as they fill.
pub(super) struct Nodes<'a> {
    layout: &'a NodeLayout,
    budget: &'a mut Budget,
    /// The highest string index that is a name.
    pub(super) names: Highest,
    kind: Column<NodeType>,
    name: Column<u32>,
    id: Sequence,
    self_size: Narrow,
    /// Of the node before, so that sums make it the ordinals of first edges.
    edge_count: Column<u32>,
    /// Empty while all are 0, and so is the next one.
    detachedness: Column<u8>,
    trace_node_id: Column<u32>,
}

impl<'a> Nodes<'a> {
    /// `sure` is how many nodes are expected with some certainty.
    pub(super) fn new(layout: &'a NodeLayout, budget: &'a mut Budget, sure: usize) -> Result<Self> {
        let mut nodes = Nodes {
            layout,
            budget,
            names: Highest::default(),
            kind: Column::new(),
            name: Column::new(),
            id: Sequence::default(),
            self_size: Narrow::default(),
            edge_count: Column::new(),
            detachedness: Column::new(),
            trace_node_id: Column::new(),
        };
        nodes.budget.plan(&mut nodes.kind, sure, WHAT)?;
        nodes.budget.plan(&mut nodes.name, sure, WHAT)?;
        nodes.self_size.plan(sure, nodes.budget, WHAT)?;
        nodes.budget.plan(&mut nodes.edge_count, sure + 1, WHAT)?;
        nodes.edge_count.push(0)?;
        Ok(nodes)
    }

    /// Hands the columns over. `edges` is how many the header announces.
    pub(super) fn finish(mut self, edges: u32, offset: u64, snapshot: &mut Snapshot) -> Result<()> {
        let mut sum = 0u64;
        for count in &mut self.edge_count[..] {
            sum += u64::from(*count);
            *count = sum as u32;
        }
        if sum != u64::from(edges) {
            let message = format!("the nodes have {sum} edges together where the header announces {edges}");
            return Err(Error::at(Code::Corrupt, offset, message));
        }
        snapshot.node_type = self.kind;
        snapshot.node_name = self.name;
        self.id.finish(self.budget)?;
        snapshot.node_id = self.id;
        self.self_size.shrink(self.budget);
        snapshot.self_size = self.self_size;
        snapshot.first_edge = self.edge_count;
        snapshot.detachedness = self.detachedness;
        snapshot.has_detachedness = self.layout.detachedness.is_some();
        snapshot.trace_node_id = self.trace_node_id;
        Ok(())
    }
}

impl Columns<NodeBlock> for Nodes<'_> {
    fn append(&mut self, block: &NodeBlock) -> Result<()> {
        let budget = &mut *self.budget;
        let (before, rows) = (self.kind.len(), block.len);
        budget.grow(&mut self.kind, rows, WHAT)?;
        budget.grow(&mut self.name, rows, WHAT)?;
        budget.grow(&mut self.edge_count, rows, WHAT)?;
        self.kind.extend_from_slice(&block.kind[..rows])?;
        self.name.extend_from_slice(&block.name[..rows])?;
        self.id.extend(&block.id[..rows], budget)?;
        block.self_size[..rows].iter().try_for_each(|&size| self.self_size.push(size, budget, WHAT))?;
        self.edge_count.extend_from_slice(&block.edge_count[..rows])?;
        self.names.merge(block.names);
        if self.layout.trace_node_id.is_some() {
            seldom(&mut self.trace_node_id, before, &block.trace_node_id[..rows], budget)?;
        }
        if self.layout.detachedness.is_some() {
            seldom(&mut self.detachedness, before, &block.detachedness[..rows], budget)?;
        }
        Ok(())
    }
}

/// Appends values to a column that is left empty as long as all are 0. `before` is how many values came before.
fn seldom<T: Copy + Default + PartialEq>(
    column: &mut Column<T>,
    before: usize,
    values: &[T],
    budget: &mut Budget,
) -> Result<()> {
    let zero = T::default();
    if column.is_empty() && values.iter().all(|&value| value == zero) {
        return Ok(());
    }
    budget.grow(column, before + values.len() - column.len(), WHAT)?;
    column.resize(before, zero)?;
    column.extend_from_slice(values)
}
