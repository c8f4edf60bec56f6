//! Passwords, passphrases, tokens and private keys in texts that are shown or logged: other people read the logs of CI. Pure.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex_automata::meta::{BuildError, Regex};
use regex_automata::util::syntax;

/// What precedes the content of a key, whatever its format is (RFC 7468, OpenSSH).
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
/// Characters that end a quoted value.
const QUOTES: [char; 5] = ['"', '\'', '`', '\u{2019}', '\u{201d}'];

/// What is shown in place of a secret.
pub const HIDDEN: &str = "…";
/// Ends of the names of options and variables that hold a secret, of passwords also misspelt ones; and networks, of which some write
/// the passphrase as the value.
const NAMES: &str = r#"pas+w[a-z]{0,4}[dt]s?|passphrases?|pass|pwd|psk(?:raw)?|tokens?|secret|credentials?|_pat|(?:private|preshared|shared|secret|access|api|auth)[_-]?key|wireless\.networks(?:\.|[ \t]*=[ \t]*\{[ \t]*)(?:[a-z0-9_-]+|"[^"\n]*")"#;
/// Beginnings of names with such an end that hold none: `wheelNeedsPassword`, and the `proxyPass` of nginx.
const NO_SECRETS: [&str; 2] = ["needs", "proxy"];
/// The networks themselves, of which some write the name and the passphrase as one string.
const NETWORKS: &str = r"wireless\.networks";
/// Their value: a string, or a list of strings.
const NETWORKS_VALUE: &str =
    r#"[ \t]*=[ \t]*(?:[\[(][ \t]*|lib\.mk[a-z]+[ \t]+)*(?:"((?:[^"\\\n]|\\.)*)|''(.*?)(?:''|$))"#;
/// What is after a name: a string, which need not end; a number; after a `=` without blanks the word of another program; after one
/// with blanks a word with a sign that no variable has. Nix reads other words as variables. A string may be in brackets.
const VALUES: &str = r#"(?:"?[ \t]*(?:[-+:?<>!]?=[=>]?|<-|:)[ \t]*|[ \t]+)(?:[\[({][ \t]*|lib\.mk[a-z]+[ \t]+|(?:value|text)[ \t]*=[ \t]*)*(?:"((?:[^"\\\n]|\\.)*)|''(.*?)(?:''|$)|([0-9]+))|=([^\s"'`;${}\[\]]+)|[ \t]*=[ \t]+([^\s"'`;${}()\[\]=@!%&^~]+[@!%&^~][^\s;]*)"#;
/// A string in the middle of a value, and not one that is the name of an attribute: `(x, "…")`.
const INNER_VALUE: &str = r#"[ \t]*[-+:?<>!]?=[=>]?[ \t]*[^"'=;\n]*[^"'=;\n.]"((?:[^"\\\n]|\\.)*)"#;
/// After the end of a string, the next one of the same value: `" + x + "…"`.
const NEXT_VALUE: &str =
    r#"^"[ \t,\])]*(?:\+\+?[ \t]*[a-zA-Z][a-zA-Z0-9_.]*[ \t]*)*[ \t+\[(]*"((?:[^"\\\n]|\\.)*)"#;
/// The same in the quotes of other languages or of printed texts, which need not end either.
const OTHER_QUOTES: &str = r"[ \t]*(?:[-+:?<>!]?=[=>]?|:)[ \t]*(?:'([^'\n]+)|`([^`\n]+)|(?:“|”|„|‘|’|«)(.*?)(?:”|“|’|»|;|$))";
/// A value with the hash of a password, whatever its name is.
const HASH: &str = r#""(\$[0-9a-z]{1,8}\$[^"]*)|=[ \t]*(\$[0-9a-z]{1,8}\$[^\s;"'{]{8,})"#;

static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    bytes_pattern(&format!(
        r"(?i-u)({NAMES})(?:\.(?:value|text))?(?:{VALUES}|{OTHER_QUOTES}|{INNER_VALUE})|{NETWORKS}{NETWORKS_VALUE}|{HASH}"
    ))
    .ok()
});
static NEXT: LazyLock<Option<Regex>> =
    LazyLock::new(|| bytes_pattern(&format!("(?-u){NEXT_VALUE}")).ok());
/// The end of a line whose value is in the next one.
static OPEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| bytes_pattern(&format!(r#"(?i-u)(?:{NAMES})"?[ \t]*=[ \t]*$"#)).ok());
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| bytes_pattern(&format!("(?i-u)(?:{NAMES}|{NETWORKS})(?:_id)?$")).ok());

/// The regular expression `pattern`, without the tables of Unicode: it begins and ends at ASCII characters.
fn bytes_pattern(pattern: &str) -> Result<Regex, Box<BuildError>> {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let build = Regex::builder().syntax(syntax).build(pattern);
    build.map_err(Box::new)
}

/// Whether what is called `name` holds a secret.
fn is_name_of_secret(name: &str) -> bool {
    NAME.as_ref().is_some_and(|ends| ends.is_match(name))
}

/// Whether what is called `name`, which may be an element of a list of options, holds a secret.
pub fn is_option_of_secret(option: &str) -> bool {
    let list = option.split(".\"[").next().unwrap_or(option);
    is_name_of_secret(option) || is_name_of_secret(list)
}

/// Whether `text` has a secret of an option or a variable.
pub fn has_secret(text: &str) -> bool {
    !secrets(text).is_empty()
}

/// `text` without its secrets.
pub fn redacted(text: &str) -> String {
    hidden(text, secrets(text))
}

/// `text` without its secrets, and without the strings in quotes that are among `values`, such as those that [`excerpt`] has hidden.
pub fn redacted_with(text: &str, values: &[String]) -> String {
    values.iter().fold(redacted(text), |text, value| {
        text.replace(&format!("\"{value}\""), &format!("\"{HIDDEN}\""))
    })
}

/// `text` without what is at `places`.
fn hidden(text: &str, places: Vec<Range<usize>>) -> String {
    let (mut shown, mut done) = (String::new(), 0);
    for Range { start, end } in places {
        shown.push_str(text.get(done..start).unwrap_or_default());
        shown.push_str(HIDDEN);
        done = end;
    }
    shown + text.get(done..).unwrap_or_default()
}

/// `lines` of source, of which those with a secret are hidden, and the strings in these. If the definition at a caret `is_secret`, none of
/// its lines is shown.
pub fn excerpt(lines: &[String], is_secret: bool) -> (Vec<String>, Vec<String>) {
    let (mut shown, mut secrets) = (Vec::new(), Vec::new());
    let (mut before, mut is_inside, mut is_hidden) = ("", false, false);
    for (at, line) in lines.iter().enumerate() {
        if is_caret(line) {
            // Below a hidden line it marks nothing.
            shown.extend((!is_hidden).then(|| line.clone()));
            continue;
        }
        let (number, code) = line.split_once('|').unwrap_or(("", line));
        is_inside = is_inside && !before.trim_end().ends_with(';')
            || is_secret && lines.get(at + 1).is_some_and(|below| is_caret(below));
        let is_value = OPEN.as_ref().is_some_and(|open| open.is_match(before));
        let is_below_name = is_value && has_secret(&format!("psk ={code}"));
        is_hidden = is_inside || is_below_name || has_secret(line);
        if is_hidden {
            let strings = strings(line).filter_map(|at| line.get(at));
            secrets.extend(strings.map(str::to_owned));
            shown.push(format!("{number}|   {HIDDEN}"));
        } else {
            shown.push(line.clone());
        }
        before = line;
    }
    (shown, secrets)
}

/// Where the strings of `text` are that may be secrets and are not the names of attributes, without their quotes.
fn strings(text: &str) -> impl Iterator<Item = Range<usize>> {
    let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
    let pairs = quotes
        .chunks_exact(2)
        .filter_map(|pair| Some(pair.first()? + 1..*pair.last()?));
    let found = pairs.filter(|at| {
        let rest = text.get(at.end + 1..).unwrap_or_default().trim_start();
        !rest.starts_with(['=', '.']) && text.get(at.clone()).is_some_and(is_secret)
    });
    found.collect::<Vec<_>>().into_iter()
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
    let (Some(pattern), Some(next)) = (SECRETS.as_ref(), NEXT.as_ref()) else {
        return Vec::new();
    };
    let mut places: Vec<Range<usize>> = Vec::new();
    for found in pattern.captures_iter(text) {
        let name = found.get_group(1).map_or(0, |name| name.start);
        let value = (2..=14).find_map(|group| found.get_group(group));
        let is_none = NO_SECRETS.iter().any(|start| {
            let before = name
                .checked_sub(start.len())
                .and_then(|at| text.get(at..name));
            before.is_some_and(|before| before.eq_ignore_ascii_case(start))
        });
        let mut value = value.map(|value| value.range()).filter(|_| !is_none);
        while let Some(at) = value {
            let rest = text.get(at.end..).unwrap_or_default();
            let is_new = places.last().is_none_or(|last| last.end <= at.start);
            if is_new && text.get(at.clone()).is_some_and(is_secret) {
                places.push(at.clone());
            }
            let mut groups = next.create_captures();
            next.captures(rest, &mut groups);
            let further = groups.get_group(1);
            value = further.map(|further| at.end + further.start..at.end + further.end);
        }
    }
    places
}

/// Whether `value`, of an option or a variable for a secret, may be one: it is no path, no reference to one, and no switch.
fn is_secret(value: &str) -> bool {
    const PLAIN: [&str; 6] = ["", "true", "false", "null", "yes", "no"];
    const REFERENCES: [&str; 6] = ["/", "./", "ext:", "@", "${", "$("];
    let is_reference = REFERENCES.iter().any(|start| value.starts_with(start));
    !PLAIN.contains(&value) && !is_reference && !value.contains(HIDDEN)
}

/// `text` with `***` in the place of the content of private keys: up to the end of the quoted value, or of the text. One pass.
pub fn hide_private_keys(text: &str) -> Cow<'_, str> {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(PRIVATE_KEY) {
        let (before, content) = rest.split_at(at + PRIVATE_KEY.len());
        shown.push_str(before);
        shown.push_str("***");
        rest = content
            .split_at(content.find(QUOTES).unwrap_or(content.len()))
            .1;
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown + rest)
}

/// `text` with as many lines, of which those inside a private key are hidden.
pub fn without_private_keys(text: &str) -> String {
    let mut is_inside = false;
    let lines = text.split('\n').map(|line| {
        let begins = line.contains(PRIVATE_KEY) && line.contains("BEGIN");
        let ends = line.contains("-----END");
        let was_inside = is_inside;
        is_inside = (is_inside || begins) && !ends;
        match (was_inside && !ends, begins) {
            (true, _) => HIDDEN.to_owned(),
            (false, true) => hide_private_keys(line).into_owned(),
            (false, false) => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
