//! How a snapshot becomes a file, or a stream: V8's text goes in piece by piece, a complete file or nothing comes out.
//!
//! [`target`] is where it goes and how it appears there; [`pipeline`] counts, compresses and writes on a thread of its
//! own, so that V8's thread only copies. Neither knows V8 or JavaScript.

mod header;
mod pipeline;
mod store;
mod target;

pub use pipeline::{Pipeline, Summary, Writing, timeout};
pub use store::{ChunkStore, StoredChunks};
pub use target::{Target, TargetOptions};
