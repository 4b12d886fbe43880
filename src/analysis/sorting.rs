//! Sorting of long lists that can be told to stop, and that does no more than the wanted page needs.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use super::rows::Page;
use crate::{error::Result, progress::Progress};

/// Few enough to sort between two looks at the cancellation.
const CHUNK: usize = 1 << 15;

/// Collects rows, of which only those of one page in ascending order are wanted.
///
/// For a first page of ten million rows it keeps a few thousand.
pub(crate) struct Collector<T> {
    items: Vec<T>,
    page: Page,
}

impl<T: Ord + Copy> Collector<T> {
    pub(crate) fn new(page: Page) -> Self {
        Collector { items: Vec::new(), page }
    }

    /// Takes a row in; forgets those that cannot be on the page any more.
    pub(crate) fn push(&mut self, item: T) {
        let end = self.page.end();
        if self.items.len() >= end.saturating_mul(2).saturating_add(CHUNK) {
            self.items.select_nth_unstable(end);
            self.items.truncate(end);
        }
        self.items.push(item);
    }

    /// The rows of the page.
    pub(crate) fn rows(mut self, progress: &Progress) -> Result<Vec<T>> {
        let end = self.page.end().min(self.items.len());
        if self.page.offset >= end {
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        for chunk in self.items.chunks_mut(CHUNK) {
            progress.check()?;
            let wanted = end.min(chunk.len());
            if wanted < chunk.len() {
                chunk.select_nth_unstable(wanted);
            }
            chunk[..wanted].sort_unstable();
            runs.push(&chunk[..wanted]);
        }
        let heads = runs.iter().enumerate().map(|(run, items)| Reverse((items[0], run, 1)));
        let mut heads: BinaryHeap<_> = heads.collect();
        let mut rows = Vec::with_capacity(end - self.page.offset);
        for place in 0..end {
            if place % CHUNK == 0 {
                progress.check()?;
            }
            let Some(mut head) = heads.peek_mut() else { break };
            let Reverse((item, run, next)) = *head;
            if place >= self.page.offset {
                rows.push(item);
            }
            match runs[run].get(next) {
                Some(&following) => *head = Reverse((following, run, next + 1)),
                None => {
                    PeekMut::pop(head);
                }
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_those_of_the_sorted_whole() {
        let mut x = 1u32;
        let items: Vec<u32> = (0..3 * CHUNK + 17)
            .map(|_| {
                x = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                x >> 12
            })
            .collect();
        let mut sorted = items.clone();
        sorted.sort_unstable();
        let get = |offset, limit| {
            let mut rows = Collector::new(Page { offset, limit });
            items.iter().for_each(|&item| rows.push(item));
            assert!(limit.is_none() || offset > CHUNK || rows.items.len() <= 2 * CHUNK + 100, "few are kept");
            rows.rows(&Progress::default()).unwrap()
        };
        assert_eq!(get(0, None), sorted);
        assert_eq!(get(5, Some(10)), sorted[5..15]);
        assert_eq!(get(0, Some(1)), sorted[..1]);
        assert!(get(sorted.len(), Some(10)).is_empty());
        assert!(get(3, Some(0)).is_empty());
        assert!(get(usize::MAX, Some(1)).is_empty());
    }
}
