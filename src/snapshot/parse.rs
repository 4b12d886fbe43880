//! The whole text, key by key: `snapshot` first, `strings` last, unknown keys passed over.

use super::{
    ReadOptions, Snapshot, Strings,
    budget::Budget,
    edges::{EdgeParser, Edges, bytes_per_edge},
    header::{Header, skip_value},
    in_file::Origin,
    indices::{Highest, Ordinals},
    locations::read_locations,
    nodes::{BYTES_PER_NODE, NodeParser, Nodes},
    parallel::read_array,
    records::Bytes,
    text::Text,
    trace,
};
use crate::error::{Code, Error, Result};

/// Longer keys are none of a snapshot's.
const MAX_KEY: usize = 256;

/// Reads the snapshot that `text` is, which is that of `origin` where there is one.
pub(super) fn parse(
    text: &mut Text,
    budget: &mut Budget,
    options: &ReadOptions,
    origin: Option<Origin>,
) -> Result<Snapshot> {
    let header = begin(text)?;
    check_memory(text, &header, budget, options.beside_each_node)?;
    let snapshot = Snapshot::default();
    let (checks, seen) = Default::default();
    let mut parts = Parts { header: &header, snapshot, checks, seen, threads: options.threads, origin };
    while let Some(key) = next_key(text)? {
        parts.read(&key, text, budget)?;
    }
    let end = text.offset();
    expect_end(text)?;
    let Parts { mut snapshot, checks, seen, .. } = parts;
    for part in ["nodes", "edges", "strings"] {
        if !seen.iter().any(|s| s == part) {
            return Err(Error::at(Code::Corrupt, end, format!("the snapshot has no \"{part}\"")));
        }
    }
    check_indices(&snapshot, &checks)?;
    snapshot.root = header.root;
    snapshot.extra_native_bytes = header.extra_native_bytes;
    snapshot.fork_ids = header.fork_ids;
    snapshot.type_names = header.node.type_names;
    snapshot.header_json = header.json;
    Ok(snapshot)
}

/// Reads from the beginning to the end of the header.
pub(super) fn begin(text: &mut Text) -> Result<Header> {
    text.section = "the head of the file";
    if text.token()? != b'{' {
        return Err(text.error(Code::NotASnapshot, "this is no heap snapshot: it does not start with '{'"));
    }
    text.advance(1);
    find_header(text)
}

/// The key of the next part, behind the header or another part; `None` when the snapshot is over.
pub(super) fn next_key(text: &mut Text) -> Result<Option<Vec<u8>>> {
    text.section = "the snapshot";
    match text.token()? {
        b',' => {
            text.advance(1);
            key(text).map(Some)
        }
        b'}' => {
            text.advance(1);
            Ok(None)
        }
        _ => Err(text.error(Code::Corrupt, "expected ',' or '}' after a value")),
    }
}

/// Fails where text follows the snapshot.
pub(super) fn expect_end(text: &mut Text) -> Result<()> {
    match text.peek_token()? {
        Some(_) => Err(text.error(Code::Corrupt, "there is more text after the snapshot's end")),
        None => Ok(()),
    }
}

/// Reads on to the header. What stands before it is JSON of some kind, no more is known.
fn find_header(text: &mut Text) -> Result<Header> {
    let not_a_snapshot = |mut e: Error| {
        if e.code == Code::Corrupt {
            e.code = Code::NotASnapshot;
            e.message = format!("this is no heap snapshot: {}", e.message);
        }
        e
    };
    loop {
        if text.token()? == b'}' {
            return Err(text.error(Code::NotASnapshot, "this is no heap snapshot: it has no \"snapshot\" header"));
        }
        let key = key(text).map_err(not_a_snapshot)?;
        if key == b"snapshot" {
            text.section = "the header";
            return Header::read(text);
        }
        if key == b"nodes" || key == b"edges" || key == b"head" {
            let message = "this is no heap snapshot: its \"snapshot\" header does not come first";
            return Err(text.error(Code::NotASnapshot, message));
        }
        skip_value(text, |_| true).map_err(not_a_snapshot)?;
        match text.token()? {
            b',' => text.advance(1),
            b'}' => {}
            _ => return Err(text.error(Code::NotASnapshot, "this is no heap snapshot, nor JSON")),
        }
    }
}

/// A key and the colon behind it. Keys of interest have no escapes.
fn key(text: &mut Text) -> Result<Vec<u8>> {
    if text.token()? != b'"' {
        return Err(text.error(Code::Corrupt, "expected a key in quotes"));
    }
    text.advance(1);
    let mut key = Vec::new();
    loop {
        match text.peek()? {
            Some(b'"') => break,
            Some(b) if key.len() < MAX_KEY && b >= b' ' => key.push(b),
            Some(_) => return Err(text.error(Code::Corrupt, "this key is none of a snapshot's")),
            None => return Err(text.truncated()),
        }
        text.advance(1);
    }
    text.advance(1);
    text.expect(b':')?;
    Ok(key)
}

/// An early no where the columns alone, with `beside` bytes for each node, would take more than is allowed: it names
/// what the whole file needs at least. A header
/// that announces more than the rest of the text can hold is not believed.
fn check_memory(text: &Text, header: &Header, budget: &Budget, beside: u64) -> Result<()> {
    let (nodes, edges) = (u64::from(header.node_count), u64::from(header.edge_count));
    let room = |width: usize| text.most_left().map_or(u64::MAX, |bytes| bytes / (2 * width as u64));
    let nodes_bytes = nodes.min(room(header.node.width)) * (BYTES_PER_NODE + beside);
    let edges_bytes = edges.min(room(header.edge.width)) * bytes_per_edge(header.node_count);
    budget.check(nodes_bytes + edges_bytes, &format!("a snapshot of {nodes} nodes and {edges} edges"))
}

/// How many of `announced` records of `width` numbers to make room for before they are seen.
fn sure(text: &Text, announced: u32, width: usize) -> usize {
    let bytes = match text.most_left() {
        Some(bytes) if text.length_known() => bytes,
        // Snapshots are seldom packed to less than a fifteenth.
        Some(bytes) => bytes / 1032 * 15,
        None => 1 << 20,
    };
    (announced as usize).min(usize::try_from(bytes / (2 * width as u64)).unwrap_or(usize::MAX))
}

enum Table {
    Strings,
    Functions,
}

struct Parts<'h> {
    header: &'h Header,
    snapshot: Snapshot,
    /// What to compare with the lengths of tables when those are there.
    checks: Vec<(&'static str, Table, Highest)>,
    seen: Vec<String>,
    /// How many may read.
    threads: usize,
    origin: Option<Origin>,
}

impl Parts<'_> {
    fn read(&mut self, key: &[u8], text: &mut Text, budget: &mut Budget) -> Result<()> {
        let section = match key {
            b"nodes" => "\"nodes\"",
            b"edges" => "\"edges\"",
            b"strings" => "\"strings\"",
            b"locations" => "\"locations\"",
            b"samples" => "\"samples\"",
            b"trace_function_infos" => "\"trace_function_infos\"",
            b"trace_tree" => "\"trace_tree\"",
            b"snapshot" => return Err(text.error(Code::Corrupt, "the snapshot has two headers")),
            _ => {
                text.section = "a part that is not known";
                return skip_value(text, |_| true);
            }
        };
        text.section = section;
        let name = section.trim_matches('"');
        if self.seen.iter().any(|s| s == name) {
            return Err(text.error(Code::Corrupt, format!("the snapshot has {section} twice")));
        }
        self.seen.push(name.to_owned());
        let header = self.header;
        let ordinals = Ordinals::new(header.node.width, header.node_count);
        let snapshot = &mut self.snapshot;
        match name {
            "nodes" => {
                let sure = sure(text, header.node_count, header.node.width);
                let parser = NodeParser::new(&header.node);
                let mut nodes = Nodes::new(&header.node, budget, sure)?;
                read_array(text, &parser, &mut nodes, Some(header.node_count), self.threads)?;
                self.checks.push(("node", Table::Strings, nodes.names));
                nodes.finish(header.edge_count, text.offset(), snapshot)?;
            }
            "edges" => {
                let sure = sure(text, header.edge_count, header.edge.width);
                let parser = EdgeParser::new(&header.edge, ordinals);
                let mut edges = Edges::new(header.node_count, budget, sure)?;
                read_array(text, &parser, &mut edges, Some(header.edge_count), self.threads)?;
                self.checks.push(("edge", Table::Strings, edges.names));
                edges.finish(snapshot)?;
            }
            "locations" => snapshot.locations = read_locations(text, header, ordinals, budget, self.threads)?,
            "samples" => snapshot.samples = trace::read_samples(text, header, budget)?,
            "trace_function_infos" => {
                let (functions, names) = trace::read_functions(text, header, budget)?;
                self.checks.push(("function of an allocation stack", Table::Strings, names));
                snapshot.trace_functions = functions;
            }
            "trace_tree" => {
                let (tree, functions) = trace::read_tree(text, header, budget)?;
                self.checks.push(("allocation stack", Table::Functions, functions));
                snapshot.trace_tree = tree;
            }
            _ => snapshot.strings = Strings::read(text, budget, self.origin.take(), self.threads)?,
        }
        Ok(())
    }
}

/// What could be checked only when everything was there.
fn check_indices(snapshot: &Snapshot, checks: &[(&str, Table, Highest)]) -> Result<()> {
    for (what, table, highest) in checks {
        let (name, len) = match table {
            Table::Strings => ("string", snapshot.strings.len()),
            Table::Functions => ("function", snapshot.trace_functions.len()),
        };
        if highest.any && highest.value as usize >= len {
            let message = format!("a {what} refers to {name} {}, and there are {len}", highest.value);
            return Err(Error::at(Code::Corrupt, highest.offset, message));
        }
    }
    Ok(())
}
