//! The text around the token at which Nix's parser stopped.

use crate::common::nix_name::is_of_path;
use crate::nixos::diagnosis::brackets::{imbalance, open_brackets};
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::diagnosis::misread::end_of_definition;
use crate::nixos::log::Position;
use crate::nixos::nix_syntax::parse;

/// What public keys begin with.
const KEY_TYPES: [&str; 4] = [
    "ssh-ed25519 AAAA",
    "ssh-rsa AAAA",
    "ecdsa-sha2-nistp",
    "@openssh.com AAAA",
];

/// The text around the token.
pub(super) struct Place<'a> {
    /// All of the file in front of it.
    pub(super) before: &'a str,
    /// It and the rest of its line.
    pub(super) here: &'a str,
    /// It and the rest of the file.
    pub(super) rest: &'a str,
    /// The next line.
    pub(super) below: &'a str,
    /// What the line has after its first character.
    pub(super) after: &'a str,
    /// Whether it is an element of a list.
    pub(super) is_in_list: bool,
    /// Whether all brackets of the file are closed.
    pub(super) is_balanced: bool,
}

/// The `text`, if it is definitions of Nix, and short enough to be repeated.
pub(super) fn as_definitions(text: String) -> Option<String> {
    let is_short = text.len() <= MAX_SHOWN && !text.contains(['\n', '#']);
    (is_short && parse(&format!("{{ {text} }}")).errors().is_empty()).then_some(text)
}

/// The number that `text` ends with, and what is before it.
pub(super) fn last_number(text: &str) -> (&str, &str) {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    (before, text.strip_prefix(before).unwrap_or_default())
}

impl<'a> Place<'a> {
    pub(super) fn find(text: &'a str, position: &Position) -> Option<Self> {
        let before = text.get(..position.offset(text)?)?;
        let rest = text.get(before.len()..)?;
        let mut lines = rest.lines();
        let here = lines.next().unwrap_or_default();
        let mut after = here.chars();
        after.next();
        Some(Self {
            before,
            here,
            rest,
            below: lines.next().unwrap_or_default(),
            after: after.as_str().trim_start(),
            is_in_list: open_brackets(before).last() == Some(&'['),
            is_balanced: imbalance(text).is_none(),
        })
    }

    /// The whole file.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.before, self.rest)
    }

    /// Its line, counted from 1.
    pub(super) fn line(&self) -> u64 {
        (1..)
            .zip(self.before.split('\n'))
            .last()
            .map_or(1, |(line, _)| line)
    }

    /// Whether nothing but a comment follows in the line.
    pub(super) fn ends_line(&self) -> bool {
        self.after.is_empty() || self.after.starts_with('#')
    }

    /// Whether the next definition follows in the line.
    pub(super) fn begins_definition(&self) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || "_-.\"".contains(c);
        let rest = self.after.trim_start_matches(is_name);
        rest.len() < self.after.len() && rest.trim_start().starts_with('=')
    }

    /// The definition of `name` with what its line has after `sign`, which the place begins with, as its value; `function` is before that.
    pub(super) fn redefined(&self, name: &str, sign: &str, function: &str) -> Option<String> {
        let value = end_of_definition(self.here.strip_prefix(sign)?)?.trim();
        as_definitions(format!("{name} = {function}{value};"))
    }

    /// The definition of `name` with the value behind the next `=` of the line; without one, `name`.
    pub(super) fn definition_of(&self, name: String) -> String {
        let sign = self.here.find('=').and_then(|at| self.here.get(at..));
        let value = sign.and_then(end_of_definition);
        let definition = value.and_then(|value| as_definitions(format!("{name} {value};")));
        definition.unwrap_or(name)
    }

    /// The option that the list around it is the value of.
    pub(super) fn option_of_list(&self) -> Option<&'a str> {
        let (before, _) = self.before.rsplit_once('[')?;
        let before = without_with(before.trim_end());
        let before = before.strip_suffix('=')?.trim_end();
        before.split_whitespace().next_back()
    }

    /// Whether `with pkgs;` is before the list around it.
    pub(super) fn is_in_with_pkgs(&self) -> bool {
        let list = self.before.rsplit_once('[').map(|(before, _)| before);
        let before = list.map_or("", str::trim_end);
        self.is_in_list && before.ends_with("with pkgs;")
    }

    /// What the line has of the definition in front of it.
    pub(super) fn begun(&self) -> &'a str {
        let line = self.before.rsplit(['\n', ';', '{']).next();
        line.unwrap_or_default().trim_start()
    }

    /// Whether the statement in front of it is an `inherit`, in this line or an earlier one.
    pub(super) fn is_in_inherit(&self) -> bool {
        let statement = self.before.rsplit([';', '{']).next();
        statement.is_some_and(|text| text.trim_start().starts_with("inherit "))
    }

    /// The name in front of it, with its dots.
    pub(super) fn name_before(&self) -> &'a str {
        let before = self.before.trim_end();
        let rest = before.trim_end_matches(is_of_path);
        before.get(rest.len()..).unwrap_or_default()
    }

    /// Whether the line has a public key in front of it, which is not in quotes.
    pub(super) fn is_in_key(&self) -> bool {
        let line = self.before.rsplit('\n').next().unwrap_or_default();
        let mut starts = KEY_TYPES.iter().filter_map(|kind| line.split_once(kind));
        starts.any(|(before, _)| before.matches('"').count() % 2 == 0 && !before.contains('#'))
    }

    /// Whether it follows `text`, with spaces between them or none.
    pub(super) fn follows(&self, text: &str) -> bool {
        self.before.trim_end().ends_with(text)
    }
}

/// `before` without the `with …;` that it ends with.
fn without_with(before: &str) -> &str {
    let set = before.strip_suffix(';');
    let value = set.and_then(|set| set.rsplit_once("with "));
    let value = value.filter(|(_, set)| set.trim().chars().all(is_of_path));
    value.map_or(before, |(value, _)| value.trim_end())
}
