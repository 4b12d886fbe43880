//! JavaScript strings as the file has them: UTF-16 that may hold lone surrogates, kept as WTF-8.

use std::borrow::Cow;

/// A JavaScript string: WTF-8 bytes (UTF-8 in which a lone surrogate is three bytes).
///
/// Equality and order of bytes are equality of the strings; order by UTF-16 units is [`JsStr::cmp_utf16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JsStr<'a>(pub &'a [u8]);

impl<'a> JsStr<'a> {
    /// The WTF-8 bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
    /// For people: lone surrogates become U+FFFD.
    pub fn to_string_lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }
    /// Whether it is this (well-formed) text.
    pub fn is(self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

/// The string table.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    pub(crate) bytes: Vec<u8>,
    /// End of each string in `bytes`.
    pub(crate) ends: Vec<u64>,
}

impl Strings {
    /// How many strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// The string at an index; indices are checked when the file is read.
    pub fn get(&self, index: u32) -> JsStr<'_> {
        let i = index as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        JsStr(&self.bytes[start as usize..self.ends[i] as usize])
    }
}
