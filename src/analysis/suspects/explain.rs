//! Suspects in words: who holds what, and what to do about it.

use super::{SuspectGrowth, SuspectKind, accumulation::Draft};
use crate::analysis::{
    format::{bytes, bytes_delta, count, count_delta, one_line, percent},
    holders::{Kind, Scope},
};

/// Longest class name in a sentence.
const MAX_NAME: usize = 60;

/// The holder as a person would call it: "Map `sessions` of module scope in server.js".
pub(super) fn holder(draft: &Draft) -> String {
    let what = match draft.holder_kind {
        Kind::Timers => return "the timers of one duration (setTimeout, setInterval)".to_owned(),
        Kind::Context => "variables of a closure's context".to_owned(),
        Kind::Closure => "function".to_owned(),
        Kind::Dictionary => "object".to_owned(),
        _ => one_line(&draft.holder_class, MAX_NAME),
    };
    let name = &draft.place.expression;
    let what = draft.place.emitter.clone().unwrap_or(what);
    let named = if name.is_empty() { what } else { format!("{what} `{name}`") };
    let scope = draft.place.scope.as_ref().map(scope).unwrap_or_default();
    match &draft.place.event {
        Some(event) => format!("listeners of '{event}' on {named}{scope}"),
        None => format!("{named}{scope}"),
    }
}

fn scope(scope: &Scope) -> String {
    match (scope.file(), scope.outermost, &scope.function) {
        (Some(file), true, _) => format!(" of module scope in {file}"),
        (Some(file), false, Some(function)) => format!(" in {file} (seen by `{function}`)"),
        (Some(file), false, None) => format!(" in {file}"),
        (None, _, Some(function)) => format!(" (seen by `{function}`)"),
        (None, ..) => String::new(),
    }
}

/// What is wrong and what to do.
pub(super) fn sentence(draft: &Draft, total: u64, off_heap: u64, growth: Option<&SuspectGrowth>) -> String {
    let class = one_line(&draft.class_name.to_string_lossy(), MAX_NAME);
    let outside = if off_heap * 2 > draft.retained { ", most of it outside the JavaScript heap" } else { "" };
    let size = format!("{} ({} of the heap{outside})", bytes(draft.retained), percent(draft.retained, total));
    let many = format!("{} {class}", count(draft.count));
    let holder = capitalised(holder(draft));
    let captured = draft.captured.as_ref().map(|(function, variable, class)| {
        let function = if function.is_empty() { "each function".to_owned() } else { format!("`{function}`") };
        format!("; {function} keeps variable `{variable}` ({class})")
    });
    let captured = captured.unwrap_or_default();
    let grew = growth.map_or_else(String::new, |g| {
        let more = if g.count_delta == 0 { String::new() } else { format!(", {} {class}", count_delta(g.count_delta)) };
        format!(
            " Since the base: {} of new objects, {} in all{more}.",
            bytes(g.new_size),
            bytes_delta(g.retained_delta)
        )
    });
    let text = match draft.kind {
        SuspectKind::Collection => {
            let remove = match draft.holder_kind {
                Kind::Array => "Remove what is done with, or bound its length",
                _ => "Delete entries that are done with, or bound its size",
            };
            format!("{holder} holds {many}, {size}{captured}. {remove}.")
        }
        SuspectKind::Listeners => format!(
            "{holder}: {many} retain {size}{captured}. Remove each listener when its work is done (`off`, `once`, or an AbortSignal)."
        ),
        SuspectKind::Timers => {
            format!(
                "{holder}: {many} retain {size}{captured}. Clear each one (`clearTimeout`, `clearInterval`) when its work is done."
            )
        }
        SuspectKind::Promises => format!(
            "{holder} has {many} waiting for it or one for another, {size}. It has to settle some day: resolve or reject it, or give it a timeout; \
             what lives longer than its callers must not be awaited, or raced, by each of them."
        ),
        SuspectKind::ClosureChain => {
            let (closure, variable) = draft.link.as_ref().map_or(("", ""), |l| (&l.closure, &l.variable));
            let closure = if closure.is_empty() { "a function".to_owned() } else { format!("`{closure}`") };
            format!(
                "{holder} heads a chain of {many} that closures hold, {size}: {closure} keeps the context it was made in, and with it variable \
                 `{variable}`, which holds the next link, even if {closure} never uses it: a context keeps every variable that any closure of its scope uses. \
                 Set `{variable}` to null when it is done with, or make the closures in separate functions."
            )
        }
        SuspectKind::Chain => {
            format!(
                "{holder} heads a chain of {many} linked to one another, {size}. Cut the links that are not needed any more."
            )
        }
        SuspectKind::Group => {
            format!("{many} retain {size}; what they have in common is {}{captured}.", uncapitalised(&holder))
        }
        SuspectKind::Object => format!("{holder} alone retains {size}."),
    };
    text + &grew
}

fn capitalised(text: String) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first)
            if text.starts_with("the ")
                || text.starts_with("listeners")
                || text.starts_with("variables")
                || text.starts_with("object `")
                || text.starts_with("function") =>
        {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text,
    }
}

fn uncapitalised(text: &str) -> String {
    let known = ["The timers", "Listeners", "Variables", "Object `", "Function"];
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if known.iter().any(|k| text.starts_with(k)) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
