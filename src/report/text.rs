//! The report on a terminal: one screen that answers, and a next step.

use super::{Growth, Report};
use crate::analysis::format::{bytes, bytes_delta, count, count_delta, one_line, percent};
use crate::analysis::{ClassRow, Statistics, Suspect};

/// How the text is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// Columns of the terminal; 80 without, never less than 60.
    pub width: Option<usize>,
    /// Whether to use ANSI colours.
    pub color: bool,
}

/// The widest the table gets: longer lines are hard to follow.
const MAX_WIDTH: usize = 120;
/// Columns that a table's numbers take.
const NUMBERS: usize = 38;
/// The longest bar.
const BAR: u64 = 20;

impl Report {
    /// For a terminal.
    pub fn to_text(&self, options: &TextOptions) -> String {
        let width = options.width.unwrap_or(80).clamp(60, MAX_WIDTH);
        let mut page = Page { out: String::new(), width, color: options.color };
        page.head(self);
        page.suspects(&self.suspects);
        page.statistics(&self.statistics);
        if let Some(growth) = &self.growth {
            page.growth(growth);
        }
        page.classes(&self.classes, self.totals.classes, self.statistics.total);
        page.next(self);
        page.out
    }
}

/// The slices of DevTools' Statistics, by its labels.
pub(super) fn slices(s: &Statistics) -> [(&'static str, u64); 7] {
    let named = s.v8heap.code + s.v8heap.strings + s.v8heap.js_arrays + s.v8heap.system;
    [
        ("Code", s.v8heap.code),
        ("Strings", s.v8heap.strings),
        ("JS arrays", s.v8heap.js_arrays),
        ("Typed arrays", s.native.typed_arrays),
        ("System objects", s.v8heap.system),
        ("Other JS objects", s.v8heap.total.saturating_sub(named)),
        ("Other non-JS objects", s.native.total.saturating_sub(s.native.typed_arrays)),
    ]
}

struct Page {
    out: String,
    width: usize,
    color: bool,
}

impl Page {
    fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref().trim_end());
        self.out.push('\n');
    }

    /// `code` is an ANSI attribute.
    fn styled(&self, code: u8, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.styled(1, text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled(2, text)
    }

    fn head(&mut self, report: &Report) {
        if let Some(file) = &report.file {
            let file = one_line(file, self.width);
            self.line(self.bold(&file));
        }
        let t = &report.totals;
        let sums = format!(
            "{} in {} objects of {} classes, with {} references",
            self.bold(&bytes(t.total_size)),
            count(t.nodes),
            count(t.classes),
            count(t.edges)
        );
        self.line(sums);
        self.line("");
    }

    fn suspects(&mut self, suspects: &[Suspect]) {
        if suspects.is_empty() {
            return;
        }
        self.line(self.bold(if suspects.len() == 1 { "Suspect" } else { "Suspects" }));
        for (i, suspect) in suspects.iter().enumerate() {
            let text = one_line(&suspect.explanation, usize::MAX);
            for (line, text) in wrap(&text, self.width - 5).into_iter().enumerate() {
                let number = if line == 0 { format!("{}.", i + 1) } else { String::new() };
                self.line(format!("  {number:<3}{text}"));
            }
        }
        self.line("");
    }

    fn statistics(&mut self, statistics: &Statistics) {
        let mut slices = slices(statistics);
        slices.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
        for (label, size) in slices.into_iter().filter(|&(_, size)| size > 0) {
            let share = size as f64 / statistics.total.max(1) as f64;
            let bar = "█".repeat((share * BAR as f64).round() as usize);
            let row = format!(
                "  {label:<22}{:>9} {:>6}  {}",
                bytes(size),
                percent(size, statistics.total),
                self.styled(36, &bar)
            );
            self.line(row);
        }
        self.line("");
    }

    fn classes(&mut self, rows: &[ClassRow], of: u64, total: u64) {
        let name = self.width - NUMBERS;
        let title = one_line(&format!("Classes that retain most ({} of {})", rows.len(), count(of)), name);
        let head = format!("{title:<name$}{:>11}{:>10}{:>17}", "objects", "self", "retained");
        self.line(self.bold(&head));
        for row in rows {
            let line = format!(
                "  {:<short$}{:>11}{:>10}{:>10} {:>6}",
                one_line(&row.name.to_string_lossy(), name - 3),
                count(row.count),
                bytes(row.self_size),
                bytes(row.retained_size),
                percent(row.retained_size, total),
                short = name - 2,
            );
            self.line(line);
        }
        self.line("");
    }

    fn growth(&mut self, growth: &Growth) {
        let since = growth.base_file.as_deref().unwrap_or("the base");
        let sums = format!(
            "{} since {} ({})",
            self.bold(&bytes_delta(growth.size_delta)),
            one_line(since, self.width),
            bytes(growth.base_total_size)
        );
        self.line(sums);
        let name = self.width - NUMBERS;
        let head = format!("{:<name$}{:>9}{:>9}{:>9}{:>11}", "Classes that grew most", "new", "gone", "net", "bytes");
        self.line(self.bold(&head));
        if growth.classes.is_empty() {
            self.line("  none");
        }
        for row in &growth.classes {
            let line = format!(
                "  {:<short$}{:>9}{:>9}{:>9}{:>11}",
                one_line(&row.name.to_string_lossy(), name - 3),
                count(row.added_count),
                count(row.removed_count),
                count_delta(row.count_delta),
                bytes_delta(row.size_delta),
                short = name - 2,
            );
            self.line(line);
        }
        self.line("");
    }

    fn next(&mut self, report: &Report) {
        let file = shell_word(report.file.as_deref().unwrap_or("FILE"));
        if let Some(suspect) = report.suspects.first() {
            self.line(self.dim(&format!("Next: heaprs retainers {file} @{}", suspect.holder_id)));
            return;
        }
        let Some(biggest) = &report.biggest else { return };
        let class = one_line(&biggest.class_name.to_string_lossy(), self.width / 2);
        let what = format!("The biggest {class} is @{}, {}", biggest.id, bytes(biggest.retained_size));
        self.line(self.bold(&what));
        for line in wrap(&biggest.path_line(), self.width - 2) {
            self.line(format!("  {line}"));
        }
        self.line("");
        self.line(self.dim(&format!("Next: heaprs retainers {file} @{}", biggest.id)));
    }
}

/// Breaks text at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut length = usize::MAX;
    for word in text.split(' ') {
        let own = word.chars().count();
        match lines.last_mut() {
            Some(line) if length + 1 + own <= width => {
                line.push(' ');
                line.push_str(word);
                length += 1 + own;
            }
            _ => {
                lines.push(word.to_owned());
                length = own;
            }
        }
    }
    lines
}

/// A file name as a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", one_line(text, usize::MAX).replace('\'', r"'\''"))
}
