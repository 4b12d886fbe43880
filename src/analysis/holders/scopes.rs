//! Which script a variable is in: from a closure's context over the closures that see it to their source.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::{Holders, MAX_NAME};
use crate::{
    analysis::format::one_line,
    error::Result,
    snapshot::{EdgeType, NodeType},
};

/// Contexts looked through for a closure.
const MAX_CONTEXTS: usize = 256;
/// References to one context looked at: a context that a million closures share has the same script in all of them.
const MAX_REFERENCES: usize = 4096;

/// A scope of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The script as V8 names it: a path, a `file:` URL, `node:internal/…`.
    pub(crate) script: Option<String>,
    /// Whether it is the outermost scope of the script.
    pub(crate) outermost: bool,
    /// A function that sees the scope.
    pub(crate) function: Option<String>,
}

impl Scope {
    pub(super) fn of_module(file: String) -> Scope {
        Scope { script: Some(file), outermost: false, function: None }
    }

    /// Whether it is a part of Node.js itself.
    pub(crate) fn is_of_node(&self) -> bool {
        self.script.as_ref().is_some_and(|script| script.starts_with("node:"))
    }

    /// Whether what hangs there is the program's all the same: Node.js keeps it on the program's behalf until it is called, answered or told.
    pub(crate) fn is_on_behalf(&self) -> bool {
        const ON_BEHALF: [&str; 10] = [
            "node:internal/timers",
            "node:timers",
            "node:internal/process/task_queues",
            "node:internal/process/promises",
            "node:internal/async_hooks",
            "node:internal/event_target",
            "node:internal/abort_controller",
            "node:diagnostics_channel",
            "node:_http_agent",
            "node:net",
        ];
        self.script.as_ref().is_some_and(|script| ON_BEHALF.contains(&script.as_str()))
    }

    /// The script as people call it: the file's name, or from `node_modules` on.
    pub(crate) fn file(&self) -> Option<&str> {
        let script = self.script.as_deref()?;
        if script.starts_with("node:") {
            return Some(script);
        }
        if let Some(at) = script.rfind("node_modules/") {
            return Some(&script[at..]);
        }
        script.rsplit(['/', '\\']).next()
    }
}

impl Holders<'_> {
    /// The scope that a context belongs to.
    pub(crate) fn scope(&self, context: u32) -> Result<Scope> {
        let outermost = self
            .internal(context, "previous")
            .is_none_or(|previous| self.name(previous).find("NativeContext").is_some());
        let mut scope = Scope { outermost, ..Scope::default() };
        // Its own closures first, then those of the scopes within.
        let mut queue = VecDeque::from([context]);
        let mut seen: FxHashSet<u32> = FxHashSet::from_iter([context]);
        while let Some(at) = queue.pop_front() {
            self.progress.check()?;
            for reference in self.references_to(at).take(MAX_REFERENCES) {
                if reference.edge.kind != EdgeType::Internal {
                    continue;
                }
                if self.name_is(reference.edge, "context") {
                    // A generator stands for the function that it runs.
                    let closure = self.internal(reference.from, "function").unwrap_or(reference.from);
                    let found = self.scope_of_closure(closure);
                    if found.script.is_some() {
                        scope.script = found.script;
                        scope.function = scope.function.or(found.function);
                    }
                } else if self.name_is(reference.edge, "previous")
                    && seen.len() < MAX_CONTEXTS
                    && seen.insert(reference.from)
                {
                    queue.push_back(reference.from);
                }
                if scope.script.is_some() && scope.function.is_some() {
                    return Ok(scope);
                }
            }
            if scope.script.is_some() {
                break;
            }
        }
        Ok(scope)
    }

    /// The scope that a closure itself makes known: its script and its name.
    pub(crate) fn scope_of_closure(&self, closure: u32) -> Scope {
        let shared = (self.snapshot().node_type(closure) == NodeType::Closure)
            .then(|| self.internal(closure, "shared"))
            .flatten();
        // Node 22 renamed the edge.
        let script = shared
            .and_then(|shared| {
                self.internal(shared, "script").or_else(|| self.internal(shared, "script_or_debug_info"))
            })
            .map(|script| self.name(script).to_string_lossy().into_owned())
            .filter(|script| !script.is_empty() && !script.starts_with("system / "));
        let function = one_line(&self.name(closure).to_string_lossy(), MAX_NAME);
        Scope { script, outermost: false, function: Some(function).filter(|name| !name.is_empty()) }
    }
}
