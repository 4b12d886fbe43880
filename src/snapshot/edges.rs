//! The `edges` array into columns.

use super::{
    EdgeType,
    budget::Budget,
    header::EdgeLayout,
    records::{BLOCK, Highest, Ordinals, Rows, quick},
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the edges";
/// An edge's bytes in the columns, for planning.
pub(super) const BYTES_PER_EDGE: u64 = 9;

pub(super) struct Edges<'a> {
    layout: &'a EdgeLayout,
    budget: &'a mut Budget,
    types: [Option<EdgeType>; 256],
    ordinals: Ordinals,
    block: Block,
    pub(super) kind: Vec<EdgeType>,
    pub(super) name: Vec<u32>,
    pub(super) to: Vec<u32>,
    pub(super) names: Highest,
}

/// Records on their way to the columns, in the nearest cache.
struct Block {
    kind: [EdgeType; BLOCK],
    name: [u32; BLOCK],
    to: [u32; BLOCK],
}

impl<'a> Edges<'a> {
    /// `sure` is how many edges are expected with some certainty.
    pub(super) fn new(layout: &'a EdgeLayout, ordinals: Ordinals, budget: &'a mut Budget, sure: usize) -> Result<Self> {
        let mut types = [None; 256];
        for (place, &kind) in types.iter_mut().zip(&layout.types) {
            *place = Some(kind);
        }
        let block = Block { kind: [EdgeType::Context; BLOCK], name: [0; BLOCK], to: [0; BLOCK] };
        let mut edges = Edges {
            layout,
            budget,
            types,
            ordinals,
            block,
            kind: Vec::new(),
            name: Vec::new(),
            to: Vec::new(),
            names: Highest::default(),
        };
        edges.budget.plan(&mut edges.kind, sure, WHAT)?;
        edges.budget.plan(&mut edges.name, sure, WHAT)?;
        edges.budget.plan(&mut edges.to, sure, WHAT)?;
        Ok(edges)
    }

    fn flush(&mut self, rows: usize) -> Result<()> {
        let Edges { block, budget, .. } = self;
        budget.grow(&mut self.kind, rows, WHAT)?;
        budget.grow(&mut self.name, rows, WHAT)?;
        budget.grow(&mut self.to, rows, WHAT)?;
        self.kind.extend_from_slice(&block.kind[..rows]);
        self.name.extend_from_slice(&block.name[..rows]);
        self.to.extend_from_slice(&block.to[..rows]);
        Ok(())
    }
}

impl Rows for Edges<'_> {
    fn width(&self) -> usize {
        self.layout.width
    }

    fn quick(&mut self, text: &[u8], offset: u64, limit: usize) -> Result<(usize, usize)> {
        let l = self.layout;
        if [l.width, l.kind, l.name_or_index, l.to_node] != [3, 0, 1, 2] {
            return Ok((0, 0));
        }
        let Edges { block, types, names, ordinals, .. } = self;
        let ordinals = *ordinals;
        let mut highest = *names;
        let taken = quick::<3>(text, limit, |row, record, at| {
            let row = row % BLOCK;
            let Some(&Some(kind)) = types.get(record[0] as usize) else { return false };
            let Some(to) = ordinals.of(record[2]) else { return false };
            block.kind[row] = kind;
            block.name[row] = record[1];
            block.to[row] = to;
            if !kind.has_index_name() {
                highest.see(record[1], offset + at as u64);
            }
            true
        });
        *names = highest;
        self.flush(taken.1)?;
        Ok(taken)
    }

    fn push(&mut self, record: &[u32], offset: u64) -> Result<()> {
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
            self.names.see(name, offset);
        }
        (self.block.kind[0], self.block.name[0], self.block.to[0]) = (kind, name, to);
        self.flush(1)
    }
}
