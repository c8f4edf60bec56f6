//! Mistaken lines that would be a second definition of what the file defines already: once mended, Nix would refuse them.

use super::evidence::{ExitContext, MAX_SHOWN};
use super::written_values::{DefinedValue, elements_of, values_of};
use crate::nixos::nix_definitions::{WrittenDefinition, definitions};
use crate::nixos::nix_syntax::parse;
use sdbuild_core::text::line_of;

/// Words that a value may consist of.
const SWITCHES: [&str; 2] = ["true", "false"];

/// The line of the `imports` of the whole file, which is right without the line `number`.
fn line_of_imports(text: &str, number: u64) -> Option<usize> {
    let imports = values_of(&without_line(text, number)?, "imports");
    imports.first().map(|value| value.line)
}

/// What to do about the line `number` of `text`, which imports `files` beside the `imports` that the file has.
pub(super) fn imports(text: &str, number: u64, files: &str) -> Option<String> {
    let line = line_of_imports(text, number)?;
    Some(format!(
        "remove line {number}, and add {files} to the imports of line {line}"
    ))
}

/// Whether `option` is what people call `imports`.
pub(super) fn is_import(option: &str) -> bool {
    let names = ["import", "imports", "include", "includes"];
    names.iter().any(|name| option.eq_ignore_ascii_case(name))
}

/// What to do about the only list that is called `option`, a name that people give `imports`, in a file with the right one.
pub(super) fn second_imports(context: &ExitContext<'_>, option: &str) -> Option<String> {
    let (place, hint) = context
        .files
        .filter(|_| is_import(option))?
        .only_place(|text| {
            let found = values_of(text, option).into_iter();
            let hint = |value: &DefinedValue| {
                let files = elements_of(&value.written)?.join(" ");
                let line = u64::try_from(value.line).ok()?;
                let is_short =
                    !files.is_empty() && files.len() <= MAX_SHOWN && !files.contains('\n');
                imports(text, line, &files).filter(|_| is_short)
            };
            found.map(|value| (value.line, hint(&value))).collect()
        })?;
    let (file, _) = place.rsplit_once(':')?;
    let is_source = context.source.rsplit('/').next() == Some(file);
    let of_file = if is_source {
        String::new()
    } else {
        format!("in {}{file}, ", context.shown_dir)
    };
    Some(format!("{of_file}{}", hint?))
}

/// What to do about the line `number` of `text`, which Nix cannot read, if it has the names, and the value, of another definition of
/// the file: that one is enough.
pub(super) fn hint(text: &str, number: u64) -> Option<String> {
    let written = line_of(text, number)?.split('#').next()?;
    let (value, mut names): (Vec<&str>, Vec<&str>) =
        words(written).partition(|word| SWITCHES.contains(word));
    // A verb is before its object: `enable services.openssh;`.
    if names.first() == Some(&"enable") {
        names.rotate_left(1);
    }
    let all = definitions(&without_line(text, number)?);
    let found = all.iter().find(|definition| definition.path == names)?;
    let is_same = |value: &&str| found.literal.as_deref() == Some(value);
    let is_same = value.iter().all(is_same);
    (names.len() > 1).then(|| instead_of(number, found, is_same))
}

/// What to do about the line `number`, whose only definition is that of `found` in another line, with the same value or not.
fn instead_of(number: u64, found: &WrittenDefinition, is_same: bool) -> String {
    let (line, path) = (found.line, found.path.join("."));
    let rest = if is_same {
        format!("Remove line {number}")
    } else {
        format!("Change its value there, and remove line {number}")
    };
    format!("line {line} already sets {path}. {rest}")
}

/// What is `told` of the line `number` of `text`, which may end with how to write the line, with what to do about the only other
/// definition in the file of an option that the line has, or then has.
pub(super) fn with_other_line(text: &str, number: u64, told: String) -> String {
    let other = || {
        let (_, line) = told.rsplit_once(": ")?;
        let set = format!("{{ {line} }}");
        let mended = parse(&set).errors().is_empty().then(|| definitions(&set))?;
        let all = definitions(&without_line(text, number)?);
        let is_mended = |path: &[String]| mended.iter().any(|one| one.path == path);
        let mut others = all.into_iter().filter(|one| is_mended(&one.path));
        let only = others.next().filter(|_| others.next().is_none())?;
        let is_whole = mended.len() == 1 && line_of(text, number)?.matches(';').nth(1).is_none();
        let is_same =
            only.literal.is_some() && mended.iter().all(|one| one.literal == only.literal);
        Some(if is_whole {
            format!("But {}", instead_of(number, &only, is_same))
        } else {
            format!(
                "Then remove {} from line {}",
                only.path.join("."),
                only.line
            )
        })
    };
    let again = hint(text, number).map(|again| format!("But {again}"));
    let dot = if told.ends_with(';') { "" } else { "." };
    match again.or_else(other) {
        Some(rest) => format!("{told}{dot} {rest}"),
        None => told,
    }
}

/// The names and other words of `line`.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || "_-'".contains(c);
    line.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// The `text` with nothing in its line `number`, if it is Nix then.
fn without_line(text: &str, number: u64) -> Option<String> {
    let lines = (1..).zip(text.lines());
    let lines = lines.map(|(line, text)| if line == number { "" } else { text });
    let text = lines.collect::<Vec<&str>>().join("\n");
    parse(&text).errors().is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with `line` in line 4.
    fn with(line: &str) -> String {
        format!(
            "{{ ... }}: {{\n  imports = [ ./a.nix ];\n  services.openssh.enable = true;\n  {line}\n}}\n"
        )
    }

    #[test]
    fn a_second_definition_is_removed() {
        let remove = "line 3 already sets services.openssh.enable. Remove line 4";
        for line in [
            ".services.openssh.enable = true;",
            "services.openssh = { enable };",
            "services { openssh.enable = true; };",
            "services[\"openssh\"].enable = true; # SSH",
            "enable services.openssh;",
            "services openssh/enable = true",
        ] {
            assert_eq!(hint(&with(line), 4).as_deref(), Some(remove), "{line}");
        }
        let change = "line 3 already sets services.openssh.enable. Change its value there, and remove line 4";
        let other = hint(&with("services::openssh::enable = false;"), 4);
        assert_eq!(other.as_deref(), Some(change));
    }

    #[test]
    fn other_lines_are_no_second_definition() {
        for line in [
            "services::openssh::enable = { a = true; };",
            "services.openssh = { enable = true startWhenNeeded = true; };",
            "services::nginx::enable = true;",
            "imports ./b.nix;",
            "services::openssh = {",
        ] {
            assert_eq!(hint(&with(line), 4), None, "{line}");
        }
        let not_mended = with("services::openssh::enable = true;").replace("];", "]");
        assert_eq!(hint(&not_mended, 4), None);
    }

    #[test]
    fn a_mended_line_needs_the_other_one_removed() {
        let hint = |line: &str| with_other_line(&with("?"), 4, format!("a `;` is missing: {line}"));
        let both = "services.openssh = { enable = true; a = 1; };";
        let told = hint(both);
        assert!(
            told.ends_with("; Then remove services.openssh.enable from line 3"),
            "{told}"
        );
        for line in ["services.nginx.enable = true;", "a = ", "the rest"] {
            assert!(!hint(line).contains("Then"), "{line}");
        }
    }

    #[test]
    fn files_are_added_to_the_imports_of_the_file() {
        let hint = imports(&with("import ./b.nix;"), 4, "./b.nix");
        let expected = "remove line 4, and add ./b.nix to the imports of line 2";
        assert_eq!(hint.as_deref(), Some(expected));
        let inside = "{\n  a = { imports = [ ]; };\n  import ./b.nix;\n}\n";
        assert_eq!(imports(inside, 3, "./b.nix"), None);
    }
}
