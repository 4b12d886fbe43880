//! Every `#[napi]` item, thin over the layers below; nothing imports it.
//!
//! The rules each export keeps:
//! * it runs inside [`guard::guard`], so that a panic becomes a JavaScript error and an [`Error`](crate::error::Error)
//!   keeps its code;
//! * what may take longer than a millisecond goes through [`task::run`]: a thread of its own, a promise, progress and
//!   cancellation through a [`task::Task`];
//! * what must end with the environment is hung up with [`napi::Env::add_env_cleanup_hook`].
#![allow(unreachable_pub, reason = "#[napi] wants its items pub")]
#![allow(unsafe_code, reason = "napi's conversion traits are unsafe to call; each block says why it is sound")]

mod allocations;
mod capture;
mod census;
#[cfg(unix)]
mod dump;
mod filters;
mod foreign;
#[cfg(target_os = "linux")]
mod fork;
mod guard;
mod leak;
mod redact;
mod report;
mod rows;
mod snapshot;
mod stream;
mod task;
mod turn;
