//! Tips for flags of other programs that switch colours on or off.

use sdbuild_core::shell_word::quoted;

/// Flags with a value.
const WITH_VALUE: [&str; 3] = ["--color", "--colors", "--colour"];
/// Flags that mean none.
const NEVER: [&str; 4] = ["--no-color", "--no-colors", "--no-colour", "--nocolor"];

/// The tip for the unknown `flag` in `words`, if it is one for colours: the same command line with the variable that does it.
pub(super) fn tip(flag: &str, words: &[String]) -> Option<String> {
    if NEVER.contains(&flag) {
        return Some(without_colours(flag, None, words));
    }
    if !WITH_VALUE.contains(&flag) {
        return None;
    }
    let joined = words.iter().find_map(|word| word.strip_prefix(flag));
    let joined = joined.and_then(|rest| rest.strip_prefix('='));
    let at = words.iter().position(|word| word == flag);
    let next = at.and_then(|at| words.get(at + 1)).map(String::as_str);
    let value = joined.or(next);
    Some(match value {
        Some("never" | "no" | "none" | "off" | "false") => without_colours(flag, next, words),
        Some("always" | "yes" | "on" | "true") => {
            let rest = rest_of(flag, next, words);
            format!("to force colours: `CLICOLOR_FORCE=1 sdbuild{rest}`")
        }
        Some(_) | None => {
            "leave it out; sdbuild uses colours on a terminal, unless NO_COLOR=1 is set".to_owned()
        }
    })
}

fn without_colours(flag: &str, value: Option<&str>, words: &[String]) -> String {
    let rest = rest_of(flag, value, words);
    format!("without colours: `NO_COLOR=1 sdbuild{rest}`")
}

/// The words without `flag` and its `value`, each behind a blank.
fn rest_of(flag: &str, value: Option<&str>, words: &[String]) -> String {
    let mut is_value = false;
    let kept = words.iter().filter(|word| {
        let is_dropped = is_value && Some(word.as_str()) == value;
        let name = word.split('=').next();
        is_value = name == Some(flag);
        !is_dropped && !is_value
    });
    kept.fold(String::new(), |line, word| line + " " + &quoted(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_for_colours_is_a_variable() {
        for (line, flag, expected) in [
            (
                "build --no-color pi",
                "--no-color",
                "`NO_COLOR=1 sdbuild build pi`",
            ),
            (
                "--color never build pi",
                "--color",
                "`NO_COLOR=1 sdbuild build pi`",
            ),
            (
                "build --colour=never",
                "--colour",
                "`NO_COLOR=1 sdbuild build`",
            ),
            (
                "build --color=always pi",
                "--color",
                "`CLICOLOR_FORCE=1 sdbuild build pi`",
            ),
            ("build --color", "--color", "unless NO_COLOR=1 is set"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let tip = tip(flag, &words).unwrap();
            assert!(tip.ends_with(expected), "{line}: {tip}");
        }
        assert_eq!(tip("--column", &["--column".to_owned()]), None);
    }
}
