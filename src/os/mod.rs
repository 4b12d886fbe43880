//! The only door to the operating system beyond what `std` offers.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

mod disk;
mod memory;

pub use disk::free_space;
pub use memory::trim;
