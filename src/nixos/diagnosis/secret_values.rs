//! Passwords, passphrases and tokens in what a failure shows: other people read the logs of CI. Pure.

use std::ops::Range;

use crate::common::failure::Failure;

/// In place of a secret.
const HIDDEN: &str = "***";
/// Ends of the names of options and variables that hold a secret.
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "psk",
    "token",
    "secret",
    "privatekey",
    "private_key",
    "presharedkey",
    "secretkey",
    "secret_key",
    "apikey",
    "api_key",
    "authkey",
];
/// Values that are none: of switches such as `wheelNeedsPassword`, and of options that are not set.
const PLAIN: [&str; 6] = ["", "true", "false", "null", "yes", "no"];
/// Shorter ones may be part of other text.
const MIN_LENGTH: usize = 6;

/// `failure` with `***` in place of the secrets that options and variables have in its texts.
pub(super) fn without_secrets(mut failure: Failure) -> Failure {
    let message = format!("{:#}", failure.error);
    let texts = failure.log_tail.iter().chain(&failure.hints);
    let texts = texts.map(String::as_str).chain([message.as_str()]);
    let known: Vec<String> = texts
        .flat_map(|text| {
            secrets(text)
                .into_iter()
                .map(|at| text.get(at).unwrap_or_default().to_owned())
        })
        .filter(|secret| secret.chars().count() >= MIN_LENGTH)
        .collect();
    let hidden = |text: &str| without(&known, text);
    failure
        .hints
        .iter_mut()
        .for_each(|hint| *hint = hidden(hint));
    if hidden(&message) != message {
        failure.error = anyhow::Error::msg(hidden(&message));
    }
    failure.log_tail = excerpt(&failure.log_tail, hidden);
    failure
}

/// `text` without its own secrets, and those that are `known` where they are quoted.
fn without(known: &[String], text: &str) -> String {
    let mut shown = text.to_owned();
    for at in secrets(text).into_iter().rev() {
        shown.replace_range(at, HIDDEN);
    }
    for secret in known {
        for (open, close) in [('\'', '\''), ('`', '\''), ('"', '"')] {
            let quoted = format!("{open}{secret}{close}");
            shown = shown.replace(&quoted, &format!("{open}{HIDDEN}{close}"));
        }
    }
    shown
}

/// `lines` through `hidden`, with the caret below a line where it was, or below the secret that it was below.
fn excerpt(lines: &[String], hidden: impl Fn(&str) -> String) -> Vec<String> {
    let sources = std::iter::once(None).chain(lines.iter().map(Some));
    let shown = lines.iter().zip(sources).map(|(line, source)| {
        let caret = line.find('^').filter(|_| is_caret(line));
        let (Some(caret), Some(source)) = (caret, source) else {
            return hidden(line);
        };
        let start = match secrets(source).iter().find(|at| at.contains(&caret)) {
            Some(at) => at.start,
            None => caret,
        };
        let before = source
            .get(..start)
            .map_or(start, |text| hidden_before(text, source));
        let (number, _) = line.split_once('|').unwrap_or_default();
        format!(
            "{number}|{:width$}^",
            "",
            width = before.saturating_sub(number.len() + 1)
        )
    });
    shown.collect()
}

/// The length of `start`, the beginning of the line `source`, without its secrets.
fn hidden_before(start: &str, source: &str) -> usize {
    let before = secrets(source)
        .into_iter()
        .filter(|at| at.end <= start.len());
    before.fold(start.len(), |length, at| {
        (length + HIDDEN.len()).saturating_sub(at.len())
    })
}

/// Whether `line` has only a caret, below a line of source.
fn is_caret(line: &str) -> bool {
    let rest = line
        .split_once('|')
        .map(|(number, rest)| (number.trim(), rest.trim()));
    rest == Some(("", "^"))
}

/// Where the secrets of `text` are, without their quotes.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (sign, _) in text.match_indices('=') {
        let before = text.get(..sign).unwrap_or_default().trim_end();
        let is_spaced = before.len() < sign;
        if names_secret(before) && found.last().is_none_or(|last| last.end <= sign) {
            found.extend(secrets_of_value(text, sign + 1, is_spaced));
        }
    }
    let others = hashes(text).into_iter();
    let others: Vec<_> = others
        .filter(|hash| !found.iter().any(|known| known.contains(&hash.start)))
        .collect();
    found.extend(others);
    found.sort_by_key(|at| at.start);
    found
}

/// Where strings with the hash of a password are, which begin as `$6$` does; their names may be misspelt.
fn hashes(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("\"$").map(|(quote, _)| quote + 1);
    let hashes = starts.filter_map(|start| {
        let length = text.get(start..)?.find('"')?;
        let hash = text.get(start..start + length)?;
        let (method, rest) = hash.strip_prefix('$')?.split_once('$')?;
        let is_method = !method.is_empty() && method.chars().all(|c| c.is_ascii_alphanumeric());
        (is_method && !rest.contains('…')).then_some(start..start + length)
    });
    hashes.collect()
}

/// Whether `text` ends with the name of what holds a secret.
fn names_secret(text: &str) -> bool {
    let name = text.strip_suffix('"').unwrap_or(text).to_lowercase();
    SECRETS.iter().any(|end| name.ends_with(end))
}

/// The secrets in the value that begins at `start` of `text`: strings, or one word; all of it behind a `=` without blanks.
fn secrets_of_value(text: &str, start: usize, is_spaced: bool) -> Vec<Range<usize>> {
    let value = text.get(start..).unwrap_or_default();
    let own = value.trim_start();
    let start = start + value.len() - own.len();
    let mut strings = Vec::new();
    let mut open: Option<usize> = None;
    let mut end = own.len();
    for (at, sign) in own.char_indices() {
        match (sign, open) {
            ('"', None) if !is_spaced && at > 0 => {
                end = at;
                break;
            }
            ('"', None) => open = Some(at + 1),
            ('"', Some(from)) => {
                strings.push(from..at);
                open = None;
            }
            (';' | '\n' | '}', None) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    if strings.is_empty() {
        let word = own.get(..end).unwrap_or_default().trim_end();
        let is_expression = |c: char| c.is_whitespace() || ".()[]{}".contains(c);
        if !is_spaced || !word.contains(is_expression) {
            strings.push(0..word.len());
        }
    }
    let is_secret = |at: &Range<usize>| {
        let text = own.get(at.clone()).unwrap_or_default();
        !PLAIN.contains(&text) && !text.contains(['…', '*'])
    };
    let strings = strings.into_iter().filter(is_secret);
    strings.map(|at| at.start + start..at.end + start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_options_are_hidden() {
        for (text, shown) in [
            (
                "write a string in quotes: users.users.ann.initialPassword = \"5318008\";",
                "write a string in quotes: users.users.ann.initialPassword = \"***\";",
            ),
            ("a.psk = 12345678; b = 1;", "a.psk = ***; b = 1;"),
            (
                "a.hashedPassword = [ \"x\" \"y\" ]; b = \"c\";",
                "a.hashedPassword = [ \"***\" \"***\" ]; b = \"c\";",
            ),
            ("--set a.password=two words", "--set a.password=***"),
            (
                "Environment = \"DB_PASSWORD=x y\";",
                "Environment = \"DB_PASSWORD=***\";",
            ),
            ("\"API_TOKEN\" = \"x\";", "\"API_TOKEN\" = \"***\";"),
            (
                "a.hashedPasword = \"$6$ab$cd\"; psk = \"x\";",
                "a.hashedPasword = \"***\"; psk = \"***\";",
            ),
        ] {
            assert_eq!(without(&[], text), shown);
        }
        for text in [
            "security.sudo.wheelNeedsPassword = false;",
            "a.password = lib.mkForce null;",
            "a.psk = \"…\";",
            "a.hashedPassword = \"$y$…\";",
            "a.passwordFile = \"/etc/pw\";",
            "a.password = config.b;",
            "PasswordAuthentication = \"maybe\";",
            "if password == x",
            "script = \"$HOME/a $b\";",
        ] {
            assert_eq!(without(&[], text), text);
        }
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_is_quoted() {
        let mut failure =
            Failure::usage("undefined variable 'hunter22'").hint("write \"hunter22\"");
        let lines = [
            "8| x",
            "9| a.psk = hunter22; b = hunter22;",
            " |            ^",
            "10| y",
        ];
        failure.log_tail = lines.map(str::to_owned).to_vec();
        let shown = without_secrets(failure);
        assert_eq!(shown.error.to_string(), "undefined variable '***'");
        assert_eq!(shown.hints, ["write \"***\""]);
        assert_eq!(shown.log_tail[1], "9| a.psk = ***; b = hunter22;");
    }

    #[test]
    fn a_caret_stays_below_its_place() {
        let line = |text: &str| text.to_owned();
        for (caret, moved) in [
            (" |  ^", " |  ^"),
            (" |                         ^", " |                 ^"),
            (" |                ^", " |          ^"),
        ] {
            let lines = [line("9| a.psk = \"hunter22xyz\"; b"), line(caret)];
            assert_eq!(
                excerpt(&lines, |text| without(&[], text))[1],
                moved,
                "{caret}"
            );
        }
    }
}
