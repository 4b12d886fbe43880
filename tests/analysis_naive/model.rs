//! Random small heaps, and the file that V8 would write for them.

use proptest::prelude::*;

pub(crate) const NODE_TYPES: [&str; 17] = [
    "hidden",
    "array",
    "string",
    "object",
    "code",
    "closure",
    "regexp",
    "number",
    "native",
    "synthetic",
    "concatenated string",
    "sliced string",
    "symbol",
    "bigint",
    "object shape",
    "wasm object",
    "of a later V8",
];
pub(crate) const EDGE_TYPES: [&str; 7] = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"];

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) size: u32,
    pub(crate) state: u8,
}

/// What the name of half a WeakMap entry says: the part that both halves share, and the table's id.
pub(crate) type Ephemeron = Option<(String, u32)>;

#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) ephemeron: Ephemeron,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    /// In file order: by the node they leave.
    pub(crate) edges: Vec<Edge>,
    /// Node, script, line.
    pub(crate) locations: Vec<(usize, u32, u32)>,
    pub(crate) has_states: bool,
    pub(crate) extra_native_bytes: u64,
}

impl Model {
    pub(crate) fn out(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == node)
    }

    pub(crate) fn json(&self) -> String {
        let mut strings: Vec<String> = vec!["<dummy>".into()];
        let mut string = |text: &str| {
            strings.iter().position(|s| s == text).unwrap_or_else(|| {
                strings.push(text.to_owned());
                strings.len() - 1
            })
        };
        let width = if self.has_states { 6 } else { 5 };
        let place = |list: &[&str], text: &str| list.iter().position(|t| *t == text).unwrap();
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for (i, node) in self.nodes.iter().enumerate() {
            let kind = place(&NODE_TYPES, node.kind);
            let count = self.out(i).count();
            nodes.extend([kind, string(&node.name), node.id as usize, node.size as usize, count]);
            nodes.extend(self.has_states.then_some(node.state as usize));
        }
        for edge in &self.edges {
            let number = matches!(edge.kind, "element" | "hidden").then(|| edge.name.parse().unwrap());
            edges.extend([
                place(&EDGE_TYPES, edge.kind),
                number.unwrap_or_else(|| string(&edge.name)),
                edge.to * width,
            ]);
        }
        let locations: Vec<_> =
            self.locations.iter().flat_map(|&(n, s, l)| [n * width, s as usize, l as usize, 7]).collect();
        let mut fields = vec!["type", "name", "id", "self_size", "edge_count"];
        fields.extend(self.has_states.then_some("detachedness"));
        let meta = serde_json::json!({
            "node_fields": fields,
            "node_types": [NODE_TYPES, "string", "number", "number", "number", "number"],
            "edge_fields": ["type", "name_or_index", "to_node"],
            "edge_types": [EDGE_TYPES, "string_or_number", "node"],
            "trace_function_info_fields": [], "trace_node_fields": [], "sample_fields": [],
            "location_fields": ["object_index", "script_id", "line", "column"],
        });
        let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        // By hand: the order of the keys matters.
        format!(
            "{{\"snapshot\":{{\"meta\":{meta},\"node_count\":{},\"edge_count\":{},\"trace_function_count\":0,\
             \"extra_native_bytes\":{}}},\n\"nodes\":[{}],\n\"edges\":[{}],\n\"trace_function_infos\":[],\n\
             \"trace_tree\":[],\n\"samples\":[],\n\"locations\":[{}],\n\"strings\":{}}}",
            self.nodes.len(),
            self.edges.len(),
            self.extra_native_bytes,
            list(&nodes),
            list(&edges),
            list(&locations),
            serde_json::to_string(&strings).unwrap(),
        )
    }
}

pub(crate) fn names_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "object" => &[
            "Object",
            "Object",
            "Object",
            "Foo",
            "Array",
            "(system)",
            "Detached X",
            "<p class=\"x y\">",
            "Detached <li id=1 a>",
        ],
        "native" => &[
            "<div>",
            "<div id=\"a\">",
            "system / ExternalStringData",
            "system / JSArrayBufferData",
            "Detached <b c>",
            "Foo",
        ],
        "hidden" => &["system / NativeContext", "system / Map"],
        "array" => &["(map descriptors)", "", "(object elements)"],
        "synthetic" => &["(GC roots)", "(Document DOM trees)"],
        _ => &["", "a", "é😀"],
    }
}

pub(crate) fn edge_name(kind: &str, n: usize) -> String {
    let pick = |list: &[&str]| list[n % list.len()].to_owned();
    match kind {
        "element" | "hidden" => (n % 9).to_string(),
        "property" => pick(&[
            "a",
            "b",
            "c",
            "__proto__",
            "q'q",
            "x,y",
            "",
            "d",
            "much too long a name, which as the first one makes a definition by itself, and as a later one ends the definition before it",
        ]),
        "internal" => {
            pick(&["elements", "first", "second", "sloppy_function_map", "sloppy_function_map", "4", "7 of 9", "map"])
        }
        "shortcut" => pick(&["12x", "w"]),
        _ => pick(&["one", "two"]),
    }
}

/// Any heap: most are odd, which is the point.
pub(crate) fn model() -> impl Strategy<Value = Model> {
    // Objects are most of every heap.
    let kind = prop_oneof![
        4 => Just("object"),
        3 => prop::sample::select(&["hidden", "array", "native", "synthetic"][..]),
        5 => prop::sample::select(&NODE_TYPES[..]),
    ];
    let node = (kind, 0usize..9, 0u32..40, prop_oneof![6 => Just(0u8), 1 => 1u8..4]);
    let edge_kind = prop_oneof![3 => Just("property"), 7 => prop::sample::select(&EDGE_TYPES[..])];
    let index = any::<prop::sample::Index>;
    let edge = (prop_oneof![1 => Just(None), 6 => index().prop_map(Some)], index(), edge_kind, 0usize..9);
    let entry = (index(), index(), index(), 0u32..3, 0u32..3, any::<bool>());
    let parts = (
        prop::collection::vec(node, 1..30),
        Just((1u32..90).collect::<Vec<_>>()).prop_shuffle(),
        prop::collection::vec(edge, 0..110),
        prop::collection::vec(entry, 0..6),
        prop::collection::vec((index(), 0u32..3, 0u32..2), 0..8),
        any::<bool>(),
        any::<bool>(),
        0u64..100,
    );
    parts.prop_map(|(nodes, ids, edges, entries, locations, has_states, one_way, extra_native_bytes)| {
        let mut nodes: Vec<Node> = nodes
            .into_iter()
            .zip(ids)
            .map(|((kind, name, size, state), id)| {
                let names = names_of(kind);
                Node {
                    kind,
                    name: names[name % names.len()].to_owned(),
                    id,
                    size,
                    state: if has_states { state } else { 0 },
                }
            })
            .collect();
        if nodes.len() > 1 {
            nodes[0] = Node { kind: "synthetic", name: String::new(), size: 0, state: 0, ..nodes[0].clone() };
        }
        let count = nodes.len();
        let mut list = Vec::new();
        for (from, to, kind, name) in edges {
            let from = from.map_or(0, |index| index.index(count));
            list.push(Edge { from, to: to.index(count), kind, name: edge_name(kind, name), ephemeron: None });
        }
        if one_way && count > 1 {
            // As V8's root leads to "(GC roots)", and that to everything.
            list.iter_mut().filter(|edge| edge.from == 0).for_each(|edge| edge.from = 1);
            list.push(Edge { from: 0, to: 1, kind: "element", name: "1".to_owned(), ephemeron: None });
        }
        for (key, value, table, first, second, broken) in entries {
            let [key, value, table] = [key, value, table].map(|index| index.index(count));
            let (line, id) = (if broken && first == 0 { "x\ny" } else { "Foo" }, |n: usize| nodes[n].id);
            let pair = format!(
                " / part of key ({line} @{}) -> value (Bar @{}) pair in WeakMap (table @{})",
                id(key),
                id(value),
                id(table)
            );
            for (from, digits) in [(table, first), (key, second)] {
                let ephemeron = (line == "Foo").then(|| (pair.clone(), id(table)));
                let name = format!("{digits}{pair}");
                list.push(Edge { from, to: value, kind: "internal", name, ephemeron });
            }
        }
        list.sort_by_key(|edge| edge.from);
        let locations = locations.into_iter().map(|(node, script, line)| (node.index(count), script, line)).collect();
        Model { nodes, edges: list, locations, has_states, extra_native_bytes }
    })
}

/// Heaps of nothing but plain objects, so that definitions compete.
pub(crate) fn plain_objects() -> impl Strategy<Value = Model> {
    let properties = prop::sample::subsequence(vec!["a", "b", "c", "d", "__proto__", "e"], 0..=6);
    let shapes = prop::collection::vec((properties, any::<bool>()), 1..5);
    (shapes, prop::collection::vec(any::<prop::sample::Index>(), 1..40)).prop_map(|(shapes, objects)| {
        let mut nodes = vec![Node { kind: "synthetic", name: String::new(), id: 1, size: 0, state: 0 }];
        let mut edges = Vec::new();
        for (i, shape) in objects.iter().enumerate() {
            nodes.push(Node { kind: "object", name: "Object".into(), id: i as u32 * 2 + 3, size: 8, state: 0 });
            let (properties, reversed) = shape.get(&shapes);
            let edge =
                |name: &&str| Edge { from: i + 1, to: i, kind: "property", name: (*name).to_owned(), ephemeron: None };
            let own: Vec<Edge> = properties.iter().map(edge).collect();
            edges.extend(if *reversed { own.into_iter().rev().collect() } else { own });
        }
        Model { nodes, edges, locations: Vec::new(), has_states: false, extra_native_bytes: 0 }
    })
}
