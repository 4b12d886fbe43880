//! Memory is asked for before it is taken, fallibly: an allocation that fails would otherwise end the host.

use super::pages::advise_huge;
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
            format!("{what} would take the memory to {needed} bytes, but {} are allowed (maxMemory)", self.limit),
        ))
    }

    /// Room for exactly `more` elements in an empty vector, as far as it is planned.
    pub(super) fn plan<T>(&mut self, vec: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
        self.resize(vec, vec.len().saturating_add(more), what)?;
        advise_huge(vec);
        Ok(())
    }

    /// Room for `more` elements, and for some beyond them where there was none.
    pub(super) fn grow<T>(&mut self, vec: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
        let needed = vec.len().saturating_add(more);
        if needed <= vec.capacity() {
            return Ok(());
        }
        let ample = needed.max(vec.capacity() / 2 * 3);
        self.resize(vec, ample, what).or_else(|_| self.resize(vec, needed, what))
    }

    /// Gives back what a vector has too much.
    pub(super) fn shrink<T>(&mut self, vec: &mut Vec<T>) {
        let before = vec.capacity();
        vec.shrink_to_fit();
        self.used = self.used.saturating_sub(bytes::<T>(before - vec.capacity()));
    }

    fn resize<T>(&mut self, vec: &mut Vec<T>, capacity: usize, what: &str) -> Result<()> {
        let before = vec.capacity();
        if capacity <= before {
            return Ok(());
        }
        self.check(bytes::<T>(capacity - before), what)?;
        vec.try_reserve_exact(capacity - vec.len()).map_err(|_| {
            let needed = bytes::<T>(capacity);
            Error::new(Code::MemoryBudget, format!("the system refused {needed} bytes of memory for {what}"))
        })?;
        self.used += bytes::<T>(vec.capacity() - before);
        Ok(())
    }
}

fn bytes<T>(count: usize) -> u64 {
    (count as u64).saturating_mul(size_of::<T>() as u64)
}
