//! One object and the path that holds it, short enough to read.

use serde::Serialize;

use crate::analysis::format::one_line;
use crate::{
    analysis::{Heap, JsString, NodeRow, Page, PathStep},
    error::Result,
    progress::Progress,
};

/// A longer path loses its middle: a list's millionth element has a million steps.
const MAX_STEPS: usize = 40;
/// On a line for people, fewer.
const SHOWN_STEPS: usize = 10;

/// An object worth a look.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldObject {
    /// Its id.
    pub id: u32,
    /// Its class.
    pub class_name: JsString,
    /// What it retains.
    pub retained_size: u64,
    /// The shortest path from the root; its middle is left out when it is long.
    pub path: Vec<HeldStep>,
    /// How many steps were left out.
    pub omitted_steps: usize,
}

/// One step of the path: an edge, and the object it leads to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldStep {
    /// The edge's type.
    #[serde(rename = "type")]
    pub edge_type: &'static str,
    /// The edge's name.
    pub edge: JsString,
    /// The object's class.
    pub class_name: JsString,
    /// The object's id.
    pub id: u32,
}

impl HeldObject {
    /// The biggest instance of a class.
    pub(super) fn biggest(heap: &Heap, key: &JsString, progress: &Progress) -> Result<Option<HeldObject>> {
        let Some(node) = heap.instances(key, Page { offset: 0, limit: Some(1) }, progress)?.pop() else {
            return Ok(None);
        };
        let path = heap.retaining_paths(node.id, 1, progress)?.pop().unwrap_or_default();
        let (path, omitted_steps) = shorten(path.into_iter().map(HeldStep::from).collect(), MAX_STEPS);
        let NodeRow { id, class_name, retained_size, .. } = node;
        Ok(Some(HeldObject { id, class_name, retained_size, path, omitted_steps }))
    }

    /// The path on one line: `global .sessions Map .table (array) [12] Session`.
    pub(super) fn path_line(&self) -> String {
        let head = SHOWN_STEPS / 2;
        let (mut words, mut left_out) = (Vec::new(), self.omitted_steps);
        for (i, step) in self.path.iter().enumerate() {
            let from_end = self.path.len() - i;
            if self.path.len() > SHOWN_STEPS && i >= head && from_end > SHOWN_STEPS - head {
                left_out += 1;
                continue;
            }
            if left_out > 0 && i >= head {
                words.push(format!("… {left_out} more …"));
                left_out = 0;
            }
            let edge = one_line(&step.edge.to_string_lossy(), 40);
            let class = one_line(&step.class_name.to_string_lossy(), 40);
            words.push(match step.edge_type {
                // Who names the root's own edges and the numbers of hidden ones is V8.
                _ if i == 0 => class,
                "element" | "hidden" => format!("[{edge}] {class}"),
                "property" | "context" | "shortcut" => format!(".{edge} {class}"),
                _ => format!("({edge}) {class}"),
            });
        }
        words.join(" → ")
    }
}

impl From<PathStep> for HeldStep {
    fn from(step: PathStep) -> Self {
        HeldStep { edge_type: step.edge_type, edge: step.name, class_name: step.node.class_name, id: step.node.id }
    }
}

/// Cuts the middle out of a long list.
fn shorten<T>(mut list: Vec<T>, most: usize) -> (Vec<T>, usize) {
    let omitted = list.len().saturating_sub(most);
    if omitted > 0 {
        list.drain(most / 2..most / 2 + omitted);
    }
    (list, omitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(steps: usize) -> HeldObject {
        let step = |i: usize| HeldStep {
            edge_type: if i.is_multiple_of(2) { "property" } else { "element" },
            edge: JsString::from(&*i.to_string()),
            class_name: JsString::from("C"),
            id: i as u32,
        };
        let (path, omitted_steps) = shorten((0..steps).map(step).collect(), MAX_STEPS);
        HeldObject { id: 1, class_name: JsString::from("C"), retained_size: 0, path, omitted_steps }
    }

    #[test]
    fn long_paths_lose_their_middle() {
        assert_eq!(object(3).path_line(), "C → [1] C → .2 C");
        let line = object(1000).path_line();
        assert!(line.starts_with("C → [1] C → .2 C → [3] C → .4 C → … 990 more … → [995] C"), "{line}");
        assert!(line.ends_with("[999] C"), "{line}");
        assert_eq!(object(0).path_line(), "");
    }
}
