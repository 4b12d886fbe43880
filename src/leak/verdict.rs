//! What a suspicion or a leak says.

use std::time::Duration;

/// Where the memory is that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// V8's heap.
    Heap,
    /// Outside of it, held by objects in it: array buffers, external strings, memory that addons have told V8 of.
    OffHeap,
}

impl Place {
    /// The word of the report's `place`.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Heap => "heap",
            Place::OffHeap => "off-heap",
        }
    }
}

/// The numbers of a leak, or of one that is suspected. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Where.
    pub place: Place,
    /// From when, on the clock of the observations.
    pub start: Duration,
    /// Until when.
    pub end: Duration,
    /// In that time, on the trend's line.
    pub growth: u64,
    /// At that pace.
    pub growth_per_hour: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Full collections it rests on.
    pub collections: u32,
    /// What lived after the last one.
    pub heap_used: u64,
    /// Where V8 gives up.
    pub heap_limit: u64,
    /// Until it does, at that pace; `None` when what grows is not under that limit.
    pub time_to_limit: Option<Duration>,
}

impl Verdict {
    /// One sentence.
    pub fn reason(&self) -> String {
        let what = match self.place {
            Place::Heap => "live heap",
            Place::OffHeap => "off-heap memory (array buffers, external strings)",
        };
        format!(
            "{what} grew by {} in {} through {} full garbage collections ({} an hour)",
            bytes(self.growth as f64),
            duration(self.end.saturating_sub(self.start)),
            self.collections,
            bytes(self.growth_per_hour)
        )
    }
}

fn bytes(n: f64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = n / 1e3;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", time.as_secs_f64() / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_a_sentence_with_figures() {
        let verdict = Verdict {
            place: Place::Heap,
            start: Duration::from_secs(10),
            end: Duration::from_secs(37),
            growth: 12_345_678,
            growth_per_hour: 1.646e9,
            confidence: 0.99,
            collections: 11,
            heap_used: 0,
            heap_limit: 0,
            time_to_limit: None,
        };
        assert_eq!(
            verdict.reason(),
            "live heap grew by 12 MB in 27 s through 11 full garbage collections (1.6 GB an hour)"
        );
        assert_eq!(
            (bytes(999.0), bytes(999_600.0), duration(Duration::from_secs(9000))),
            ("1.0 kB".into(), "1.0 MB".into(), "2.5 h".into())
        );
    }
}
