//! The numbers of a small heap computed the plain way, from what they mean: sets, fix-points, removal of nodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::{Edge, Model};

pub(crate) const NONE: i32 = -5;
pub(crate) const SYSTEM: i32 = 100_000_000;

/// Name, count, self size, distance, retained size.
pub(crate) type Table = BTreeMap<String, (String, u64, u64, i32, u64)>;

pub(crate) struct Reference<'a> {
    pub(crate) model: &'a Model,
    pub(crate) state: Vec<u8>,
    pub(crate) names: Vec<String>,
    pub(crate) size: Vec<u64>,
    pub(crate) distance: Vec<i32>,
    pub(crate) dominator: Vec<usize>,
    pub(crate) retained: Vec<u64>,
    pub(crate) definitions: Vec<(String, Vec<String>)>,
    pub(crate) classes: Vec<String>,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(model: &'a Model) -> Self {
        let (state, names) = states(model);
        let size = sizes(model, &names);
        let essential = essential(model);
        let (dominator, retained) = dominators(model, &essential, &size);
        let definitions = definitions(model);
        let classes = classes(model, &names, &definitions);
        Reference { model, distance: distances(model), state, names, size, dominator, retained, definitions, classes }
    }

    pub(crate) fn key(&self, node: usize, class: &str) -> String {
        let place = self.model.locations.iter().rfind(|&&(n, ..)| n == node && self.model.nodes[n].kind == "object");
        match place {
            Some((_, script, line)) => format!("{script},{line},7,{class}"),
            None => format!(",{class}"),
        }
    }

    /// Strict dominators.
    fn above(&self, node: usize) -> Vec<usize> {
        let mut list = Vec::new();
        let mut at = node;
        while at != 0 {
            at = self.dominator[at];
            list.push(at);
        }
        list
    }

    pub(crate) fn table(&self, keep: impl Fn(usize) -> bool) -> Table {
        let mut table = Table::new();
        let counts = |node: usize| self.size[node] > 0 && keep(node);
        for node in (0..self.model.nodes.len()).filter(|&node| counts(node)) {
            let class = &self.classes[node];
            let key = self.key(node, class);
            let row = table.entry(key.clone()).or_insert((class.clone(), 0, 0, i32::MAX, 0));
            row.1 += 1;
            row.2 += self.size[node];
            row.3 = row.3.min(self.distance[node]);
            if !self.above(node).into_iter().any(|n| counts(n) && self.key(n, &self.classes[n]) == key) {
                row.4 += self.retained[node];
            }
        }
        table
    }

    /// Total, V8's total, code, arrays, strings, system; native total, typed arrays.
    pub(crate) fn statistics(&self) -> [u64; 8] {
        let nodes = &self.model.nodes;
        let sum =
            |keep: &dyn Fn(usize) -> bool| (0..nodes.len()).filter(|&n| keep(n)).map(|n| self.size[n]).sum::<u64>();
        let kind = |kind: &'static str| sum(&|n| nodes[n].kind == kind);
        let mut arrays = 0;
        let other =
            |k: &str| !["hidden", "native", "code", "string", "concatenated string", "sliced string"].contains(&k);
        for node in (0..nodes.len()).filter(|&n| other(nodes[n].kind) && nodes[n].name == "Array") {
            arrays += self.size[node];
            if let Some(edge) = self.model.out(node).find(|e| e.kind == "internal" && e.name == "elements")
                && self.model.edges.iter().filter(|e| e.to == edge.to).count() == 1
            {
                arrays += self.size[edge.to];
            }
        }
        let total = sum(&|_| true) + self.model.extra_native_bytes;
        let native = kind("native") + self.model.extra_native_bytes;
        let typed = sum(&|n| nodes[n].kind == "native" && self.names[n] == "system / JSArrayBufferData");
        let strings = kind("string") + kind("concatenated string") + kind("sliced string");
        [total, total - native, kind("code"), arrays, strings, kind("hidden"), native, typed]
    }

    /// Rows of the Comparison with `later`: name, added, removed, their bytes.
    pub(crate) fn compare(&self, later: &Reference<'_>) -> BTreeMap<String, (String, u64, u64, u64, u64)> {
        let old_classes = classes(self.model, &self.names, &later.definitions);
        let members = |side: &Reference<'_>, classes: &[String]| {
            let mut members: BTreeMap<String, BTreeMap<u32, usize>> = BTreeMap::new();
            for node in (0..side.size.len()).filter(|&node| side.size[node] > 0) {
                members.entry(side.key(node, &classes[node])).or_default().insert(side.model.nodes[node].id, node);
            }
            members
        };
        let (old, new) = (members(self, &old_classes), members(later, &later.classes));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let nobody = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for key in keys {
            let (a, b) = (old.get(key).unwrap_or(&nobody), new.get(key).unwrap_or(&nobody));
            let gone: Vec<usize> = a.iter().filter(|(id, _)| !b.contains_key(id)).map(|(_, &n)| n).collect();
            let added: Vec<usize> = b.iter().filter(|(id, _)| !a.contains_key(id)).map(|(_, &n)| n).collect();
            if gone.is_empty() && added.is_empty() {
                continue;
            }
            let name = match b.values().next() {
                Some(&node) => later.classes[node].clone(),
                None => self.classes[*a.values().last().unwrap()].clone(),
            };
            let bytes = |side: &Reference<'_>, list: &[usize]| list.iter().map(|&n| side.size[n]).sum::<u64>();
            let row = (name, added.len() as u64, gone.len() as u64, bytes(later, &added), bytes(self, &gone));
            rows.insert(key.clone(), row);
        }
        rows
    }
}

/// Everything that `follow`ed edges reach from `start`.
fn reach(model: &Model, start: impl IntoIterator<Item = usize>, follow: impl Fn(&Edge) -> bool) -> HashSet<usize> {
    let mut reached: HashSet<usize> = start.into_iter().collect();
    loop {
        let before = reached.len();
        for edge in model.edges.iter().filter(|edge| follow(edge)) {
            if reached.contains(&edge.from) {
                reached.insert(edge.to);
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

fn states(model: &Model) -> (Vec<u8>, Vec<String>) {
    let nodes = &model.nodes;
    let mut names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let native = |n: usize| nodes[n].kind == "native";
    if !model.has_states {
        let state = |n: usize| if native(n) && names[n].starts_with("Detached ") { 2 } else { 0 };
        return ((0..nodes.len()).map(state).collect(), names);
    }
    let mut state: Vec<u8> = nodes.iter().map(|node| node.state).collect();
    // States spread only to nodes without one, and only over the embedder's.
    for spreading in [1, 2] {
        let known = state.clone();
        let start = (0..nodes.len()).filter(|&n| native(n) && known[n] == spreading);
        let follow = |e: &Edge| !matches!(e.kind, "hidden" | "weak") && native(e.to) && known[e.to] == 0;
        for node in reach(model, start, follow) {
            state[node] = spreading;
        }
    }
    for node in (0..nodes.len()).filter(|&n| native(n) && state[n] == 2) {
        names[node] = format!("Detached {}", names[node]);
    }
    (state, names)
}

fn is_user_root(model: &Model, node: usize) -> bool {
    model.nodes[node].kind != "synthetic" || model.nodes[node].name == "(Document DOM trees)"
}

fn sizes(model: &Model, names: &[String]) -> Vec<u64> {
    let nodes = &model.nodes;
    let mut size: Vec<u64> = nodes.iter().map(|node| node.size.into()).collect();
    if !model.out(0).any(|edge| is_user_root(model, edge.to)) {
        return size;
    }
    let ownable = |n: usize| match nodes[n].kind {
        "hidden" | "array" => true,
        "native" => names[n] == "system / ExternalStringData",
        _ => false,
    };
    let mut owners: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for owner in (0..nodes.len()).filter(|&n| !ownable(n)) {
        for node in reach(model, [owner], |e| e.kind != "weak" && ownable(e.to) && (e.from == owner || ownable(e.from)))
        {
            owners[node].push(owner);
        }
    }
    for node in (0..nodes.len()).filter(|&n| ownable(n)) {
        if let [owner] = owners[node][..]
            && owner != 0
            && nodes[owner].kind != "synthetic"
        {
            size[owner] += std::mem::take(&mut size[node]);
        }
    }
    size
}

fn distances(model: &Model) -> Vec<i32> {
    let mut distance = vec![NONE; model.nodes.len()];
    let mut pending: HashSet<String> = HashSet::new();
    let mut search = |distance: &mut Vec<i32>, mut queue: Vec<usize>| {
        let mut at = 0;
        while at < queue.len() {
            let node = queue[at];
            at += 1;
            for edge in model.out(node) {
                if edge.kind == "weak" || distance[edge.to] != NONE {
                    continue;
                }
                let source = (model.nodes[node].kind, model.nodes[node].name.as_str());
                if source == ("hidden", "system / NativeContext") && edge.name == "sloppy_function_map" {
                    continue;
                }
                if source == ("array", "(map descriptors)") {
                    let digits: String = edge.name.chars().take_while(char::is_ascii_digit).collect();
                    if digits.parse::<u64>().is_ok_and(|k| k >= 2 && k % 3 == 1) {
                        continue;
                    }
                } else if let Some((pair, _)) = &edge.ephemeron
                    && !pending.remove(pair)
                {
                    pending.insert(pair.clone());
                    continue;
                }
                distance[edge.to] = distance[node] + 1;
                queue.push(edge.to);
            }
        }
    };
    let roots: Vec<usize> = model.out(0).map(|edge| edge.to).filter(|&node| is_user_root(model, node)).collect();
    for &root in &roots {
        distance[root] = 1;
    }
    search(&mut distance, roots.clone());
    distance[0] = if roots.is_empty() { 0 } else { SYSTEM };
    search(&mut distance, vec![0]);
    distance
}

fn essential(model: &Model) -> Vec<Edge> {
    let nodes = &model.nodes;
    let dom_trees = |n: usize| nodes[n].kind == "synthetic" && nodes[n].name == "(Document DOM trees)";
    let start = model.out(0).filter(|e| e.kind == "shortcut" || (e.kind == "element" && dom_trees(e.to))).map(|e| e.to);
    let page = reach(model, start, |edge| edge.kind != "weak");
    let drop = |e: &&Edge| {
        e.kind == "weak"
            || e.from == e.to
            || e.ephemeron.as_ref().is_some_and(|(_, table)| *table == nodes[e.from].id)
            || (e.from != 0 && (e.kind == "shortcut" || (page.contains(&e.to) && !page.contains(&e.from))))
    };
    let mut edges: Vec<Edge> = model.edges.iter().filter(|edge| !drop(edge)).cloned().collect();
    for orphan in 1..nodes.len() {
        if !edges.iter().any(|edge| edge.to == orphan) {
            edges.push(Edge { from: 0, to: orphan, kind: "virtual", name: String::new(), ephemeron: None });
        }
    }
    edges
}

/// A node dominates what cannot be reached without it.
fn dominators(model: &Model, essential: &[Edge], size: &[u64]) -> (Vec<usize>, Vec<u64>) {
    let graph = Model { edges: essential.to_vec(), ..model.clone() };
    let count = model.nodes.len();
    let reached = reach(&graph, [0], |_| true);
    let without: Vec<HashSet<usize>> = (0..count)
        .map(|gone| if gone == 0 { HashSet::new() } else { reach(&graph, [0], |e| e.from != gone && e.to != gone) })
        .collect();
    let dominates = |d: usize, n: usize| d == n || (reached.contains(&n) && !without[d].contains(&n)) || d == 0;
    let (mut dominator, mut retained) = (vec![0; count], vec![0; count]);
    for node in 0..count {
        let above: Vec<usize> = (0..count).filter(|&d| d != node && dominates(d, node)).collect();
        // The immediate one is dominated by all others.
        let immediate = above.iter().find(|&&d| above.iter().all(|&other| dominates(other, d)));
        dominator[node] = immediate.copied().unwrap_or(0);
        retained[node] = (0..count).filter(|&n| dominates(node, n)).map(|n| size[n]).sum();
    }
    (dominator, retained)
}

fn is_plain(model: &Model, node: usize) -> bool {
    model.nodes[node].kind == "object" && model.nodes[node].name == "Object"
}

fn properties(model: &Model, node: usize) -> Vec<String> {
    model.out(node).filter(|edge| edge.kind == "property").map(|edge| edge.name.clone()).collect()
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn definitions(model: &Model) -> Vec<(String, Vec<String>)> {
    let plain: Vec<usize> = (0..model.nodes.len()).filter(|&n| is_plain(model, n)).collect();
    let mut candidates: Vec<(String, Vec<String>, usize)> = Vec::new();
    for &node in &plain {
        let (mut name, mut list) = ("{".to_owned(), Vec::new());
        for property in properties(model, node).into_iter().filter(|p| p != "__proto__") {
            let quoted = property.contains([',', '\'', '"', '{', '}']);
            let text = if quoted { serde_json::to_string(&property).unwrap() } else { property.clone() };
            if units(&name) > 1 && units(&name) + units(&text) > 120 {
                break;
            }
            name = if name == "{" { name + &text } else { format!("{name}, {text}") };
            list.push(property);
        }
        name.push('}');
        if list.is_empty() {
            continue;
        }
        match candidates.iter_mut().find(|candidate| candidate.0 == name) {
            Some(candidate) => candidate.2 += 1,
            None => candidates.push((name, list, 1)),
        }
    }
    candidates.retain(|candidate| candidate.2 as f64 >= f64::max(2.0, plain.len() as f64 / 1000.0));
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.2));
    candidates.into_iter().map(|(name, list, _)| (name, list)).collect()
}

fn classes(model: &Model, names: &[String], definitions: &[(String, Vec<String>)]) -> Vec<String> {
    let cut = |name: &str, from: usize| match name[from..].find(' ') {
        Some(space) => format!("{}>", &name[..from + space]),
        None => name.to_owned(),
    };
    let class = |node: usize| match model.nodes[node].kind {
        "hidden" => "(system)".to_owned(),
        "code" => "(compiled code)".to_owned(),
        "closure" => "Function".to_owned(),
        "regexp" => "RegExp".to_owned(),
        "object" if is_plain(model, node) => {
            let have = properties(model, node);
            let fits = |list: &[String]| {
                let mut left = have.clone();
                list.iter().all(|p| left.iter().position(|h| h == p).map(|at| left.swap_remove(at)).is_some())
            };
            let mut best: Option<&(String, Vec<String>)> = None;
            for definition in definitions.iter().filter(|definition| fits(&definition.1)) {
                if best.is_none_or(|best| definition.1.len() > best.1.len()) {
                    best = Some(definition);
                }
            }
            best.map_or("Object".to_owned(), |definition| definition.0.clone())
        }
        "object" | "native" if names[node].starts_with('<') => cut(&names[node], 0),
        "object" | "native" if names[node].starts_with("Detached <") => cut(&names[node], 10),
        "object" | "native" => names[node].clone(),
        kind => format!("({kind})"),
    };
    (0..model.nodes.len()).map(class).collect()
}
