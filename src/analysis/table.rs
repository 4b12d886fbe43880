//! The class table: what the instances of each class weigh, alone and with all they retain.

use super::classes::Classes;
use crate::{
    beside::both,
    error::Result,
    graph::{BitSet, Children, Graph, steps::Steps},
    progress::Progress,
    snapshot::{Column, Snapshot},
};

/// Sums over the instances of one class that have a size of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) self_size: u64,
    pub(crate) distance: i32,
    pub(crate) retained_size: u64,
}

/// What nodes to look at; all without.
pub(crate) type Filter<'a> = Option<&'a (dyn Fn(u32) -> bool + Sync)>;

/// The totals of every class key. `children` is the dominator tree.
pub(crate) fn totals(
    snapshot: &Snapshot,
    graph: &Graph,
    classes: &Classes,
    children: &Children,
    filter: Filter<'_>,
    progress: &Progress,
) -> Result<Vec<Totals>> {
    let counts = |node: u32| graph.self_size(node) > 0 && filter.is_none_or(|filter| filter(node));
    let (retained, mut totals) = both(
        snapshot.threads(),
        progress,
        |progress| retained_sizes(snapshot, graph, classes, children, counts, progress),
        |progress| {
            let none = Totals { count: 0, self_size: 0, distance: i32::MAX, retained_size: 0 };
            let mut totals = vec![none; classes.count() as usize];
            let mut steps = Steps::start(progress, "class sizes", u64::from(snapshot.node_count()))?;
            for node in (0..snapshot.node_count()).filter(|&node| counts(node)) {
                steps.one()?;
                let total = &mut totals[classes.of(node) as usize];
                total.count += 1;
                total.self_size += u64::from(graph.self_size(node));
                total.distance = total.distance.min(graph.distance(node));
            }
            steps.finish()?;
            Ok(totals)
        },
    )?;
    totals.iter_mut().zip(retained).for_each(|(total, retained)| total.retained_size = retained);
    Ok(totals)
}

/// What the instances of each class retain together. Down the dominator tree: an instance below another one of its class
/// is retained with that one.
fn retained_sizes(
    snapshot: &Snapshot,
    graph: &Graph,
    classes: &Classes,
    children: &Children,
    counts: impl Fn(u32) -> bool,
    progress: &Progress,
) -> Result<Vec<u64>> {
    let mut steps = Steps::start(progress, "class retained sizes", u64::from(snapshot.node_count()))?;
    let mut retained = vec![0; classes.count() as usize];
    let mut open = BitSet::new(classes.count())?;
    let mut stack = Column::new();
    let mut next = Some(snapshot.root());
    loop {
        if let Some(node) = next.take() {
            steps.one()?;
            let class = classes.of(node);
            let first = !open.contains(class) && counts(node);
            if first {
                retained[class as usize] += graph.retained_size(node);
            }
            if !children.of(node).is_empty() {
                if first {
                    open.insert(class);
                }
                stack.push(Level { node, child: 0, opened: first })?;
            }
        }
        let Some(level) = stack.last_mut() else { break };
        if let Some(&child) = children.of(level.node).get(level.child as usize) {
            level.child += 1;
            next = Some(child);
        } else {
            if level.opened {
                open.remove(classes.of(level.node));
            }
            stack.pop();
        }
    }
    steps.finish()?;
    Ok(retained)
}

#[derive(Clone, Copy)]
struct Level {
    node: u32,
    child: u32,
    /// Whether instances of the node's class below it are not to be counted because of it.
    opened: bool,
}
