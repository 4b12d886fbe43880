//! The only door to the operating system beyond what `std` offers.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

#[cfg(target_os = "linux")]
mod child;
mod disk;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(unix)]
mod listener;
#[cfg(unix)]
mod local_time;
mod memory;
mod priority;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod threads;

#[cfg(target_os = "linux")]
pub use child::{Child, ChildEnd, ChildState, readable_within};
pub use disk::{claim, free_space};
#[cfg(target_os = "linux")]
pub use fork::{ChildLimits, ChildPipe, ForkPreparation, Forked, fork};
#[cfg(target_os = "linux")]
pub use limits::{MemoryRoom, OwnMemory, OwnMemoryGauge, limited_memory_room, memory_room, shared_memory_room};
#[cfg(unix)]
pub use listener::{Listener, has_hung_up, is_same_user, remove_dead_listeners};
#[cfg(unix)]
pub use local_time::{LocalTime, monotonic_nanoseconds};
pub use memory::trim;
pub use priority::give_way;
#[cfg(target_os = "linux")]
pub use priority::thread_cpu_time;
#[cfg(unix)]
pub use signals::{
    catch_signal, end_signal_wait, pin_library, release_signal, signals_waiting, take_signals, wait_for_signals,
};
#[cfg(target_os = "linux")]
pub use threads::WorkerThreads;
