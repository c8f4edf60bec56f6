//! Nix's message as the user reads it: with the user's own paths, and without advice that cannot be followed here. Pure.

use super::cause::{Cause, Definition};
use super::evidence::ExitContext;
use super::explanation::Explanation;
use super::place::definition_in;
use super::syntax::with_known_tokens;
use crate::layout::{self, CLI_MODULE, CONFIG_DIR};
use crate::log::NixError;
use sdbuild_core::text::truncate;

/// Characters of a message; the log has all of them.
const MAX_CHARS: usize = 600;
/// Start of Nix's advice for conflicting definitions; the hint says when it applies.
const FORCE: &str = "Use `lib.mkForce value`";
/// Start of the names that Nix suggests; the hint has those that are near.
const SUGGESTION: &str = "Did you mean ";
/// Start of nixpkgs' advice on how to allow a package with problems, which is not for a configuration of NixOS.
const HANDLERS: &str = "See also https://nixos.org/manual/nixpkgs/";
/// Start of the list of definitions; the only one is in the excerpt.
const VALUES: &str = " Definition values:";
/// The same in nixpkgs 26.11.
const TYPE_ERROR: &str = " TypeError: Definition values:";
/// Advice of Nix about its own flags, and a flag that sdbuild gives.
const FLAGS: [&str; 3] = [
    " (add it using $NIX_PATH or -I)",
    " (use '--impure' to override)",
    " but they're not allowed due to '--no-update-lock-file'",
];

/// The message of `error`, behind its place.
pub(super) fn reason(
    context: &ExitContext<'_>,
    error: &NixError,
    explanation: &Explanation,
) -> String {
    let cause = &explanation.cause;
    let summary = if let Cause::Conflict {
        option,
        definitions,
    } = cause
    {
        with_lines(context, &error.summary, option, definitions)
    } else if *cause == Cause::Syntax {
        with_known_tokens(&error.summary)
    } else {
        error.summary.clone()
    };
    let is_said = |line: &String| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with(FORCE) && !line.starts_with(SUGGESTION)
    };
    let lines = with_flags(context, &summary, cause.option().unwrap_or_default());
    let lines = lines.into_iter().filter(is_said);
    let lines = lines.take_while(|line| !line.starts_with(HANDLERS));
    // The rest proposes commands that sdbuild does not have.
    let most = if cause.is_refused_package() {
        1
    } else {
        usize::MAX
    };
    let lines: Vec<String> = lines
        .take(most)
        .map(|line| line.trim().to_owned())
        .collect();
    let mut text = lines.join("\n");
    for flag in FLAGS {
        text = text.replace(flag, "");
    }
    let text = without_values(&text, explanation);
    let text = truncate(&with_own_paths(context, &text), MAX_CHARS).into_owned();
    match place(context, error, explanation) {
        Some(place) => format!("{place}: {text}"),
        None => text,
    }
}

/// The place of the error: a place in the user's files, or a flag.
fn place(context: &ExitContext<'_>, error: &NixError, explanation: &Explanation) -> Option<String> {
    let position = error.position.as_ref();
    match position.filter(|position| position.file == CLI_MODULE) {
        Some(position) => {
            let flag = context
                .cli_module
                .and_then(|module| module.flag_at(position.line));
            Some(flag.unwrap_or("the command line").to_owned())
        }
        None => Some(explanation.place.as_ref()?.shown(context)),
    }
}

/// `text` without what the excerpt shows, and without long values.
fn without_values(text: &str, explanation: &Explanation) -> String {
    /// Characters of a value.
    const MAX_VALUE: usize = 120;
    let has_place = explanation.place.is_some();
    let cause = &explanation.cause;
    if let Cause::UnknownOption { definitions, .. } | Cause::WrongType { definitions, .. } = cause {
        let text = text.replace(TYPE_ERROR, VALUES);
        let before = text.split(VALUES).next().filter(|_| has_place);
        let shown = before.filter(|_| definitions.len() == 1);
        return shown.unwrap_or(&text).to_owned();
    }
    if matches!(cause, Cause::WrongValue { .. }) {
        return truncate(text, MAX_VALUE).into_owned();
    }
    let is_form = matches!(
        cause,
        Cause::FlakeForm { .. } | Cause::InputAttribute { .. }
    );
    let before = if *cause == Cause::NotAFunction {
        text.split(": {").next()
    } else if is_form && has_place {
        text.split(" at /nix/store/").next()
    } else {
        None
    };
    let before = before.unwrap_or(text);
    before.trim_end_matches([',', ':']).to_owned()
}

/// `summary` with the line of each of the `definitions` of `option` in the user's files.
fn with_lines(
    context: &ExitContext<'_>,
    summary: &str,
    option: &str,
    definitions: &[Definition],
) -> String {
    let mut text = summary.to_owned();
    for definition in definitions {
        let Definition { file, value } = definition;
        if let Some((place, _)) = definition_in(context, file, option, value) {
            let listed = |line: &str| format!("- In `{file}{line}': {value}");
            text = text.replacen(&listed(""), &listed(&format!(":{}", place.line)), 1);
        }
    }
    text
}

/// The lines of `summary`, in which a definition of the command line is named by its flag.
fn with_flags(context: &ExitContext<'_>, summary: &str, option: &str) -> Vec<String> {
    let definition = format!("- In `{CLI_MODULE}'");
    let flag = context.cli_module.and_then(|module| module.flag_of(option));
    let mut lines: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in summary.lines() {
        let begins = line.trim_start().starts_with("- ") || line.trim().is_empty();
        if line.trim_start().starts_with(&definition) {
            let flag = flag.unwrap_or("a flag");
            lines.push(format!("- On the command line: {flag}"));
            is_inside = true;
        } else if begins || !is_inside || !line.starts_with(' ') && !line.starts_with('}') {
            is_inside = false;
            lines.push(line.to_owned());
        }
    }
    lines
}

/// `text` with the user's paths in place of the builder's.
pub(super) fn with_own_paths(context: &ExitContext<'_>, text: &str) -> String {
    let path = text.split('\'').nth(1).unwrap_or_default();
    let local = context.files.and_then(|files| {
        let is_above = layout::beside_config(path).is_some();
        files.local_path(path).filter(|_| is_above)
    });
    let text = match local {
        Some(local) => text.replacen(path, &local, 1),
        None => text.to_owned(),
    };
    let text = text.replace(CONFIG_DIR, context.shown_dir);
    let dir = Some(context.shown_dir.trim_end_matches('/')).filter(|dir| !dir.is_empty());
    let flake = format!("'path:{}'", layout::CONFIG);
    let text = text.replace(&flake, &format!("'{}'", dir.unwrap_or(".")));
    let text = text.replace(CLI_MODULE, "the command line");
    let text = text.replace(layout::HOME_OF_NIX, "~");
    // Nix writes the path of an input `path:/…` with two slashes.
    let text = text.replace("path '//", "path '/");
    // The name of nixpkgs' directory is a hash.
    let dir = layout::nixpkgs("");
    let mut parts = text.split(dir.as_str());
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| match part.split_once('/') {
        Some((_, rest)) => format!("{shown}<nixpkgs>/{rest}"),
        None => format!("{shown}{dir}{part}"),
    })
}
