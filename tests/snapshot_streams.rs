//! The reader on gzip, good and damaged, and on streams that come in pieces or break.

mod support;

use std::{
    fs,
    io::{self, Read, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use heaprs::{
    error::Code,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use support::{
    Model, fails, golden, gzip,
    random::big_model,
    read,
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

/// Bytes of the file, compressed ones for a gzip, from the start to all of them; and it stops where it is told to.
#[test]
fn progress_and_cancellation() {
    let dir = tempfile::tempdir().unwrap();
    let text = big_model(1).to_text(1);
    for (name, bytes) in [("a.heapsnapshot", text.clone()), ("a.heapsnapshot.gz", gzip(&text))] {
        let file = dir.path().join(name);
        fs::write(&file, &bytes).unwrap();
        let reports = Arc::new(Mutex::new(Vec::new()));
        let seen = reports.clone();
        let progress = Progress::with_listener(move |report| seen.lock().unwrap().push(report));
        Snapshot::open(&file, &ReadOptions::default(), &progress).unwrap();
        let reports = reports.lock().unwrap();
        assert!(reports.is_sorted_by_key(|r| r.done));
        assert!(reports.iter().all(|r| r.phase == "read" && r.total == bytes.len() as u64), "{reports:?}");
        assert_eq!(reports.last().map(|r| r.done), Some(bytes.len() as u64));

        for threads in [1, 3] {
            let progress = Progress::default();
            let mut pieces = text.chunks(100_000);
            let canceller = progress.clone();
            let mut given = 0;
            let stream = std::iter::from_fn(move || {
                given += 1;
                if given == 15 {
                    canceller.cancel();
                }
                pieces.next()
            });
            let options = ReadOptions { threads, ..ReadOptions::default() };
            let mut stream = Pieces(stream, &[], 0);
            let e = Snapshot::from_reader(&mut stream, &options, &progress).err().unwrap();
            assert_eq!(e.code, Code::Aborted);
            assert!(stream.2 < 2_500_000, "it read on for {} bytes", stream.2);
        }
    }
}

/// A stream in pieces that counts what was taken.
struct Pieces<'a, I>(I, &'a [u8], usize);

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Pieces<'a, I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.next().unwrap_or_default();
        }
        let n = self.1.read(buf)?;
        self.2 += n;
        Ok(n)
    }
}
