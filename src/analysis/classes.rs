//! Classes: the name each object is counted under, and what tells classes of one name apart.

use rustc_hash::FxHashMap;

use super::{
    interfaces::{self, Definition},
    text::JsString,
};
use crate::{
    error::Result,
    graph::{DETACHED_PREFIX, DomStates, steps::Steps},
    progress::Progress,
    snapshot::{JsStr, Narrow, NodeType, Snapshot},
};

/// Where the constructor of a class was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) script_id: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One row of the Summary: a class name, and for objects whose constructor is known, its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClassKey {
    pub(crate) name: u32,
    pub(crate) place: Option<Place>,
}

/// The class of every node.
pub(crate) struct Classes {
    names: Names,
    /// The keys; those without a place come first, one for each of the names there were before places were looked at.
    keys: Vec<ClassKey>,
    /// By node ordinal, an index into `keys`.
    of_node: Narrow,
}

impl Classes {
    /// Classifies every node; plain objects by `definitions`.
    pub(crate) fn compute(
        snapshot: &Snapshot,
        states: &DomStates,
        definitions: &[Definition],
        progress: &Progress,
    ) -> Result<Classes> {
        let mut names = Names::default();
        let mut of_node = by_type(snapshot, states, &mut names, progress)?;
        let mut of_definition = vec![None; definitions.len()];
        interfaces::apply(snapshot, definitions, progress, |node, index| {
            let name = || names.intern(definitions[index].name.as_js_str());
            of_node.set(node, *of_definition[index].get_or_insert_with(name))
        })?;
        let mut keys: Vec<ClassKey> = (0..names.list.len() as u32).map(|name| ClassKey { name, place: None }).collect();
        let mut found: FxHashMap<ClassKey, u32> = FxHashMap::default();
        let mut steps = Steps::start(progress, "locations", snapshot.locations().len() as u64)?;
        // A later record for the same node replaces an earlier one.
        for location in snapshot.locations().iter() {
            steps.one()?;
            if snapshot.node_type(location.node) != NodeType::Object {
                continue;
            }
            let name = keys[of_node.get(location.node) as usize].name;
            let place = Place { script_id: location.script_id, line: location.line, column: location.column };
            let key = ClassKey { name, place: Some(place) };
            let class = *found.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() as u32 - 1
            });
            of_node.set(location.node, class)?;
        }
        steps.finish()?;
        names.list.shrink_to_fit();
        names.index = FxHashMap::default();
        Ok(Classes { names, keys, of_node })
    }

    /// The class key of a node, as an index below [`count`](Self::count).
    #[inline]
    pub(crate) fn of(&self, node: u32) -> u32 {
        self.of_node.get(node)
    }

    /// How many class keys there are.
    pub(crate) fn count(&self) -> u32 {
        self.keys.len() as u32
    }

    pub(crate) fn key(&self, class: u32) -> ClassKey {
        self.keys[class as usize]
    }

    /// The name of a class.
    pub(crate) fn name(&self, class: u32) -> &JsString {
        &self.names.list[self.key(class).name as usize]
    }

    /// Every class name once; [`ClassKey::name`] is an index into it.
    pub(crate) fn names(&self) -> &[JsString] {
        &self.names.list
    }

    /// A class key as text.
    pub(crate) fn key_text(&self, class: u32) -> JsString {
        key_text(self.key(class).place, self.name(class))
    }

    /// The class that a key's text means.
    pub(crate) fn find(&self, key: JsStr<'_>) -> Option<u32> {
        let bytes = key.as_bytes();
        let (place, name) = match bytes {
            [b',', name @ ..] => (None, name),
            _ => {
                let mut parts = bytes.splitn(4, |&b| b == b',');
                let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
                let place = Place { script_id: number()?, line: number()?, column: number()? };
                (Some(place), parts.next()?)
            }
        };
        let name = self.names.list.iter().position(|n| n.as_bytes() == name)? as u32;
        self.keys.iter().position(|&key| key == ClassKey { name, place }).map(|class| class as u32)
    }

    pub(crate) fn memory(&self) -> u64 {
        let names: usize = self.names.list.iter().map(|name| name.as_bytes().len() + size_of::<JsString>()).sum();
        (names + self.keys.capacity() * size_of::<ClassKey>()) as u64 + self.of_node.memory()
    }
}

/// `scriptId,line,column,Name`, or `,Name` without a place.
pub(crate) fn key_text(place: Option<Place>, name: &JsString) -> JsString {
    let mut text = match place {
        Some(p) => JsString::from(&*format!("{},{},{},", p.script_id, p.line, p.column)),
        None => JsString::from(","),
    };
    text.push(name.as_js_str());
    text
}

#[derive(Default)]
struct Names {
    list: Vec<JsString>,
    index: FxHashMap<JsString, u32>,
}

impl Names {
    fn intern(&mut self, name: JsStr<'_>) -> u32 {
        let name = JsString::from(name);
        if let Some(&index) = self.index.get(&name) {
            return index;
        }
        let index = self.list.len() as u32;
        self.list.push(name.clone());
        self.index.insert(name, index);
        index
    }
}

/// Class names as they follow from type and name alone.
fn by_type(snapshot: &Snapshot, states: &DomStates, names: &mut Names, progress: &Progress) -> Result<Narrow> {
    const NONE: u32 = u32::MAX;
    let mut steps = Steps::start(progress, "classes", u64::from(snapshot.node_count()))?;
    let mut of_type = [NONE; 256];
    let mut of_name: FxHashMap<(u32, bool), u32> = FxHashMap::default();
    let mut of_node = Narrow::zeros(snapshot.node_count() as usize)?;
    for node in 0..snapshot.node_count() {
        steps.one()?;
        let kind = snapshot.node_type(node);
        let class = if matches!(kind, NodeType::Object | NodeType::Native) {
            let renamed = states.is_renamed(snapshot, node);
            *of_name
                .entry((snapshot.node_name_index(node), renamed))
                .or_insert_with(|| names.intern(without_attributes(snapshot.node_name(node), renamed).as_js_str()))
        } else {
            let known = &mut of_type[kind as usize];
            if *known == NONE {
                let name = match kind {
                    NodeType::Hidden => "(system)".to_owned(),
                    NodeType::Code => "(compiled code)".to_owned(),
                    NodeType::Closure => "Function".to_owned(),
                    NodeType::Regexp => "RegExp".to_owned(),
                    _ => format!("({})", snapshot.type_name(kind)),
                };
                *known = names.intern(JsStr(name.as_bytes()));
            }
            *known
        };
        of_node.set(node, class)?;
    }
    steps.finish()?;
    Ok(of_node)
}

/// A node's name; of `<div id="a">` only `<div>`.
fn without_attributes(name: JsStr<'_>, renamed: bool) -> JsString {
    let mut full = JsString::from(if renamed { DETACHED_PREFIX } else { "" });
    full.push(name);
    let bytes = full.as_bytes();
    let tag = [0, DETACHED_PREFIX.len()]
        .into_iter()
        .find(|&from| bytes.get(from) == Some(&b'<') && bytes[..from] == DETACHED_PREFIX.as_bytes()[..from]);
    // DevTools looks for the space behind the "<" of a detached one.
    let Some(space) = tag.and_then(|from| Some(from + memchr::memchr(b' ', &bytes[from..])?)) else { return full };
    let mut short = JsString::from(JsStr(&bytes[..space]));
    short.push_str(">");
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_lose_their_attributes() {
        let short =
            |name: &str, renamed| without_attributes(JsStr(name.as_bytes()), renamed).to_string_lossy().into_owned();
        assert_eq!(short("<div id=\"a\" b>", false), "<div>");
        assert_eq!(short("<div>", false), "<div>");
        assert_eq!(short("<div a>", true), "Detached <div>");
        assert_eq!(short("Detached <li id=1 a>", false), "Detached <li>");
        assert_eq!(short("Detached <li id=1>", true), "Detached Detached <li id=1>");
        assert_eq!(short("Window / a b", false), "Window / a b");
        assert_eq!(short("Detached Window x", false), "Detached Window x");
    }
}
