//! Values by index where the largest index is not known before, and may be a lie: memory goes with what is touched.

/// Values in a page.
const PAGE: usize = 1 << 12;

/// As if there was a default value at every index.
#[derive(Default)]
pub(super) struct Paged<T> {
    pages: Vec<Option<Box<[T]>>>,
}

impl<T: Copy + Default> Paged<T> {
    pub(super) fn get(&self, index: u32) -> T {
        let page = self.pages.get(index as usize / PAGE).and_then(Option::as_ref);
        page.map_or_else(T::default, |page| page[index as usize % PAGE])
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut T {
        let at = index as usize / PAGE;
        if at >= self.pages.len() {
            self.pages.resize_with(at + 1, || None);
        }
        let page = self.pages[at].get_or_insert_with(|| vec![T::default(); PAGE].into());
        &mut page[index as usize % PAGE]
    }

    /// The values from an index on that are not in untouched pages.
    pub(super) fn from(&self, index: u32) -> impl Iterator<Item = T> + '_ {
        let start = index as usize / PAGE;
        let touched = self.pages.iter().enumerate().skip(start).filter_map(|(at, page)| Some((at, page.as_ref()?)));
        touched
            .flat_map(move |(at, page)| page.iter().skip(if at == start { index as usize % PAGE } else { 0 }).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_costs_nothing() {
        let mut paged = Paged::<u8>::default();
        *paged.get_mut(u32::MAX) = 7;
        *paged.get_mut(5) = 3;
        assert_eq!([0, 5, 5000, u32::MAX].map(|index| paged.get(index)), [0, 3, 0, 7]);
        assert_eq!(paged.pages.iter().flatten().count(), 2);
        let sum = |index| paged.from(index).map(u32::from).sum::<u32>();
        assert_eq!([sum(0), sum(5), sum(6), sum(5000)], [10, 10, 7, 7]);
    }
}
