//! What an allocation timeline adds to a heap: when objects were allocated, and by which calls.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{
    Heap,
    rows::{AllocationFrame, AllocationFunction, AllocationSite, AllocationSites, Page, TimelineBucket},
    sorting::Collector,
};
use crate::{
    error::Result,
    graph::steps::{Steps, pieces},
    progress::Progress,
    snapshot::Sample,
};

/// How many objects, and their bytes.
#[derive(Clone, Copy, Default)]
struct Live {
    count: u64,
    size: u64,
}

impl Heap {
    /// What is still alive of the objects that each interval of the recording saw allocated; nothing for a file without
    /// a recording.
    pub fn timeline(&self, progress: &Progress) -> Result<Vec<TimelineBucket>> {
        let samples = self.snapshot.samples();
        let bucket = |sample: &Sample| TimelineBucket {
            timestamp: sample.timestamp_us as f64 / 1000.0,
            last_assigned_id: sample.last_assigned_id,
            count: 0,
            size: 0,
        };
        let mut buckets: Vec<_> = samples.iter().map(bucket).collect();
        if buckets.is_empty() {
            return Ok(buckets);
        }
        let mut steps = Steps::start(progress, "timeline", u64::from(self.snapshot.node_count()))?;
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            let id = u64::from(self.snapshot.node_id(node));
            let size = u64::from(self.graph.self_size(node));
            // The embedder's objects have even ids, which say nothing about time.
            if id % 2 == 0 || size == 0 {
                continue;
            }
            // Later than the last sample is in no interval.
            if let Some(bucket) = buckets.get_mut(first_at_least(samples, id)) {
                bucket.count += 1;
                bucket.size += size;
            }
        }
        steps.finish()?;
        Ok(buckets)
    }

    /// The calls that allocated an object, the innermost first; `None` when they were not recorded.
    pub fn allocation_stack(&self, id: u32, progress: &Progress) -> Result<Option<Vec<AllocationFrame>>> {
        let trace = self.snapshot.trace_node_id(self.find(id)?);
        if trace == 0 {
            return Ok(None);
        }
        let tree = self.snapshot.trace_tree();
        let mut found = None;
        for piece in pieces(tree.len() as u32) {
            progress.check()?;
            found = piece.map(|place| place as usize).rfind(|&place| tree[place].id == trace).or(found);
        }
        let Some(mut place) = found else { return Ok(None) };
        let mut frames = Vec::new();
        // The root of the tree is no call.
        while let Some(parent) = tree[place].parent {
            if frames.len() % (1 << 15) == 0 {
                progress.check()?;
            }
            frames.push(self.frame(tree[place].function));
            place = parent as usize;
        }
        Ok(Some(frames))
    }

    /// Where memory was allocated: by function, as in DevTools' Allocation view, and by whole call stacks. Of the stacks,
    /// `limit` is the number of those kept below which most is still alive, always with their callers.
    pub fn allocation_sites(&self, limit: Option<usize>, progress: &Progress) -> Result<AllocationSites> {
        let tree = self.snapshot.trace_tree();
        if tree.is_empty() {
            return Ok(AllocationSites::default());
        }
        let live = self.live_by_trace(progress)?;
        let live_at = |place: usize| live.get(&tree[place].id).copied().unwrap_or_default();
        let mut steps = Steps::start(progress, "allocation sites", 2 * tree.len() as u64)?;

        let mut functions = vec![(Live::default(), Live::default()); self.snapshot.trace_functions().len()];
        for (place, node) in tree.iter().enumerate() {
            steps.one()?;
            // Stacks that only lead to others that allocated have no count.
            if node.count > 0 {
                let (allocated, alive) = &mut functions[node.function as usize];
                allocated.add(Live { count: u64::from(node.count), size: u64::from(node.size) });
                alive.add(live_at(place));
            }
        }
        let page = Page { offset: 0, limit };
        let mut rows = Collector::new(page);
        for (function, (allocated, _)) in (0..).zip(&functions).filter(|(_, (allocated, _))| allocated.count > 0) {
            rows.push((Reverse(allocated.size), function));
        }
        let row = |(_, function): (_, u32)| {
            let (allocated, alive) = functions[function as usize];
            AllocationFunction {
                frame: self.frame(function),
                count: allocated.count,
                size: allocated.size,
                live_count: alive.count,
                live_size: alive.size,
            }
        };
        let functions = rows.rows(progress)?.into_iter().map(row).collect();

        // Parents come before their children.
        let mut totals = vec![(Live::default(), 0u64); tree.len()];
        for (place, node) in tree.iter().enumerate().rev() {
            steps.one()?;
            let (alive, allocated) = &mut totals[place];
            alive.add(live_at(place));
            *allocated += u64::from(node.size);
            let (alive, allocated) = totals[place];
            if let Some(parent) = node.parent {
                totals[parent as usize].0.add(alive);
                totals[parent as usize].1 += allocated;
            }
        }
        let mut sites = Collector::new(page);
        for (place, (alive, allocated)) in (0u32..).zip(&totals) {
            // A parent has at least as much as each child, so it comes first.
            sites.push((Reverse(alive.size), Reverse(*allocated), place));
        }
        let sites = sites.rows(progress)?;
        let new_places: FxHashMap<u32, u32> = sites.iter().zip(0..).map(|(&(.., place), new)| (place, new)).collect();
        let site = |(_, _, place): (_, _, u32)| {
            let (node, own) = (tree[place as usize], live_at(place as usize));
            let (all, allocated) = totals[place as usize];
            AllocationSite {
                parent: node.parent.and_then(|parent| new_places.get(&parent).copied()),
                frame: self.frame(node.function),
                count: u64::from(node.count),
                size: u64::from(node.size),
                live_count: own.count,
                live_size: own.size,
                total_size: allocated,
                total_live_count: all.count,
                total_live_size: all.size,
            }
        };
        let sites = sites.into_iter().map(site).collect();
        steps.finish()?;
        Ok(AllocationSites { functions, sites })
    }

    /// What is alive of each call stack's allocations, by the stack's id. Like DevTools, this counts objects whose bytes
    /// have gone to their owner.
    fn live_by_trace(&self, progress: &Progress) -> Result<FxHashMap<u32, Live>> {
        let mut live: FxHashMap<u32, Live> = FxHashMap::default();
        let mut steps = Steps::start(progress, "live objects", u64::from(self.snapshot.node_count()))?;
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            let one = Live { count: 1, size: u64::from(self.graph.self_size(node)) };
            live.entry(self.snapshot.trace_node_id(node)).or_default().add(one);
        }
        steps.finish()?;
        Ok(live)
    }

    fn frame(&self, function: u32) -> AllocationFrame {
        let function = self.snapshot.trace_functions()[function as usize];
        let text = |index| self.snapshot.strings().get(index).into();
        AllocationFrame {
            function: text(function.name),
            url: text(function.script_name),
            script_id: function.script_id,
            line: function.line,
            column: function.column,
        }
    }
}

impl Live {
    fn add(&mut self, other: Live) {
        self.count += other.count;
        self.size += other.size;
    }
}

/// The first sample whose id is not below `id`. In a file whose samples are out of order, the one that DevTools finds.
fn first_at_least(samples: &[Sample], id: u64) -> usize {
    let (mut low, mut high) = (0, samples.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if samples[middle].last_assigned_id < id { low = middle + 1 } else { high = middle }
    }
    high
}
