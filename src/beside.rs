//! Two pieces of work at a time.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use crate::{error::Result, progress::Progress};

/// Does both: with a second thread at the same time, else one after the other. Both hear of a cancellation, and nothing
/// goes on when this returns. Beside each other only the first reports: progress that goes to and fro tells nobody
/// anything.
pub(crate) fn both<A, B: Send>(
    threads: usize,
    progress: &Progress,
    first: impl FnOnce(&Progress) -> Result<A>,
    second: impl FnOnce(&Progress) -> Result<B> + Send,
) -> Result<(A, B)> {
    if threads < 2 {
        return Ok((first(progress)?, second(progress)?));
    }
    // Where the system has no thread for us, it is still here to be done.
    let second = Mutex::new(Some(second));
    let take = || second.lock().unwrap_or_else(PoisonError::into_inner).take();
    let silent = progress.silent();
    thread::scope(|scope| {
        let beside = || take().map(|second| second(&silent));
        let spawned = thread::Builder::new().name("heaprs-beside".into()).spawn_scoped(scope, beside);
        let first = first(progress);
        let second = match spawned.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => None,
        };
        let first = first?;
        let second = second.or_else(|| take().map(|second| second(progress)));
        Ok((first, second.expect("one of two took it")?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    #[test]
    fn both_are_done_with_one_thread_and_with_two() {
        for threads in [0, 1, 2] {
            let here = thread::current().id();
            let there = |_: &Progress| Ok(thread::current().id());
            let (first, second) = both(threads, &Progress::default(), there, there).unwrap();
            assert_eq!((first == here, second == here), (true, threads < 2));
        }
    }

    #[test]
    fn the_first_error_is_told_and_a_panic_goes_on() {
        let fail = |_: &Progress| -> Result<()> { Err(Error::new(Code::Aborted, "no")) };
        let fine = |_: &Progress| Ok(());
        for threads in [1, 2] {
            let progress = Progress::default();
            assert_eq!(both(threads, &progress, fail, fine).unwrap_err().code, Code::Aborted);
            assert_eq!(both(threads, &progress, fine, fail).unwrap_err().code, Code::Aborted);
            let panicking = |_: &Progress| -> Result<()> { panic!("on purpose") };
            let caught = std::panic::catch_unwind(|| both(threads, &Progress::default(), fine, panicking));
            assert!(caught.is_err());
        }
    }

    #[test]
    fn the_second_is_cancelled_with_the_first_and_does_not_report() {
        let reports = std::sync::Arc::new(Mutex::new(Vec::new()));
        let told = reports.clone();
        let progress = Progress::with_listener(move |report| told.lock().unwrap().push(report.phase));
        let first = |progress: &Progress| {
            progress.report("first", 0, 1)?;
            progress.cancel();
            Ok(())
        };
        let second = |progress: &Progress| loop {
            progress.report("second", 0, 1)?;
            thread::yield_now();
        };
        assert_eq!(both::<_, ()>(2, &progress, first, second).unwrap_err().code, Code::Aborted);
        assert_eq!(*reports.lock().unwrap(), ["first"]);
    }
}
