//! Sorting of long lists that can be told to stop, and that does no more than the wanted page needs.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::rows::Page;
use crate::{error::Result, progress::Progress};

/// Few enough to sort between two looks at the cancellation.
const CHUNK: usize = 1 << 15;

/// The rows of a page of `items` in ascending order.
pub(crate) fn page<T: Ord + Copy>(mut items: Vec<T>, page: Page, progress: &Progress) -> Result<Vec<T>> {
    let end = page.end().min(items.len());
    if page.offset >= end {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for chunk in items.chunks_mut(CHUNK) {
        progress.check()?;
        let wanted = end.min(chunk.len());
        if wanted < chunk.len() {
            chunk.select_nth_unstable(wanted);
        }
        chunk[..wanted].sort_unstable();
        runs.push(&chunk[..wanted]);
    }
    let mut heads: BinaryHeap<_> = runs.iter().enumerate().map(|(run, items)| Reverse((items[0], run, 1))).collect();
    let mut wanted = Vec::with_capacity(end - page.offset);
    for place in 0..end {
        if place % CHUNK == 0 {
            progress.check()?;
        }
        let Some(mut head) = heads.peek_mut() else { break };
        let Reverse((item, run, next)) = *head;
        if place >= page.offset {
            wanted.push(item);
        }
        match runs[run].get(next) {
            Some(&following) => *head = Reverse((following, run, next + 1)),
            None => {
                std::collections::binary_heap::PeekMut::pop(head);
            }
        }
    }
    Ok(wanted)
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
        let get = |offset, limit| page(items.clone(), Page { offset, limit }, &Progress::default()).unwrap();
        assert_eq!(get(0, None), sorted);
        assert_eq!(get(5, Some(10)), sorted[5..15]);
        assert_eq!(get(sorted.len() - 3, Some(10)), sorted[sorted.len() - 3..]);
        assert!(get(sorted.len(), Some(10)).is_empty());
        assert!(get(3, Some(0)).is_empty());
        assert!(get(usize::MAX, Some(1)).is_empty());
    }
}
