//! Owned JavaScript strings: what names are made of.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};

use crate::snapshot::JsStr;

/// An owned JavaScript string in WTF-8: it can hold the half of a surrogate pair that V8 leaves when it cuts names.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct JsString(Vec<u8>);

impl JsString {
    /// The WTF-8 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Borrowed.
    pub fn as_js_str(&self) -> JsStr<'_> {
        JsStr(&self.0)
    }

    /// For people: lone surrogates become U+FFFD.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        self.as_js_str().to_string_lossy()
    }

    /// From UTF-16, as JavaScript has it.
    pub fn from_utf16(units: &[u16]) -> Self {
        let mut text = JsString::default();
        for c in char::decode_utf16(units.iter().copied()) {
            match c {
                Ok(c) => text.push_str(c.encode_utf8(&mut [0; 4])),
                Err(e) => {
                    let unit = e.unpaired_surrogate();
                    text.0.extend([0xed, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
                }
            }
        }
        text
    }

    /// Appends; two halves of a surrogate pair that meet become one character.
    pub fn push(&mut self, text: JsStr<'_>) {
        let text = text.as_bytes();
        if let ([.., 0xed, b @ 0xa0..=0xaf, c], [0xed, d @ 0xb0..=0xbf, e, ..]) = (&self.0[..], text) {
            let high = u32::from(b & 0xf) << 6 | u32::from(c & 0x3f);
            let low = u32::from(d & 0xf) << 6 | u32::from(e & 0x3f);
            if let Some(joined) = char::from_u32(0x10000 + (high << 10) + low) {
                self.0.truncate(self.0.len() - 3);
                self.push_str(joined.encode_utf8(&mut [0; 4]));
                self.0.extend_from_slice(&text[3..]);
                return;
            }
        }
        self.0.extend_from_slice(text);
    }

    /// Appends well-formed text.
    pub fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        JsString(text.as_bytes().to_vec())
    }
}

impl From<JsStr<'_>> for JsString {
    fn from(text: JsStr<'_>) -> Self {
        JsString(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

/// In JSON a lone surrogate becomes U+FFFD: JSON text is Unicode.
impl Serialize for JsString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string_lossy())
    }
}

/// A property name as DevTools writes it: quoted as in JSON when it has a character that would confuse.
pub fn format_property(name: JsStr<'_>) -> Cow<'_, [u8]> {
    let bytes = name.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b',' | b'\'' | b'"' | b'{' | b'}')) {
        return Cow::Borrowed(bytes);
    }
    let mut out = vec![b'"'];
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            control @ 0..0x20 => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            other => match bytes[i..] {
                [0xed, b @ 0xa0..=0xff, c, ..] => {
                    let unit = 0xd000 | u32::from(b & 0x3f) << 6 | u32::from(c & 0x3f);
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    i += 2;
                }
                _ => out.push(other),
            },
        }
        i += 1;
    }
    out.push(b'"');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wtf8(units: &[u16]) -> Vec<u8> {
        JsString::from_utf16(units).0
    }

    #[test]
    fn lengths_and_order_are_those_of_utf16() {
        let pieces: [&[u16]; 12] = [
            &[],
            &[0x41],
            &[0x7f, 0x41],
            &[0xe9],
            &[0x7ff],
            &[0xd7ff],
            &[0xd800],
            &[0xd800, 0xdc00],
            &[0xdbff, 0xdfff],
            &[0xdfff],
            &[0xe000],
            &[0xffff],
        ];
        for first in pieces {
            for second in pieces {
                let units: Vec<u16> = first.iter().chain(second).copied().collect();
                let text = wtf8(&units);
                assert_eq!(JsStr(&text).utf16_len(), units.len(), "{units:x?}");
                assert_eq!(JsStr(&text).to_utf16(), units);
                let mut joined = JsString::from(JsStr(&wtf8(first)));
                joined.push(JsStr(&wtf8(second)));
                assert_eq!(joined.as_bytes(), text, "{units:x?}");
                for third in pieces {
                    assert_eq!(
                        JsStr(&text).cmp_utf16(JsStr(&wtf8(third))),
                        units[..].cmp(third),
                        "{units:x?} {third:x?}"
                    );
                }
            }
        }
    }

    #[test]
    fn property_names() {
        let f = |name: &[u8]| String::from_utf8(format_property(JsStr(name)).into_owned()).unwrap();
        assert_eq!(f(b"a b\n\\"), "a b\n\\");
        assert_eq!(f(b"x,y"), "\"x,y\"");
        assert_eq!(f("q\"'\\\n\u{1}é".as_bytes()), "\"q\\\"'\\\\\\n\\u0001é\"");
        assert_eq!(f(b"{\xed\xa0\xbd"), "\"{\\ud83d\"");
    }
}
