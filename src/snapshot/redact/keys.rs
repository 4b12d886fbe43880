//! Which property names are keys of dictionaries, as well as that can be told before any text is known.
//!
//! An object is used as a dictionary when V8 keeps its properties in a hash table. Smaller ones look like records: of
//! these a name stays when two objects of one hidden class have it, as records do, or when it is also the name of a
//! function, a class or a variable. What is left was put together at run time, or is a lone object's own: it goes.

use std::io::Write;

use rustc_hash::FxHashMap;

use super::{
    Output,
    paged::Paged,
    rewrite::{edge_type, row},
    uses::{Slot, Uses},
};
use crate::{
    error::{Code, Error, Result},
    snapshot::{EdgeType, NodeType, header::Header, records::closely, text::Text},
};

/// Properties of one object that are kept until it is known what it is; no record has more.
const MANY: usize = 1 << 16;

/// What is known of nodes and strings.
#[derive(Default)]
pub(super) struct Keys {
    /// Of each node: whether it is an object, and how many edges it has; [`FAR`] of them are in `far`.
    nodes: Vec<u8>,
    far: Vec<u32>,
    arrays: Vec<u64>,
    shapes: Vec<u64>,
    /// Objects of each hidden class: one, or more.
    objects: FxHashMap<u32, bool>,
    strings: Paged<Seen>,
}

/// What a property name was seen as.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The first and the last hidden class of an object with it; 0 for none.
    shapes: [u32; 2],
    /// It is a name of the program's.
    named: bool,
}

const OBJECT: u8 = 0x80;
const FAR: u8 = 0x7f;

impl Keys {
    pub(super) fn add_node(&mut self, kind: NodeType, edges: u32, name: u32, slot: Slot) {
        let near = u8::try_from(edges).ok().filter(|&n| n < FAR);
        if near.is_none() {
            self.far.push(edges);
        }
        let node = self.nodes.len();
        self.nodes.push(near.unwrap_or(FAR) | if kind == NodeType::Object { OBJECT } else { 0 });
        for (set, wanted) in [(&mut self.arrays, NodeType::Array), (&mut self.shapes, NodeType::ObjectShape)] {
            if node.is_multiple_of(64) {
                set.push(0);
            }
            set[node / 64] |= u64::from(kind == wanted) << (node % 64);
        }
        if slot == Slot::Name {
            self.strings.get_mut(name).named = true;
        }
    }

    /// Whether a property name of no dictionary may stay.
    pub(super) fn keeps(&self, string: u32) -> bool {
        let seen = self.strings.get(string);
        seen.named || seen.shapes.iter().any(|shape| self.objects.get(shape) == Some(&true))
    }

    /// Whether it is a name of the program's besides.
    pub(super) fn is_named(&self, string: u32) -> bool {
        self.strings.get(string).named
    }
}

/// Reads and rewrites the edges, object by object.
pub(super) struct KeyReader<'a> {
    header: &'a Header,
    keys: &'a mut Keys,
    uses: &'a mut Uses,
    /// The edges of one object.
    edges: Vec<(EdgeType, Vec<u32>)>,
    /// Objects that the root calls global.
    globals: Vec<u32>,
    written: u32,
}

impl<'a> KeyReader<'a> {
    pub(super) fn new(header: &'a Header, keys: &'a mut Keys, uses: &'a mut Uses) -> Self {
        KeyReader { header, keys, uses, edges: Vec::new(), globals: Vec::new(), written: 0 }
    }

    /// All edges; says how many.
    pub(super) fn edges<W: Write>(mut self, text: &mut Text, out: &mut Output<W>) -> Result<u32> {
        let mut far = std::mem::take(&mut self.keys.far).into_iter();
        for node in 0..self.keys.nodes.len() {
            let about = self.keys.nodes[node];
            let count = if about & FAR == FAR { far.next().unwrap_or(0) } else { u32::from(about & FAR) };
            let mut is_object = about & OBJECT != 0;
            let mut dictionary = false;
            for left in (0..count).rev() {
                let mut record = vec![0; self.header.edge.width];
                let Some(offset) = closely(text, &mut record)? else { return Ok(self.written) };
                let kind = edge_type(self.header, record[self.header.edge.kind], offset)?;
                let to = record[self.header.edge.to_node] / self.header.node.width as u32;
                if node as u32 == self.header.root && kind == EdgeType::Shortcut {
                    self.globals.push(to);
                }
                self.edges.push((kind, record));
                // What belongs to no object is known at once; an object of very many properties, too.
                if self.edges.len() == MANY && left > 0 {
                    dictionary |= is_object;
                    self.flush(node as u32, is_object, dictionary, out)?;
                    is_object |= dictionary;
                }
            }
            self.flush(node as u32, is_object, dictionary, out)?;
        }
        if closely(text, &mut vec![0; self.header.edge.width])?.is_some() {
            return Err(text.error(Code::Corrupt, "\"edges\" has more records than the nodes have edges"));
        }
        Ok(self.written)
    }

    fn flush<W: Write>(&mut self, node: u32, is_object: bool, dictionary: bool, out: &mut Output<W>) -> Result<()> {
        let l = &self.header.edge;
        let edges = std::mem::take(&mut self.edges);
        let width = self.header.node.width as u32;
        let to = |record: &[u32]| record[l.to_node] / width;
        let leads_to = |set: &[u64], kind: EdgeType, record: &[u32]| {
            kind == EdgeType::Internal
                && set.get(to(record) as usize / 64).is_some_and(|bits| bits & 1 << (to(record) % 64) != 0)
        };
        let global = self.globals.contains(&node);
        let hashed = is_object && !global && edges.iter().any(|(kind, r)| leads_to(&self.keys.arrays, *kind, r));
        let dictionary = dictionary || hashed;
        let shape = edges.iter().find(|(kind, r)| leads_to(&self.keys.shapes, *kind, r)).map(|(_, r)| to(r));
        if let Some(shape) = shape.filter(|_| is_object && !dictionary) {
            self.keys.objects.entry(shape).and_modify(|more| *more = true).or_insert(false);
        }
        // Integer keys are elements: numbers far apart are keys, too.
        let indices = || edges.iter().filter(|(kind, _)| *kind == EdgeType::Element).map(|(_, r)| r[l.name_or_index]);
        let sparse = is_object && indices().max().is_some_and(|most| most as usize >= 2 * indices().count() + 64);
        let mut element = 0u64;
        for (kind, mut record) in edges {
            let name = record[l.name_or_index];
            let index = match kind {
                EdgeType::Element if sparse => {
                    element += 1;
                    element - 1
                }
                kind if kind.has_index_name() => u64::from(name),
                EdgeType::Property if is_object && dictionary => self.uses.index(name, Slot::Key)?,
                EdgeType::Property if is_object => {
                    let seen = self.keys.strings.get_mut(name);
                    seen.named |= global;
                    if let Some(shape) = shape {
                        seen.shapes[usize::from(seen.shapes[0] != 0)] = shape;
                    }
                    self.uses.index(name, Slot::Name)?
                }
                _ => {
                    self.keys.strings.get_mut(name).named = true;
                    self.uses.index(name, Slot::Name)?
                }
            };
            record[l.name_or_index] = u32::try_from(index)
                .map_err(|_| Error::new(Code::Corrupt, "the snapshot has more strings than can be redacted"))?;
            row(out, self.written == 0, record.iter().map(|&v| u64::from(v)))?;
            self.written += 1;
        }
        Ok(())
    }
}
