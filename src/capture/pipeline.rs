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
};

/// Pieces that may wait between the threads: with V8's pieces of 64 KB, 16 MB at most.
const QUEUE: usize = 256;

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
        (Pipeline { pieces: sender }, Writing { source: Source::Queue(receiver), compress, deadline })
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
        Writing { source: Source::File(file), compress, deadline }
    }

    /// The text comes from a forked child.
    #[cfg(target_os = "linux")]
    pub fn from_child(text: ForkedText, compress: bool, deadline: Option<Instant>) -> Writing {
        Writing { source: Source::Child(Box::new(text)), compress, deadline }
    }

    /// Writes all that comes to `sink`, until the other end says it is complete. Returns the sink for its last step.
    pub fn run<W: Write>(self, sink: W, progress: &Progress) -> Result<(W, Summary)> {
        if self.compress {
            // Level 1: 0.39 GB/s to 22 % on snapshots, where level 6 takes six times as long for 14 %.
            let (encoder, summary) = self.copy(GzEncoder::new(sink, Compression::new(1)), progress)?;
            Ok((encoder.finish().map_err(|e| write_error(&e))?, summary))
        } else {
            self.copy(sink, progress)
        }
    }

    fn copy<W: Write>(mut self, mut sink: W, progress: &Progress) -> Result<(W, Summary)> {
        let mut header = HeaderCounts::default();
        let mut summary = Summary::default();
        self.source.set_progress(progress);
        loop {
            if self.deadline.is_some_and(|d| Instant::now() >= d) {
                return Err(timeout());
            }
            progress.report("write", summary.snapshot_bytes, 0)?;
            let Some(text) = self.source.next_piece()? else { break };
            header.feed(&text);
            sink.write_all(&text).map_err(|e| write_error(&e))?;
            summary.snapshot_bytes += text.len() as u64;
        }
        sink.flush().map_err(|e| write_error(&e))?;
        progress.report("write", summary.snapshot_bytes, summary.snapshot_bytes)?;
        (summary.nodes, summary.edges) = header.counts();
        #[cfg(target_os = "linux")]
        if let Source::Child(text) = &self.source {
            (summary.child_cpu, summary.child_peak) = text.usage();
        }
        Ok((sink, summary))
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

/// An error of the sink; one of ours that came through `io::Error` keeps its code.
fn write_error(e: &io::Error) -> Error {
    e.get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
        .cloned()
        .unwrap_or_else(|| Error { file: None, ..Error::io(e, "write the snapshot", "") })
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
