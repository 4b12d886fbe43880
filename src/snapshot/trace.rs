//! The small tables of a snapshot: samples, and the functions and tree of allocation stacks.

use super::{
    budget::Budget,
    header::{Fields, Header},
    indices::Highest,
    pages::Column,
    parallel::read_array,
    records::{BLOCK, Block, Bytes, Columns, Parse, next_number},
    text::Text,
};
use crate::error::{Code, Result};

/// One `samples` record: which ids had been given out by when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Microseconds since tracking began.
    pub timestamp_us: u64,
    /// The last node id that had been given out then.
    pub last_assigned_id: u64,
}

/// One `trace_function_infos` record: a function that allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceFunction {
    /// V8's id of the function.
    pub function_id: u32,
    /// String index of its name.
    pub name: u32,
    /// String index of its script's name.
    pub script_name: u32,
    /// V8's script id.
    pub script_id: u32,
    /// Line, as the file has it without its sign.
    pub line: u32,
    /// Column, as the file has it without its sign.
    pub column: u32,
}

/// One node of `trace_tree`: a call stack, by its last frame and the stack below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceNode {
    /// What nodes of the heap refer to as their `trace_node_id`.
    pub id: u32,
    /// Index of a [`TraceFunction`].
    pub function: u32,
    /// Objects allocated here.
    pub count: u32,
    /// Bytes allocated here.
    pub size: u32,
    /// Index of the parent, which comes before its children; `None` at the root.
    pub parent: Option<u32>,
}

/// Reads records of a layout. Their number is what the array has: headers understate it (SEMANTICS 1.4).
struct FunctionParser {
    width: usize,
    at: [usize; 6],
}

impl Parse for FunctionParser {
    type Block = Few<TraceFunction>;

    fn width(&self) -> usize {
        self.width
    }

    fn quick(&self, _: &[u8], _: u64, _: usize, _: &mut Few<TraceFunction>) -> (usize, usize) {
        (0, 0)
    }

    fn push(&self, record: &[u32], offset: u64, block: &mut Few<TraceFunction>) -> Result<()> {
        let [function_id, name, script_name, script_id, line, column] = self.at.map(|at| record[at]);
        block.names.see(name.max(script_name), offset);
        block.rows.push(TraceFunction { function_id, name, script_name, script_id, line, column });
        Ok(())
    }
}

/// Records of a table that is kept as it is.
pub(super) struct Few<T> {
    pub(super) rows: Vec<T>,
    names: Highest,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few { rows: Vec::with_capacity(BLOCK), names: Highest::default() }
    }
}

impl<T: Send> Block for Few<T> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.names = Highest::default();
    }
}

/// Such a table.
struct Table<'a, T: Copy> {
    budget: &'a mut Budget,
    rows: Column<T>,
    names: Highest,
    what: &'static str,
}

impl<'a, T: Copy> Table<'a, T> {
    fn new(budget: &'a mut Budget, what: &'static str) -> Self {
        Table { budget, rows: Column::new(), names: Highest::default(), what }
    }
}

impl<T: Copy> Columns<Few<T>> for Table<'_, T> {
    fn append(&mut self, block: &Few<T>) -> Result<()> {
        self.budget.grow(&mut self.rows, block.rows.len(), self.what)?;
        self.rows.extend_from_slice(&block.rows)?;
        self.names.merge(block.names);
        Ok(())
    }
}

/// Reads `samples`. Unlike other numbers these are not kept modulo 2^32: microseconds pass that after 71 minutes.
pub(super) fn read_samples(text: &mut Text, header: &Header, budget: &mut Budget) -> Result<Column<Sample>> {
    text.expect(b'[')?;
    let fields = Fields::new(&header.sample_fields, "sample_fields")?;
    let mut record = vec![0; fields.width()];
    let mut samples = Column::new();
    let mut filled = 0;
    while let Some((_, value)) = next_number(text)? {
        if record.is_empty() {
            return Err(fields.at("timestamp_us").err().unwrap_or_else(|| text.truncated()));
        }
        record[filled] = value;
        filled += 1;
        if filled == record.len() {
            filled = 0;
            let timestamp_us = record[fields.at("timestamp_us")?];
            budget.grow(&mut samples, 1, "the samples")?;
            samples.push(Sample { timestamp_us, last_assigned_id: record[fields.at("last_assigned_id")?] })?;
        }
    }
    if filled != 0 {
        return Err(text.error(Code::Corrupt, "\"samples\" ends in the middle of a record"));
    }
    Ok(samples)
}

/// Reads `trace_function_infos`. Also the highest string that one names.
pub(super) fn read_functions(
    text: &mut Text,
    header: &Header,
    budget: &mut Budget,
) -> Result<(Column<TraceFunction>, Highest)> {
    if header.function_fields.is_empty() {
        return empty(text).map(|()| (Column::new(), Highest::default()));
    }
    let fields = Fields::new(&header.function_fields, "trace_function_info_fields")?;
    let mut at = [0; 6];
    for (at, name) in at.iter_mut().zip(["function_id", "name", "script_name", "script_id", "line", "column"]) {
        *at = fields.at(name)?;
    }
    let mut table = Table::new(budget, "the functions of allocation stacks");
    read_array(text, &FunctionParser { width: fields.width(), at }, &mut table, None, 1)?;
    Ok((table.rows, table.names))
}

/// Reads `trace_tree`: records whose last field is an array of records, without recursion. Also the highest function
/// that one names.
pub(super) fn read_tree(text: &mut Text, header: &Header, budget: &mut Budget) -> Result<(Column<TraceNode>, Highest)> {
    const WHAT: &str = "the tree of allocation stacks";
    if header.trace_fields.is_empty() {
        return empty(text).map(|()| (Column::new(), Highest::default()));
    }
    if header.trace_fields != ["id", "function_info_index", "count", "size", "children"] {
        return Err(text.error(Code::Corrupt, "the header's trace_node_fields have an unknown layout"));
    }
    let mut tree: Column<TraceNode> = Column::new();
    let mut parents: Column<u32> = Column::new();
    let mut record = [0u32; 4];
    let mut filled = 0;
    let mut functions = Highest::default();
    text.expect(b'[')?;
    loop {
        match text.token()? {
            b',' => text.advance(1),
            b'0'..=b'9' if filled < 4 => {
                let Some((_, value)) = next_number(text)? else { return Err(text.truncated()) };
                record[filled] = value as u32;
                filled += 1;
            }
            b'[' if filled == 4 => {
                text.advance(1);
                filled = 0;
                let [id, function, count, size] = record;
                functions.see(function, text.offset());
                budget.grow(&mut tree, 1, WHAT)?;
                budget.grow(&mut parents, 1, WHAT)?;
                tree.push(TraceNode { id, function, count, size, parent: parents.last().copied() })?;
                parents.push(tree.len() as u32 - 1)?;
            }
            b']' if filled == 0 => {
                text.advance(1);
                if parents.pop().is_none() {
                    break;
                }
            }
            _ => return Err(text.error(Code::Corrupt, "\"trace_tree\" has no records of four numbers and an array")),
        }
    }
    budget.shrink(&mut tree);
    Ok((tree, functions))
}

/// Passes over an array that must be empty.
pub(super) fn empty(text: &mut Text) -> Result<()> {
    text.expect(b'[')?;
    match next_number(text)? {
        None => Ok(()),
        Some(_) => Err(text.error(Code::Corrupt, format!("the header does not say how {} is laid out", text.section))),
    }
}
