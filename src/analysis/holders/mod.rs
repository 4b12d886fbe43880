//! Who holds an object, in the words of whoever wrote the program: the variable, the property, the module.
//!
//! V8's snapshot is full of pieces that no program ever sees (tables, property arrays, shapes). The walk upwards prefers what
//! people write, and passes over the rest.

mod collections;
mod scopes;

pub(crate) use collections::Kind;
pub(crate) use scopes::Scope;

use super::{Heap, format::one_line, names};
use crate::{
    error::Result,
    graph::{NO_DISTANCE, Retainers, retainers},
    progress::Progress,
    snapshot::{Edge, EdgeType, JsStr, NodeType, Snapshot},
};

/// Steps up to a variable or a module; a place that is farther away is told by the class of what is there.
const MAX_CLIMB: usize = 12;
/// Named steps in an expression: `a.b.c.d`.
const MAX_WORDS: usize = 5;
/// Longest part of a name.
const MAX_NAME: usize = 60;

/// A snapshot, looked at from below.
pub(crate) struct Holders<'a> {
    pub(crate) heap: &'a Heap,
    retainers: &'a Retainers,
    progress: &'a Progress,
}

/// One reference, with the node it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) from: u32,
    pub(crate) edge: Edge,
}

/// Where something hangs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// `registry.sessions`, `global.users`; empty when nothing has a name.
    pub(crate) expression: String,
    /// The scope of the variable that the expression begins with.
    pub(crate) scope: Option<Scope>,
    /// The event, when it is listeners that hang there; then the expression is the emitter's.
    pub(crate) event: Option<String>,
    /// The emitter's class.
    pub(crate) emitter: Option<String>,
    /// Whether the expression begins at a variable, a global or a module: at something that can be found in a program.
    pub(crate) anchored: bool,
}

impl<'a> Holders<'a> {
    pub(crate) fn new(heap: &'a Heap, progress: &'a Progress) -> Result<Self> {
        Ok(Holders { heap, retainers: heap.graph.retainers(&heap.snapshot, progress)?, progress })
    }

    pub(crate) fn snapshot(&self) -> &'a Snapshot {
        &self.heap.snapshot
    }

    /// Where cancellation is heard.
    pub(crate) fn progress(&self) -> &'a Progress {
        self.progress
    }

    /// What an edge is called.
    pub(crate) fn edge_name(&self, edge: Edge) -> String {
        one_line(&names::edge(self.snapshot(), edge).to_string_lossy(), MAX_NAME)
    }

    /// What a node is called in the file.
    fn name(&self, node: u32) -> JsStr<'a> {
        self.snapshot().node_name(node)
    }

    /// The class of a node.
    pub(crate) fn class_name(&self, node: u32) -> String {
        one_line(&self.heap.classes.name(self.heap.classes.of(node)).to_string_lossy(), MAX_NAME)
    }

    /// The target of a node's first internal edge of a name.
    pub(crate) fn internal(&self, node: u32, name: &str) -> Option<u32> {
        let strings = self.snapshot().strings();
        let mut edges = self.snapshot().edges(node).filter(|edge| edge.kind == EdgeType::Internal);
        edges.find(|edge| strings.short(edge.name_or_index).is(name)).map(|edge| edge.to)
    }

    /// The references to a node that keep it alive.
    pub(crate) fn references_to(&self, node: u32) -> impl Iterator<Item = Reference> + '_ {
        let root = self.snapshot().root();
        self.retainers.of(node).iter().filter_map(move |&edge| {
            let edge = self.snapshot().edge(edge);
            let from = retainers::source(self.snapshot(), edge.ordinal);
            let strong = !matches!(edge.kind, EdgeType::Weak | EdgeType::Invisible) || from == root;
            (strong && from != node).then_some(Reference { from, edge })
        })
    }

    /// The reference to name when asked who holds a node: one that comes from nearer to the roots, by a name that the
    /// program gave if there is one.
    pub(crate) fn referrer(&self, node: u32) -> Result<Option<Reference>> {
        let distance = self.heap.graph.distance(node);
        let mut best: Option<((u32, i32), Reference)> = None;
        for (i, reference) in self.references_to(node).enumerate() {
            if i % (1 << 12) == 0 {
                self.progress.check()?;
            }
            let nearness = match self.heap.graph.distance(reference.from) {
                _ if reference.from == self.snapshot().root() => -1,
                NO_DISTANCE => continue,
                from => from,
            };
            // Nearer each time: no walk goes round in circles.
            if nearness >= distance && distance != NO_DISTANCE {
                continue;
            }
            let rank = (self.rank(reference), nearness);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, reference));
            }
        }
        Ok(best.map(|(_, reference)| reference))
    }

    /// How little a reference says to a person.
    fn rank(&self, Reference { from, edge }: Reference) -> u32 {
        let snapshot = self.snapshot();
        let name = || snapshot.strings().get(edge.name_or_index);
        let by_edge = match edge.kind {
            EdgeType::Context | EdgeType::Element | EdgeType::Shortcut => 0,
            EdgeType::Property => match name() {
                name if name.is("__proto__") || name.is("constructor") || name.is("prototype") => 5,
                name if name.starts_with("<symbol") => 1,
                _ => 0,
            },
            EdgeType::Internal if name().find(" pair in WeakMap (table @").is_some() => 3,
            EdgeType::Internal => 2,
            _ => 4,
        };
        let by_source = match snapshot.node_type(from) {
            NodeType::Object | NodeType::Closure => 0,
            NodeType::Array | NodeType::Hidden => 2,
            NodeType::Native | NodeType::Synthetic => 4,
            // Shapes and code know objects that a program never gave them.
            _ => 6,
        };
        by_edge.max(by_source)
    }

    /// The edges from a root to a node, in the order of walking.
    pub(crate) fn path(&self, node: u32) -> Result<Vec<u32>> {
        let mut edges = Vec::new();
        let mut at = node;
        while at != self.snapshot().root() {
            self.progress.check()?;
            let Some(Reference { from, edge }) = self.referrer(at)? else { break };
            edges.push(edge.ordinal);
            // What nothing reaches has no distances to go by.
            if self.heap.graph.distance(at) == NO_DISTANCE {
                break;
            }
            at = from;
        }
        edges.reverse();
        Ok(edges)
    }

    /// Where a node hangs, as an expression of the program.
    pub(crate) fn place(&self, node: u32) -> Result<Place> {
        let mut place = Place::default();
        let mut at = node;
        let mut words = 0;
        for _ in 0..MAX_CLIMB {
            let Some(reference) = self.referrer(at)? else { break };
            let Reference { from, edge } = reference;
            match edge.kind {
                EdgeType::Context => {
                    place.expression.insert_str(0, &self.edge_name(edge));
                    place.scope = Some(self.scope(from)?);
                    place.anchored = true;
                    break;
                }
                EdgeType::Property | EdgeType::Shortcut if is_global(self.snapshot(), from) => {
                    place.expression.insert_str(0, &format!("global.{}", self.edge_name(edge)));
                    place.anchored = true;
                    break;
                }
                EdgeType::Property if self.snapshot().node_type(from) == NodeType::Closure => {
                    let class = one_line(&self.name(from).to_string_lossy(), MAX_NAME);
                    let text = format!("{}.{}", or(class, "(function)"), self.edge_name(edge));
                    place.expression.insert_str(0, &text);
                    place.scope = Some(Scope { function: None, ..self.scope_of_closure(from) });
                    place.anchored = true;
                    break;
                }
                EdgeType::Property if self.is_module(from) => {
                    place.expression.insert_str(0, &self.edge_name(edge));
                    place.scope = self.module_file(from).map(Scope::of_module);
                    place.anchored = true;
                    break;
                }
                EdgeType::Property if self.name_is(edge, "_events") => {
                    // `.update` of what was climbed so far becomes the event, and the emitter what is named.
                    let event = place.expression.split(['.', '[']).nth(1).unwrap_or_default();
                    place.event = Some(event.to_owned()).filter(|event| !event.is_empty());
                    place.expression.clear();
                    place.emitter = Some(self.class_name(from));
                }
                EdgeType::Property => {
                    let name = self.edge_name(edge);
                    let word = if name.starts_with("<symbol") { format!("[{name}]") } else { format!(".{name}") };
                    place.expression.insert_str(0, &word);
                    words += 1;
                }
                EdgeType::Element => {
                    place.expression.insert_str(0, &format!("[{}]", self.edge_name(edge)));
                    words += 1;
                }
                // An entry of a table: the Map or Set that it belongs to comes next.
                EdgeType::Internal if self.edge_name(edge).parse::<u32>().is_ok() => {
                    place.expression.insert_str(0, "[…]");
                    words += 1;
                }
                _ => {}
            }
            at = from;
            if words >= MAX_WORDS {
                break;
            }
        }
        if !place.anchored && !place.expression.is_empty() {
            place.expression.insert_str(0, &self.class_name(at));
        }
        Ok(place)
    }

    /// A CommonJS module.
    fn is_module(&self, node: u32) -> bool {
        self.snapshot().node_type(node) == NodeType::Object
            && self.name(node).is("Module")
            && self.module_file(node).is_some()
    }

    /// The file of a CommonJS module.
    fn module_file(&self, node: u32) -> Option<String> {
        let mut edges = self.snapshot().edges(node).filter(|edge| edge.kind == EdgeType::Property);
        let file = edges.find(|&edge| self.name_is(edge, "filename"))?.to;
        let is_text = matches!(self.snapshot().node_type(file), NodeType::String | NodeType::ConcatenatedString);
        is_text.then(|| names::node(self.snapshot(), self.heap.graph.states(), file).to_string_lossy().into_owned())
    }

    fn name_is(&self, edge: Edge, name: &str) -> bool {
        !edge.kind.has_index_name() && self.snapshot().strings().short(edge.name_or_index).is(name)
    }
}

/// The global object, behind whichever of its two faces.
pub(crate) fn is_global(snapshot: &Snapshot, node: u32) -> bool {
    if snapshot.node_type(node) != NodeType::Object {
        return false;
    }
    let name = snapshot.node_name(node);
    ["global", "Window"].iter().any(|one| {
        name.as_bytes().strip_prefix(one.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b' ')))
    })
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}
