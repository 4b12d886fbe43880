//! The `edges` array into columns.

use super::{
    EdgeType, Snapshot,
    budget::Budget,
    header::EdgeLayout,
    indices::{Highest, Ordinals},
    labels::Labelling,
    packed::Packed,
    records::{BLOCK, Block, Columns, Parse, quick},
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the edges";
/// An edge's bytes in the columns of a snapshot of so many nodes, at least, for planning.
pub(super) fn bytes_per_edge(nodes: u32) -> u64 {
    2 + Packed::width(nodes) as u64
}

/// Reads records of a layout.
pub(super) struct EdgeParser<'a> {
    layout: &'a EdgeLayout,
    types: [Option<EdgeType>; 256],
    ordinals: Ordinals,
}

impl<'a> EdgeParser<'a> {
    pub(super) fn new(layout: &'a EdgeLayout, ordinals: Ordinals) -> Self {
        let mut types = [None; 256];
        for (place, &kind) in types.iter_mut().zip(&layout.types) {
            *place = Some(kind);
        }
        EdgeParser { layout, types, ordinals }
    }
}

impl Parse for EdgeParser<'_> {
    type Block = EdgeBlock;

    fn width(&self) -> usize {
        self.layout.width
    }

    fn quick(&self, text: &[u8], offset: u64, limit: usize, block: &mut EdgeBlock) -> (usize, usize) {
        let l = self.layout;
        if [l.width, l.kind, l.name_or_index, l.to_node] != [3, 0, 1, 2] {
            return (0, 0);
        }
        let ordinals = self.ordinals;
        let mut names = block.names;
        let start = block.len;
        let taken = quick::<3>(text, limit, |row, record, at| {
            let row = (start + row) % BLOCK;
            let Some(&Some(kind)) = self.types.get(record[0] as usize) else { return false };
            let Some(to) = ordinals.of(record[2]) else { return false };
            block.kind[row] = kind;
            block.name[row] = record[1];
            block.to[row] = to;
            if !kind.has_index_name() {
                names.see(record[1], offset + at as u64);
            }
            true
        });
        block.names = names;
        block.len += taken.1;
        taken
    }

    fn push(&self, record: &[u32], offset: u64, block: &mut EdgeBlock) -> Result<()> {
        let l = self.layout;
        let (kind, name, to) = (record[l.kind], record[l.name_or_index], record[l.to_node]);
        let Some(&Some(kind)) = self.types.get(kind as usize) else {
            let message = format!("an edge has type {kind}, and the header lists {}", l.types.len());
            return Err(Error::at(Code::Corrupt, offset, message));
        };
        let Some(to) = self.ordinals.of(to) else {
            return Err(Error::at(
                Code::Corrupt,
                offset,
                format!("an edge leads to node index {to}, which is no node"),
            ));
        };
        if !kind.has_index_name() {
            block.names.see(name, offset);
        }
        let row = block.len;
        (block.kind[row], block.name[row], block.to[row]) = (kind, name, to);
        block.len += 1;
        Ok(())
    }
}

pub(super) struct EdgeBlock {
    len: usize,
    names: Highest,
    kind: [EdgeType; BLOCK],
    name: [u32; BLOCK],
    to: [u32; BLOCK],
}

impl Default for EdgeBlock {
    fn default() -> Self {
        let kind = [EdgeType::Context; BLOCK];
        EdgeBlock { len: 0, names: Highest::default(), kind, name: [0; BLOCK], to: [0; BLOCK] }
    }
}

impl Block for EdgeBlock {
    fn len(&self) -> usize {
        self.len
    }

    fn clear(&mut self) {
        self.len = 0;
        self.names = Highest::default();
    }
}

/// The columns, as they fill.
pub(super) struct Edges<'a> {
    budget: &'a mut Budget,
    /// The highest string index that is a name.
    pub(super) names: Highest,
    labels: Labelling,
    to: Packed,
}

impl<'a> Edges<'a> {
    /// Edges to `nodes`; `sure` is how many are expected with some certainty.
    pub(super) fn new(nodes: u32, budget: &'a mut Budget, sure: usize) -> Result<Self> {
        let to = Packed::below(nodes);
        let mut edges = Edges { budget, names: Highest::default(), labels: Labelling::default(), to };
        edges.labels.plan(sure, edges.budget)?;
        edges.to.plan(sure, edges.budget, WHAT)?;
        Ok(edges)
    }

    /// Hands the columns over.
    pub(super) fn finish(mut self, snapshot: &mut Snapshot) -> Result<()> {
        self.to.finish()?;
        snapshot.edge_label = self.labels.finish(self.budget);
        snapshot.edge_to = self.to;
        Ok(())
    }
}

impl Columns<EdgeBlock> for Edges<'_> {
    fn append(&mut self, block: &EdgeBlock) -> Result<()> {
        let rows = block.len;
        self.labels.append(&block.kind[..rows], &block.name[..rows], self.budget)?;
        self.to.extend(&block.to[..rows], self.budget, WHAT)?;
        self.names.merge(block.names);
        Ok(())
    }
}
