//! The arrays that refer to strings, with the indices that their uses have in the output.

use std::io::Write;

use super::{
    Output,
    keys::KeyReader,
    uses::{Slot, Uses, slot_of},
};
use crate::{
    error::{Code, Error, Result},
    snapshot::{
        EdgeType,
        header::{Fields, Header},
        records::closely,
        text::Text,
    },
};

pub(super) struct Rewriter<'h> {
    pub(super) header: &'h Header,
    pub(super) uses: Uses,
}

impl Rewriter<'_> {
    /// The nodes, behind their `[` and before their `]`.
    pub(super) fn nodes<W: Write>(&mut self, text: &mut Text, out: &mut Output<W>) -> Result<()> {
        let layout = &self.header.node;
        let mut record = vec![0; layout.width];
        text.section = "\"nodes\"";
        text.expect(b'[')?;
        let mut count = 0u32;
        while let Some(offset) = closely(text, &mut record)? {
            let (id, size, edges) = (record[layout.id], record[layout.self_size], record[layout.edge_count]);
            let Some(&kind) = layout.types.get(record[layout.kind] as usize) else {
                let message = format!("a node has type {}, and the header lists no such", record[layout.kind]);
                return Err(Error::at(Code::Corrupt, offset, message));
            };
            let slot = slot_of(kind, size, edges);
            let name = self.uses.index(record[layout.name], slot)?;
            if slot == Slot::Name {
                self.uses.add_named(id);
            }
            if let Some(keys) = &mut self.uses.keys {
                keys.add_node(kind, edges, record[layout.name], slot);
            }
            let fields = record.iter().enumerate();
            row(out, count == 0, fields.map(|(i, &v)| if i == layout.name { name } else { u64::from(v) }))?;
            count = self.checked(count, self.header.node_count, text)?;
        }
        self.all(count, self.header.node_count, text)
    }

    /// The edges, alike.
    pub(super) fn edges<W: Write>(&mut self, text: &mut Text, out: &mut Output<W>) -> Result<()> {
        text.section = "\"edges\"";
        text.expect(b'[')?;
        if let Some(mut keys) = self.uses.keys.take() {
            let count = KeyReader::new(self.header, &mut keys, &mut self.uses).edges(text, out)?;
            self.uses.keys = Some(keys);
            return self.all(count, self.header.edge_count, text);
        }
        let layout = &self.header.edge;
        let mut record = vec![0; layout.width];
        let mut count = 0u32;
        while let Some(offset) = closely(text, &mut record)? {
            let kind = edge_type(self.header, record[layout.kind], offset)?;
            let name = record[layout.name_or_index];
            let name = if kind.has_index_name() { u64::from(name) } else { self.uses.index(name, Slot::Name)? };
            let fields = record.iter().enumerate();
            row(out, count == 0, fields.map(|(i, &v)| if i == layout.name_or_index { name } else { u64::from(v) }))?;
            count = self.checked(count, self.header.edge_count, text)?;
        }
        self.all(count, self.header.edge_count, text)
    }

    /// The functions of allocation stacks: names of functions and of scripts.
    pub(super) fn functions<W: Write>(&mut self, text: &mut Text, out: &mut Output<W>) -> Result<()> {
        text.section = "\"trace_function_infos\"";
        text.expect(b'[')?;
        let listed = &self.header.function_fields;
        if listed.is_empty() {
            // Nothing says what the numbers are.
            return if closely(text, &mut [0])?.is_none() { Ok(()) } else { Err(no_fields(text)) };
        }
        let fields = Fields::new(listed, "trace_function_info_fields")?;
        let names = [fields.at("name")?, fields.at("script_name")?];
        let mut record = vec![0; fields.width()];
        let mut first = true;
        while closely(text, &mut record)?.is_some() {
            let mut values: Vec<u64> = record.iter().map(|&v| u64::from(v)).collect();
            for at in names {
                values[at] = self.uses.index(record[at], Slot::Name)?;
            }
            row(out, first, values.into_iter())?;
            first = false;
        }
        Ok(())
    }

    fn checked(&self, count: u32, announced: u32, text: &Text) -> Result<u32> {
        if count == announced {
            let message = format!("{} has more records than the {announced} announced", text.section);
            return Err(text.error(Code::Corrupt, message));
        }
        Ok(count + 1)
    }

    fn all(&self, count: u32, announced: u32, text: &Text) -> Result<()> {
        if count == announced {
            return Ok(());
        }
        let message = format!("{} has {count} records where the header announces {announced}", text.section);
        Err(text.error(Code::Corrupt, message))
    }
}

fn no_fields(text: &Text) -> Error {
    text.error(Code::Corrupt, "the header does not list the fields of \"trace_function_infos\"")
}

pub(super) fn edge_type(header: &Header, kind: u32, offset: u64) -> Result<EdgeType> {
    header.edge.types.get(kind as usize).copied().ok_or_else(|| {
        Error::at(Code::Corrupt, offset, format!("an edge has type {kind}, and the header lists no such"))
    })
}

/// Writes one record in V8's manner.
pub(super) fn row<W: Write>(out: &mut Output<W>, first: bool, values: impl Iterator<Item = u64>) -> Result<()> {
    let mut separator: &[u8] = if first { b"" } else { b"\n," };
    for value in values {
        out.put(separator)?;
        out.number(value)?;
        separator = b",";
    }
    Ok(())
}
