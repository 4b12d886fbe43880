//! The reader on gzip, good and damaged, and on streams that come in pieces or break.

mod support;

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use heaprs::{
    error::Code,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use support::{
    Model, fails, golden, gzip, read,
    small::{changed, small},
};

#[test]
fn damaged_gzip() {
    let text = golden();
    let good = gzip(&text);
    // Several members make one text, as `cat a.gz b.gz` does.
    let (one, two) = text.split_at(text.len() / 3);
    let members = [gzip(one), gzip(b""), gzip(two)].concat();
    Model::naive(&text).check(&read(&members).unwrap());
    let checksum = good.len() - 8;
    for at in [checksum, checksum + 5, 200, good.len() / 2] {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        let e = fails(&bad);
        assert!(matches!(e.code, Code::Corrupt | Code::Truncated | Code::NotASnapshot), "{at}: {e}");
        if at >= checksum {
            assert_eq!(e.code, Code::Corrupt, "{at}: {e}");
            assert!(e.message.contains("gzip") && e.offset == Some(text.len() as u64), "{e}");
        }
    }
    assert_eq!(fails([&good[..], b"some garbage"].concat()).code, Code::Corrupt);
    assert_eq!(fails([&good[..], b"\x1f\x8b"].concat()).code, Code::Truncated, "a second member begins");
}

/// An endless stream of zeros behind a header that allows them, packed to a thousandth.
#[test]
fn a_bomb_is_not_unpacked() {
    let head = changed("\"node_count\":2", "\"node_count\":4000000000");
    let head = head.split_once("\"nodes\":[").unwrap().0.to_owned();
    for (before, body) in [("\"nodes\":[", "0,"), ("\"x\":[", "  "), ("\"x\":\"", "aa")] {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        write!(out, "{head}{before}").unwrap();
        let block = body.repeat(1 << 19);
        for _ in 0..150 {
            out.write_all(block.as_bytes()).unwrap();
        }
        let bomb = out.finish().unwrap();
        let start = Instant::now();
        let e = fails(&bomb);
        assert_eq!(e.code, Code::MemoryBudget, "{e}");
        assert!(start.elapsed() < Duration::from_secs(20));
        let options = ReadOptions { max_memory: Some(10 << 20), ..ReadOptions::default() };
        let e = Snapshot::from_bytes(&bomb, &options, &Progress::default()).err().unwrap();
        assert_eq!(e.code, Code::MemoryBudget, "{e}");
    }
}

#[test]
fn streams() {
    /// Gives one byte at a time, then fails.
    struct Slow<'a>(&'a [u8], Option<io::ErrorKind>);
    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match (self.0.split_first(), self.1) {
                (Some((first, rest)), _) => {
                    (buf[0], self.0) = (*first, rest);
                    Ok(1)
                }
                (None, Some(kind)) => Err(kind.into()),
                (None, None) => Ok(0),
            }
        }
    }
    let text = small();
    let model = Model::naive(text.as_bytes());
    let read = |s: Slow| Snapshot::from_reader(s, &ReadOptions::default(), &Progress::default());
    model.check(&read(Slow(text.as_bytes(), None)).unwrap());
    model.check(&read(Slow(&gzip(text.as_bytes()), None)).unwrap());
    for half in [&text.as_bytes()[..800], &gzip(text.as_bytes())[..300]] {
        let e = read(Slow(half, Some(io::ErrorKind::ConnectionReset))).err().unwrap();
        assert_eq!(e.code, Code::Io, "{e}");
        assert_eq!(read(Slow(half, None)).err().unwrap().code, Code::Truncated);
    }
}
