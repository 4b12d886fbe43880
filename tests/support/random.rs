//! Random snapshots, and their text with random white space.

use std::fmt::Write;

use proptest::prelude::*;

use super::Model;

/// Valid snapshots of every layout: V8's own, and others with fields in another order and fields nobody knows.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    let sizes = (1..40usize, 1..12usize, 0..100usize, 0..5usize, 0..6usize);
    (sizes, layouts(), any::<u64>())
        .prop_flat_map(|((nodes, strings, edges, functions, small), fields, seed)| {
            (prop::collection::vec(string(), strings), Just((nodes, edges, functions, small, fields, seed)))
        })
        .prop_map(|(strings, (nodes, edges, functions, small, (node_fields, edge_fields), seed))| {
            let mut draw = Draw(seed | 1);
            let mut model = Model {
                node_fields,
                edge_fields,
                node_types: words("hidden array string object code closure native synthetic future1 future2"),
                edge_types: words("context element property internal hidden shortcut weak invisible future"),
                strings,
                ..Model::default()
            };
            model.fill(&mut draw, nodes, edges, functions, small);
            model
        })
}

/// A snapshot of several megabytes: longer than any buffer, with something at each of their ends.
pub(crate) fn big_model(seed: u64) -> Model {
    let mut draw = Draw(seed | 1);
    let string = |draw: &mut Draw| -> Vec<u8> {
        let pieces = ["a", "plain words, ", "\u{e9}", "\u{20ac}", "\u{1f600}", "\"", "\n", "\u{1}"];
        (0..draw.below(60)).flat_map(|_| pieces[draw.below(8) as usize].bytes()).collect()
    };
    let mut model = Model {
        node_fields: words("type name id self_size edge_count trace_node_id detachedness"),
        edge_fields: words("type name_or_index to_node"),
        node_types: words("hidden array string object"),
        edge_types: words("context element property internal hidden"),
        strings: (0..20_000).map(|_| string(&mut draw)).collect(),
        ..Model::default()
    };
    model.fill(&mut draw, 40_000, 90_000, 50, 5_000);
    // Stacks are recorded from some moment on.
    model.nodes.iter_mut().take(20_000).for_each(|node| node[5] = 0);
    model.root_index = Some(7 * 12_345);
    model
}

/// Units of a string, so that lone surrogates and every escape occur; as WTF-8.
fn string() -> impl Strategy<Value = Vec<u8>> {
    let unit = prop_oneof![
        4 => 0x20..0x7f_u16,
        1 => 0..0x20_u16,
        1 => prop::sample::select(vec![0x22, 0x5c, 0x2f, 0x7f, 0x80, 0x7ff, 0x800, 0xfeff, 0xffff]),
        2 => prop::sample::select(vec![0xd800, 0xd83d, 0xdbff, 0xdc00, 0xde00, 0xdfff]),
    ];
    prop::collection::vec(unit, 0..20).prop_map(|units| {
        let mut out = Vec::new();
        for c in char::decode_utf16(units) {
            match c {
                Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(e) => {
                    let u = e.unpaired_surrogate();
                    out.extend([0xed, 0x80 | (u >> 6 & 0x3f) as u8, 0x80 | (u & 0x3f) as u8]);
                }
            }
        }
        out
    })
}

fn layouts() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let v8 = prop::sample::select(vec![
        "type name id self_size edge_count trace_node_id",
        "type name id self_size edge_count trace_node_id detachedness",
        "type name id self_size edge_count detachedness",
    ])
    .prop_map(words);
    let other = prop::sample::select(vec![
        "type name id self_size edge_count",
        "detachedness edge_count self_size id name type",
        "later type name id self_size edge_count trace_node_id detachedness more",
    ])
    .prop_map(words)
    .prop_shuffle();
    let nodes = prop_oneof![2 => v8, 1 => other];
    let edges = prop_oneof![
        3 => Just(words("type name_or_index to_node")),
        1 => Just(words("later type name_or_index to_node")).prop_shuffle(),
    ];
    (nodes, edges)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A small generator for what need not shrink: xorshift.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// Of any length up to `bits`.
    fn number(&mut self, bits: u32) -> u64 {
        let bits = self.below(u64::from(bits)) + 1;
        self.below(1 << bits)
    }
}

impl Model {
    fn fill(&mut self, draw: &mut Draw, nodes: usize, edges: usize, functions: usize, small: usize) {
        let width = self.node_fields.len() as u64;
        let strings = self.strings.len() as u64;
        let traced = draw.below(2) == 0;
        // Each edge to a random owner, then counted: the sum is right.
        let mut counts = vec![0u64; nodes];
        for _ in 0..edges {
            counts[draw.below(nodes as u64) as usize] += 1;
        }
        for &edge_count in &counts {
            let record = self.node_fields.iter().map(|field| match field.as_str() {
                "type" => draw.below(self.node_types.len() as u64),
                "name" => draw.below(strings),
                "edge_count" => edge_count,
                "detachedness" => draw.below(3),
                "trace_node_id" if !traced => 0,
                _ => draw.number(32),
            });
            self.nodes.push(record.collect());
        }
        for _ in 0..edges {
            let kind = draw.below(self.edge_types.len() as u64);
            let indexed = matches!(self.edge_types[kind as usize].as_str(), "element" | "hidden");
            let record = self.edge_fields.iter().map(|field| match field.as_str() {
                "type" => kind,
                "name_or_index" if indexed => draw.number(36),
                "name_or_index" => draw.below(strings),
                "to_node" => draw.below(nodes as u64) * width,
                _ => draw.number(32),
            });
            self.edges.push(record.collect());
        }
        for _ in 0..small {
            let node = draw.below(nodes as u64) * width;
            self.locations.push(vec![node, draw.number(10), draw.number(20), draw.number(20)]);
            self.samples.push(vec![draw.number(50), draw.number(33)]);
        }
        for _ in 0..functions {
            let names = [draw.below(strings), draw.below(strings)];
            self.functions.push(vec![draw.number(20), names[0], names[1], draw.number(8), draw.number(9), 1]);
            let parent = self.tree.len().checked_sub(1).map(|last| draw.below(last as u64 + 1) as usize);
            let function = draw.below(self.functions.len() as u64);
            self.tree.push(([draw.number(20), function, draw.number(9), draw.number(30)], parent));
        }
        // Parents before children, and depth first: as reading gives them.
        self.tree = depth_first(&self.tree);
        if draw.below(2) == 0 {
            self.root_index = Some(draw.below(nodes as u64) * width);
        }
        if draw.below(2) == 0 {
            self.extra_native_bytes = Some(draw.number(40));
        }
    }

    /// The snapshot's text, in V8's order of keys, with white space where JSON allows it: by `seed % 4` V8's own between strings, none, line
    /// breaks, or any.
    pub(crate) fn to_text(&self, seed: u64) -> Vec<u8> {
        let mut draw = Draw(seed | 1);
        let style = seed % 4;
        let mut blank = move || match style {
            0 | 1 => "",
            2 => ["", "", "\n"][draw.below(3) as usize],
            _ => ["", " ", "\n", "\r\n\t", "        "][draw.below(5) as usize],
        };
        let mut out = String::new();
        let fields = |list: &[String]| serde_json::to_string(list).unwrap();
        let types = |fields: &[String], types: &[String]| {
            let list = fields.iter().map(|f| if f == "type" { serde_json::json!(types) } else { "number".into() });
            serde_json::to_string(&list.collect::<Vec<_>>()).unwrap()
        };
        let mut header = format!(
            r#"{{"meta":{{"node_fields":{},"node_types":{},"edge_fields":{},"edge_types":{},"location_fields":["object_index","script_id","line","column"],"sample_fields":["timestamp_us","last_assigned_id"],"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],"trace_node_fields":["id","function_info_index","count","size","children"]}},"node_count":{},"edge_count":{},"trace_function_count":1"#,
            fields(&self.node_fields),
            types(&self.node_fields, &self.node_types),
            fields(&self.edge_fields),
            types(&self.edge_fields, &self.edge_types),
            self.nodes.len(),
            self.edges.len(),
        );
        for (key, value) in [("root_index", self.root_index), ("extra_native_bytes", self.extra_native_bytes)] {
            if let Some(value) = value {
                write!(header, ",\"{key}\":{value}").unwrap();
            }
        }
        write!(out, "{}{{{}\"snapshot\"{}:{}{header}}}", blank(), blank(), blank(), blank()).unwrap();
        for (key, records) in [
            ("nodes", &self.nodes),
            ("edges", &self.edges),
            ("trace_function_infos", &self.functions),
            ("samples", &self.samples),
            ("scopes", &self.samples),
            ("locations", &self.locations),
        ] {
            write!(out, "{},{}\"{key}\"{}:{}[", blank(), blank(), blank(), blank()).unwrap();
            let mut first = true;
            for number in records.iter().flatten() {
                write!(out, "{}{}{}{number}", blank(), if first { "" } else { "," }, blank()).unwrap();
                first = false;
            }
            write!(out, "{}]", blank()).unwrap();
            if key == "trace_function_infos" {
                out.push_str(",\"trace_tree\":");
                self.write_tree(None, &mut out, &mut blank);
            }
        }
        write!(out, "{},\"strings\"{}:[", blank(), blank()).unwrap();
        for (i, string) in self.strings.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            // As V8 has it.
            out.push_str(if style == 0 && i > 0 { "\n" } else { blank() });
            write_string(string, &mut out, seed);
        }
        write!(out, "{}]{}}}{}", blank(), blank(), blank()).unwrap();
        out.into_bytes()
    }

    fn write_tree(&self, parent: Option<usize>, out: &mut String, blank: &mut impl FnMut() -> &'static str) {
        out.push('[');
        let mut first = true;
        for (i, (numbers, _)) in self.tree.iter().enumerate().filter(|(_, (_, p))| *p == parent) {
            for n in numbers {
                write!(out, "{}{}{n}{},", if first { "" } else { "," }, blank(), blank()).unwrap();
                out.pop();
                first = false;
            }
            out.push(',');
            self.write_tree(Some(i), out, blank);
        }
        out.push(']');
    }
}

fn depth_first(tree: &[([u64; 4], Option<usize>)]) -> Vec<([u64; 4], Option<usize>)> {
    fn visit(
        tree: &[([u64; 4], Option<usize>)],
        of: Option<usize>,
        new: Option<usize>,
        out: &mut Vec<([u64; 4], Option<usize>)>,
    ) {
        for (i, (numbers, _)) in tree.iter().enumerate().filter(|(_, (_, p))| *p == of) {
            out.push((*numbers, new));
            let this = out.len() - 1;
            visit(tree, Some(i), Some(this), out);
        }
    }
    let mut out = Vec::new();
    visit(tree, None, None, &mut out);
    out
}

/// A JSON literal; what may be raw or escaped is one or the other, by `seed`.
fn write_string(wtf8: &[u8], out: &mut String, seed: u64) {
    out.push('"');
    let mut rest = wtf8;
    while !rest.is_empty() {
        if let [0xed, b @ 0xa0..=0xbf, c, ..] = *rest {
            write!(out, "\\u{:04x}", 0xd000 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f)).unwrap();
            rest = &rest[3..];
            continue;
        }
        let len = match rest[0] {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let c = std::str::from_utf8(&rest[..len]).unwrap().chars().next().unwrap();
        rest = &rest[len..];
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if seed & 2 == 0 => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || !c.is_ascii() && seed & 4 == 0 => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}").unwrap();
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
