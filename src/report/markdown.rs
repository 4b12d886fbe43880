//! The report as Markdown, for an issue or a pull request.

use std::fmt::Write;

use super::{Report, text::slices};
use crate::analysis::format::{bytes, bytes_delta, count, count_delta, one_line, percent};

/// Longer class names are cut.
const MAX_NAME: usize = 120;

impl Report {
    /// As Markdown with tables.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        let t = &self.totals;
        let file = self.file.as_deref().unwrap_or("Heap snapshot");
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!("## {}\n", cell(file)));
        line(format!(
            "**{}** in {} objects of {} classes, with {} references\n",
            bytes(t.total_size),
            count(t.nodes),
            count(t.classes),
            count(t.edges)
        ));
        if !self.suspects.is_empty() {
            line("### Suspects\n".into());
            for (i, suspect) in self.suspects.iter().enumerate() {
                line(format!(
                    "{}. {} (\\@{})",
                    i + 1,
                    escape(&one_line(&suspect.explanation, usize::MAX)),
                    suspect.holder_id
                ));
            }
            line(String::new());
        }
        line("| Kind | Size | Share |\n| --- | ---: | ---: |".into());
        for (label, size) in slices(&self.statistics).into_iter().filter(|&(_, size)| size > 0) {
            line(format!("| {label} | {} | {} |", bytes(size), percent(size, self.statistics.total)));
        }
        if let Some(growth) = &self.growth {
            let since = growth.base_file.as_deref().unwrap_or("the base");
            line(format!("\n### {} since {}\n", bytes_delta(growth.size_delta), cell(since)));
            line("| Class | New | Gone | Net | Bytes |\n| --- | ---: | ---: | ---: | ---: |".into());
            for row in &growth.classes {
                line(format!(
                    "| {} | {} | {} | {} | {} |",
                    cell(&row.name.to_string_lossy()),
                    count(row.added_count),
                    count(row.removed_count),
                    count_delta(row.count_delta),
                    bytes_delta(row.size_delta)
                ));
            }
        }
        line("\n### Classes that retain most\n".into());
        line("| Class | Objects | Self | Retained | Share |\n| --- | ---: | ---: | ---: | ---: |".into());
        for row in &self.classes {
            line(format!(
                "| {} | {} | {} | {} | {} |",
                cell(&row.name.to_string_lossy()),
                count(row.count),
                bytes(row.self_size),
                bytes(row.retained_size),
                percent(row.retained_size, t.total_size)
            ));
        }
        if let Some(biggest) = self.biggest.as_ref().filter(|_| self.suspects.is_empty()) {
            let class = cell(&biggest.class_name.to_string_lossy());
            line(format!("\n### The biggest {class} is @{}, {}\n", biggest.id, bytes(biggest.retained_size)));
            line(escape(&biggest.path_line()));
        }
        out
    }
}

/// A name from the heap, short, and text in a table too.
fn cell(text: &str) -> String {
    escape(&one_line(text, MAX_NAME))
}

/// Text that no renderer takes for anything else.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            // Entities: no renderer takes them for markup, and none leaves HTML in.
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '@' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        assert_eq!(cell("<img src=x>|`a`\n"), "&lt;img src=x&gt;\\|\\`a\\`·");
    }
}
