//! From a file, a stream or bytes to a [`Snapshot`]: the first, plain version, by way of serde_json.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use serde::{
    Deserialize,
    de::{Deserializer, Visitor},
};

use super::{EdgeType, Location, NodeType, Snapshot, Strings};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
};

/// How a snapshot is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// The most memory the columns may take, in bytes.
    pub max_memory: Option<u64>,
}

#[derive(Deserialize)]
struct File_ {
    snapshot: Header,
    nodes: Vec<u32>,
    edges: Vec<u32>,
    #[serde(default)]
    locations: Vec<u32>,
    strings: Vec<Wtf8>,
}

#[derive(Deserialize)]
struct Header {
    meta: Meta,
    #[serde(default)]
    root_index: u32,
    #[serde(default)]
    extra_native_bytes: u64,
}

#[derive(Deserialize)]
struct Meta {
    node_fields: Vec<String>,
    node_types: Vec<serde_json::Value>,
    edge_fields: Vec<String>,
    edge_types: Vec<serde_json::Value>,
}

struct Wtf8(Vec<u8>);

impl<'de> Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Wtf8;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> std::result::Result<Wtf8, E> {
                Ok(Wtf8(v.to_vec()))
            }
            fn visit_str<E>(self, v: &str) -> std::result::Result<Wtf8, E> {
                Ok(Wtf8(v.as_bytes().to_vec()))
            }
        }
        d.deserialize_bytes(V)
    }
}

impl Snapshot {
    /// Reads a `.heapsnapshot` or `.heaptimeline` file, plain or gzipped.
    pub fn open(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        let file = File::open(path).map_err(|e| Error::io(&e, "open the snapshot", path))?;
        let mut reader = BufReader::new(file);
        Self::from_reader(&mut reader, options, progress).map_err(|e| e.with_file(path))
    }

    /// Reads a snapshot from a stream, plain or gzipped.
    pub fn from_reader(mut reader: impl Read, options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|e| Error::new(Code::Io, format!("could not read: {e}")))?;
        Self::from_bytes(&bytes, options, progress)
    }

    /// Reads a snapshot that is in memory, plain or gzipped.
    pub fn from_bytes(bytes: &[u8], _options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        progress.check()?;
        let mut plain = Vec::new();
        let text = if bytes.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .map_err(|e| Error::new(Code::Corrupt, format!("broken gzip: {e}")))?;
            &plain[..]
        } else {
            bytes
        };
        let file: File_ = serde_json::from_slice(text)
            .map_err(|e| Error::new(Code::NotASnapshot, format!("this is no heap snapshot: {e}")))?;
        build(&file).ok_or_else(|| Error::new(Code::Corrupt, "the snapshot contradicts itself"))
    }
}

fn build(file: &File_) -> Option<Snapshot> {
    let meta = &file.snapshot.meta;
    let width = meta.node_fields.len();
    let at = |name: &str| meta.node_fields.iter().position(|f| f == name);
    let (kind, name, id, size, count) = (at("type")?, at("name")?, at("id")?, at("self_size")?, at("edge_count")?);
    let detached = at("detachedness");
    let (node_types, type_names) = NodeType::from_names(&names(meta.node_types.get(kind)?)?)?;
    let rows = || file.nodes.chunks_exact(width);
    let mut first_edge = vec![0u32];
    let mut total = 0u32;
    for row in rows() {
        total = total.checked_add(row[count])?;
        first_edge.push(total);
    }

    let edge_width = meta.edge_fields.len();
    let at = |name: &str| meta.edge_fields.iter().position(|f| f == name);
    let (edge_kind, edge_name, to) = (at("type")?, at("name_or_index")?, at("to_node")?);
    let edge_types = EdgeType::from_names(&names(meta.edge_types.get(edge_kind)?)?);
    let edges = || file.edges.chunks_exact(edge_width);
    if total as usize != edges().count() {
        return None;
    }
    let ordinal = |index: u32| {
        let ordinal = index as usize / width;
        (index as usize % width == 0 && ordinal < rows().len()).then_some(ordinal as u32)
    };

    let mut strings = Strings::default();
    for s in &file.strings {
        strings.bytes.extend_from_slice(&s.0);
        strings.ends.push(strings.bytes.len() as u64);
    }
    let in_table = |i: u32| ((i as usize) < strings.len()).then_some(i);
    let edge_type: Option<Vec<EdgeType>> = edges().map(|e| edge_types.get(e[edge_kind] as usize).copied()).collect();
    let edge_type = edge_type?;
    let edge_names: Option<Vec<u32>> = edges()
        .zip(&edge_type)
        .map(|(e, t)| if t.has_index_name() { Some(e[edge_name]) } else { in_table(e[edge_name]) })
        .collect();
    let locations: Option<Vec<Location>> = file
        .locations
        .chunks_exact(4)
        .map(|l| Some(Location { node: ordinal(l[0])?, script_id: l[1], line: l[2], column: l[3] }))
        .collect();
    Some(Snapshot {
        node_type: rows().map(|r| node_types.get(r[kind] as usize).copied()).collect::<Option<Vec<_>>>()?,
        node_name: rows().map(|r| in_table(r[name])).collect::<Option<Vec<_>>>()?,
        node_id: rows().map(|r| r[id]).collect(),
        self_size: rows().map(|r| r[size]).collect(),
        first_edge,
        detachedness: detached.map_or_else(Vec::new, |d| rows().map(|r| r[d].min(255) as u8).collect()),
        edge_name: edge_names?,
        edge_to: edges().map(|e| ordinal(e[to])).collect::<Option<Vec<_>>>()?,
        edge_type,
        locations: locations?,
        root: ordinal(file.snapshot.root_index)?,
        extra_native_bytes: file.snapshot.extra_native_bytes,
        strings,
        type_names,
    })
}

fn names(value: &serde_json::Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}
