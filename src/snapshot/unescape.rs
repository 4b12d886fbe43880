//! JSON's string literals, as the bytes of a [`JsStr`](super::JsStr).

use super::{budget::Budget, pages::Column, records::Bytes};
use crate::error::{Code, Error, Result};

/// Appends to `bytes` what literals say.
pub(super) struct Unescape<'a> {
    pub(super) bytes: &'a mut Column<u8>,
    pub(super) budget: &'a mut Budget,
    /// What the bytes are, for messages.
    pub(super) what: &'static str,
}

impl Unescape<'_> {
    /// One literal behind its opening quote, up to and with the closing one.
    pub(super) fn literal(&mut self, text: &mut impl Bytes) -> Result<()> {
        self.literal_unless(text, |_| false).map(drop)
    }

    /// The same, unless it says what it says in plain ASCII, is all in the window, and is not wanted: whether it was appended.
    pub(super) fn literal_unless(
        &mut self,
        text: &mut impl Bytes,
        unwanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool> {
        let rest = text.rest();
        let special = memchr::memchr2(b'"', b'\\', rest);
        if let Some(end) = special.filter(|&end| rest[end] == b'"' && is_plain(&rest[..end])) {
            let wanted = !unwanted(&rest[..end]);
            if wanted {
                self.budget.grow(self.bytes, end, self.what)?;
                self.bytes.extend_from_slice(&rest[..end])?;
            }
            text.advance(end + 1);
            return Ok(wanted);
        }
        self.any_literal(text).map(|()| true)
    }

    /// The same with escapes, or anything else.
    fn any_literal(&mut self, text: &mut impl Bytes) -> Result<()> {
        // A high surrogate that was escaped, waiting for its other half.
        let mut high = None;
        loop {
            let rest = text.rest();
            let special = memchr::memchr2(b'"', b'\\', rest);
            let plain = &rest[..special.unwrap_or(rest.len())];
            if !plain.is_empty() {
                self.flush(&mut high)?;
            }
            let taken = self.plain(plain, special.is_none()).map_err(|mut e| {
                e.offset = Some(text.offset() + e.offset.unwrap_or(0));
                e
            })?;
            text.advance(taken);
            match text.rest().first().copied() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(text, &mut high)?,
                // The window's end, perhaps inside a character.
                _ => text.more()?,
            }
        }
        text.advance(1);
        self.flush(&mut high)
    }

    /// Appends text without quotes and escapes; says how much of it, which is all of it but for a last character that
    /// goes on behind the window (`open`). What is no UTF-8 becomes U+FFFD, as a TextDecoder has it.
    fn plain(&mut self, mut plain: &[u8], open: bool) -> Result<usize> {
        let all = plain.len();
        self.budget.grow(self.bytes, plain.len(), self.what)?;
        if is_plain(plain) {
            self.bytes.extend_from_slice(plain)?;
            return Ok(all);
        }
        if let Some(at) = plain.iter().position(|&b| b < 0x20) {
            let message = "a string holds a control character that is not escaped";
            return Err(Error::at(Code::Corrupt, at as u64, message));
        }
        while let Err(e) = std::str::from_utf8(plain) {
            let (valid, rest) = plain.split_at(e.valid_up_to());
            self.bytes.extend_from_slice(valid)?;
            plain = rest;
            if e.error_len().is_none() && open {
                return Ok(all - rest.len());
            }
            self.budget.grow(self.bytes, plain.len() + 3, self.what)?;
            self.bytes.extend_from_slice("\u{fffd}".as_bytes())?;
            plain = &rest[e.error_len().unwrap_or(rest.len())..];
        }
        self.bytes.extend_from_slice(plain)?;
        Ok(all)
    }

    /// One escape sequence.
    fn escape(&mut self, text: &mut impl Bytes, high: &mut Option<u16>) -> Result<()> {
        let simple = match byte(text, 1)? {
            letter @ (b'"' | b'\\' | b'/') => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = 0u16;
                for i in 2..6 {
                    let Some(digit) = (byte(text, i)? as char).to_digit(16) else {
                        return Err(corrupt(text, "\\u in a string wants four hexadecimal digits"));
                    };
                    unit = unit << 4 | digit as u16;
                }
                text.advance(6);
                return self.unit(unit, high);
            }
            _ => return Err(corrupt(text, "a string has an escape that JSON does not know")),
        };
        text.advance(2);
        self.flush(high)?;
        self.budget.grow(self.bytes, 1, self.what)?;
        self.bytes.push(simple)?;
        Ok(())
    }

    /// One escaped UTF-16 unit: two halves become one character, a lone one stays itself.
    fn unit(&mut self, unit: u16, high: &mut Option<u16>) -> Result<()> {
        if let (0xdc00..=0xdfff, Some(first)) = (unit, *high) {
            *high = None;
            self.budget.grow(self.bytes, 4, self.what)?;
            let point = 0x1_0000 + ((u32::from(first) & 0x3ff) << 10 | u32::from(unit) & 0x3ff);
            let c = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
            return self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.flush(high)?;
        if (0xd800..=0xdbff).contains(&unit) {
            *high = Some(unit);
            return Ok(());
        }
        self.push_unit(unit)
    }

    /// Appends a high surrogate that stayed alone.
    #[inline]
    fn flush(&mut self, high: &mut Option<u16>) -> Result<()> {
        high.take().map_or(Ok(()), |unit| self.push_unit(unit))
    }

    fn push_unit(&mut self, unit: u16) -> Result<()> {
        self.budget.grow(self.bytes, 3, self.what)?;
        let tail = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
        match unit {
            0..0x80 => self.bytes.push(unit as u8)?,
            0x80..0x800 => self.bytes.extend_from_slice(&[0xc0 | (unit >> 6) as u8, tail(0)])?,
            _ => self.bytes.extend_from_slice(&[0xe0 | (unit >> 12) as u8, tail(6), tail(0)])?,
        }
        Ok(())
    }
}

/// Whether a text without quotes and escapes is nothing but ASCII without control characters. One look at all of it, many bytes at a
/// time: nearly every text is.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(0, |most, b| b.wrapping_sub(0x20).max(most)) < 0x60
}

/// The byte so many behind the next one.
fn byte(text: &mut impl Bytes, at: usize) -> Result<u8> {
    while text.rest().len() <= at {
        text.more()?;
    }
    Ok(text.rest()[at])
}

fn corrupt(text: &impl Bytes, message: &str) -> Error {
    Error::at(Code::Corrupt, text.offset(), message)
}
