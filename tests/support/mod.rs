//! A snapshot as plain lists of numbers, to compare the reader's columns with: read by serde_json, or made up.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod random;
pub(crate) mod small;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use heaprs::{
    error::{Error, Result},
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use serde_json::Value;

/// What a snapshot says, a list of records for each of its arrays.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) node_fields: Vec<String>,
    pub(crate) node_types: Vec<String>,
    pub(crate) edge_fields: Vec<String>,
    pub(crate) edge_types: Vec<String>,
    pub(crate) nodes: Vec<Vec<u64>>,
    pub(crate) edges: Vec<Vec<u64>>,
    /// object_index, script_id, line, column
    pub(crate) locations: Vec<Vec<u64>>,
    /// timestamp_us, last_assigned_id
    pub(crate) samples: Vec<Vec<u64>>,
    /// function_id, name, script_name, script_id, line, column
    pub(crate) functions: Vec<Vec<u64>>,
    /// id, function_info_index, count, size, and the parent's place in this list
    pub(crate) tree: Vec<([u64; 4], Option<usize>)>,
    /// WTF-8.
    pub(crate) strings: Vec<Vec<u8>>,
    pub(crate) root_index: Option<u64>,
    pub(crate) extra_native_bytes: Option<u64>,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Snapshot> {
    Snapshot::from_bytes(bytes, &ReadOptions::default(), &Progress::default())
}

/// The error that reading gives.
pub(crate) fn fails(text: impl AsRef<[u8]>) -> Error {
    let text = text.as_ref();
    match read(text) {
        Ok(_) => panic!("read without an error: {}", String::from_utf8_lossy(&text[..text.len().min(500)])),
        Err(e) => e,
    }
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

/// The text of a random snapshot that is checked in, of 46 KB.
pub(crate) fn golden() -> Vec<u8> {
    let file =
        fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reader/fuzz-1-0.heapsnapshot.gz"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file.unwrap()).read_to_end(&mut text).unwrap();
    text
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_text(0)))
    }
}

impl Model {
    /// Reads the text by way of serde_json, the plain way.
    pub(crate) fn naive(text: &[u8]) -> Model {
        let file: File = serde_json::from_slice(text).unwrap();
        let header = &file.snapshot;
        let list = |name: &str| strings(&header["meta"][name]);
        let records = |numbers: &[i64], fields: &str| -> Vec<Vec<u64>> {
            let width = list(fields).len().max(1);
            assert_eq!(numbers.len() % width, 0);
            numbers.chunks_exact(width).map(|r| r.iter().map(|n| n.unsigned_abs()).collect()).collect()
        };
        let types = |fields: &str, types: &str| {
            let at = list(fields).iter().position(|f| f == "type").unwrap();
            strings(&header["meta"][types][at])
        };
        let mut tree = Vec::new();
        stacks(file.trace_tree.as_array().map_or(&[], Vec::as_slice), None, &mut tree);
        Model {
            node_fields: list("node_fields"),
            node_types: types("node_fields", "node_types"),
            edge_fields: list("edge_fields"),
            edge_types: types("edge_fields", "edge_types"),
            nodes: records(&file.nodes, "node_fields"),
            edges: records(&file.edges, "edge_fields"),
            // A newer V8 has a field more.
            locations: records(&file.locations, "location_fields")
                .into_iter()
                .map(|record| {
                    let fields = list("location_fields");
                    let get = |name: &str| record[fields.iter().position(|field| field == name).unwrap()];
                    ["object_index", "script_id", "line", "column"].map(get).to_vec()
                })
                .collect(),
            samples: records(&file.samples, "sample_fields"),
            functions: records(&file.trace_function_infos, "trace_function_info_fields"),
            tree,
            strings: file.strings.into_iter().map(|s| s.0).collect(),
            root_index: header["root_index"].as_u64(),
            extra_native_bytes: header["extra_native_bytes"].as_u64(),
        }
    }

    /// Fails unless the snapshot says the same, column by column.
    pub(crate) fn check(&self, s: &Snapshot) {
        let column = |fields: &[String], name: &str| fields.iter().position(|f| f == name);
        let node = |record: &[u64], name: &str| column(&self.node_fields, name).map(|at| record[at] as u32);
        let width = self.node_fields.len() as u64;

        assert_eq!(s.node_count() as usize, self.nodes.len());
        assert_eq!(s.edge_count() as usize, self.edges.len());
        assert_eq!(u64::from(s.root()), self.root_index.unwrap_or(0) / width);
        assert_eq!(s.extra_native_bytes(), self.extra_native_bytes.unwrap_or(0));
        assert_eq!(s.strings().len(), self.strings.len());
        let each = s.strings().each(&Progress::default(), |i, read| {
            assert_eq!(read.as_bytes(), self.strings[i as usize], "string {i}");
            assert_eq!(s.strings().get(i), read);
            Ok(())
        });
        each.unwrap();
        let mut edge = 0u32;
        for (i, record) in (0..).zip(&self.nodes) {
            let kind = &self.node_types[node(record, "type").unwrap() as usize];
            assert_eq!(s.type_name(s.node_type(i)), kind, "type of node {i}");
            let name = node(record, "name").unwrap();
            assert_eq!(s.node_name_index(i), name, "name of node {i}");
            assert_eq!(s.node_name(i).as_bytes(), self.strings[name as usize]);
            assert_eq!(s.node_id(i), node(record, "id").unwrap(), "id of node {i}");
            assert_eq!(s.raw_self_size(i), node(record, "self_size").unwrap(), "self size of node {i}");
            assert_eq!(s.trace_node_id(i), node(record, "trace_node_id").unwrap_or(0), "trace of node {i}");
            assert_eq!(s.detachedness(i).map(u32::from), node(record, "detachedness"), "detachedness of node {i}");
            let end = edge + node(record, "edge_count").unwrap();
            assert_eq!(s.edge_range(i), edge..end, "edges of node {i}");
            edge = end;
        }
        for (i, record) in (0..).zip(&self.edges) {
            let get = |name: &str| record[column(&self.edge_fields, name).unwrap()];
            let e = s.edge(i);
            let kind = format!("{:?}", e.kind).to_lowercase();
            let spelled = &self.edge_types[get("type") as usize];
            assert!(kind == *spelled || kind == "unknown" && spelled.starts_with("future"), "type of edge {i}");
            assert_eq!(u64::from(e.name_or_index), get("name_or_index") & 0xffff_ffff, "name of edge {i}");
            assert_eq!(u64::from(e.to), get("to_node") / width, "target of edge {i}");
        }
        assert_eq!(s.locations().len(), self.locations.len());
        for (l, r) in s.locations().iter().zip(&self.locations) {
            let read = [l.node * width as u32, l.script_id, l.line, l.column].map(u64::from);
            assert_eq!(read[..], r[..]);
        }
        let samples: Vec<_> = s.samples().iter().map(|s| vec![s.timestamp_us, s.last_assigned_id]).collect();
        assert_eq!(samples, self.samples);
        assert_eq!(s.trace_functions().len(), self.functions.len());
        for (f, r) in s.trace_functions().iter().zip(&self.functions) {
            let read = [f.function_id, f.name, f.script_name, f.script_id, f.line, f.column].map(u64::from);
            assert_eq!(read[..], r[..]);
        }
        let tree = s
            .trace_tree()
            .iter()
            .map(|t| ([t.id, t.function, t.count, t.size].map(u64::from), t.parent.map(|p| p as usize)));
        assert_eq!(tree.collect::<Vec<_>>(), self.tree);
    }
}

#[derive(serde::Deserialize)]
struct File {
    snapshot: Value,
    nodes: Vec<i64>,
    edges: Vec<i64>,
    #[serde(default)]
    trace_function_infos: Vec<i64>,
    #[serde(default)]
    trace_tree: Value,
    #[serde(default)]
    samples: Vec<i64>,
    #[serde(default)]
    locations: Vec<i64>,
    strings: Vec<Wtf8>,
}

/// A string as bytes: serde_json then keeps lone surrogates, as WTF-8.
struct Wtf8(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Wtf8 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Wtf8;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> std::result::Result<Wtf8, E> {
                Ok(Wtf8(v.to_vec()))
            }
        }
        d.deserialize_bytes(Bytes)
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().map_or_else(Vec::new, |list| list.iter().map(|v| v.as_str().unwrap().to_owned()).collect())
}

fn stacks(list: &[Value], parent: Option<usize>, out: &mut Vec<([u64; 4], Option<usize>)>) {
    for record in list.chunks(5) {
        let number = |i: usize| record[i].as_u64().unwrap();
        out.push(([number(0), number(1), number(2), number(3)], parent));
        let this = out.len() - 1;
        stacks(record[4].as_array().unwrap(), Some(this), out);
    }
}
