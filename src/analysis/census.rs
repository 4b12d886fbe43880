//! Who is there: each object's id, size and kind, small enough to keep, to be compared with a later census.
//!
//! Kinds are named as memwatch's `HeapDiff` named them, which `heaprs/memwatch` and `heaprs/testing` speak. No graph is computed: a census
//! costs little more than reading the text.

use std::collections::{BTreeMap, HashMap};

use crate::{
    error::Result,
    progress::Progress,
    snapshot::{NodeType, Snapshot},
};

/// The objects of one snapshot.
pub struct Census {
    /// By id.
    members: Vec<Member>,
    kinds: Vec<String>,
    size: u64,
}

#[derive(Clone, Copy)]
struct Member {
    id: u32,
    size: u32,
    /// Into `kinds`; [`UNCOUNTED`] for what V8 has for itself.
    kind: u32,
}

const UNCOUNTED: u32 = u32::MAX;

/// What came and went between two censuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CensusDiff {
    /// Objects of either side, those of V8 itself included.
    pub allocated: u64,
    /// Alike.
    pub freed: u64,
    /// By name; only kinds of which something came or went.
    pub kinds: Vec<KindDiff>,
}

/// What came and went of one kind. Sizes are the file's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KindDiff {
    /// The constructor's name, or `Array`, `String`, `Closure`, …
    pub name: String,
    /// Objects that came.
    pub added: u64,
    /// Objects that went.
    pub removed: u64,
    /// Bytes that came, less bytes that went.
    pub size_delta: i64,
}

impl Census {
    /// Takes the census of a snapshot.
    pub fn of(snapshot: &Snapshot, progress: &Progress) -> Result<Census> {
        let mut census = Census { members: Vec::new(), kinds: Vec::new(), size: 0 };
        census.members.reserve_exact(snapshot.node_count() as usize);
        let mut known: HashMap<(NodeType, u32), u32> = HashMap::new();
        let mut by_name: HashMap<String, u32> = HashMap::new();
        for node in 0..snapshot.node_count() {
            if node % 0x1_0000 == 0 {
                progress.report("census", u64::from(node), u64::from(snapshot.node_count()))?;
            }
            let node_type = snapshot.node_type(node);
            let name_matters = node_type == NodeType::Object;
            let key = (node_type, if name_matters { snapshot.node_name_index(node) } else { 0 });
            let kind = *known.entry(key).or_insert_with(|| {
                let Some(name) = kind_name(snapshot, node) else { return UNCOUNTED };
                let next = by_name.len() as u32;
                *by_name.entry(name).or_insert(next)
            });
            let size = snapshot.raw_self_size(node);
            census.size += u64::from(size);
            census.members.push(Member { id: snapshot.node_id(node), size, kind });
        }
        census.members.sort_unstable_by_key(|member| member.id);
        census.kinds = vec![String::new(); by_name.len()];
        for (name, kind) in by_name {
            census.kinds[kind as usize] = name;
        }
        Ok(census)
    }

    /// How many objects.
    pub fn nodes(&self) -> u64 {
        self.members.len() as u64
    }

    /// Bytes of all objects.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What has changed until `later`, a census of the same process whose ids compare with this one's.
    pub fn diff(&self, later: &Census) -> CensusDiff {
        let mut diff = CensusDiff::default();
        let mut kinds: BTreeMap<&str, KindDiff> = BTreeMap::new();
        let mut before = self.members.iter().peekable();
        let mut after = later.members.iter().peekable();
        loop {
            let gone = match (before.peek(), after.peek()) {
                (None, None) => break,
                (Some(old), Some(new)) if old.id == new.id => {
                    before.next();
                    after.next();
                    continue;
                }
                (Some(old), Some(new)) => old.id < new.id,
                (old, None) => old.is_some(),
                (None, Some(_)) => false,
            };
            let (side, names) = if gone { (&mut before, &self.kinds) } else { (&mut after, &later.kinds) };
            let Some(member) = side.next() else { break };
            *(if gone { &mut diff.freed } else { &mut diff.allocated }) += 1;
            if member.kind == UNCOUNTED {
                continue;
            }
            let kind = kinds.entry(&names[member.kind as usize]).or_default();
            if gone {
                kind.removed += 1;
                kind.size_delta -= i64::from(member.size);
            } else {
                kind.added += 1;
                kind.size_delta += i64::from(member.size);
            }
        }
        diff.kinds = kinds.into_iter().map(|(name, kind)| KindDiff { name: name.to_owned(), ..kind }).collect();
        diff
    }
}

/// Memwatch's name of a node's kind; `None` for what V8 has for itself, and for the takers of a census.
fn kind_name(snapshot: &Snapshot, node: u32) -> Option<String> {
    let name = match snapshot.node_type(node) {
        NodeType::Array => "Array",
        NodeType::String | NodeType::ConcatenatedString | NodeType::SlicedString => "String",
        NodeType::Object => {
            let name = snapshot.node_name(node).to_string_lossy();
            return (name != "HeapDiff" && name != "HeapCensus").then(|| name.into_owned());
        }
        NodeType::Code => "Code",
        NodeType::Closure => "Closure",
        NodeType::Regexp => "RegExp",
        NodeType::Number => "Number",
        NodeType::Native => "Native",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ReadOptions;

    /// Nodes as (type, name, id, size).
    fn census(nodes: &[(&str, &str, u32, u32)]) -> Census {
        const TYPES: [&str; 7] = ["hidden", "array", "string", "object", "code", "closure", "synthetic"];
        let fields: Vec<String> = std::iter::once((6, 0, 1, 0))
            .chain(
                nodes
                    .iter()
                    .enumerate()
                    .map(|(i, &(kind, _, id, size))| (TYPES.iter().position(|t| *t == kind).unwrap(), i + 1, id, size)),
            )
            .map(|(kind, name, id, size)| format!("{kind},{name},{id},{size},0"))
            .collect();
        let strings: Vec<String> =
            std::iter::once("").chain(nodes.iter().map(|n| n.1)).map(|name| format!("{name:?}")).collect();
        let text = format!(
            r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count"],"node_types":[{types:?},"string","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"]}},"node_count":{},"edge_count":0}},"nodes":[{}],"edges":[],"strings":[{}]}}"#,
            fields.len(),
            fields.join(","),
            strings.join(","),
            types = TYPES,
        );
        let snapshot = Snapshot::from_bytes(text.as_bytes(), &ReadOptions::default(), &Progress::default()).unwrap();
        Census::of(&snapshot, &Progress::default()).unwrap()
    }

    #[test]
    fn counts_what_came_and_went_by_kind() {
        let before = census(&[("object", "Leak", 9, 10), ("closure", "f", 5, 64), ("hidden", "x", 7, 8)]);
        let after = census(&[
            ("object", "Leak", 9, 10),
            ("object", "Leak", 11, 10),
            ("string", "text", 13, 30),
            ("object", "HeapDiff", 15, 1000),
            ("hidden", "y", 17, 8),
        ]);
        assert_eq!((before.nodes(), before.size()), (4, 82));
        let diff = before.diff(&after);
        assert_eq!((diff.allocated, diff.freed), (4, 2));
        let row = |name: &str, added, removed, size_delta| KindDiff { name: name.into(), added, removed, size_delta };
        assert_eq!(diff.kinds, [row("Closure", 0, 1, -64), row("Leak", 1, 0, 10), row("String", 1, 0, 30)]);
        assert_eq!(before.diff(&before), CensusDiff::default());
        assert_eq!(
            after.diff(&before).kinds,
            [row("Closure", 1, 0, 64), row("Leak", 0, 1, -10), row("String", 0, 1, -30)]
        );
    }
}
