//! The time of day, as the clock on the wall shows it.

use std::mem::MaybeUninit;

/// A moment in the time zone of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// 2026 and so on.
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
}

impl LocalTime {
    /// Now.
    pub fn now() -> Self {
        let mut parts = MaybeUninit::<libc::tm>::zeroed();
        // SAFETY: `time` takes no pointer here; `parts` is room for what localtime_r fills in, and all zeroes are a valid `tm` where it does not.
        let parts = unsafe {
            let now = libc::time(std::ptr::null_mut());
            libc::localtime_r(&raw const now, parts.as_mut_ptr());
            parts.assume_init()
        };
        LocalTime {
            year: parts.tm_year + 1900,
            month: parts.tm_mon + 1,
            day: parts.tm_mday,
            hour: parts.tm_hour,
            minute: parts.tm_min,
            second: parts.tm_sec,
        }
    }
}

/// The monotonic clock, as `process.hrtime` reads it.
pub fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is room for what is filled in; the clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_date() {
        let now = LocalTime::now();
        assert!(now.year >= 2025 && (1..=12).contains(&now.month) && (1..=31).contains(&now.day), "{now:?}");
        assert!((0..24).contains(&now.hour) && (0..60).contains(&now.minute) && (0..=60).contains(&now.second));
    }
}
