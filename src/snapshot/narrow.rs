//! Columns of numbers that are nearly always small.

use rustc_hash::FxHashMap;

use super::{
    budget::Budget,
    pages::{Column, prefetch},
};
use crate::error::Result;

/// Stands for "see `large`".
const LARGE: u16 = u16::MAX;

/// A number for each node: two bytes, and a table for the few that do not fit. Where these are more than few, four bytes
/// for all.
pub(crate) enum Narrow {
    Short(Column<u16>, FxHashMap<u32, u32>),
    Long(Column<u32>),
}

impl Default for Narrow {
    fn default() -> Self {
        Narrow::Short(Column::new(), FxHashMap::default())
    }
}

impl Narrow {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Result<Self> {
        Ok(Narrow::Short(Column::zeros(len)?, FxHashMap::default()))
    }

    /// The same numbers, in less memory if they are small.
    pub(crate) fn of(numbers: Column<u32>) -> Result<Self> {
        let large = numbers.iter().filter(|&&number| number >= u32::from(LARGE)).count();
        if large > most_large(numbers.len()) {
            return Ok(Narrow::Long(numbers));
        }
        let mut narrow = Narrow::zeros(numbers.len())?;
        for (node, &number) in numbers.iter().enumerate() {
            narrow.set(node as u32, number)?;
        }
        Ok(narrow)
    }

    /// The same once more.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(match self {
            Narrow::Short(column, large) => Narrow::Short(column.copy()?, large.clone()),
            Narrow::Long(column) => Narrow::Long(column.copy()?),
        })
    }

    /// How many numbers.
    pub(crate) fn len(&self) -> usize {
        match self {
            Narrow::Short(column, _) => column.len(),
            Narrow::Long(column) => column.len(),
        }
    }

    /// The number of a node.
    #[inline]
    pub(crate) fn get(&self, node: u32) -> u32 {
        match self {
            Narrow::Short(column, large) => match column[node as usize] {
                LARGE => large.get(&node).copied().unwrap_or(0),
                number => u32::from(number),
            },
            Narrow::Long(column) => column[node as usize],
        }
    }

    /// Changes the number of a node.
    #[inline]
    pub(crate) fn set(&mut self, node: u32, number: u32) -> Result<()> {
        match self {
            // What was large stays in the table, and counts for nothing once the column says another.
            Narrow::Short(column, _) if number < u32::from(LARGE) => column[node as usize] = number as u16,
            Narrow::Short(..) => self.set_large(node, number)?,
            Narrow::Long(column) => column[node as usize] = number,
        }
        Ok(())
    }

    /// Room for as many small numbers as are expected with some certainty.
    pub(super) fn plan(&mut self, numbers: usize, budget: &mut Budget, what: &str) -> Result<()> {
        match self {
            Narrow::Short(column, _) => budget.plan(column, numbers, what),
            Narrow::Long(column) => budget.plan(column, numbers, what),
        }
    }

    /// Appends a number.
    #[inline]
    pub(super) fn push(&mut self, number: u32, budget: &mut Budget, what: &str) -> Result<()> {
        match self {
            Narrow::Short(column, _) if number < u32::from(LARGE) => {
                budget.grow(column, 1, what)?;
                column.push(number as u16)
            }
            Narrow::Short(column, large) => {
                budget.grow(column, 1, what)?;
                column.push(LARGE)?;
                large.insert(column.len() as u32 - 1, number);
                // Among the first ones, which are V8's roots, many may be large.
                if large.len() > most_large(column.len().max(1 << 16)) {
                    let mut long = Column::new();
                    budget.plan(&mut long, column.len(), what)?;
                    budget.free(&mut self.widen(long)?);
                }
                Ok(())
            }
            Narrow::Long(column) => {
                budget.grow(column, 1, what)?;
                column.push(number)
            }
        }
    }

    /// Gives back what there is too much room.
    pub(super) fn shrink(&mut self, budget: &mut Budget) {
        match self {
            Narrow::Short(column, _) => budget.shrink(column),
            Narrow::Long(column) => budget.shrink(column),
        }
    }

    #[cold]
    fn set_large(&mut self, node: u32, number: u32) -> Result<()> {
        let len = self.len();
        if let Narrow::Short(column, large) = self {
            column[node as usize] = LARGE;
            large.insert(node, number);
            if large.len() > most_large(len) {
                self.widen(Column::with_capacity(len)?)?;
            }
        }
        Ok(())
    }

    /// Moves all numbers to `long`, and returns the column that they were in.
    #[cold]
    fn widen(&mut self, mut long: Column<u32>) -> Result<Column<u16>> {
        for node in 0..self.len() as u32 {
            long.push(self.get(node))?;
        }
        match std::mem::replace(self, Narrow::Long(long)) {
            Narrow::Short(column, _) => Ok(column),
            Narrow::Long(_) => Ok(Column::new()),
        }
    }

    /// Begins to load a number.
    #[inline(always)]
    pub(crate) fn prefetch(&self, node: u32) {
        match self {
            Narrow::Short(column, _) => prefetch(column, node as usize),
            Narrow::Long(column) => prefetch(column, node as usize),
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> u64 {
        match self {
            Narrow::Short(column, large) => column.memory() + large.capacity() as u64 * 9,
            Narrow::Long(column) => column.memory(),
        }
    }
}

/// How many of so many numbers may be in the table, which takes about ten times as much for each.
fn most_large(len: usize) -> usize {
    len / 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_wider_and_keeps_what_it_has() {
        let mut column = Narrow::zeros(200).unwrap();
        let mut expected = vec![0u32; 200];
        let large = [u32::MAX, 65_535, 65_536, 100_000, 65_534, 3, 70_000];
        for (at, number) in large.into_iter().enumerate() {
            for node in [199, at] {
                column.set(node as u32, number).unwrap();
                expected[node] = number;
                let copy = column.copy().unwrap();
                assert!((0..200).all(
                    |node| (column.get(node), copy.get(node)) == (expected[node as usize], expected[node as usize])
                ));
            }
            assert_eq!(matches!(column, Narrow::Long(_)), at > 1, "two large ones are few, four are not");
        }
    }

    #[test]
    fn numbers_that_come_one_by_one() {
        // Few large ones, many from the start, many from some time on.
        let few = |node: u32| if node.is_multiple_of(1000) { u32::MAX - node } else { node % 7 };
        let early = |node: u32| node << 16 | 3;
        let late = |node: u32| if node < 150_000 { node % 65_535 } else { 1 << 20 | node };
        for (numbers, is_long) in [(&few as &dyn Fn(u32) -> u32, false), (&early, true), (&late, true)] {
            let (mut column, mut budget) = (Narrow::default(), Budget::new(Some(2_000_000)));
            (0..200_000).for_each(|node| column.push(numbers(node), &mut budget, "numbers").unwrap());
            column.shrink(&mut budget);
            assert!((0..200_000).all(|node| column.get(node) == numbers(node)));
            assert_eq!(matches!(column, Narrow::Long(_)), is_long);
            let (mut column, mut budget) = (Narrow::default(), Budget::new(Some(300_000)));
            assert!((0..200_000).any(|node| column.push(numbers(node), &mut budget, "numbers").is_err()));
        }
    }

    #[test]
    fn takes_less_where_numbers_are_small() {
        for large in [0u32, 1, 2, 40] {
            let mut numbers = Column::new();
            (0..100u32).for_each(|node| numbers.push(if node < large { 1 << 20 | node } else { node }).unwrap());
            let narrow = Narrow::of(numbers.copy().unwrap()).unwrap();
            assert!((0..100).all(|node| narrow.get(node) == numbers[node as usize]));
            assert_eq!(matches!(narrow, Narrow::Short(..)), large < 2);
        }
    }
}
