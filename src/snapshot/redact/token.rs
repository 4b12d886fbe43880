//! What stands in place of a redacted text: as long, the same for the same text, another for another.
//!
//! A stand-in starts with a character that no stand-in goes on with, so that the two halves of a concatenated string
//! never look like another string.

/// The first character of nearly all stand-ins. Wide ones start those of which there are too many for that.
const START: u16 = b'#' as u16;
const FILL: u16 = b'*' as u16;
/// First characters for short texts beyond the plain ones: Chinese characters and Korean syllables.
const WIDE_START: u32 = 0x3400;
const WIDE: u32 = 0xd7a4 - WIDE_START;
/// From this length on the number of the string fits in.
const LONG: usize = 8;

#[derive(Default)]
pub(super) struct Tokens {
    /// How many texts of each short length there were.
    short: [u32; LONG],
}

impl Tokens {
    /// The stand-in for a text of `length` UTF-16 units. To be asked once for a text; `string` is its number.
    pub(super) fn next(&mut self, length: usize, string: u32) -> Vec<u16> {
        if length == 0 {
            return Vec::new();
        }
        let mut token = vec![FILL; length];
        let mut number = string;
        token[0] = START;
        if length < LONG {
            number = self.short[length];
            self.short[length] += 1;
            let plain = 36u32.pow(length as u32 - 1);
            if number >= plain {
                let wide = (number - plain) / plain;
                // Of one unit there are fewer texts than this can number; V8 writes no lone surrogates.
                token[0] = (WIDE_START + wide % WIDE) as u16;
                number %= plain;
            }
        }
        for place in token[1..].iter_mut().rev() {
            *place = u16::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
            number /= 36;
            if number == 0 {
                break;
            }
        }
        token
    }
}

/// A stand-in for a part of a text that is told from others by what is left.
pub(super) fn blank(text: &[u16]) -> Vec<u16> {
    let mut token = vec![FILL; text.len()];
    if let Some(first) = token.first_mut() {
        *first = START;
    }
    // DevTools takes a name with a line's end in it for another one than it is: that stays so.
    if let Some(last) = token.last_mut().filter(|_| text.iter().any(|u| matches!(u, 10 | 13 | 0x2028 | 0x2029))) {
        *last = 10;
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustc_hash::FxHashSet;

    #[test]
    fn stand_ins_keep_lengths_apart_and_texts_apart() {
        let mut tokens = Tokens::default();
        let mut seen = FxHashSet::default();
        for i in 0..60_000u32 {
            let length = 1 + (i as usize % 11);
            let token = tokens.next(length, i);
            assert_eq!(token.len(), length);
            assert!(String::from_utf16(&token).is_ok());
            assert!(token[1..].iter().all(|&u| u < 0x80 && u != START), "only the first may be a first");
            assert!(seen.insert(token), "{i}");
        }
        assert!(tokens.next(0, 1).is_empty());
    }

    #[test]
    fn a_line_end_stays_one() {
        assert_eq!(blank(&[1, 10, 2]), [START, FILL, 10]);
        assert_eq!(blank(&[1]), [START]);
        assert!(blank(&[]).is_empty());
    }
}
