//! One model of what a heap says, and its renderings: text for a terminal, Markdown for an issue, JSON for programs.
//!
//! The model holds rows that were computed elsewhere and decides nothing but what belongs on the first screen.

mod held;
mod markdown;
mod text;

use serde::Serialize;

pub use held::{HeldObject, HeldStep};
pub use text::TextOptions;

use crate::{
    analysis::{ClassRow, Comparison, DiffRow, Heap, MatchBy, Matching, Statistics, SummaryQuery, Suspect},
    error::Result,
    progress::Progress,
};

/// Raised when a field of the JSON changes its meaning or goes; new fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// How many classes the first screen shows unless told otherwise, and there are no suspects.
pub const DEFAULT_LIMIT: usize = 15;

/// How many when there are suspects, which take some of the screen.
const LIMIT_BESIDE_SUSPECTS: usize = 10;

/// How many suspects.
const MAX_SUSPECTS: usize = 3;

/// What to look at.
#[derive(Clone, Copy, Default)]
pub struct ReportOptions<'a> {
    /// The file's name, for people.
    pub file: Option<&'a str>,
    /// An earlier snapshot of the same process, and its file's name.
    pub base: Option<(&'a Heap, Option<&'a str>)>,
    /// How many classes; [`DEFAULT_LIMIT`] without.
    pub limit: Option<usize>,
}

/// The first screen: how big the heap is, what it consists of, and which classes retain most.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of heaprs.
    pub version: &'static str,
    /// The file's name.
    pub file: Option<String>,
    /// Sums.
    pub totals: Totals,
    /// Where the bytes are, by kind.
    pub statistics: Statistics,
    /// Where memory accumulates, or with a base where it grew; most first.
    pub suspects: Vec<Suspect>,
    /// The classes that retain most, most first.
    pub classes: Vec<ClassRow>,
    /// What is new since the base.
    pub growth: Option<Growth>,
    /// The biggest instance of a class of the application, of the one that grew or else retains most; and who holds it.
    pub biggest: Option<HeldObject>,
}

/// How big a heap is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All bytes: what percentages are of.
    pub total_size: u64,
    /// Of these, what V8 reports outside the graph.
    pub extra_native_bytes: u64,
    /// Objects, in the widest sense.
    pub nodes: u64,
    /// References.
    pub edges: u64,
    /// Classes in the whole table.
    pub classes: u64,
}

/// The difference from an earlier snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// The base file's name.
    pub base_file: Option<String>,
    /// The base's total size.
    pub base_total_size: u64,
    /// Total size now less then.
    pub size_delta: i64,
    /// How objects were matched.
    pub matched_by: &'static str,
    /// The classes that grew most in bytes, most first.
    pub classes: Vec<DiffRow>,
}

impl Report {
    /// Picks the first screen from a heap.
    pub fn new(heap: &Heap, options: &ReportOptions<'_>, progress: &Progress) -> Result<Report> {
        let since = options.base.map(|(base, _)| Matching::new(MatchBy::Auto, base, heap, progress)).transpose()?;
        let suspects = suspects(heap, since.as_ref(), progress)?;
        let usual = if suspects.is_empty() { DEFAULT_LIMIT } else { LIMIT_BESIDE_SUSPECTS };
        let limit = options.limit.unwrap_or(usual);
        let info = heap.info();
        let mut classes = heap.summary(&SummaryQuery::default(), progress)?;
        let totals = Totals {
            total_size: info.total_size,
            extra_native_bytes: info.extra_native_bytes,
            nodes: info.nodes,
            edges: info.edges,
            classes: classes.len() as u64,
        };
        let growth = match (&since, options.base) {
            (Some(since), Some((_, name))) => Some(Growth::new(since, name, heap, limit, progress)?),
            _ => None,
        };
        // What grew is more telling than what is big.
        let grown = growth.iter().flat_map(|g| &g.classes).map(|row| (&row.key, &row.name));
        let big = classes.iter().map(|row| (&row.key, &row.name));
        let own = grown.chain(big).find(|(_, name)| is_of_application(&name.to_string_lossy()));
        let biggest = match own {
            Some((key, _)) => HeldObject::biggest(heap, key, progress)?,
            None => None,
        };
        classes.truncate(limit);
        Ok(Report {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            file: options.file.map(str::to_owned),
            totals,
            statistics: heap.statistics(),
            suspects,
            classes,
            growth,
            biggest,
        })
    }
}

/// Where it grew; where it did not, what is big all the same.
fn suspects(heap: &Heap, since: Option<&Matching<'_>>, progress: &Progress) -> Result<Vec<Suspect>> {
    let found = heap.suspects_since(since, Some(MAX_SUSPECTS), None, progress)?;
    if found.is_empty() && since.is_some() {
        return heap.suspects_since(None, Some(MAX_SUSPECTS), None, progress);
    }
    Ok(found)
}

impl Growth {
    fn new(since: &Matching<'_>, file: Option<&str>, heap: &Heap, limit: usize, progress: &Progress) -> Result<Growth> {
        let Comparison { matched_by, rows: mut classes } = since.comparison(progress)?;
        classes.retain(|row| row.size_delta > 0);
        classes.sort_by_key(|row| std::cmp::Reverse(row.size_delta));
        classes.truncate(limit);
        let (before, now) = (since.base().info().total_size, heap.info().total_size);
        Ok(Growth {
            base_file: file.map(str::to_owned),
            base_total_size: before,
            size_delta: now as i64 - before as i64,
            matched_by: matched_by.name(),
            classes,
        })
    }
}

/// Whether a class name is one that people write, rather than V8's own pieces or what every heap is full of.
fn is_of_application(name: &str) -> bool {
    const EVERYWHERE: [&str; 11] = [
        "Function",
        "Object",
        "Array",
        "RegExp",
        "Promise",
        "Date",
        "Error",
        "Symbol",
        "global",
        "BuiltinModule",
        "Generator",
    ];
    let internal = name.starts_with('(') || name.starts_with("system / ") || name.starts_with("Node / ");
    !internal && !EVERYWHERE.contains(&name)
}
