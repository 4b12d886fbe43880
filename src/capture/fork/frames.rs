//! What goes through the child's pipe: pieces of text, progress, and how it ended. A pipe that ends without an end was cut off.

use std::{ops::ControlFlow, str};

use crate::{
    error::{Code, Error, Result},
    os::ChildPipe,
};

/// One message of the child.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// The next piece of the snapshot's text.
    Text(&'a [u8]),
    /// How far the walk is, in V8's own units.
    Progress { done: u32, total: u32 },
    /// The text is complete.
    End,
    /// It never will be.
    Failed { message: &'a str },
}

/// A kind and a length.
pub(super) const HEADER: usize = 5;

/// V8 gives pieces of 64 KB; more than this is no frame of ours.
const MAX_BODY: usize = 1 << 20;

/// The child's end.
pub(super) struct FrameWriter<'a> {
    pipe: &'a mut ChildPipe,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn new(pipe: &'a mut ChildPipe) -> Self {
        FrameWriter { pipe }
    }

    /// `Break` when nobody reads any more.
    pub(super) fn write(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        let (mut both, fixed);
        let (kind, body): (u8, &[u8]) = match frame {
            Frame::Text(text) => (b'T', text),
            Frame::Progress { done, total } => {
                both = [0; 8];
                both[..4].copy_from_slice(&done.to_le_bytes());
                both[4..].copy_from_slice(&total.to_le_bytes());
                fixed = both;
                (b'P', &fixed)
            }
            Frame::End => (b'E', &[]),
            Frame::Failed { message } => (b'X', message.as_bytes()),
        };
        for piece in body.chunks(MAX_BODY).chain(body.is_empty().then_some(&[][..])) {
            let mut header = [kind, 0, 0, 0, 0];
            header[1..].copy_from_slice(&u32::try_from(piece.len()).unwrap_or(0).to_le_bytes());
            if self.pipe.write_all(&header, piece).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Tells how the walk ended; returns the child's exit status.
    pub(super) fn finish(&mut self, walked: Result<()>) -> i32 {
        let told = match &walked {
            Ok(()) => self.write(&Frame::End),
            Err(e) => self.write(&Frame::Failed { message: &e.message }),
        };
        i32::from(told.is_break() || walked.is_err())
    }
}

/// The kind and the length of the frame that begins with `header`.
pub(super) fn parse_header(header: [u8; HEADER]) -> Result<(u8, usize)> {
    let [kind, length @ ..] = header;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let right = match kind {
        b'T' => length <= MAX_BODY,
        b'P' => length == 8,
        b'E' => length == 0,
        b'X' => length <= MAX_BODY,
        _ => false,
    };
    if right { Ok((kind, length)) } else { Err(nonsense()) }
}

/// The frame of this kind and body.
pub(super) fn parse(kind: u8, body: &[u8]) -> Result<Frame<'_>> {
    let number = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    match kind {
        b'T' => Ok(Frame::Text(body)),
        b'P' if body.len() == 8 => Ok(Frame::Progress { done: number(0), total: number(4) }),
        b'E' => Ok(Frame::End),
        b'X' => Ok(Frame::Failed { message: str::from_utf8(body).map_err(|_| nonsense())? }),
        _ => Err(nonsense()),
    }
}

fn nonsense() -> Error {
    Error::new(Code::ForkFailed, "the child that walks the heap sent what no child of heaprs sends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_are_written() {
        assert_eq!(parse_header([b'T', 1, 0, 1, 0]).unwrap(), (b'T', 0x1_0001));
        assert_eq!(parse(b'P', &[1, 0, 0, 0, 2, 0, 0, 0]).unwrap(), Frame::Progress { done: 1, total: 2 });
        assert_eq!(parse(b'X', b"why").unwrap(), Frame::Failed { message: "why" });
        for wrong in [[b'T', 0, 0, 0, 255], [b'P', 7, 0, 0, 0], [b'E', 1, 0, 0, 0], [0; 5]] {
            assert_eq!(parse_header(wrong).unwrap_err().code, Code::ForkFailed);
        }
    }
}
