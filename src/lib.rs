//! heaprs: memory diagnosis for Node.js in production.
//!
//! The layers, from the bottom; an arrow never points up:
//!
//! * [`error`], [`progress`]: what every layer speaks; `beside`: two pieces of work at a time.
//! * [`snapshot`]: V8's file to columns. [`graph`]: columns to distances, dominators, retained sizes.
//!   [`analysis`]: classes, statistics, comparison. [`report`]: text and JSON of one model.
//! * [`leak`]: the detector, a pure state machine. [`capture`]: how a snapshot becomes a file.
//! * [`v8`], [`os`]: the only doors to V8's symbols and to the operating system.
//! * [`service`]: the one background thread. [`binding`](self): every `#[napi]` item, seen by nobody.

mod beside;
pub mod error;
pub mod progress;

pub mod analysis;
pub mod capture;
pub mod graph;
pub mod leak;
pub mod os;
pub mod report;
pub mod service;
pub mod snapshot;
pub mod v8;

// Left out of test builds: napi-derive exports nothing there, and the core is tested without JavaScript.
#[cfg(all(feature = "node", not(test)))]
mod binding;
