//! What to do about a syntax error: Nix notices most of them only after the place of the mistake.

use std::path::Path;

use super::config_txt;
use super::defined_already;
use super::evidence::{ExitContext, MAX_SHOWN};
use super::module_arguments::ARGUMENTS;
use super::surrounding_text;
use super::surrounding_text::FENCE;
use super::syntax_cause::{Cause, cause};
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use crate::common::nix_name::is_of_path;
use crate::nixos::log::{NixError, Position};
use sdbuild_core::text::line_of;

/// What some editors write in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What to do about a text that is no Nix.
pub(super) const NO_CONFIGURATION: &str = "this does not look like a NixOS configuration, which has the form { ... }: { \
 … }. `sdbuild init` in an empty directory writes one";

/// What to do about a file of JSON.
const JSON: &str = "the file is JSON, but a configuration is Nix. Instead of { \"networking\": { \"hostName\": \"pi\" } \
 } write { networking.hostName = \"pi\"; }";

/// What to do about a file of JSON that is no configuration, where `lib` may be unknown.
const IMPORTED_JSON: &str = "the file is JSON, which `import` does not read. Instead of import FILE write \
 (builtins.fromJSON (builtins.readFile FILE))";

/// What to do about the JSON in `file`.
fn json_hint(context: &ExitContext<'_>, file: &str) -> String {
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let is_data = Path::new(file).extension().is_some_and(|end| end == "json");
    let is_source = !context.is_flake && name(context.source) == name(file);
    let hint = if is_data && !is_source {
        IMPORTED_JSON
    } else {
        JSON
    };
    hint.to_owned()
}

/// Whether `text` is an object or a list of JSON.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start_matches(BYTE_ORDER_MARK).trim_start();
    text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether `text` begins as scripts do, and not as one of Nix.
fn is_script(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.starts_with("#!") && !first.contains("nix")
}

/// Whether each line of `text` is one of YAML, `name: value` or an element with `-`, and the first one no function of Nix.
fn is_yaml(text: &str) -> bool {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut lines = text.lines().map(str::trim).filter(is_code).peekable();
    let name = |line: &str| {
        let (name, value) = line.split_once(':')?;
        // Another colon is that of a function's next argument.
        let is_pair = value.is_empty() || value.starts_with(' ') && !value.contains(": ");
        (is_pair && name.chars().all(is_of_path)).then(|| name.to_owned())
    };
    let is_line = |line: &str| {
        let is_marker = ["---", "..."].contains(&line);
        let rest = line.strip_prefix("- ");
        !line.ends_with(['{', ';']) && (is_marker || rest.is_some() || name(line).is_some())
    };
    let first = lines.peek().and_then(|line| name(line));
    first.is_some_and(|first| !first.is_empty() && !ARGUMENTS.contains(&first.as_str()))
        && lines.all(is_line)
}

/// Whether `text` is certainly no configuration: of another program, or of several words, without a set, a list or a definition, and no
/// import.
pub(super) fn is_prose(text: &str) -> bool {
    if is_script(text) || is_yaml(text) {
        return true;
    }
    let has_sign = text.contains(['{', '[', '=']);
    let mut words = text.split_whitespace();
    let has_keyword = words
        .clone()
        .any(|word| ["import", "(import"].contains(&word));
    words.nth(2).is_some() && !has_sign && !has_keyword
}

/// Whether `text` has sections, as INI and TOML have them: `[network]` alone in its first line, a definition in the next one, and
/// neither the braces nor the semicolons of Nix.
fn is_ini(text: &str) -> bool {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with(['#', ';']);
    let mut lines = text.lines().map(str::trim).filter(is_code);
    let section = lines.next().and_then(|line| line.strip_prefix('['));
    let section = section.and_then(|line| line.strip_suffix(']'));
    let is_section = section.is_some_and(|name| !name.contains(char::is_whitespace));
    let is_definition = lines.next().is_some_and(|line| line.contains('='));
    let has_semicolon = text.lines().any(|line| line.trim_end().ends_with(';'));
    is_section && is_definition && !text.contains('{') && !has_semicolon
}

/// Whether `text` has nothing but comments.
fn is_empty(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// What to do about `file`, whose `text` has nothing but comments.
fn instead_of_nothing(file: &str, text: &str) -> &'static str {
    if !text.trim().is_empty() {
        return "the file has only comments. `sdbuild init` in an empty directory writes a configuration to copy from";
    }
    match file.rsplit('/').next() {
        Some(FLAKE_FILE) => "the file is empty. Remove it, then `sdbuild init --flake` writes one",
        Some(CONFIG_NAME) => "the file is empty. Remove it, then `sdbuild init` writes one",
        Some(_) | None => {
            "the file is empty. Write `{ }` into it if other files import it; `sdbuild init` in an empty directory writes a \
             whole configuration"
        }
    }
}

/// What to do about the syntax error in `error`, if the file shows more of it than Nix says.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let position = error.position.as_ref()?;
    let files = context.files?;
    if files.is_utf_16(&position.file) {
        return Some("the file is in UTF-16, which Nix does not read. Save it as UTF-8".to_owned());
    }
    let text = files.text(&position.file)?;
    if is_empty(&text) {
        let told = instead_of_nothing(&position.file, &text);
        return Some(match files.naming(&position.file) {
            Some(import) if text.trim().is_empty() => format!(
                "the file is empty. Write `{{ }}` into it, or remove it from {}{}",
                context.shown_dir, import.place
            ),
            Some(_) | None => told.to_owned(),
        });
    }
    if line_of(&text, position.line).is_some_and(|line| line.trim_start().starts_with(FENCE)) {
        let hint = format!("remove the lines with {FENCE}, which are Markdown, not Nix");
        return Some(hint);
    }
    if is_byte_order_mark(&text, position) {
        let hint = "the file begins with a byte order mark, which Nix does not read. Save it as UTF-8 without one";
        return Some(hint.to_owned());
    }
    if let Some(hint) = surrounding_text::hint(&text) {
        return Some(hint);
    }
    let is_slash = error.summary.contains("path has a trailing slash");
    if let Some(hint) = without_slash(&text, position).filter(|_| is_slash) {
        return Some(hint);
    }
    if is_prose(&text) || is_ini(&text) {
        return Some(NO_CONFIGURATION.to_owned());
    }
    if let Some(hint) = config_txt::hint(&text, position.line) {
        return Some(hint);
    }
    if is_json(&text) {
        return Some(json_hint(context, &position.file));
    }
    if is_without_braces(&text, &error.summary) {
        return Some("write definitions in braces, after the arguments: { ... }: { … }".to_owned());
    }
    if line_of(&text, position.line).is_some_and(is_sentence) {
        return Some(format!(
            "line {} is text, not Nix. A comment begins with `#`",
            position.line
        ));
    }
    let cause = cause(&text, position, &error.summary).unwrap_or_else(|| Cause {
        line: position.line,
        hint: general_hint(&error.summary).to_owned(),
    });
    Some(defined_already::with_other_line(
        &text, cause.line, cause.hint,
    ))
}

/// Whether `line` is the text of a comment that has lost its sign: words after one with a capital, and nothing of a definition.
fn is_sentence(line: &str) -> bool {
    const MIN_WORDS: usize = 4;
    let line = line.trim();
    let is_word = |word: &&str| word.chars().any(char::is_alphabetic);
    line.starts_with(|c: char| c.is_ascii_uppercase())
        && !line.contains(['=', ';', '"', '{', '}', '[', ']'])
        && line.split_whitespace().filter(is_word).count() >= MIN_WORDS
}

/// The line at `position` of `text` without the slash of a path that is before it; `None` before a wildcard, which is the mistake then.
fn without_slash(text: &str, position: &Position) -> Option<String> {
    let (before, rest) = text.split_at_checked(position.offset(text)?)?;
    if rest.starts_with('*') {
        return None;
    }
    let begin = before.strip_suffix('/')?.rsplit('\n').next()?;
    let line = format!("{}{}", begin.trim_start(), rest.lines().next()?);
    (line.len() <= MAX_SHOWN).then(|| format!("remove the slash at the end of the path: {line}"))
}

/// The line with the mistake of a syntax error, as Nix quotes source, if Nix quotes only later ones of the file; with an
/// ellipsis for what is between them.
pub(super) fn earlier_lines(context: &ExitContext<'_>, error: &NixError) -> Vec<String> {
    let quoted = earlier_line(context, error);
    let lines = quoted.map(|(line, is_next)| {
        let ellipsis = (!is_next).then(|| "…".to_owned());
        std::iter::once(line).chain(ellipsis).collect()
    });
    lines.unwrap_or_default()
}

/// That line, and whether the next one is quoted by Nix.
fn earlier_line(context: &ExitContext<'_>, error: &NixError) -> Option<(String, bool)> {
    if !error.summary.starts_with("syntax error, ") {
        return None;
    }
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let Cause { line, .. } = cause(&text, position, &error.summary)?;
    // Nix quotes the line before the place, too.
    if line + 1 >= position.line {
        return None;
    }
    let quoted = format!("{line}| {}", line_of(&text, line)?);
    Some((quoted, line + 2 == position.line))
}

/// Whether the file begins with a definition: what Nix takes for a whole expression ends at its `=`.
fn is_without_braces(text: &str, summary: &str) -> bool {
    // Behind the arguments.
    let body = text.split_once("}:").map_or(text, |(_, body)| body);
    let mut lines = body.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let name = first.split('=').next().unwrap_or_default().trim();
    let is_name = |c: char| is_of_path(c) || c == '"';
    summary.contains("unexpected '=', expecting end of file")
        && first.contains('=')
        && name.chars().all(is_name)
}

fn is_byte_order_mark(text: &str, position: &Position) -> bool {
    text.starts_with(BYTE_ORDER_MARK) && (position.line, position.column) == (1, 1)
}

/// What to look for, by what the parser met and what it expected.
pub(super) fn general_hint(summary: &str) -> &'static str {
    let has = |text: &str| summary.contains(text);
    if has("path has a trailing slash") {
        "remove the slash at the end of the path"
    } else if has("unexpected ';', expecting ')'") {
        "write the `;` after the `)`, at the end of the whole value"
    } else if has("expecting ';'") {
        "a `;` is missing there or at the end of the line before, or a quote before it is not closed"
    } else if has("unexpected EQ, expecting '.' or '='") {
        "write `=` instead of `==`, which compares two values"
    } else if has("expecting IN_KW") {
        "the definitions of a `let` end with `in`: let … in { … }"
    } else if has("unexpected ','") {
        "remove the comma. The elements of a list are separated by spaces, and definitions end with `;`"
    } else if has("expecting ':'") {
        "end the { … } of the module's arguments with a colon, as in { config, pkgs, ... }:"
    } else if has("unexpected ':', expecting '.' or '='") {
        "write `=` instead of `:`"
    } else if has("unexpected ID, expecting '.' or '='") {
        "a `,` between two arguments, a `=` or a bracket is missing before it"
    } else if has("unexpected UPDATE") {
        "a comment begins with `#`; `//` joins two sets"
    } else if has("unexpected '@'") {
        "a string such as a key needs double quotes: \"…\""
    } else if has("unexpected invalid token") {
        "a string needs straight double quotes: \"…\""
    } else if has("unexpected end of file") {
        "a bracket or a quote is not closed, or the file is empty"
    } else {
        "Nix expects something else there. Look there and before it for what is missing or too much"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_without_braces_are_recognised() {
        let end = "syntax error, unexpected '=', expecting end of file";
        assert!(is_without_braces("services.openssh.enable = true;\n", end));
        let behind = "{ pkgs, ... }:\n\n  # The name.\n  networking.hostName = \"x\";\n";
        assert!(is_without_braces(behind, end));
        let inside = "syntax error, unexpected '=', expecting ';'";
        assert!(!is_without_braces("a = 1;\n", inside));
        for other in [
            "let a = 1; in { }\n",
            "pkgs: { }\na = 1;\n",
            "{ ... }: { a = 1; }\n",
        ] {
            assert!(!is_without_braces(other, end), "{other}");
        }
    }

    #[test]
    fn a_file_with_sections_is_recognised() {
        assert!(is_ini("# a\n[network]\nhostname = pi\n"));
        assert!(is_ini("[all]\n; b\narm_64bit=1\n"));
        for nix in ["[ ./a.nix ]\n", "[\n  { a = 1; }\n]\n", "[a]\nb = 1;\n"] {
            assert!(!is_ini(nix), "{nix}");
        }
    }

    #[test]
    fn a_text_that_is_no_configuration_is_recognised() {
        for prose in [
            "Please write a configuration for my Pi.\n",
            "FROM debian:12\nRUN apt-get update\n",
            "hostname: pi\n",
            "# of the board\nusers:\n  - name: ann\n    groups: [ wheel ]\n",
            "#!/bin/bash\nexport A={}\n",
        ] {
            assert!(is_prose(prose), "{prose}");
        }
        for nix in [
            "{ ... }: { a = b; }",
            "import ./a.nix c d",
            "a b",
            "a = 1; b = 2;",
            "[ a b c ]",
            "pkgs: pkgs.a",
            "final: prev:\n{\n  a = 1;\n}\n",
            "a: b: [ a b ]",
            "#!/usr/bin/env nix-shell\n{ a = 1; }",
        ] {
            assert!(!is_prose(nix), "{nix}");
        }
    }

    #[test]
    fn json_is_recognised() {
        for json in ["{ \"a\": [ 1, true ] }\n", "[1, 2]", "\u{feff}{\"a\":{}}"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["{ \"a\" = 1; }", "{ \"a\": 1, }", "{ a: 1 }", "\"a\"", "1"] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn json_that_is_data_is_no_configuration() {
        let context = |source| ExitContext {
            source,
            ..ExitContext::default()
        };
        for (file, source, hint) in [
            ("/build/config/x.json", "pi/sd-card.nix", IMPORTED_JSON),
            ("/build/config/sd-card.nix", "sd-card.nix", JSON),
            ("/build/config/pi.json", "pi.json", JSON),
            ("/build/config/lib/x.nix", "sd-card.nix", JSON),
        ] {
            assert_eq!(json_hint(&context(source), file), hint, "{file}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_recognised() {
        let mut position = Position {
            file: "/build/config/c.nix".into(),
            line: 1,
            column: 1,
        };
        assert!(is_byte_order_mark("\u{feff}{ ... }:\n{ }\n", &position));
        assert!(!is_byte_order_mark("'pi'\n", &position));
        position.line = 2;
        assert!(!is_byte_order_mark("\u{feff}{ ... }:\n{ }\n", &position));
    }
}
