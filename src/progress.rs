//! How long work tells how far it is, and hears that it should stop.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::error::{Code, Error, Result};

/// At most one report in this time, besides the first and last of each phase.
const INTERVAL: Duration = Duration::from_millis(50);

/// One report: `done` of `total` units of `phase`. The unit (bytes, nodes) is the phase's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is being done, a stable lower-case word.
    pub phase: &'static str,
    /// Units finished.
    pub done: u64,
    /// Units in all; 0 when not known beforehand.
    pub total: u64,
}

type Listener = Box<dyn Fn(Report) + Send + Sync>;

/// A running piece of work as seen from outside and inside: it reports here and asks here whether to go on.
///
/// Clones share one state. The default one reports to nobody and is never cancelled.
#[derive(Clone, Default)]
pub struct Progress {
    shared: Arc<Shared>,
    silent: bool,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    listener: Option<Listener>,
    last: Mutex<Option<(Instant, &'static str)>>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Progress {
    /// Reports go to `listener`, on the working thread.
    pub fn with_listener(listener: impl Fn(Report) + Send + Sync + 'static) -> Self {
        let shared = Shared { listener: Some(Box::new(listener)), ..Shared::default() };
        Progress { shared: Arc::new(shared), silent: false }
    }

    /// The same work, of which a part goes on that nobody is told of.
    pub(crate) fn silent(&self) -> Progress {
        Progress { silent: true, ..self.clone() }
    }

    /// Asks the work to stop; it ends with [`Code::Aborted`] at its next [`check`](Self::check).
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    /// Fails when the work was cancelled. Cheap enough for every few thousand steps of an inner loop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::new(Code::Aborted, "the operation was aborted")) } else { Ok(()) }
    }

    /// Tells the listener, unless it was told about this phase a moment ago, and checks for cancellation.
    pub fn report(&self, phase: &'static str, done: u64, total: u64) -> Result<()> {
        self.check()?;
        let Some(listener) = self.shared.listener.as_ref().filter(|_| !self.silent) else { return Ok(()) };
        let now = Instant::now();
        {
            let mut last = self.shared.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let due = match *last {
                Some((at, told)) => told != phase || now.duration_since(at) >= INTERVAL || done == total,
                None => true,
            };
            if !due {
                return Ok(());
            }
            *last = Some((now, phase));
        }
        listener(Report { phase, done, total });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn reports_are_thinned_and_cancellation_is_seen() {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        let p = Progress::with_listener(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        for i in 0..1000 {
            p.report("nodes", i, 1000).unwrap();
        }
        p.report("edges", 0, 10).unwrap();
        assert!((2..20).contains(&count.load(Ordering::Relaxed)), "first of each phase, few between");
        p.clone().cancel();
        assert_eq!(p.report("edges", 1, 10).unwrap_err().code, Code::Aborted);
    }
}
