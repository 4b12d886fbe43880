//! The two counts in the first bytes of a snapshot.

/// Reads `node_count` and `edge_count` from the text's first piece, where V8 puts them.
#[derive(Debug, Default)]
pub(super) struct HeaderCounts {
    head: Vec<u8>,
    complete: bool,
}

/// V8's header is about 2 KB; more than this is no header.
const LIMIT: usize = 64 * 1024;

impl HeaderCounts {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.complete {
            return;
        }
        let room = LIMIT - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.complete = self.head.len() == LIMIT || memchr::memmem::find(&self.head, b"\"nodes\":").is_some();
    }

    /// The counts, 0 where the header does not tell.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.number(b"\"node_count\":"), self.number(b"\"edge_count\":"))
    }

    fn number(&self, key: &[u8]) -> u64 {
        let Some(at) = memchr::memmem::find(&self.head, key) else { return 0 };
        let digits = self.head[at + key.len()..].iter().take_while(|b| b.is_ascii_digit());
        digits.fold(0, |n: u64, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_however_the_text_is_cut() {
        let text = br#"{"snapshot":{"meta":{},"node_count":4711,"edge_count":99,"x":0},"nodes":[1,2"#;
        for cut in 0..text.len() {
            let mut h = HeaderCounts::default();
            h.feed(&text[..cut]);
            h.feed(&text[cut..]);
            assert_eq!(h.counts(), (4711, 99), "cut at {cut}");
        }
    }
}
