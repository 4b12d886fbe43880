//! JSON's string literals, read one at a time and written.

use super::Output;
use crate::{
    error::{Code, Error, Result},
    snapshot::{records::Bytes, text::Text},
};
use std::io::Write;

/// V8 writes 1024 characters at most; longer texts than this are nobody's.
const MAX_BYTES: usize = 512 << 20;

/// Reads one literal as it stands, between its quotes, into `raw`.
pub(super) fn read(text: &mut Text, raw: &mut Vec<u8>) -> Result<()> {
    text.expect(b'"')?;
    raw.clear();
    let mut escaped = false;
    loop {
        let mut len = 0;
        let mut done = false;
        for &b in text.rest() {
            if b < 0x20 {
                return Err(text.error(Code::Corrupt, "a string holds a control character that is not escaped"));
            }
            done = b == b'"' && !escaped;
            if done {
                break;
            }
            escaped = b == b'\\' && !escaped;
            len += 1;
        }
        if raw.len() + len > MAX_BYTES {
            return Err(text.error(Code::MemoryBudget, format!("a string has more than {MAX_BYTES} bytes")));
        }
        raw.extend_from_slice(&text.rest()[..len]);
        text.advance(len);
        if done {
            text.advance(1);
            return Ok(());
        }
        if !text.refill()? {
            return Err(text.truncated());
        }
    }
}

/// The UTF-16 units of a literal; what is no UTF-8 becomes U+FFFD.
pub(super) fn decode(raw: &[u8], units: &mut Vec<u16>) -> Result<()> {
    units.clear();
    let mut rest = raw;
    loop {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        units.extend(String::from_utf8_lossy(&rest[..plain]).encode_utf16());
        let Some(&letter) = rest.get(plain + 1) else { return Ok(()) };
        rest = &rest[plain + 2..];
        units.push(match letter {
            b'"' | b'\\' | b'/' => u16::from(letter),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits = rest.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
                let unit = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let unit = unit.and_then(|digits| u16::from_str_radix(digits, 16).ok());
                rest = rest.get(4..).unwrap_or_default();
                unit.ok_or_else(|| Error::new(Code::Corrupt, "\\u in a string wants four hexadecimal digits"))?
            }
            _ => return Err(Error::new(Code::Corrupt, "a string has an escape that JSON does not know")),
        });
    }
}

/// Writes a literal with its quotes, in ASCII as V8 does.
pub(super) fn write<W: Write>(units: &[u16], out: &mut Output<W>) -> Result<()> {
    let mut literal = Vec::with_capacity(units.len() + 2);
    literal.push(b'"');
    for &unit in units {
        match unit {
            0x22 | 0x5c => literal.extend([b'\\', unit as u8]),
            0x20..0x7f => literal.push(unit as u8),
            _ => literal.extend(format!("\\u{unit:04x}").bytes()),
        }
    }
    literal.push(b'"');
    out.put(&literal)
}
