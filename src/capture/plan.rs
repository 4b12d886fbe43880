//! Dumps that are decided on beforehand and taken when something happens: what to write, and how often.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    DumpRequest, TargetOptions,
    name::{default_name, heapdump_name},
};
use crate::{
    error::{Error, Result},
    progress::Progress,
    snapshot::Redaction,
    v8::TakeOptions,
};

/// How a dump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpMode {
    /// By fork where that works, else inline.
    Auto,
    /// By a forked child, or not at all.
    Fork,
    /// JavaScript stands still meanwhile.
    Inline,
}

/// What each dump of a policy is.
#[derive(Clone, Debug)]
pub struct DumpPlan {
    /// One name for all, else names are made.
    pub file: Option<PathBuf>,
    /// Made names are as those of the package heapdump, instead of V8's.
    pub heapdump_names: bool,
    /// Where made names go; empty for the working directory.
    pub directory: PathBuf,
    /// gzip.
    pub compress: bool,
    /// Fork or inline.
    pub mode: DumpMode,
    /// What V8 shows.
    pub take: TakeOptions,
    /// Object ids that match other files'.
    pub comparable_ids: bool,
    /// What of it must not reach the file.
    pub redaction: Option<Redaction>,
    /// How the file may appear.
    pub target: TargetOptions,
    /// For one dump, from the moment it is asked for.
    pub timeout: Duration,
    /// Who hears how far a dump is, and may call it off.
    pub progress: Progress,
}

impl DumpPlan {
    /// What the next dump of the thread that Node.js calls `thread_id` writes, and where to. Without a name of its own it gets a new one with
    /// each call.
    pub fn request(&self, thread_id: u32, deadline: Option<Instant>) -> Result<DumpRequest> {
        let name = || match self.heapdump_names {
            true => heapdump_name(),
            false => default_name(thread_id, self.compress),
        };
        let file = self.file.clone().unwrap_or_else(|| self.directory.join(name()));
        let file = std::path::absolute(&file).map_err(|e| Error::io(&e, "find the working directory", &file))?;
        Ok(DumpRequest {
            file,
            target: self.target.clone(),
            compress: self.compress,
            take: self.take,
            comparable_ids: self.comparable_ids,
            redaction: self.redaction,
            ignore_memory: self.mode == DumpMode::Fork,
            memory_is_short: false,
            deadline,
            progress: self.progress.clone(),
        })
    }
}

/// How many dumps a policy may still take, and when.
#[derive(Clone, Copy, Debug)]
pub struct DumpBudget {
    cooldown: Duration,
    left: u32,
    rest_until: Option<Instant>,
}

impl DumpBudget {
    /// At most `max` dumps, with `cooldown` between the end of one and the start of the next.
    pub fn new(cooldown: Duration, max: u32) -> Self {
        DumpBudget { cooldown, left: max, rest_until: None }
    }

    /// Whether a dump may be taken now.
    pub fn allows(&self, now: Instant) -> bool {
        self.left > 0 && self.rest_until.is_none_or(|until| now >= until)
    }

    /// Whether no dump may be taken any more.
    pub fn is_used_up(&self) -> bool {
        self.left == 0
    }

    /// A dump begins.
    pub fn begin(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// The dump that began does not count.
    pub fn give_back(&mut self) {
        self.left = self.left.saturating_add(1);
    }

    /// A dump has ended, well or not.
    pub fn end(&mut self, now: Instant) {
        self.rest_until = now.checked_add(self.cooldown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_keeps_cooldown_and_number() {
        let start = Instant::now();
        let mut budget = DumpBudget::new(Duration::from_secs(10), 2);
        assert!(budget.allows(start));
        budget.begin();
        budget.end(start);
        assert!(!budget.allows(start + Duration::from_secs(9)));
        assert!(budget.allows(start + Duration::from_secs(10)) && !budget.is_used_up());
        budget.begin();
        budget.end(start);
        assert!(!budget.allows(start + Duration::from_secs(100)) && budget.is_used_up());
        budget.give_back();
        assert!(budget.allows(start + Duration::from_secs(100)));
        let mut always = DumpBudget::new(Duration::ZERO, u32::MAX);
        always.begin();
        always.end(start);
        assert!(always.allows(start));
    }

    #[test]
    fn made_names_are_new_each_time_and_given_ones_stay() {
        let mut plan = DumpPlan {
            file: None,
            heapdump_names: false,
            directory: PathBuf::from("dumps"),
            compress: true,
            mode: DumpMode::Auto,
            take: TakeOptions::default(),
            comparable_ids: false,
            redaction: None,
            target: TargetOptions::default(),
            timeout: Duration::from_secs(1),
            progress: Progress::default(),
        };
        let name = |plan: &DumpPlan| plan.request(3, None).unwrap().file;
        let (a, b) = (name(&plan), name(&plan));
        assert_ne!(a, b);
        assert!(a.is_absolute() && a.parent().unwrap().ends_with("dumps"));
        let a = a.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(a.starts_with("Heap.20") && a.ends_with(".heapsnapshot.gz"), "{a}");
        assert_eq!(a.split('.').nth(4), Some("3"), "{a}");
        plan.heapdump_names = true;
        let a = name(&plan);
        assert_ne!(a, name(&plan));
        assert!(a.file_name().unwrap().to_str().unwrap().starts_with("heapdump-"), "{a:?}");
        plan.file = Some("x.heapsnapshot".into());
        assert_eq!(name(&plan), name(&plan));
    }
}
