//! Names in which V8 or a browser repeats content: entries of WeakMaps, data: URLs, queries, elements with attributes.

use super::{
    token::{self, Tokens},
    uses::Uses,
};

const PART_OF_KEY: &str = " / part of key (";
const ARROW: &str = ") -> value (";
const IN_TABLE: &str = ") pair in WeakMap (table @";

/// What the name becomes, as long as it was and still another one than others; `None` when it may stay.
pub(super) fn redacted(name: &[u16], string: u32, uses: &Uses, tokens: &mut Tokens) -> Option<Vec<u16>> {
    if let Some(entry) = weak_map(name, uses) {
        return Some(entry);
    }
    let (from, to) = url(name).or_else(|| element(name))?;
    let mut result = name[..from].to_vec();
    result.extend(tokens.next(to - from, string));
    result.extend(&name[to..]);
    Some(result)
}

/// Whether a name of an edge repeats the names of two nodes, and what is left of it.
fn weak_map(name: &[u16], uses: &Uses) -> Option<Vec<u16>> {
    let digits = name.iter().take_while(|&&u| is_digit(u)).count();
    let rest = strip(&name[digits..], PART_OF_KEY).filter(|_| digits > 0)?;
    let start = name.len() - rest.len();
    let mut result = name[..start].to_vec();
    let Some((key, value, end)) = halves(rest) else {
        // V8 has cut it, or two readings are possible: nothing of it is known to be a name.
        result.extend(ambiguous(rest));
        return Some(result);
    };
    for (half, behind) in [(key, ARROW), (value, "")] {
        let (name, id) = half;
        match id.1 {
            Some(id) if uses.is_named(id) => result.extend(name),
            _ => result.extend(token::blank(name)),
        }
        result.extend(id.0);
        result.extend(behind.encode_utf16());
    }
    result.extend(end);
    Some(result)
}

/// A name and its " @id".
type Half<'a> = (&'a [u16], (&'a [u16], Option<u32>));

/// Key, value and the rest, if there is one way to read them.
fn halves(rest: &[u16]) -> Option<(Half<'_>, Half<'_>, &[u16])> {
    let end = rfind(rest, IN_TABLE)?;
    let (pair, end) = rest.split_at(end);
    let mut found = None;
    for at in find_all(pair, ARROW) {
        let Some(key) = half(&pair[..at]) else { continue };
        let Some(value) = half(&pair[at + ARROW.len()..]) else { continue };
        if found.replace((key, value, end)).is_some() {
            return None;
        }
    }
    found
}

/// Splits " @digits" off.
fn half(text: &[u16]) -> Option<Half<'_>> {
    let digits = text.iter().rev().take_while(|&&u| is_digit(u)).count();
    let name = text[..text.len() - digits].strip_suffix(&[b' ', b'@'].map(u16::from)).filter(|_| digits > 0)?;
    let id = text[text.len() - digits..]
        .iter()
        .try_fold(0u32, |id, &d| id.checked_mul(10)?.checked_add(u32::from(d - u16::from(b'0'))));
    Some((name, (&text[name.len()..], id)))
}

/// A name that could be read in more than one way: DevTools still finds a pair where it found one, and the same table.
fn ambiguous(rest: &[u16]) -> Vec<u16> {
    let whole = || {
        let end = rfind(rest, IN_TABLE)?;
        let (pair, end) = rest.split_at(end);
        let at = find_all(pair, ARROW)
            .find(|&at| half(&pair[..at]).is_some() && half(&pair[at + ARROW.len()..]).is_some())?;
        let (key, value) = (half(&pair[..at])?, half(&pair[at + ARROW.len()..])?);
        let mut result = token::blank(key.0);
        result.extend(key.1.0);
        result.extend(ARROW.encode_utf16());
        result.extend(token::blank(value.0));
        result.extend(value.1.0);
        result.extend(end);
        Some(result)
    };
    whole().unwrap_or_else(|| token::blank(rest))
}

/// Where in a name the source text of a data: URL is, or the query and fragment of any other.
fn url(name: &[u16]) -> Option<(usize, usize)> {
    if strip(name, "data:").is_some() {
        return Some(("data:".len(), name.len()));
    }
    let path = find_all(name, "://").next()?;
    let query = name[path..].iter().position(|&u| u == u16::from(b'?') || u == u16::from(b'#'))?;
    Some((path + query + 1, name.len()))
}

/// Where the attributes are that a browser writes into the name of an element. Its class name is what stands before them.
fn element(name: &[u16]) -> Option<(usize, usize)> {
    let tag = strip(name, "Detached ").unwrap_or(name);
    strip(tag, "<")?;
    find_all(tag, "=\"").next()?;
    let from = name.len() - tag.len() + tag.iter().position(|&u| u == u16::from(b' '))? + 1;
    // The last one is the closing '>'.
    Some((from, (name.len() - 1).max(from)))
}

fn is_digit(unit: u16) -> bool {
    (0x30..0x3a).contains(&unit)
}

fn strip<'a>(text: &'a [u16], prefix: &str) -> Option<&'a [u16]> {
    let matches = text.len() >= prefix.len() && prefix.bytes().zip(text).all(|(b, &u)| u16::from(b) == u);
    matches.then(|| &text[prefix.len()..])
}

fn find_all<'a>(text: &'a [u16], part: &'a str) -> impl Iterator<Item = usize> + 'a {
    (0..text.len()).filter(move |&at| strip(&text[at..], part).is_some())
}

fn rfind(text: &[u16], part: &str) -> Option<usize> {
    (0..text.len()).rev().find(|&at| strip(&text[at..], part).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Redaction;

    fn after(name: &str) -> String {
        let mut uses = Uses::new(Redaction::default());
        uses.add_named(3);
        let units: Vec<u16> = name.encode_utf16().collect();
        redacted(&units, 7, &uses, &mut Tokens::default()).map_or(name.into(), |units| {
            assert_eq!(units.len(), name.encode_utf16().count());
            String::from_utf16(&units).unwrap()
        })
    }

    #[test]
    fn entries_of_weak_maps() {
        let entry = |key, value| format!("12 / part of key ({key}) -> value ({value}) pair in WeakMap (table @11)");
        assert_eq!(after(&entry("Foo @3", "secret @7")), entry("Foo @3", "#***** @7"));
        assert_eq!(after(&entry("sec\nret @5", "secret @7")), entry("#*****\n @5", "#***** @7"));
        assert_eq!(
            after(&entry("a @3) -> value (b @3", "x @3")),
            entry("# @3", "#**************** @3"),
            "two readings"
        );
        let cut = "12 / part of key (secret that V8 has cut";
        assert!(!after(cut).contains("secret"));
        assert_eq!(after("12 / Divide"), "12 / Divide");
    }

    #[test]
    fn addresses_and_elements() {
        assert_eq!(after("data:text/javascript,a"), "data:#***************7");
        assert_eq!(after("file:///app/x.mjs?token=1"), "file:///app/x.mjs?#*****0");
        assert_eq!(after("file:///app/x.mjs"), "file:///app/x.mjs");
        assert_eq!(after("<div id=\"x\" class=\"y\">"), "<div #**************7>");
        assert_eq!(after("Detached <p id=\"x\">"), "Detached <p #****0>");
        for kept in ["<symbol a b>", "<div>", "/app/a.js", "why?", "Window / https://host/path"] {
            assert_eq!(after(kept), kept);
        }
    }
}
