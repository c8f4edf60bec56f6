//! Formats a failure: what failed and why, what could not be removed, what to do, where the log is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use console::truncate_str;
use unicode_width::UnicodeWidthStr as _;

use crate::ui::sanitize::{message, sanitize_line};
use sdbuild_core::failure::{Class, Failure, Leftover};
use sdbuild_core::text::without_os_errors;

/// In front of lines of a log or a source that are quoted.
pub(super) const QUOTE: &str = "  > ";

/// The lines that describe `failure`: causes, leftovers, hints without repetition, and the log file. Quoted lines of source
/// have at most `columns` columns, other lines any length.
pub fn failure(failure: &Failure, columns: usize) -> String {
    let quoted_columns = columns.saturating_sub(QUOTE.len());
    let mut out = String::new();
    let mut shown = BTreeSet::new();
    let mut write_line = |line: &str| {
        writeln!(out, "{}", message(line)).ok();
    };
    if matches!(failure.class, Class::Interrupted | Class::Declined) {
        write_line(&format!("{failure}"));
    } else if !matches!(failure.class, Class::Shell(_)) {
        for each in std::iter::once(failure).chain(&failure.others) {
            write_line(&format!("error: {}", each.sentence()));
            for line in quoted(&each.log_tail, quoted_columns) {
                write_line(&format!("{QUOTE}{line}"));
            }
            // Of several errors each has its own hints below it.
            if !failure.others.is_empty() {
                write_hints(each, &mut shown, &mut write_line);
            }
        }
    }
    failure
        .teardown
        .iter()
        .for_each(|left| write_line(&leftover(left)));
    write_hints(failure, &mut shown, &mut write_line);
    for left in &failure.teardown {
        write_line(&format!("hint: remove it with `{}`", left.remedy));
    }
    if let Some(log) = &failure.log {
        write_line(&format!("the whole log: {}", log.display()));
    }
    if failure.class == Class::Internal {
        write_line("this is a bug in sdbuild: please report it");
    }
    out
}

/// The hints of `failure` that were not `shown` yet.
fn write_hints<'a>(
    failure: &'a Failure,
    shown: &mut BTreeSet<&'a str>,
    write_line: &mut impl FnMut(&str),
) {
    for hint in &failure.hints {
        if shown.insert(hint) {
            write_line(&format!("hint: {hint}"));
        }
    }
}

fn leftover(left: &Leftover) -> String {
    format!(
        "  not removed: {}: {}",
        left.what,
        without_os_errors(&left.why)
    )
}

/// `lines`, sanitized. Source as Nix quotes it (`    12|   x = y;`) is cut to `columns` columns, so that a caret in the next line stays
/// below what it points at: Nix counts its column in bytes, a terminal in columns.
fn quoted(lines: &[String], columns: usize) -> Vec<String> {
    let mut before = "";
    let quoted = lines.iter().map(|line| {
        let source = std::mem::replace(&mut before, line);
        if let Some(column) = caret(line) {
            let marked = source.get(..column).map(sanitize_line);
            let column = marked.map_or(column, |marked| marked.width());
            let (gutter, _) = line.split_once('|').unwrap_or_default();
            format!("{gutter}|{:>1$}", '^', column.saturating_sub(gutter.len()))
        } else if is_source(line) {
            truncate_str(&sanitize_line(line), columns, "…").into_owned()
        } else {
            sanitize_line(line)
        }
    });
    quoted.collect()
}

/// The column in bytes of the caret in a line that has nothing else but a gutter.
fn caret(line: &str) -> Option<usize> {
    let (gutter, blanks) = line.strip_suffix('^')?.split_once('|')?;
    let is_blank = |text: &str| text.bytes().all(|byte| byte == b' ');
    (is_blank(gutter) && is_blank(blanks)).then(|| line.len() - 1)
}

/// Whether `line` begins with its number, as Nix quotes source.
fn is_source(line: &str) -> bool {
    let number = line.split_once('|').map(|(number, _)| number.trim_start());
    number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_leftovers_and_hints_come_in_order() {
        let mut first = Failure::environment("permission denied")
            .context("register the handler")
            .hint("ask root")
            .with_teardown(vec![Leftover {
                what: "container c".into(),
                why: "in use".into(),
                remedy: "docker rm -f c".into(),
            }]);
        first
            .others
            .push(Failure::usage("no such file").hint("ask root"));
        assert_eq!(
            failure(&first, 80),
            "error: could not register the handler: permission denied\n\
             hint: ask root\n\
             error: no such file\n\
             \x20 not removed: container c: in use\n\
             hint: remove it with `docker rm -f c`\n"
        );
    }

    #[test]
    fn exit_code_of_a_shell_needs_no_message() {
        let ended = Failure::message(Class::Shell(7), "ended with 7");
        assert_eq!(failure(&ended, 80), "");
    }

    #[test]
    fn foreign_message_cannot_forge_a_hint() {
        let mut forged = Failure::usage("no\nhint: run this").hint("a\nhint: b");
        forged.log_tail = vec!["x\nhint: c".into()];
        let text = failure(&forged, 80);
        let hints = text.lines().filter(|line| line.starts_with("hint:"));
        assert_eq!(hints.collect::<Vec<_>>(), ["hint: a"], "{text}");
        assert!(text.starts_with("error: no\n  hint: run this\n"), "{text}");
    }

    #[test]
    fn foreign_message_cannot_control_the_terminal() {
        assert!(!failure(&Failure::usage("\x1b[2Jgone"), 80).contains('\x1b'));
    }

    #[test]
    fn source_is_cut_and_its_caret_counts_columns() {
        let lines = [
            "7| größe = 漢 + x; # and a long comment",
            " |                 ^",
            "make: *** [all] Error 1, which is no source",
            "\u{1b}[2J",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(
            quoted(&lines, 24),
            [
                "7| größe = 漢 + x; # an…",
                " |              ^",
                "make: *** [all] Error 1, which is no source",
                "\\u{1b}[2J",
            ]
        );
    }
}
