//! Dumps before memory outside of V8's limit runs out: one thread looks at what the control group, or `ulimit -v`, leaves, and has the JavaScript
//! threads dumped while there is room for it. There is no such thread where there is no such limit.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Cause, Owner, Target, Trigger, catch, deliver, dump_all, owners, round::Short, settle::Round, threads};
use crate::{
    capture::{Look, NearMemory},
    error::{Code, Error, Result},
    os::{self, MemoryRoom, OwnMemory, OwnMemoryGauge},
    progress::Progress,
    service,
    v8::{Feature, HeapEstimate, Isolate},
};

/// Whether the thread runs. Changed under the lock of `OWNERS`.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// What ends a pause early.
static AGAIN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Watches from now on, where there is something to watch.
pub(super) fn watch() -> Result<()> {
    let all = owners();
    if !WATCHING.load(Ordering::SeqCst) && os::limited_memory_room().is_some() {
        // Nobody waits for the thread when the last environment goes.
        os::pin_library();
        service::spawn_thread("memory", run)?;
        WATCHING.store(true, Ordering::SeqCst);
    }
    drop(all);
    Ok(())
}

/// Has the thread see at once who is still there.
pub(super) fn look_again() {
    *AGAIN.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    AGAIN.1.notify_all();
}

fn pause(time: Duration) {
    let again = AGAIN.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut again, _) =
        AGAIN.1.wait_timeout_while(again, time, |again| !*again).unwrap_or_else(PoisonError::into_inner);
    *again = false;
}

/// What going to sleep and waking takes at the most, beside the look itself.
const WAKING: Duration = Duration::from_micros(50);

fn run() {
    let watched = catch("DumpWatch memory thread", || {
        let gauge = OwnMemoryGauge::open()
            .ok_or_else(|| Error::new(Code::Unavailable, "what memory this process has can't be read in /proc/self"))?;
        let mut near = NearMemory::default();
        let (mut spent, mut last) = (os::thread_cpu_time(), Instant::now());
        while is_wanted() {
            let began = Instant::now();
            look(&gauge, &mut near);
            let used = os::thread_cpu_time().saturating_sub(spent);
            // Where the kernel counts CPU time in ticks of 10 ms, the time that has passed tells more.
            let cost = used.min(began.elapsed() + WAKING);
            pause(near.pause(cost, last.elapsed()));
            (spent, last) = (spent + used, Instant::now());
        }
        Ok(())
    });
    if let Err(e) = watched {
        let all = owners();
        WATCHING.store(false, Ordering::SeqCst);
        drop(all);
        // Nobody watches any more; the heap's own limit has its callback.
        let told: Vec<_> = owners().iter().filter(|owner| owner.trigger == Trigger::HeapLimit).cloned().collect();
        deliver(&told, &Cause { trigger: "memory-limit", reason: None }, &Err(e));
    }
}

/// Whether there is still somebody to dump for; else the thread counts as ended, in the same moment.
fn is_wanted() -> bool {
    let all = owners();
    let wanted = all.iter().any(|owner| owner.trigger == Trigger::HeapLimit && !owner.budget().is_used_up());
    WATCHING.store(wanted, Ordering::SeqCst);
    wanted
}

fn look(gauge: &OwnMemoryGauge, near: &mut NearMemory) {
    let Some(own) = gauge.read() else { return };
    if !near.is_due(own, Instant::now()) {
        return;
    }
    let Some(room) = os::limited_memory_room() else { return };
    let now = Instant::now();
    near.note(Look { at: now, own, room });
    if near.wants_heap() {
        near.set_heap(largest_heap());
    }
    if near.is_near() && owners().iter().any(|owner| is_ready(owner, now)) {
        near.dumped(room);
        dump(gauge, own, room, near.has_to_wait());
    }
}

fn is_ready(owner: &Owner, now: Instant) -> bool {
    owner.trigger == Trigger::HeapLimit && owner.budget().allows(now)
}

/// How long a thread may take to tell how large its heap is; one that is busy in native code has told before, or does so later.
const TELLS_WITHIN: Duration = Duration::from_millis(5);

/// The largest of the heaps that would be dumped.
fn largest_heap() -> Option<HeapEstimate> {
    let asked: Vec<_> = {
        let all = owners();
        let wants = |o: &Arc<Owner>, token| o.trigger == Trigger::HeapLimit && (o.all_threads || o.token == token);
        threads::all().into_iter().filter(|thread| all.iter().any(|owner| wants(owner, thread.token))).collect()
    };
    let tell = || Isolate::current(Feature::HeapSpaces).and_then(Isolate::estimate_heap).ok();
    let told = asked.iter().filter_map(|thread| match thread.call(TELLS_WITHIN, &Progress::default(), tell) {
        threads::Called::Returned(Ok(heap)) => heap,
        _ => None,
    });
    told.max_by_key(|heap| heap.nodes)
}

fn dump(gauge: &OwnMemoryGauge, own: OwnMemory, room: MemoryRoom, wait: bool) {
    let _round = Round::begin();
    let now = Instant::now();
    let ready: Vec<Arc<Owner>> = owners().iter().filter(|owner| is_ready(owner, now)).cloned().collect();
    for owner in &ready {
        owner.budget().begin();
    }
    let concerned = |token| ready.iter().filter(|o| o.all_threads || o.token == token).cloned().collect::<Vec<_>>();
    let targets = threads::all().into_iter().map(|thread| Target { owners: concerned(thread.token), thread });
    let targets = targets.filter(|target| !target.owners.is_empty()).collect();
    let hold = || grows(gauge, own, room) || os::limited_memory_room().is_some_and(NearMemory::is_short);
    let cause = Cause { trigger: "memory-limit", reason: Some(reason(own, room)) };
    let refused = dump_all(targets, &cause, Some(Short { wait, hold: &hold }));
    for owner in &ready {
        if refused {
            // The heap's own limit, or a later try, still has its dump.
            owner.budget().give_back();
        }
        owner.budget().end(Instant::now());
    }
}

/// Whether the process takes much of what was left while a child writes.
fn grows(gauge: &OwnMemoryGauge, before: OwnMemory, room: MemoryRoom) -> bool {
    gauge.read().is_some_and(|own| own.resident.saturating_sub(before.resident) > room.free / 8)
}

fn reason(own: OwnMemory, room: MemoryRoom) -> String {
    let MemoryRoom { free, total, by } = room;
    let megabytes = |bytes: u64| bytes >> 20;
    format!(
        "{} of {} MB are left under {by}; this process has {} MB resident",
        megabytes(free),
        megabytes(total),
        megabytes(own.resident)
    )
}
