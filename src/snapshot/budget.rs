//! Memory is asked for before it is taken, fallibly: an allocation that fails would otherwise end the host.

use super::pages::Column;
use crate::error::{Code, Error, Result};

pub(super) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Budget { limit: limit.unwrap_or(u64::MAX), used: 0 }
    }

    /// Fails when `bytes` more, said to be needed for `what`, would not be allowed.
    pub(super) fn check(&self, bytes: u64, what: &str) -> Result<()> {
        let needed = self.used.saturating_add(bytes);
        if needed <= self.limit {
            return Ok(());
        }
        Err(Error::new(
            Code::MemoryBudget,
            format!(
                "{what} would take the memory to at least {needed} bytes, but {} are allowed (maxMemory, which without \
                 being given is what the system has free)",
                self.limit
            ),
        ))
    }

    /// Room for exactly `more` elements in an empty column, as far as it is planned.
    pub(super) fn plan<T: Copy>(&mut self, column: &mut Column<T>, more: usize, what: &str) -> Result<()> {
        self.resize(column, column.len().saturating_add(more), what)
    }

    /// Room for `more` elements, and for some beyond them where there was none.
    pub(super) fn grow<T: Copy>(&mut self, column: &mut Column<T>, more: usize, what: &str) -> Result<()> {
        let needed = column.len().saturating_add(more);
        if needed <= column.capacity() {
            return Ok(());
        }
        let ample = needed.max(column.capacity() / 2 * 3);
        self.resize(column, ample, what).or_else(|_| self.resize(column, needed, what))
    }

    /// Gives back what a column has too much.
    pub(super) fn shrink<T: Copy>(&mut self, column: &mut Column<T>) {
        let before = column.capacity();
        column.shrink_to_fit();
        self.used = self.used.saturating_sub(bytes::<T>(before - column.capacity()));
    }

    /// Gives a column back.
    pub(super) fn free<T: Copy>(&mut self, column: &mut Column<T>) {
        column.clear();
        self.shrink(column);
    }

    fn resize<T: Copy>(&mut self, column: &mut Column<T>, capacity: usize, what: &str) -> Result<()> {
        let before = column.capacity();
        if capacity <= before {
            return Ok(());
        }
        self.check(bytes::<T>(capacity - before), what)?;
        column.reserve_exact(capacity - column.len()).map_err(|mut e| {
            e.message = format!("the system refused {} bytes of memory for {what}", bytes::<T>(capacity));
            e
        })?;
        self.used += bytes::<T>(column.capacity() - before);
        Ok(())
    }
}

fn bytes<T>(count: usize) -> u64 {
    (count as u64).saturating_mul(size_of::<T>() as u64)
}
