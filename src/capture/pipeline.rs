//! V8's thread hands over copies of its text; another thread counts, compresses and writes them.

use std::{
    fs::File,
    io::{self, Read, Write},
    ops::ControlFlow,
    sync::mpsc::{self, Receiver, SyncSender},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};

#[cfg(target_os = "linux")]
use super::fork::ForkedText;
use super::header::HeaderCounts;
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
    snapshot::{Redaction, redact},
};

/// Pieces that may wait between the threads: with V8's pieces of 64 KB, 16 MB at most.
const QUEUE: usize = 256;

/// How V8 begins, and what heaprs's mark looks like behind it.
const HEAD: &[u8] = br#"{"snapshot":{"#;
const KEY: &[u8] = br#""heaprs":{"#;
const MARK: &[u8] = br#""heaprs":{"wrote":true},"#;

/// How much is read from a file at once.
const PIECE: usize = 64 * 1024;

/// What a finished capture consisted of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of snapshot text, before compression.
    pub snapshot_bytes: u64,
    /// Nodes, by the header.
    pub nodes: u64,
    /// Edges, by the header.
    pub edges: u64,
    /// CPU time of the child that walked the heap, where one did.
    pub child_cpu: Duration,
    /// The most memory that child has had, bytes; what it shared with this process counts as well.
    pub child_peak: u64,
}

/// The end that V8's thread holds.
pub struct Pipeline {
    pieces: SyncSender<Piece>,
}

/// The end that the writing thread holds.
pub struct Writing {
    source: Source,
    compress: bool,
    deadline: Option<Instant>,
    redaction: Option<Redaction>,
    marked: bool,
}

enum Source {
    /// What another thread hands over.
    Queue(Receiver<Piece>),
    /// What something else has written to a file already.
    File(File),
    /// What a forked child writes.
    #[cfg(target_os = "linux")]
    Child(Box<ForkedText>),
}

enum Piece {
    Text(Vec<u8>),
    /// The text is complete. A queue that ends without it was given up.
    End,
    Failed(Error),
}

impl Pipeline {
    /// A queue of bounded size: `write` waits when the writer is slower.
    pub fn new(compress: bool, deadline: Option<Instant>) -> (Pipeline, Writing) {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        (
            Pipeline { pieces: sender },
            Writing { source: Source::Queue(receiver), compress, deadline, redaction: None, marked: false },
        )
    }

    /// Hands over a copy of `text`. `Break` when the writer has given up; its own result says why.
    pub fn write(&mut self, text: &[u8]) -> ControlFlow<()> {
        match self.pieces.send(Piece::Text(text.to_vec())) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Says that the text is complete, or why it never will be. Dropping the pipeline fails the writer as well.
    pub fn finish(self, result: Result<()>) {
        // Refused only when the writer has failed, which its own result tells.
        let _ = self.pieces.send(match result {
            Ok(()) => Piece::End,
            Err(error) => Piece::Failed(error),
        });
    }
}

impl Writing {
    /// The text is in `file` already.
    pub fn from_file(file: File, compress: bool, deadline: Option<Instant>) -> Writing {
        Writing { source: Source::File(file), compress, deadline, redaction: None, marked: false }
    }

    /// The text comes from a forked child.
    #[cfg(target_os = "linux")]
    pub fn from_child(text: ForkedText, compress: bool, deadline: Option<Instant>) -> Writing {
        Writing { source: Source::Child(Box::new(text)), compress, deadline, redaction: None, marked: false }
    }

    /// What the text says of strings' contents does not reach the sink.
    #[must_use]
    pub fn redacted(self, redaction: Option<Redaction>) -> Writing {
        Writing { redaction, ..self }
    }

    /// The file says in its header that heaprs wrote it, which is what a quota looks for. Other readers pass it over.
    #[must_use]
    pub fn marked(self) -> Writing {
        Writing { marked: true, ..self }
    }

    /// Writes all that comes to `sink`, until the other end says it is complete. Returns the sink for its last step.
    pub fn run<W: Write>(self, sink: W, progress: &Progress) -> Result<(W, Summary)> {
        if self.compress {
            // Level 1: 0.39 GB/s to 22 % on snapshots, where level 6 takes six times as long for 14 %.
            let (encoder, summary) = self.copy(GzEncoder::new(sink, Compression::new(1)), progress)?;
            Ok((encoder.finish().map_err(|e| Error::own_or_io(&e, "write the snapshot"))?, summary))
        } else {
            self.copy(sink, progress)
        }
    }

    fn copy<W: Write>(mut self, sink: W, progress: &Progress) -> Result<(W, Summary)> {
        self.source.set_progress(progress);
        let mut counted = Counted { sink, header: HeaderCounts::default(), bytes: 0 };
        let redaction = self.redaction;
        let mut pieces = Pieces { writing: self, progress, piece: Vec::new(), taken: 0, bytes: 0, complete: false };
        let bytes = match redaction {
            None => {
                while let Some(text) = pieces.next()? {
                    counted.write_all(&text).map_err(|e| Error::own_or_io(&e, "write the snapshot"))?;
                }
                pieces.bytes
            }
            Some(redaction) => {
                counted = redact(&mut pieces, None, counted, redaction, &Progress::default())?;
                pieces.bytes
            }
        };
        counted.flush().map_err(|e| Error::own_or_io(&e, "write the snapshot"))?;
        progress.report("write", bytes, bytes)?;
        let (nodes, edges) = counted.header.counts();
        #[allow(unused_mut, reason = "only a child has used anything")]
        let mut summary = Summary { snapshot_bytes: counted.bytes, nodes, edges, ..Summary::default() };
        #[cfg(target_os = "linux")]
        if let Source::Child(text) = &pieces.writing.source {
            (summary.child_cpu, summary.child_peak) = text.usage();
        }
        Ok((counted.sink, summary))
    }
}

/// The text as something to read from; the end that never comes and the passed deadline are errors of reading.
struct Pieces<'p> {
    writing: Writing,
    progress: &'p Progress,
    piece: Vec<u8>,
    taken: usize,
    bytes: u64,
    /// The end was told, which a source does once.
    complete: bool,
}

impl Pieces<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.complete {
            return Ok(None);
        }
        if self.writing.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(timeout());
        }
        self.progress.report("write", self.bytes, 0)?;
        let piece = self.next_marked()?;
        self.complete |= piece.is_none();
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }
}

impl Pieces<'_> {
    /// The next piece; of a text that is to be marked the first one is long enough to tell whether it is.
    fn next_marked(&mut self) -> Result<Option<Vec<u8>>> {
        let mut piece = self.writing.source.next_piece()?;
        if std::mem::take(&mut self.writing.marked)
            && let Some(head) = &mut piece
        {
            while head.len() < HEAD.len() + MARK.len() {
                let Some(more) = self.writing.source.next_piece()? else {
                    self.complete = true;
                    break;
                };
                head.extend(more);
            }
            if head.starts_with(HEAD) && !head[HEAD.len()..].starts_with(KEY) {
                head.splice(HEAD.len()..HEAD.len(), MARK.iter().copied());
            }
        }
        Ok(piece)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() {
            let Some(piece) = self.next().map_err(io::Error::other)? else { return Ok(0) };
            (self.piece, self.taken) = (piece, 0);
        }
        let rest = &self.piece[self.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Ok(len)
    }
}

/// A sink that looks at the text on its way.
struct Counted<W> {
    sink: W,
    header: HeaderCounts,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let n = self.sink.write(text)?;
        self.header.feed(&text[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Source {
    fn set_progress(&mut self, progress: &Progress) {
        #[cfg(target_os = "linux")]
        if let Source::Child(text) = self {
            text.set_progress(progress);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = progress;
    }

    fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Source::Queue(pieces) => match pieces.recv() {
                Ok(Piece::Text(text)) => Ok(Some(text)),
                Ok(Piece::End) => Ok(None),
                Ok(Piece::Failed(error)) => Err(error),
                Err(_) => Err(Error::new(Code::Aborted, "the snapshot was given up")),
            },
            Source::File(file) => {
                let mut text = Vec::with_capacity(PIECE);
                let read = file.take(PIECE as u64).read_to_end(&mut text);
                read.map_err(|e| Error::io(&e, "read the snapshot that V8 wrote", ""))?;
                Ok((!text.is_empty()).then_some(text))
            }
            #[cfg(target_os = "linux")]
            Source::Child(text) => text.next_piece(),
        }
    }
}

/// The error of a passed `timeoutMs`.
pub fn timeout() -> Error {
    Error::new(Code::Timeout, "the capture took longer than timeoutMs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const TEXT: &[u8] = br#"{"snapshot":{"node_count":3,"edge_count":2},"nodes":[]}"#;

    fn run<W: Write + Send + 'static>(
        compress: bool,
        sink: W,
        feed: impl FnOnce(&mut Pipeline) -> bool,
    ) -> Result<(W, Summary)> {
        let (mut pipeline, writing) = Pipeline::new(compress, None);
        let writer = thread::spawn(move || writing.run(sink, &Progress::default()));
        if feed(&mut pipeline) {
            pipeline.finish(Ok(()));
        } else {
            drop(pipeline);
        }
        writer.join().unwrap()
    }

    #[test]
    fn text_arrives_whole_and_counted() {
        for compress in [false, true] {
            let (bytes, summary) =
                run(compress, Vec::new(), |p| TEXT.chunks(7).all(|c| p.write(c).is_continue())).unwrap();
            let mut text = Vec::new();
            if compress {
                flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
            } else {
                text = bytes;
            }
            assert_eq!(text, TEXT);
            assert_eq!(
                summary,
                Summary { snapshot_bytes: TEXT.len() as u64, nodes: 3, edges: 2, ..Summary::default() }
            );
        }
    }

    #[test]
    fn redacted_text_comes_to_its_end() {
        let text = br#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],
            "node_types":[["string"]],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["element"]]},
            "node_count":1,"edge_count":0},"nodes":[0,0,1,16,0],"edges":[],"strings":["secret text"]}"#;
        let (mut pipeline, writing) = Pipeline::new(false, None);
        let writing = writing.redacted(Some(Redaction::default()));
        let writer = thread::spawn(move || writing.run(Vec::new(), &Progress::default()));
        assert!(text.chunks(50).all(|chunk| pipeline.write(chunk).is_continue()));
        pipeline.finish(Ok(()));
        let (bytes, summary) = writer.join().unwrap().unwrap();
        let out = String::from_utf8(bytes).unwrap();
        assert!(out.contains("\"#***") && !out.contains("secret"), "{out}");
        assert_eq!(summary, Summary { snapshot_bytes: out.len() as u64, nodes: 1, ..Summary::default() });
    }

    #[test]
    fn a_mark_is_put_where_there_is_none() {
        let marked = r#"{"snapshot":{"heaprs":{"wrote":true},"node_count":3,"edge_count":2},"nodes":[]}"#;
        let by_fork = r#"{"snapshot":{"heaprs":{"ids":"fork"},"node_count":3,"edge_count":2},"nodes":[]}"#;
        for (text, expected) in [(std::str::from_utf8(TEXT).unwrap(), marked), (by_fork, by_fork), ("{}", "{}")] {
            for size in [1, 13, 1000] {
                let (mut pipeline, writing) = Pipeline::new(false, None);
                let writer = thread::spawn(move || writing.marked().run(Vec::new(), &Progress::default()));
                assert!(text.as_bytes().chunks(size).all(|chunk| pipeline.write(chunk).is_continue()));
                pipeline.finish(Ok(()));
                let (bytes, _) = writer.join().unwrap().unwrap();
                assert_eq!(String::from_utf8(bytes).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_dropped_pipeline_fails_the_writer() {
        let error = run(false, Vec::new(), |p| p.write(TEXT).is_break()).unwrap_err();
        assert_eq!(error.code, Code::Aborted);
    }

    #[test]
    fn a_full_sink_stops_the_producer_with_its_code() {
        #[derive(Debug)]
        struct Full(u64);
        impl Write for Full {
            fn write(&mut self, b: &[u8]) -> io::Result<usize> {
                self.0 += b.len() as u64;
                if self.0 > 1000 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(b.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = run(false, Full(0), |p| {
            while p.write(TEXT).is_continue() {}
            true
        })
        .unwrap_err();
        assert_eq!(error.code, Code::NoSpace);
    }

    #[test]
    fn a_passed_deadline_is_a_timeout() {
        let (pipeline, writing) = Pipeline::new(false, Some(Instant::now() - Duration::from_millis(1)));
        assert_eq!(writing.run(Vec::new(), &Progress::default()).unwrap_err().code, Code::Timeout);
        drop(pipeline);
    }
}
