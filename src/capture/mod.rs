//! How a snapshot becomes a file, or a stream: V8's text goes in piece by piece, a complete file or nothing comes out.
//!
//! [`target`] is where it goes and how it appears there; [`pipeline`] counts, compresses and writes on a thread of its
//! own, so that V8's thread only copies. Neither knows V8 or JavaScript. [`walk`] is V8's part in this process, [`fork`] the same in a child
//! that does not stop the app, [`dump`] a whole capture where no JavaScript may run.

mod dump;
#[cfg(target_os = "linux")]
mod fork;
mod header;
#[cfg(target_os = "linux")]
mod memory;
mod name;
#[cfg(target_os = "linux")]
mod near;
mod pipeline;
#[cfg(unix)]
mod plan;
mod store;
mod target;
mod walk;

#[cfg(target_os = "linux")]
pub use dump::dump_by_fork;
pub use dump::{DumpHandle, DumpRequest, DumpSummary, Written, dump_inline, write_file};
#[cfg(target_os = "linux")]
pub use fork::{ForkOptions, ForkedHeap, ForkedText, PreparedFork, fork_unavailable};
pub use name::next_sequence;
#[cfg(target_os = "linux")]
pub use near::{Look, NearMemory};
pub use pipeline::{Pipeline, Summary, Writing, timeout};
#[cfg(unix)]
pub use plan::{DumpBudget, DumpMode, DumpPlan};
pub use store::{ChunkStore, StoredChunks};
pub use target::{Target, TargetOptions};
pub use walk::{Walk, is_walking};

/// Why snapshots can't be taken by fork in this process, or `None` when they can.
#[cfg(not(target_os = "linux"))]
pub fn fork_unavailable() -> Option<String> {
    Some("captures by fork are only tried on x86-64 Linux with glibc so far".into())
}
