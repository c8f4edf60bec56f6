//! A failure in words: what failed and why, what teardown left, what to do, where the log is.

use std::fmt::Write as _;

use crate::common::failure::{Class, Failure, Leftover};
use crate::ui::sanitize::message;

/// The lines that tell `failure`, in the order in which a user needs them.
pub fn failure(failure: &Failure) -> String {
    let mut out = String::new();
    let mut say = |line: &str| writeln!(out, "{}", message(line)).unwrap_or(());
    if failure.class == Class::Interrupted {
        say(&format!("{failure}"));
    } else if !matches!(failure.class, Class::Shell(_)) {
        for each in std::iter::once(failure).chain(&failure.others) {
            say(&format!("error: {each}"));
            each.log_tail
                .iter()
                .for_each(|line| say(&format!("  > {line}")));
        }
    }
    failure
        .teardown
        .iter()
        .for_each(|left| say(&leftover(left)));
    let mut told = Vec::new();
    for hint in std::iter::once(failure)
        .chain(&failure.others)
        .flat_map(|f| &f.hints)
    {
        if !told.contains(&hint) {
            say(&format!("hint: {hint}"));
            told.push(hint);
        }
    }
    for left in &failure.teardown {
        say(&format!("hint: remove it with: {}", left.remedy));
    }
    if let Some(log) = &failure.log {
        say(&format!("the whole log: {}", log.display()));
    }
    if failure.class == Class::Internal {
        say("this is a bug in sdbuild: please report it");
    }
    out
}

fn leftover(left: &Leftover) -> String {
    format!("  not removed: {}: {}", left.what, left.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_then_leftovers_then_hints_each_once() {
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
            "error: register the handler: permission denied\n\
             error: no such file\n\
             \x20 not removed: container c: in use\n\
             hint: ask root\n\
             hint: remove it with: docker rm -f c\n"
        );
    }

    #[test]
    fn what_a_shell_ended_with_needs_no_words() {
        let ended = Failure::message(Class::Shell(7), "ended with 7");
        assert_eq!(failure(&ended), "");
    }

    #[test]
    fn a_foreign_message_cannot_forge_a_hint() {
        let mut forged = Failure::usage("no\nhint: run this").hint("a\nhint: b");
        forged.log_tail = vec!["x\nhint: c".into()];
        let text = failure(&forged);
        let hints = text.lines().filter(|line| line.starts_with("hint:"));
        assert_eq!(hints.collect::<Vec<_>>(), ["hint: a"], "{text}");
        assert!(text.starts_with("error: no\n  hint: run this\n"), "{text}");
    }

    #[test]
    fn a_foreign_message_cannot_drive_the_terminal() {
        assert!(!failure(&Failure::usage("\x1b[2Jgone")).contains('\x1b'));
    }
}
