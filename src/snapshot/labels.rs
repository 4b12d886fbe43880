//! The type and name of an edge in two bytes.
//!
//! A heap has a hundred million edges and some thousand names for them. A label's upper five bits say the type (common
//! types have several values), all of it says the name: for elements the index itself, else a number given out to each
//! name that is met again. What does not fit, large indices and names met once or too late, is one more than the
//! name before (so it is in the middle of arrays, whose indices get their strings in order), or stands in a list beside
//! the labels.

use super::{EdgeType, budget::Budget, pages::Column};
use crate::error::Result;

const WHAT: &str = "the edges";
/// Bits of a label below those that say the type.
const BITS: u32 = 11;
const MASK: u16 = (1 << BITS) - 1;
/// The lower bits of what says no name: it is in the list, or the next one after that of the edge before.
const LISTED: u16 = MASK;
const NEXT: u16 = MASK - 1;
/// Edges between two places from where listed names are counted, and that are never [`NEXT`].
const STRIDE: usize = 32;
/// Labels that are made before they go to their column.
const TOGETHER: usize = 256;
/// Names from here on are listed: what remembers numbers by names stays small, whatever a damaged file says.
const MOST_NAMES: usize = 1 << 24;

/// The first of the values, of the upper five bits, that each type has; in the order of [`EdgeType`].
const FIRST: [u16; 10] = {
    let mut first = [0; 10];
    let values = [1, 4, 18, 3, 1, 1, 1, 1, 1];
    let mut kind = 0;
    while kind < 9 {
        first[kind + 1] = first[kind] + values[kind];
        kind += 1;
    }
    first
};

const KINDS: [EdgeType; 32] = {
    use EdgeType::*;
    let kinds = [Context, Element, Property, Internal, Hidden, Shortcut, Weak, Invisible, Unknown];
    let mut all = [Unknown; 32];
    let mut value = 0;
    while value < 32 {
        let mut kind = 0;
        while kind < 8 && FIRST[kind + 1] as usize <= value {
            kind += 1;
        }
        all[value] = kinds[kind];
        value += 1;
    }
    all
};

/// Which types number their names together.
fn group(kind: EdgeType) -> usize {
    match kind {
        EdgeType::Property => 0,
        EdgeType::Internal => 1,
        _ => 2,
    }
}

/// Labels by edge ordinal.
#[derive(Default)]
pub(super) struct Labels {
    labels: Column<u16>,
    /// By group of types and number: the string index.
    names: [Column<u32>; 3],
    /// Names that no label says, in the order of their edges.
    listed: Column<u32>,
    /// How many are listed before every so manieth edge.
    before: Column<u32>,
}

impl Labels {
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The type of an edge.
    #[inline(always)]
    pub(super) fn kind(&self, edge: u32) -> EdgeType {
        KINDS[usize::from(self.labels[edge as usize] >> BITS)]
    }

    /// The name of an edge, or its index, as the file has it.
    #[inline]
    pub(super) fn name(&self, edge: u32) -> u32 {
        let label = self.labels[edge as usize];
        if label & MASK >= NEXT {
            return self.unsaid(edge);
        }
        let kind = KINDS[usize::from(label >> BITS)];
        let number = usize::from(label - (FIRST[kind as usize] << BITS));
        match kind {
            _ if kind.has_index_name() => number as u32,
            _ => self.names[group(kind)][number],
        }
    }

    #[cold]
    fn unsaid(&self, edge: u32) -> u32 {
        let stride = edge as usize / STRIDE;
        let labels = &self.labels[stride * STRIDE..=edge as usize];
        let next = labels.iter().rev().take_while(|&&label| label & MASK == NEXT).count();
        if next > 0 {
            return self.name(edge - next as u32).wrapping_add(next as u32);
        }
        let here = labels.iter().filter(|&&label| label & MASK == LISTED).count();
        self.listed[self.before[stride] as usize + here - 1]
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, edge: usize) {
        super::pages::prefetch(&self.labels, edge);
    }

    pub(super) fn memory(&self) -> u64 {
        let tables = self.names.iter().map(Column::memory).sum::<u64>();
        self.labels.memory() + tables + self.listed.memory() + self.before.memory()
    }
}

/// Less says how often a name without a number was met.
const NUMBERED: u16 = 256;
/// How often a name must be met to get a number while none of four quarters of them is given out, one is, and so on:
/// roots refer to ten thousand things by names that nobody else uses, before the first object names its map.
const WORTH: [u16; 5] = [2, 8, 32, 128, u16::MAX];

/// Labels, as they are given out.
#[derive(Default)]
pub(super) struct Labelling {
    labels: Labels,
    /// By group and string index: the name's number plus [`NUMBERED`], or how often it was met.
    known: [Column<u16>; 3],
    /// The name before.
    last: u32,
}

impl Labelling {
    /// Room for as many edges as are expected with some certainty.
    pub(super) fn plan(&mut self, edges: usize, budget: &mut Budget) -> Result<()> {
        budget.plan(&mut self.labels.labels, edges, WHAT)?;
        budget.plan(&mut self.labels.before, edges / STRIDE + 1, WHAT)
    }

    /// Appends edges of these types and names.
    pub(super) fn append(&mut self, kinds: &[EdgeType], names: &[u32], budget: &mut Budget) -> Result<()> {
        let count = kinds.len();
        budget.grow(&mut self.labels.labels, count, WHAT)?;
        budget.grow(&mut self.labels.before, count / STRIDE + 1, WHAT)?;
        let mut place = self.labels.len();
        for (kinds, names) in kinds.chunks(TOGETHER).zip(names.chunks(TOGETHER)) {
            let mut labels = [0; TOGETHER];
            for ((&kind, &name), label) in kinds.iter().zip(names).zip(&mut labels) {
                *label = self.label(place, kind, name, budget)?;
                place += 1;
            }
            self.labels.labels.extend_from_slice(&labels[..kinds.len()])?;
        }
        Ok(())
    }

    /// The label of the next edge, which will be at `place`.
    #[inline(always)]
    fn label(&mut self, place: usize, kind: EdgeType, name: u32, budget: &mut Budget) -> Result<u16> {
        let begins = place.is_multiple_of(STRIDE);
        if begins {
            self.labels.before.push(self.labels.listed.len() as u32)?;
        }
        let next = !begins && name == self.last.wrapping_add(1);
        self.last = name;
        let number = match kind {
            _ if kind.has_index_name() => Some(name),
            _ => {
                let group = group(kind);
                match self.known[group].get(name as usize) {
                    Some(&number) if number >= NUMBERED => Some(u32::from(number - NUMBERED)),
                    _ => self.meet(group, name, budget)?,
                }
            }
        };
        let first = FIRST[kind as usize] << BITS;
        let room = u32::from((FIRST[kind as usize + 1] << BITS) - first);
        Ok(match number.filter(|&n| n < room && (n as u16 & MASK) < NEXT) {
            Some(number) => first + number as u16,
            None if next => first | NEXT,
            None => {
                budget.grow(&mut self.labels.listed, 1, WHAT)?;
                self.labels.listed.push(name)?;
                first | LISTED
            }
        })
    }

    /// A name without a number: one that is met often enough gets one, as long as there are any.
    #[cold]
    fn meet(&mut self, group: usize, name: u32, budget: &mut Budget) -> Result<Option<u32>> {
        let (known, names, at) = (&mut self.known[group], &mut self.labels.names[group], name as usize);
        if at >= MOST_NAMES {
            return Ok(None);
        }
        if at >= known.len() {
            budget.grow(known, (at + 1).next_power_of_two().max(1024) - known.len(), WHAT)?;
            known.resize(known.capacity(), 0)?;
        }
        let room = usize::from([FIRST[3] - FIRST[2], FIRST[4] - FIRST[3], 1][group] << BITS);
        // Numbers that would say no name are passed over.
        let wanted = 1 + usize::from((MASK + 1 - NEXT) * u16::from(names.len() as u16 & MASK == NEXT));
        known[at] = (known[at] + 1).min(NUMBERED - 1);
        if names.len() + wanted > room || known[at] < WORTH[4 * names.len() / room] {
            return Ok(None);
        }
        budget.grow(names, wanted, WHAT)?;
        (0..wanted).try_for_each(|_| names.push(name))?;
        known[at] = names.len() as u16 - 1 + NUMBERED;
        Ok(Some(names.len() as u32 - 1))
    }

    pub(super) fn finish(mut self, budget: &mut Budget) -> Labels {
        budget.shrink(&mut self.labels.listed);
        self.known.iter_mut().for_each(|known| budget.free(known));
        self.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_name_comes_back() {
        let kinds = [
            EdgeType::Context,
            EdgeType::Element,
            EdgeType::Property,
            EdgeType::Internal,
            EdgeType::Hidden,
            EdgeType::Shortcut,
            EdgeType::Weak,
            EdgeType::Invisible,
            EdgeType::Unknown,
        ];
        let mut x = 1u32;
        let mut random = || {
            x = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            x >> 8
        };
        let mut edges: Vec<(EdgeType, u32)> = Vec::new();
        for round in 0..400_000u32 {
            // Few names at first, then more than there are numbers, and impossible ones.
            let name = match random() % 8 {
                0 => u32::MAX - random() % 3,
                1 => 1 << 24,
                2 => round,
                _ => random() % (1 + round / 64),
            };
            let kind = if random() % 2 == 0 { EdgeType::Property } else { kinds[random() as usize % kinds.len()] };
            edges.push((kind, name));
        }
        for index in 0..70_000 {
            edges.push((EdgeType::Element, index));
            edges.push((EdgeType::Internal, index + 1));
        }
        for index in 0..100_000 {
            edges.push((EdgeType::Hidden, index + 5));
        }
        let mut budget = Budget::new(None);
        let mut labelling = Labelling::default();
        for some in edges.chunks(777) {
            let (kinds, names): (Vec<_>, Vec<_>) = some.iter().copied().unzip();
            labelling.append(&kinds, &names, &mut budget).unwrap();
        }
        let labels = labelling.finish(&mut budget);
        assert_eq!(labels.len(), edges.len());
        for (edge, &(kind, name)) in edges.iter().enumerate() {
            assert_eq!((labels.kind(edge as u32), labels.name(edge as u32)), (kind, name), "edge {edge}");
        }
        assert!(labels.names[0].len() > 3000 && labels.listed.len() > 10_000, "both ways were tried");
    }
}
