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
    /// Whether the edge's name is a plain number and no string index.
    pub fn has_index_name(self) -> bool {
        matches!(self, EdgeType::Element | EdgeType::Hidden)
    }
}

/// Spelling of each node type, indexed by [`NodeType`].
#[derive(Clone, Debug)]
pub struct TypeNames(pub(crate) Vec<String>);

impl TypeNames {
    /// The spelling, "unknown" when the file had no such type.
    pub fn get(&self, kind: NodeType) -> &str {
        self.0.get(kind as usize).map_or("unknown", String::as_str)
    }
}
