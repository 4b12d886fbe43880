//! The string table.

use super::{
    JsStr,
    budget::Budget,
    in_file::{InFile, LONG, Origin},
    literals::{Literals, WHAT},
    narrow::Narrow,
    pages::Column,
    text::Text,
};
use crate::{error::Result, progress::Progress};

/// The string table.
#[derive(Default)]
pub struct Strings {
    bytes: Column<u8>,
    /// Their lengths in bytes.
    lengths: Narrow,
    /// Where each [`STRIDE`]th begins in `bytes`.
    starts: Column<u64>,
    /// Those that are not in `bytes`, and have a length of 0 there.
    in_file: InFile,
}

/// From one string whose place is known to the next such.
const STRIDE: u32 = 16;

/// The string indices of one text (a table may have it more than once): for loops that ask of every node whether it has that name, without
/// a look at the strings themselves.
pub(crate) struct Spelled {
    first: Option<u32>,
    more: Vec<u32>,
}

impl Spelled {
    /// The first of them.
    pub(crate) fn first(&self) -> Option<u32> {
        self.first
    }

    /// Whether the string at `index` is the text.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> bool {
        self.first == Some(index) || self.more.contains(&index)
    }
}

impl Strings {
    /// How many strings.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The string at an index; indices are checked when the file is read. A long one may have stayed in the file until now:
    /// where it can't be read any more, it is empty and [`check`](Self::check) fails.
    pub fn get(&self, index: u32) -> JsStr<'_> {
        match self.short(index) {
            JsStr(b"") => self.in_file.get(index),
            text => text,
        }
    }
    /// The string at an index, or an empty one if it is long and may still be in the file: what to compare with names that heaprs
    /// knows, none of which is long.
    #[inline]
    pub(crate) fn short(&self, index: u32) -> JsStr<'_> {
        let near = index / STRIDE;
        let before = (near * STRIDE..index).map(|index| self.lengths.get(index) as usize).sum::<usize>();
        let start = self.starts[near as usize] as usize + before;
        JsStr(&self.bytes[start..start + self.lengths.get(index) as usize])
    }
    /// Hands over all strings, in the order of the table, with their indices. Those in the file are there one at a time.
    /// Can be cancelled.
    pub fn each(&self, progress: &Progress, mut see: impl FnMut(u32, JsStr<'_>) -> Result<()>) -> Result<()> {
        let mut in_file = self.in_file.through(progress);
        for (index, text) in (0..).zip(self.short_ones()) {
            if index % (1 << 14) == 0 {
                progress.check()?;
            }
            see(index, in_file.get(index)?.unwrap_or(text))?;
        }
        Ok(())
    }
    /// All strings, as [`short`](Self::short) has them.
    pub(crate) fn short_ones(&self) -> impl Iterator<Item = JsStr<'_>> {
        let mut start = 0;
        (0..self.len() as u32).map(move |index| {
            let range = start..start + self.lengths.get(index) as usize;
            start = range.end;
            JsStr(&self.bytes[range])
        })
    }
    /// Fails when a string could not be read from the file any more: what was made of it is wrong.
    pub fn check(&self) -> Result<()> {
        self.in_file.check()
    }

    /// Where the table has `text`, which is not long.
    pub(crate) fn spelled(&self, text: &str) -> Spelled {
        debug_assert!((1..LONG).contains(&text.len()));
        let mut found = (0..).zip(self.short_ones()).filter(|(_, one)| one.is(text)).map(|(index, _)| index);
        Spelled { first: found.next(), more: found.collect() }
    }

    pub(super) fn memory(&self) -> u64 {
        self.bytes.memory() + self.lengths.memory() + self.starts.memory() + self.in_file.memory()
    }

    /// Bounds what strings may take that are still in the file.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.in_file.allow(bytes);
    }

    /// Reads the array of strings, from `[` to `]`. Long ones stay in the file that `text` is.
    pub(super) fn read(
        text: &mut Text,
        budget: &mut Budget,
        origin: Option<Origin>,
        threads: usize,
    ) -> Result<Strings> {
        let literals = Literals::read(text, budget, origin.as_ref(), threads)?;
        literals.count()?;
        let Literals { mut bytes, lengths, places } = literals;
        budget.shrink(&mut bytes);
        let mut starts = Column::new();
        budget.plan(&mut starts, lengths.len().div_ceil(STRIDE as usize), WHAT)?;
        let mut start = 0;
        for lengths in lengths.chunks(STRIDE as usize) {
            starts.push(start)?;
            start += lengths.iter().map(|&length| u64::from(length)).sum::<u64>();
        }
        let in_file = InFile::new(origin, places, budget)?;
        Ok(Strings { bytes, lengths: Narrow::of(lengths)?, starts, in_file })
    }
}
