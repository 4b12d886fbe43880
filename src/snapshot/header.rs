//! The `snapshot` object at the head of the file: counts, field layouts, type names.

use serde::Deserialize;
use serde_json::Value;

use super::{EdgeType, NodeType, TypeNames, records::Bytes, text::Text};
use crate::error::{Code, Error, Result};

/// Real headers have about 1.5 KB.
const MAX_BYTES: usize = 4 << 20;
/// Real records have 3 to 7 fields.
const MAX_FIELDS: usize = 32;

/// What heaprs adds to the header of a file whose ids were given out in a forked child: they die with it, and compare with
/// those of no other file. DevTools and other readers skip keys that they don't know.
pub const FORK_MARK: &str = r#""heaprs":{"ids":"fork"}"#;

pub(super) struct Header {
    /// The header's own JSON text.
    pub(super) json: String,
    pub(super) node_count: u32,
    pub(super) edge_count: u32,
    pub(super) root: u32,
    pub(super) extra_native_bytes: u64,
    pub(super) fork_ids: bool,
    pub(super) node: NodeLayout,
    pub(super) edge: EdgeLayout,
    pub(super) location_fields: Vec<String>,
    pub(super) sample_fields: Vec<String>,
    pub(super) function_fields: Vec<String>,
    pub(super) trace_fields: Vec<String>,
}

/// Where in a node's record each field stands.
pub(super) struct NodeLayout {
    pub(super) width: usize,
    pub(super) kind: usize,
    pub(super) name: usize,
    pub(super) id: usize,
    pub(super) self_size: usize,
    pub(super) edge_count: usize,
    pub(super) trace_node_id: Option<usize>,
    pub(super) detachedness: Option<usize>,
    pub(super) types: Vec<NodeType>,
    pub(super) type_names: TypeNames,
}

/// Where in an edge's record each field stands.
pub(super) struct EdgeLayout {
    pub(super) width: usize,
    pub(super) kind: usize,
    pub(super) name_or_index: usize,
    pub(super) to_node: usize,
    pub(super) types: Vec<EdgeType>,
}

#[derive(Deserialize)]
struct Raw {
    meta: Meta,
    node_count: u64,
    edge_count: u64,
    #[serde(default)]
    root_index: Option<u64>,
    #[serde(default)]
    extra_native_bytes: Option<u64>,
    /// See [`FORK_MARK`].
    #[serde(default)]
    heaprs: Value,
}

#[derive(Deserialize)]
struct Meta {
    node_fields: Vec<String>,
    node_types: Vec<Value>,
    edge_fields: Vec<String>,
    edge_types: Vec<Value>,
    #[serde(default)]
    location_fields: Vec<String>,
    #[serde(default)]
    sample_fields: Vec<String>,
    #[serde(default)]
    trace_function_info_fields: Vec<String>,
    #[serde(default)]
    trace_node_fields: Vec<String>,
}

impl Header {
    /// Reads the value of the key `snapshot`.
    pub(super) fn read(text: &mut Text) -> Result<Header> {
        text.token()?;
        let start = text.offset();
        let mut bytes = Vec::new();
        skip_value(text, |part| {
            bytes.extend_from_slice(part);
            bytes.len() <= MAX_BYTES
        })?;
        Header::parse(bytes).map_err(|mut e| {
            e.offset = Some(start + e.offset.unwrap_or(0));
            e
        })
    }

    fn parse(bytes: Vec<u8>) -> Result<Header> {
        let json = String::from_utf8_lossy(&bytes).into_owned();
        let value: Value = serde_json::from_str(&json).map_err(|e| {
            let lines = json.split_inclusive('\n').take(e.line().saturating_sub(1));
            let offset = lines.map(str::len).sum::<usize>() + e.column().saturating_sub(1);
            Error::at(Code::Corrupt, offset as u64, format!("the header is no JSON: {e}"))
        })?;
        let raw: Raw = serde_json::from_value(value)
            .map_err(|e| Error::new(Code::NotASnapshot, format!("the header is not that of a heap snapshot: {e}")))?;
        let meta = &raw.meta;
        let node = NodeLayout::new(meta)?;
        let edge = EdgeLayout::new(meta)?;
        let node_count = count(raw.node_count, "nodes")?;
        let root_index = raw.root_index.unwrap_or(0);
        let width = node.width as u64;
        if !root_index.is_multiple_of(width) || root_index / width >= u64::from(node_count.max(1)) {
            return Err(Error::new(Code::Corrupt, format!("root_index {root_index} is no node")));
        }
        if node_count == 0 {
            return Err(Error::new(Code::Corrupt, "the header announces no node, and a snapshot has a root"));
        }
        Ok(Header {
            node_count,
            edge_count: count(raw.edge_count, "edges")?,
            root: (root_index / width) as u32,
            extra_native_bytes: raw.extra_native_bytes.unwrap_or(0),
            fork_ids: raw.heaprs["ids"] == "fork",
            node,
            edge,
            location_fields: raw.meta.location_fields,
            sample_fields: raw.meta.sample_fields,
            function_fields: raw.meta.trace_function_info_fields,
            trace_fields: raw.meta.trace_node_fields,
            json,
        })
    }
}

impl NodeLayout {
    fn new(meta: &Meta) -> Result<Self> {
        let fields = Fields::new(&meta.node_fields, "node_fields")?;
        let kind = fields.at("type")?;
        let names = type_list(&meta.node_types, kind, "node_types")?;
        let (types, type_names) = NodeType::from_names(&names).ok_or_else(|| {
            Error::new(Code::Corrupt, "the header lists more than eight node types that are not known")
        })?;
        Ok(NodeLayout {
            width: fields.0.len(),
            kind,
            name: fields.at("name")?,
            id: fields.at("id")?,
            self_size: fields.at("self_size")?,
            edge_count: fields.at("edge_count")?,
            trace_node_id: fields.find("trace_node_id"),
            detachedness: fields.find("detachedness"),
            types,
            type_names,
        })
    }
}

impl EdgeLayout {
    fn new(meta: &Meta) -> Result<Self> {
        let fields = Fields::new(&meta.edge_fields, "edge_fields")?;
        let kind = fields.at("type")?;
        let names = type_list(&meta.edge_types, kind, "edge_types")?;
        Ok(EdgeLayout {
            width: fields.0.len(),
            kind,
            name_or_index: fields.at("name_or_index")?,
            to_node: fields.at("to_node")?,
            types: EdgeType::from_names(&names),
        })
    }
}

/// The names of one kind of record's fields.
pub(super) struct Fields<'a>(&'a [String], &'static str);

impl<'a> Fields<'a> {
    pub(super) fn new(names: &'a [String], list: &'static str) -> Result<Self> {
        if names.len() > MAX_FIELDS {
            return Err(Error::new(Code::Corrupt, format!("the header's {list} has more than {MAX_FIELDS} entries")));
        }
        Ok(Fields(names, list))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|field| field == name)
    }

    pub(super) fn at(&self, name: &str) -> Result<usize> {
        self.find(name)
            .ok_or_else(|| Error::new(Code::NotASnapshot, format!("the header's {} has no \"{name}\"", self.1)))
    }

    pub(super) fn width(&self) -> usize {
        self.0.len()
    }
}

fn type_list(types: &[Value], at: usize, list: &str) -> Result<Vec<String>> {
    let names = types.get(at).and_then(Value::as_array);
    let names = names.and_then(|names| names.iter().map(|n| n.as_str().map(str::to_owned)).collect());
    names.ok_or_else(|| Error::new(Code::NotASnapshot, format!("the header's {list} has no list of type names")))
}

fn count(announced: u64, what: &str) -> Result<u32> {
    // The last two numbers are kept free, as in DevTools; columns are indexed with 32 bits.
    u32::try_from(announced).ok().filter(|&n| n < u32::MAX - 1).ok_or_else(|| {
        Error::new(Code::Corrupt, format!("the header announces {announced} {what}, more than a snapshot can have"))
    })
}

/// Skips one JSON value of any kind and depth, without recursion; hands its bytes to `keep`, which says whether it
/// can take more.
pub(super) fn skip_value(text: &mut Text, mut keep: impl FnMut(&[u8]) -> bool) -> Result<()> {
    let mut depth = 0u64;
    let mut in_string = false;
    let mut escaped = false;
    text.token()?;
    loop {
        let mut len = 0;
        let mut done = false;
        for &b in text.rest() {
            if in_string {
                len += 1;
                match b {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => continue,
                }
                done = !in_string && depth == 0;
            } else {
                match b {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    // The end of a bare number or word: belongs to what is around it.
                    b',' | b'}' | b']' if depth == 0 => {
                        done = true;
                        break;
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        done = depth == 0;
                    }
                    _ => {}
                }
                len += 1;
            }
            if done {
                break;
            }
        }
        if !keep(&text.rest()[..len]) {
            return Err(text.error(Code::Corrupt, format!("{} is far too long", text.section)));
        }
        text.advance(len);
        if done {
            return Ok(());
        }
        if !text.refill()? {
            return Err(text.truncated());
        }
    }
}
