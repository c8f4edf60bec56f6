//! Brackets and quotes in a value of `--set` that are not closed. Pure.

use crate::brackets::{Imbalance, imbalance, open_brackets};
use crate::nix_syntax::parse;
use sdbuild_core::failure::Failure;
use sdbuild_core::redact::{has_secret, is_name_of_secret};
use sdbuild_core::shell_word::quoted;

/// Why the `value` of the `option`, a list, a set or an expression in parentheses, is not complete; `None` if it is. Nix would
/// report a character that sdbuild puts behind it.
pub(super) fn failure(option: &str, value: &str) -> Option<Failure> {
    if parse(value).errors().is_empty() {
        return None;
    }
    let wrong = match imbalance(value)? {
        Imbalance { token: "/*", .. } => return None,
        Imbalance {
            token, opens: true, ..
        } => format!("the `{token}` is not closed"),
        Imbalance { token, .. } => format!("the `{token}` closes nothing that is open"),
    };
    let failure = Failure::usage(format!("in the value of --set {option}, {wrong}"));
    Some(match completed(value) {
        Some(whole)
            if !is_name_of_secret(option) && !has_secret(&format!("{option} = {whole};")) =>
        {
            let flag = quoted(&format!("{option}={whole}"));
            failure.hint(format!(
                "close it, and put the whole argument in quotes: --set {flag}"
            ))
        }
        Some(_) => failure.hint("close it, and put the whole argument in quotes"),
        None => failure.hint("check the brackets and quotes of the value"),
    })
}

/// The `value` with the brackets at its end that close those which are open, if that makes Nix of it.
fn completed(value: &str) -> Option<String> {
    let open = open_brackets(value);
    let closing = open.iter().rev().map(|bracket| match *bracket {
        "[" => ']',
        "(" => ')',
        _ => '}',
    });
    let end: String = closing.collect();
    let blank = if value.contains(char::is_whitespace) {
        " "
    } else {
        ""
    };
    let whole = format!("{value}{blank}{end}");
    (!end.is_empty() && parse(&whole).errors().is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_that_is_not_closed_is_named() {
        let told = |option: &str, value: &str| {
            let failure = failure(option, value).unwrap();
            (failure.to_string(), failure.hints.join("\n"))
        };
        for (value, wrong, hint) in [
            ("[pkgs.vim", "the `[` is not closed", "'a.b=[pkgs.vim]'"),
            ("[ 1 (f 2", "the `(` is not closed", "'a.b=[ 1 (f 2 )]'"),
            (
                "{ c = [ 1 ];",
                "the `{` is not closed",
                "'a.b={ c = [ 1 ]; }'",
            ),
            (
                "[ 1 ]]",
                "the `]` closes nothing that is open",
                "check the brackets",
            ),
            ("[ \"c ]", "the `\"` is not closed", "check the brackets"),
        ] {
            let (text, hints) = told("a.b", value);
            assert_eq!(
                text,
                format!("in the value of --set a.b, {wrong}"),
                "{value}"
            );
            assert!(hints.contains(hint), "{value}: {hints}");
        }
        let (_, hints) = told("users.users.ann", "{ password = \"geheim\";");
        assert!(!hints.contains("geheim"), "{hints}");
    }

    #[test]
    fn what_is_complete_or_wrong_otherwise_is_left_to_nix() {
        for value in [
            "[ pkgs.vim ]",
            "[ \"a\n]\" ]",
            "(with pkgs; [ vim ])",
            "{ a = \"]\"; }",
            "{ a = 1 }",
            "[ # ]\n1 ]",
        ] {
            assert!(failure("a.b", value).is_none(), "{value}");
        }
    }
}
