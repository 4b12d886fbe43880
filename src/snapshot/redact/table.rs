//! The string table: each text once for each of its uses.

use std::io::Write;

use super::{
    Output, literal, names,
    token::Tokens,
    uses::{SLOTS, Slot, Uses},
};
use crate::{
    error::{Code, Result},
    snapshot::{records::Bytes, text::Text},
};

/// What V8 writes for strings, symbols and numbers whose text it does not show: names, though they stand where content does.
const PLACEHOLDERS: [&str; 10] = [
    "(concatenated string)",
    "(sliced string)",
    "symbol",
    "private symbol",
    "bigint",
    "heap number",
    "smi number",
    "bool",
    "int",
    "double",
];

/// Copies the strings, behind their `[` and before their `]`.
pub(super) fn copy<W: Write>(text: &mut Text, out: &mut Output<W>, uses: &mut Uses) -> Result<()> {
    text.section = "\"strings\"";
    text.expect(b'[')?;
    let mut table = Table { uses, tokens: Tokens::default(), units: Vec::new() };
    let mut raw = Vec::new();
    let mut string = 0u32;
    if text.token()? == b']' {
        text.advance(1);
    } else {
        loop {
            literal::read(text, &mut raw)?;
            table.write(string, &raw, out)?;
            string += 1;
            match text.token()? {
                b',' => text.advance(1),
                b']' => break,
                _ => return Err(text.error(Code::Corrupt, "expected ',' or ']' between strings")),
            }
        }
        text.advance(1);
    }
    if table.uses.any_from(string) {
        return Err(text.error(Code::Corrupt, format!("a name refers to a string, and there are {string}")));
    }
    Ok(())
}

struct Table<'u> {
    uses: &'u Uses,
    tokens: Tokens,
    units: Vec<u16>,
}

impl Table<'_> {
    fn write<W: Write>(&mut self, string: u32, raw: &[u8], out: &mut Output<W>) -> Result<()> {
        if SLOTS.iter().any(|&slot| self.uses.is_used(string, slot)) {
            literal::decode(raw, &mut self.units)?;
        }
        // A content and a key of one text look alike.
        let mut token: Option<Vec<u16>> = None;
        for &slot in &SLOTS[..self.uses.slots() as usize] {
            if string > 0 || slot != Slot::Name {
                out.put(if slot == Slot::Name { b",\n" } else { b"," })?;
            }
            if !self.uses.is_used(string, slot) {
                out.put(b"\"\"")?;
                continue;
            }
            let kept = match slot {
                Slot::Name => match self.name(string) {
                    Name::Stays => true,
                    Name::Becomes(units) => {
                        literal::write(&units, out)?;
                        continue;
                    }
                    Name::Goes => false,
                },
                Slot::Content => PLACEHOLDERS.iter().any(|p| is(&self.units, p)),
                Slot::Key => is_v8s(&self.units) || self.uses.keys.as_ref().is_some_and(|k| k.is_named(string)),
                Slot::Number => {
                    let truth = is(&self.units, "true") || is(&self.units, "false");
                    let number = is_number(&self.units);
                    if number && !truth && !self.uses.redaction.keep_numbers {
                        // Another number, the same for the same.
                        literal::write(&string.to_string().encode_utf16().collect::<Vec<_>>(), out)?;
                        continue;
                    }
                    number || truth
                }
            };
            if kept {
                literal::write(&self.units, out)?;
            } else {
                let token = token.get_or_insert_with(|| self.tokens.next(self.units.len(), string));
                literal::write(token, out)?;
            }
        }
        Ok(())
    }

    fn name(&mut self, string: u32) -> Name {
        if let Some(keys) = &self.uses.keys
            && !keys.keeps(string)
            && !is_v8s(&self.units)
        {
            return Name::Goes;
        }
        names::redacted(&self.units, string, self.uses, &mut self.tokens).map_or(Name::Stays, Name::Becomes)
    }
}

enum Name {
    Stays,
    Becomes(Vec<u16>),
    Goes,
}

fn is(units: &[u16], text: &str) -> bool {
    units.len() == text.len() && text.bytes().zip(units).all(|(b, &u)| u16::from(b) == u)
}

/// Whether it is a property name that JavaScript itself defines.
fn is_v8s(units: &[u16]) -> bool {
    let symbol = is(&units[..units.len().min(15)], "<symbol Symbol.") && units.last() == Some(&u16::from(b'>'));
    symbol || is(units, "__proto__")
}

/// Whether it is a number as JavaScript writes one.
fn is_number(units: &[u16]) -> bool {
    let Ok(text) = String::from_utf16(units) else { return false };
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)) && text.parse::<f64>().is_ok();
    digits || ["NaN", "Infinity", "-Infinity"].contains(&&*text)
}
