//! JavaScript strings as the file has them: UTF-16 that may hold lone surrogates, kept as WTF-8.

use std::{borrow::Cow, cmp::Ordering, fmt, ops::Range};

/// A JavaScript string: WTF-8 bytes (UTF-8 in which a lone surrogate is three bytes).
///
/// Equality of bytes is equality of the strings; order by UTF-16 units is [`JsStr::cmp_utf16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JsStr<'a>(pub &'a [u8]);

impl<'a> JsStr<'a> {
    /// The WTF-8 bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// For people: each lone surrogate becomes one U+FFFD.
    pub fn to_string_lossy(self) -> Cow<'a, str> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(char::decode_utf16(self.code_units()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }

    /// Whether it is this (well-formed) text.
    pub fn is(self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }

    /// Whether it starts with this (well-formed) text.
    pub fn starts_with(self, text: &str) -> bool {
        self.0.starts_with(text.as_bytes())
    }

    /// Where in the bytes `text` is first found.
    pub fn find(self, text: &str) -> Option<usize> {
        memchr::memmem::find(self.0, text.as_bytes())
    }

    /// The UTF-16 units, as JavaScript sees them.
    pub fn code_units(self) -> impl Iterator<Item = u16> + 'a {
        let mut chars = Chars { bytes: self.0, at: 0 };
        let mut low = None;
        std::iter::from_fn(move || {
            if let Some(low) = low.take() {
                return Some(low);
            }
            let (_, point) = chars.next()?;
            if point < 0x1_0000 {
                return Some(point as u16);
            }
            low = Some(0xdc00 | (point & 0x3ff) as u16);
            Some((0xd800 + ((point - 0x1_0000) >> 10)) as u16)
        })
    }

    /// The UTF-16 units in a vector: what a JavaScript string is made from.
    pub fn to_utf16(self) -> Vec<u16> {
        self.code_units().collect()
    }

    /// JavaScript's `length`.
    pub fn utf16_len(self) -> usize {
        // Each character has one byte that does not continue another; those of four bytes are pairs.
        self.0.iter().map(|&b| usize::from(b & 0xc0 != 0x80) + usize::from(b >= 0xf0)).sum()
    }

    /// JavaScript's `<`.
    pub fn cmp_utf16(self, other: JsStr<'_>) -> Ordering {
        let (a, b) = (self.0, other.0);
        let Some(differs) = a.iter().zip(b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
        let start = (0..=differs).rev().find(|&i| a[i] & 0xc0 != 0x80).unwrap_or(0);
        JsStr(&a[start..]).code_units().cmp(JsStr(&b[start..]).code_units())
    }

    /// JavaScript's `slice` with positions from the start; a pair that is cut leaves a lone surrogate.
    pub fn slice_utf16(self, units: Range<usize>) -> Cow<'a, [u8]> {
        let end = units.end.max(units.start);
        let (from, split_first) = self.byte_of_unit(units.start);
        let (to, split_last) = self.byte_of_unit(end);
        if !split_first && !split_last {
            return Cow::Borrowed(&self.0[from..to]);
        }
        // Whole characters in between, and the halves at the ends.
        let mut out = Vec::with_capacity(to - from + 6);
        let halves = |at: usize| {
            let point = Chars { bytes: self.0, at }.next().map_or(0x1_0000, |(_, point)| point) - 0x1_0000;
            (0xd800 + (point >> 10), 0xdc00 | point & 0x3ff)
        };
        let push = |out: &mut Vec<u8>, unit: u32| {
            out.extend_from_slice(&[0xed, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
        };
        if units.start == end {
            return Cow::Borrowed(&[]);
        }
        let mut whole = from;
        if split_first {
            push(&mut out, halves(from).1);
            whole += 4;
        }
        out.extend_from_slice(&self.0[whole..to]);
        if split_last {
            push(&mut out, halves(to).0);
        }
        Cow::Owned(out)
    }

    /// The byte where the character of a unit begins, and whether the unit is the second half of it. Beyond the end
    /// it is the end.
    fn byte_of_unit(self, unit: usize) -> (usize, bool) {
        let mut before = 0;
        let mut chars = Chars { bytes: self.0, at: 0 };
        while before < unit {
            let Some((at, point)) = chars.next() else { break };
            let units = if point < 0x1_0000 { 1 } else { 2 };
            if before + units > unit {
                return (at, true);
            }
            before += units;
        }
        (chars.at, false)
    }
}

impl fmt::Display for JsStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

/// Code points with where they begin, lone surrogates among them. Bytes that are no WTF-8 give some code point and
/// no panic.
struct Chars<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Chars<'_> {
    type Item = (usize, u32);

    fn next(&mut self) -> Option<(usize, u32)> {
        let start = self.at;
        let lead = u32::from(*self.bytes.get(start)?);
        let (len, first) = match lead {
            0..0xc0 => (1, lead),
            0xc0..0xe0 => (2, lead & 0x1f),
            0xe0..0xf0 => (3, lead & 0xf),
            _ => (4, lead & 7),
        };
        let end = self.bytes.len().min(start + len);
        self.at = end;
        let point = self.bytes[start + 1..end].iter().fold(first, |point, &b| point << 6 | u32::from(b & 0x3f));
        Some((start, point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// WTF-8 from UTF-16, the plain way.
    fn wtf8(units: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        for c in char::decode_utf16(units.iter().copied()) {
            match c {
                Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(e) => {
                    let u = e.unpaired_surrogate();
                    out.extend([0xed, 0x80 | (u >> 6 & 0x3f) as u8, 0x80 | (u & 0x3f) as u8]);
                }
            }
        }
        out
    }

    /// Units near every border between lengths, and halves of pairs often enough to meet.
    fn units() -> impl Strategy<Value = Vec<u16>> {
        let unit = prop_oneof![
            0x20..0x7f_u16,
            prop::sample::select(vec![0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff]),
            prop::sample::select(vec![0xd800, 0xd83d, 0xdbff, 0xdc00, 0xde00, 0xdfff]),
        ];
        prop::collection::vec(unit, 0..12)
    }

    proptest! {
        #[test]
        fn as_a_vector_of_units_would(a in units(), b in units(), from in 0..14usize, len in 0..14usize) {
            let (x, y) = (wtf8(&a), wtf8(&b));
            let (x, y) = (JsStr(&x), JsStr(&y));
            prop_assert_eq!(x.utf16_len(), a.len());
            prop_assert_eq!(x.to_utf16(), a.clone());
            prop_assert_eq!(x.cmp_utf16(y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
            prop_assert_eq!(x.to_string_lossy(), String::from_utf16_lossy(&a));
            let (start, end) = (from.min(a.len()), (from + len).min(a.len()));
            prop_assert_eq!(x.slice_utf16(from..from + len).into_owned(), wtf8(&a[start..end]));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..20), from in 0..20usize, to in 0..20usize) {
            let text = JsStr(&bytes);
            text.slice_utf16(from..to);
            prop_assert!(text.to_utf16().len() <= 2 * bytes.len());
        }
    }

    #[test]
    fn looked_at_by_text() {
        let text = JsStr("system / Context / caf\u{e9}".as_bytes());
        assert!(text.starts_with("system / ") && !text.is("system / "));
        assert_eq!((text.find("Context"), text.find("context")), (Some(9), None));
        assert_eq!(JsStr(b"a\xed\xa0\xbdb").to_string(), "a\u{fffd}b");
    }
}
