//! Formats a failure: what failed and why, what could not be removed, what to do, where the log is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::ui::sanitize::{message, sanitize_line};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::text::without_os_errors;

/// In front of lines of a log or a source that are quoted.
pub(super) const QUOTE: &str = "  > ";

/// The lines of any length that describe `failure`: causes, leftovers, hints without repetition, and the log file.
pub(super) fn failure(failure: &Failure) -> String {
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
            for line in &each.log_tail {
                write_line(&format!("{QUOTE}{}", sanitize_line(line)));
            }
            // Of several errors each has its own hints below it.
            if !failure.others.is_empty() {
                write_hints(each, &mut shown, &mut write_line);
                write_log(each, &mut write_line);
            }
        }
    }
    for left in &failure.teardown {
        let why = without_os_errors(&left.why);
        write_line(&format!("  not removed: {}: {why}", left.what));
    }
    write_hints(failure, &mut shown, &mut write_line);
    for left in &failure.teardown {
        write_line(&format!("hint: remove it with `{}`", left.remedy));
    }
    if failure.others.is_empty() {
        write_log(failure, &mut write_line);
    }
    if failure.class == Class::Internal {
        write_line("this is a bug in sdbuild: please report it");
    }
    out
}

/// Where the log of `failure` is, if it has one.
fn write_log(failure: &Failure, write_line: &mut impl FnMut(&str)) {
    if let Some(log) = &failure.log {
        write_line(&format!("the whole log: {}", log.display()));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Leftover;

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
            failure(&first),
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
        assert_eq!(failure(&ended), "");
    }

    #[test]
    fn foreign_message_cannot_forge_a_hint() {
        let mut forged = Failure::usage("no\nhint: run this").hint("a\nhint: b");
        forged.log_tail = vec!["x\nhint: c".into()];
        let text = failure(&forged);
        let hints = text.lines().filter(|line| line.starts_with("hint:"));
        assert_eq!(hints.collect::<Vec<_>>(), ["hint: a"], "{text}");
        assert!(text.starts_with("error: no\n  hint: run this\n"), "{text}");
    }

    #[test]
    fn foreign_message_cannot_control_the_terminal() {
        assert!(!failure(&Failure::usage("\x1b[2Jgone")).contains('\x1b'));
    }
}
