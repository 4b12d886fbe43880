//! Finds the objects of one snapshot in a later one without their ids: for captures of one process that numbered them anew.
//!
//! Both graphs are walked in lockstep from their roots: what hangs on the same edge of the same object is the same object
//! still, unless what it holds says otherwise. What is only counted off (array elements, entries of hash tables) is found by
//! its content and its neighbours. Then objects whose content exists once, wherever they hang now; then what is left below
//! one holder. What stays alone is new, or gone.
//!
//! Like ids, pairs say which objects are the same, not whether they are of the same class: that is the comparison's business.

mod likeness;
mod lockstep;
mod remade;
mod sequence;
mod side;
mod unique;

use std::collections::VecDeque;

pub(super) use side::Side;

use crate::{error::Result, graph::steps::Steps, progress::Progress};

/// In place of a node: there is none.
pub(super) const NONE: u32 = u32::MAX;

/// How often what is left is looked through again: each time may free more.
const SWEEPS: usize = 4;

/// Which node of the base is which node of the later snapshot; [`NONE`] for those that are gone, and new.
pub(super) struct Pairs {
    pub(super) of_base: Vec<u32>,
    pub(super) of_current: Vec<u32>,
}

/// Pairs the nodes of two snapshots.
pub(super) fn pair(base: &Side<'_>, current: &Side<'_>, progress: &Progress) -> Result<Pairs> {
    let (nodes_a, nodes_b) = (base.snapshot.node_count(), current.snapshot.node_count());
    let steps = Steps::start(progress, "lockstep", u64::from(nodes_a))?;
    let pairs = Pairs { of_base: vec![NONE; nodes_a as usize], of_current: vec![NONE; nodes_b as usize] };
    let mut walk = Walk { a: base, b: current, pairs, queue: VecDeque::new(), mode: Mode::Strict, count: 0, steps };
    walk.join(base.snapshot.root(), current.snapshot.root());
    walk.drain()?;
    for prints in [(&base.deep, &current.deep), (&base.near, &current.near)] {
        walk.unique(prints.0, prints.1)?;
        walk.drain()?;
    }
    walk.mode = Mode::Relaxed;
    for _ in 0..SWEEPS {
        let before = walk.count;
        walk.sweep()?;
        if walk.count == before {
            break;
        }
    }
    walk.split_remade()?;
    walk.steps.finish()?;
    Ok(walk.pairs)
}

/// What an edge of the same name is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing against what the objects hold; weak edges don't count.
    Strict,
    /// Everything, as nothing better was found.
    Relaxed,
}

/// The walk through both graphs.
struct Walk<'a> {
    a: &'a Side<'a>,
    b: &'a Side<'a>,
    pairs: Pairs,
    /// Nodes of the base that were paired, and whose edges have not been looked at since.
    queue: VecDeque<u32>,
    mode: Mode,
    count: u64,
    steps: Steps<'a>,
}

impl Walk<'_> {
    /// Takes two nodes for the same object.
    fn join(&mut self, a: u32, b: u32) {
        self.pairs.of_base[a as usize] = b;
        self.pairs.of_current[b as usize] = a;
        self.queue.push_back(a);
        self.count += 1;
    }

    fn both_free(&self, a: u32, b: u32) -> bool {
        self.pairs.of_base[a as usize] == NONE && self.pairs.of_current[b as usize] == NONE
    }

    /// Follows the edges of all that was paired.
    fn drain(&mut self) -> Result<()> {
        while let Some(a) = self.queue.pop_front() {
            self.steps.one()?;
            self.children(a, self.pairs.of_base[a as usize])?;
        }
        Ok(())
    }

    /// Looks once more at every pair below which something is left on both sides.
    fn sweep(&mut self) -> Result<()> {
        for a in 0..self.a.snapshot.node_count() {
            let b = self.pairs.of_base[a as usize];
            if b == NONE {
                continue;
            }
            let left_a = self.a.snapshot.edges(a).any(|edge| self.pairs.of_base[edge.to as usize] == NONE);
            if left_a && self.b.snapshot.edges(b).any(|edge| self.pairs.of_current[edge.to as usize] == NONE) {
                self.steps.one()?;
                self.children(a, b)?;
                self.drain()?;
            } else if a % (1 << 12) == 0 {
                self.steps.edge(0)?;
            }
        }
        Ok(())
    }
}
