//! What a file is called when nobody says: as V8's own dumps. `lib/naming.js` does the same where JavaScript runs.

use std::sync::atomic::{AtomicU32, Ordering};

/// The number in the next file name, from 1, counted over all threads of the process.
pub fn next_sequence() -> u32 {
    static SEQUENCE: AtomicU32 = AtomicU32::new(0);
    SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1
}

/// `Heap.{yyyymmdd}.{hhmmss}.{pid}.{threadId}.{seq}.heapsnapshot`, with `.gz` where it is compressed.
#[cfg(unix)]
pub(super) fn default_name(thread_id: u32, compress: bool) -> String {
    let crate::os::LocalTime { year, month, day, hour, minute, second } = crate::os::LocalTime::now();
    let (pid, sequence) = (std::process::id(), next_sequence());
    let end = if compress { ".gz" } else { "" };
    format!(
        "Heap.{year:04}{month:02}{day:02}.{hour:02}{minute:02}{second:02}.{pid}.{thread_id}.{sequence:03}.heapsnapshot{end}"
    )
}

/// `heapdump-{milliseconds}.{the rest in nanoseconds}.heapsnapshot`, by the monotonic clock.
#[cfg(unix)]
pub(super) fn heapdump_name() -> String {
    let now = crate::os::monotonic_nanoseconds();
    format!("heapdump-{}.{}.heapsnapshot", now / 1_000_000, now % 1_000_000)
}
