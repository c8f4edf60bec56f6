//! The rows of `sdbuild status`, in groups with a label. Pure.

use unicode_width::UnicodeWidthStr as _;

use crate::ui::layout::{NARROW, WIDEST_TABLE, age, column, fit, wrapped};
use crate::ui::sanitize_line;

/// Columns of the labels of groups.
const LABEL: usize = 12;
/// Columns before what stands below its label, on a terminal where there is little room beside it.
const INDENT: usize = 2;
/// Columns of state, size and age with the blanks before them.
const FACTS: usize = 35;
/// On a terminal of fewer columns only name and size are shown, which take this many less than a row.
pub(super) const TABLE_COLUMNS: usize = 70;
const SIZE: usize = 9;
/// Columns of the state with the blank before it.
const STATE: usize = 16;

/// One thing of a group, in lines without the label.
pub(super) struct Row {
    pub(super) lines: Vec<String>,
}

impl Row {
    /// Name, state, size and age in their columns, `width` in all; an empty text leaves its column blank. A name is never cut,
    /// because users copy it: one without room has a line of its own.
    pub(super) fn new(
        name: &str,
        state: &str,
        size: &str,
        seconds: Option<u64>,
        width: usize,
    ) -> Self {
        let name = sanitize_line(name);
        let is_narrow = width < TABLE_COLUMNS - LABEL;
        let age = seconds.map(age).unwrap_or_default();
        let facts = if is_narrow {
            // Where there is no size, state and age have room.
            let state = [state, &age].into_iter().filter(|fact| !fact.is_empty());
            let state = state.collect::<Vec<_>>().join(", ");
            let fact = if size.is_empty() { &state } else { size };
            format!(" {fact:>8}")
        } else if state.is_empty() {
            format!(" {size:>8} {age:>9}")
        } else {
            format!(" {} {size:>8} {age:>9}", column(state, STATE - 1))
        };
        let name_columns = if is_narrow {
            width.saturating_sub(facts.width())
        } else if state.is_empty() {
            width - FACTS + STATE
        } else {
            width - FACTS
        };
        let beside = |name: &str| format!("{}{facts}", column(name, name_columns));
        let lines = if fit(&name, name_columns) == name {
            vec![beside(&name)]
        } else if facts.trim().is_empty() {
            vec![name]
        } else {
            vec![name, beside("")]
        };
        let lines = lines.iter().map(|line| line.trim_end().to_owned());
        Self {
            lines: lines.collect(),
        }
    }
}

/// The lines of all groups: the label of a group stands before its first row.
pub(super) struct Rows {
    pub(super) lines: Vec<String>,
    /// Columns of a row without what is before it.
    pub(super) width: usize,
    /// Columns before each row: the label, or where there is little room the indentation below it.
    indent: usize,
    /// Rows of a group beyond these are counted only.
    max: usize,
}

impl Rows {
    pub(super) fn new(columns: usize, max: usize) -> Self {
        let indent = if columns < NARROW { INDENT } else { LABEL };
        Self {
            lines: Vec::new(),
            width: columns.clamp(LABEL + SIZE + 1, WIDEST_TABLE) - indent,
            indent,
            max,
        }
    }

    /// Adds a group.
    pub(super) fn group(&mut self, label: &str, rows: &[Row]) {
        if rows.is_empty() {
            self.text(label, "none");
            return;
        }
        let shown = if rows.len() > self.max {
            self.max - 1
        } else {
            self.max
        };
        let more = rows.len().saturating_sub(shown);
        let lines = rows.iter().take(shown).flat_map(|row| row.lines.clone());
        let more = (more > 0).then(|| format!("and {more} more: --json lists them"));
        let more = more.iter().flat_map(|text| wrapped(text, self.width));
        let lines: Vec<String> = lines.chain(more).collect();
        self.labelled_lines(label, lines);
    }

    /// Adds a text that may come from others, such as the name of an engine.
    pub(super) fn text(&mut self, label: &str, text: &str) {
        self.labelled_lines(label, wrapped(text, self.width));
    }

    fn labelled_lines(&mut self, label: &str, lines: Vec<String>) {
        if self.indent == INDENT {
            self.lines_below(label, &lines);
            return;
        }
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        let lines = labels.zip(lines);
        let lines = lines.flat_map(|(label, line)| {
            if fit(&line, self.width) == line {
                return vec![format!("{label:<11} {line}")];
            }
            // A line that is too long for the space beside the label goes below it, where there is more.
            let label = (!label.is_empty()).then(|| label.to_owned());
            label.into_iter().chain([format!("  {line}")]).collect()
        });
        self.lines.extend(lines.collect::<Vec<_>>());
    }

    /// Adds `lines` below their label; a short one stands beside it.
    fn lines_below(&mut self, label: &str, lines: &[String]) {
        let beside = self.width + INDENT - LABEL;
        if let [line] = lines
            && fit(line, beside) == *line
        {
            self.lines.push(format!("{label:<11} {line}"));
            return;
        }
        self.lines.push(label.to_owned());
        // The terminal would break an address or a path that is too long: without the indentation more of them fit.
        let fitting = self.width + 1..=self.width + INDENT;
        let below = lines.iter().map(|line| {
            let indent = if fitting.contains(&line.width()) {
                0
            } else {
                INDENT
            };
            format!("{}{line}", " ".repeat(indent))
        });
        self.lines.extend(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_ROWS: usize = 3;

    fn named(name: &str) -> Row {
        Row::new(name, "", "", None, 80 - LABEL)
    }

    #[test]
    fn long_groups_are_cut_and_empty_ones_show_none() {
        let mut rows = Rows::new(80, MAX_ROWS);
        rows.group("runs", &[]);
        rows.group("images", &["a", "b", "c"].map(named));
        rows.group("volumes", &["a", "b", "c", "d"].map(named));
        assert_eq!(
            rows.lines,
            [
                "runs        none",
                "images      a",
                "            b",
                "            c",
                "volumes     a",
                "            b",
                "            and 2 more: --json lists them",
            ]
        );
    }

    /// Names lost their middle, and could not be copied.
    #[test]
    fn names_are_whole_at_every_width() {
        let lines = |name: &str, state: &str, columns| {
            let mut rows = Rows::new(columns, MAX_ROWS);
            let volume = Row::new(name, state, "2.4 GB", Some(7200), rows.width);
            rows.group("volumes", &[volume]);
            rows.lines
        };
        let name = "sdbuild-store-of-a-project-with-a-long-name";
        for columns in [40, 60, 80, 100, 200] {
            for state in ["", "running"] {
                let text = lines(name, state, columns).join("\n");
                assert!(text.contains(name) && text.contains("2.4 GB"), "{text}");
                assert!(
                    text.lines()
                        .all(|line| line.chars().count() <= columns.clamp(45, 100))
                );
            }
        }
        assert_eq!(lines(name, "running", 80).len(), 2);
        // A name reaches into the column of the state where there is none.
        let [line] = &lines(name, "", 80)[..] else {
            panic!("several lines");
        };
        assert!(
            line.ends_with("2 h") && line.chars().count() == 80,
            "{line}"
        );
        let mut rows = Rows::new(40, MAX_ROWS);
        let volumes =
            ["sdbuild-store", name].map(|name| Row::new(name, "", "1 GB", None, rows.width));
        rows.group("volumes", &volumes);
        let starts: Vec<_> = rows.lines.iter().map(|line| line.trim_end()).collect();
        let first = format!("  sdbuild-store{:>25}", "1 GB");
        assert_eq!(starts[..3], ["volumes", &first, &format!("  {name}")]);
        let mut rows = Rows::new(40, MAX_ROWS);
        rows.text(
            "engine",
            "Podman 5.0 at unix:///run/user/1000/podman/podman.sock",
        );
        let run = Row::new("0123456789ab", "stale", "", Some(7200), rows.width);
        rows.group("runs", &[run]);
        assert_eq!(
            rows.lines,
            [
                "engine",
                "  Podman 5.0 at",
                "unix:///run/user/1000/podman/podman.sock",
                "runs",
                "  0123456789ab                stale, 2 h",
            ]
        );
        let narrow = lines("sdbuild-store-real-native-a995a63dc36b", "", 40);
        let size = format!("{:>40}", "2.4 GB");
        assert_eq!(
            narrow,
            ["volumes", "  sdbuild-store-real-native-a995a63dc36b", &size]
        );
    }
}
