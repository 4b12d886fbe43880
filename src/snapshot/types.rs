//! Node and edge types, whatever number the file gives them.

/// The type of a node. The file's numbering is mapped onto this one by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are V8's own")]
pub enum NodeType {
    Hidden,
    Array,
    String,
    Object,
    Code,
    Closure,
    Regexp,
    Number,
    Native,
    Synthetic,
    ConcatenatedString,
    SlicedString,
    Symbol,
    Bigint,
    ObjectShape,
    WasmObject,
    /// Types of a later V8 that heaprs does not know: treated as DevTools treats them, by their name only.
    Unknown0,
    Unknown1,
    Unknown2,
    Unknown3,
    Unknown4,
    Unknown5,
    Unknown6,
    Unknown7,
}

/// Each known type with V8's spelling.
const NODE_TYPES: [(NodeType, &str); 16] = [
    (NodeType::Hidden, "hidden"),
    (NodeType::Array, "array"),
    (NodeType::String, "string"),
    (NodeType::Object, "object"),
    (NodeType::Code, "code"),
    (NodeType::Closure, "closure"),
    (NodeType::Regexp, "regexp"),
    (NodeType::Number, "number"),
    (NodeType::Native, "native"),
    (NodeType::Synthetic, "synthetic"),
    (NodeType::ConcatenatedString, "concatenated string"),
    (NodeType::SlicedString, "sliced string"),
    (NodeType::Symbol, "symbol"),
    (NodeType::Bigint, "bigint"),
    (NodeType::ObjectShape, "object shape"),
    (NodeType::WasmObject, "wasm object"),
];

const UNKNOWN: [NodeType; 8] = [
    NodeType::Unknown0,
    NodeType::Unknown1,
    NodeType::Unknown2,
    NodeType::Unknown3,
    NodeType::Unknown4,
    NodeType::Unknown5,
    NodeType::Unknown6,
    NodeType::Unknown7,
];

impl NodeType {
    /// The types a file lists, in its own numbering, and the spellings; `None` when more than eight are unknown.
    pub(crate) fn from_names<S: AsRef<str>>(listed: &[S]) -> Option<(Vec<NodeType>, TypeNames)> {
        let mut spellings: Vec<String> = NODE_TYPES.iter().map(|(_, name)| (*name).to_owned()).collect();
        let mut types = Vec::with_capacity(listed.len());
        for name in listed {
            let name = name.as_ref();
            let place = spellings.iter().position(|s| s == name).unwrap_or_else(|| {
                spellings.push(name.to_owned());
                spellings.len() - 1
            });
            types.push(match place.checked_sub(NODE_TYPES.len()) {
                None => NODE_TYPES[place].0,
                Some(unknown) => *UNKNOWN.get(unknown)?,
            });
        }
        Some((types, TypeNames(spellings)))
    }
}

/// The type of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are V8's own")]
pub enum EdgeType {
    Context,
    Element,
    Property,
    Internal,
    Hidden,
    Shortcut,
    Weak,
    /// DevTools' own eighth type; no file contains it today.
    Invisible,
    /// A type of a later V8: an ordinary strong edge with a string name.
    Unknown,
}

impl EdgeType {
    /// The types a file lists, in its own numbering.
    pub(crate) fn from_names<S: AsRef<str>>(listed: &[S]) -> Vec<EdgeType> {
        let known = |name: &str| match name {
            "context" => EdgeType::Context,
            "element" => EdgeType::Element,
            "property" => EdgeType::Property,
            "internal" => EdgeType::Internal,
            "hidden" => EdgeType::Hidden,
            "shortcut" => EdgeType::Shortcut,
            "weak" => EdgeType::Weak,
            "invisible" => EdgeType::Invisible,
            _ => EdgeType::Unknown,
        };
        listed.iter().map(|name| known(name.as_ref())).collect()
    }

    /// Whether the edge's name is a plain number and no string index.
    pub fn has_index_name(self) -> bool {
        matches!(self, EdgeType::Element | EdgeType::Hidden)
    }
}

/// Spelling of each node type, indexed by [`NodeType`].
#[derive(Clone, Debug, Default)]
pub struct TypeNames(pub(crate) Vec<String>);

impl TypeNames {
    /// The spelling, "unknown" when the file had no such type.
    pub fn get(&self, kind: NodeType) -> &str {
        self.0.get(kind as usize).map_or("unknown", String::as_str)
    }
}
