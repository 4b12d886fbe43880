//! Numbers and names as people read them.

/// Bytes in decimal units, as DevTools writes them: three digits that matter.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    let digits = if unit == "B" || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$} {unit}")
}

/// Bytes with a sign.
pub(crate) fn bytes_delta(delta: i64) -> String {
    let sign = if delta < 0 { "−" } else { "+" };
    format!("{sign}{}", bytes(delta.unsigned_abs()))
}

/// A whole number in groups of three.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A whole number with a sign.
pub(crate) fn count_delta(n: i64) -> String {
    let sign = if n < 0 { "−" } else { "+" };
    format!("{sign}{}", count(n.unsigned_abs()))
}

/// A share of the total, without decimals.
pub(crate) fn percent(part: u64, total: u64) -> String {
    if total == 0 {
        return "0 %".to_owned();
    }
    format!("{:.0} %", part as f64 * 100.0 / total as f64)
}

/// Text from the heap on one line: what would move the cursor or change colours is shown as a dot, and it is cut to `width`.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == width {
            out.pop();
            out.push('…');
            break;
        }
        // Besides control characters, the ones that turn the direction of writing around.
        let unsafe_to_print =
            c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        out.push(if unsafe_to_print { '·' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (45_120_000, "45.1 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(bytes_delta(-1500), "−1.5 kB");
    }

    #[test]
    fn counts_and_shares() {
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(count), ["0", "12", "123", "1,234", "1,234,567"]);
        assert_eq!(count_delta(-1000), "−1,000");
        assert_eq!((percent(1, 3), percent(5, 0)), ("33 %".into(), "0 %".into()));
    }

    #[test]
    fn names_cannot_touch_the_terminal() {
        assert_eq!(one_line("a\x1b[31mb\nc\u{202e}", 80), "a·[31mb·c·");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("abcd", 4), "abcd");
        assert_eq!(one_line("abcd", 0), "…");
    }
}
