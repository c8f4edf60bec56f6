//! Nix's errors in messages: the reason with the user's own paths, and an excerpt without the trace.

use super::conflicts::with_lines;
use super::eval_error::EvalError;
use super::evidence::ExitContext;
use super::missing_files::missing_path;
use super::option_without_value;
use super::proposals::PROPOSAL;
use super::removed_packages;
use super::source_lines;
use super::tokens;
use super::written_values::{definitions_of, values_below};
use super::written_words;
use crate::common::nix_name::is_of_name;
use crate::nixos::layout;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use sdbuild_core::failure::Failure;
use sdbuild_core::text::truncate;

/// Longest reason in characters; the log has the whole message.
const MAX_CHARS: usize = 600;

/// Start of Nix's advice for conflicting definitions; the hint says when it applies.
const ADVICE: &str = "Use `lib.mkForce value`";

/// Start of Nix's list of definitions; the only one is quoted with its line instead.
const VALUES: &str = " Definition values:";
/// The same in nixpkgs 26.11, where a word before it says nothing to a user.
const TYPE_ERROR: &str = " TypeError: Definition values:";

/// Start of the attributes of a package; none of them says more.
const PACKAGE: &str = " a set: { type = \"derivation\";";

/// Start of nixpkgs' advice on how to allow a package with problems; no line of it is for a configuration of NixOS alone.
const HANDLERS: &str = "See also https://nixos.org/manual/nixpkgs/";

/// What Nix proposes for a flake that needs more than its files, and sdbuild does not do.
const IMPURE: &str = " (use '--impure' to override)";

/// The flag that sdbuild gives Nix, which no user has given.
const NO_UPDATE: &str = " but they're not allowed due to '--no-update-lock-file'";

/// The reason in `error`, with its place when that is in the configuration or on the command line.
pub(super) fn reason(context: &ExitContext<'_>, error: &NixError) -> String {
    let summary = with_lines(context, &tokens::in_words(&error.summary));
    let lines = command_line_definitions(context, &summary);
    // The hint has the name that is proposed for an option.
    let is_unknown = EvalError::find(&error.summary) == Some(EvalError::UnknownOption);
    let is_in_hint =
        |line: &str| line.starts_with(ADVICE) || is_unknown && line.starts_with(PROPOSAL);
    let is_said = |line: &&str| !line.is_empty() && !is_in_hint(line);
    let lines = lines.iter().map(|line| line.trim()).filter(is_said);
    let lines = lines.take_while(|line| !line.starts_with(HANDLERS));
    // The first line of nixpkgs' message about a package; the rest proposes commands that sdbuild does not have.
    let most = if is_refused_package(error) {
        1
    } else {
        usize::MAX
    };
    let lines = lines.take(most);
    let mut text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace(IMPURE, "")
        .replace(NO_UPDATE, "")
        .replace(TYPE_ERROR, VALUES);
    if let Some((before, _)) = text.split_once(VALUES)
        && Definition::find(context, error).is_some_and(|found| !found.is_of_element)
    {
        text = before.to_owned();
    }
    if most == 1 {
        text = text.trim_end_matches(':').to_owned();
    }
    if let Some((before, _)) = text.split_once(PACKAGE) {
        text = format!("{before} a package");
    }
    let text = with_elements(&text);
    let text = shown(context, &with_local_path(context, &text));
    let text = truncate(&text, MAX_CHARS);
    match place(context, error) {
        Some(place) => format!("{place}: {text}"),
        None => text.into_owned(),
    }
}

/// `text`, a message about an option, where the elements of lists in its path are numbers of entries: of
/// ``a."[definition 2-entry 1]".b'`` it makes ``a.*.b' (entry 1 of the list)``.
fn with_elements(text: &str) -> String {
    let path = || {
        let (before, rest) = text.split_once('`')?;
        let (path, rest) = rest.split_once('\'')?;
        let speaks = ["A definition for option ", "The option "].contains(&before);
        speaks.then_some((before, path, rest))
    };
    let Some((before, path, rest)) = path() else {
        return text.to_owned();
    };
    let mut entries = Vec::new();
    let mut parts = path.split(".\"[definition ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let entry = part.split_once("-entry ");
        let Some((number, end)) = entry.and_then(|(_, rest)| rest.split_once("]\"")) else {
            return text.to_owned();
        };
        entries.push(format!("entry {number} of the list"));
        shown = format!("{shown}.*{end}");
    }
    if entries.is_empty() {
        return text.to_owned();
    }
    let shown = shown.strip_suffix(".*").unwrap_or(&shown);
    format!("{before}`{shown}' ({}){rest}", entries.join(", "))
}

/// `text`, a message about a missing file, with the path that the file has on this machine.
fn with_local_path(context: &ExitContext<'_>, text: &str) -> String {
    let path = missing_path(text);
    let local = path.and_then(|path| context.files?.local_path(path));
    match path.zip(local) {
        Some((path, local)) => text.replacen(path, &local, 1),
        None => text.to_owned(),
    }
}

/// Where the mistake is: what Nix reports, a flag, or the line that defines the option of which the message speaks, or throws
/// that message.
fn place(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    match &error.position {
        Some(Position { file, line, column }) if file.starts_with(CONFIG_DIR) => {
            let file = file.replace(CONFIG_DIR, context.shown_dir);
            Some(format!("{file}:{line}:{column}"))
        }
        Some(Position { file, line, .. }) if file == layout::CLI_MODULE => {
            let flag = context.cli_module.and_then(|module| module.flag_at(*line));
            Some(flag.unwrap_or("the command line").to_owned())
        }
        Some(_) => {
            let place = removed_packages::place(context, &error.summary)?;
            Some(format!("{}{place}", context.shown_dir))
        }
        None => {
            if let Some(place) = written_words::place_of_hash(context, &error.summary) {
                return Some(place);
            }
            let place = match Definition::find(context, error) {
                Some(Definition { name, line, .. }) => format!("{name}:{line}"),
                None => option_by_alias(context, error)
                    .or_else(|| context.files?.place_that_throws(&error.summary))
                    .or_else(|| removed_packages::place(context, &error.summary))
                    .or_else(|| option_without_value::place(context, &error.summary))?,
            };
            Some(format!("{}{place}", context.shown_dir))
        }
    }
}

/// Where the option is of a user that does not exist, and that the user's files define in `users.extraUsers`.
fn option_by_alias(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let rest = error.summary.strip_prefix("The option `users.users.")?;
    let (path, _) = rest.split_once("' does not exist")?;
    let written = format!("users.extraUsers.{path}");
    let (place, ()) = context.files?.only_place(|text| {
        let values = definitions_of(text, &written).into_iter();
        values.map(|value| (value.line, ())).collect()
    })?;
    Some(place)
}

/// The only definition of an option of which an error without a position speaks, in a file of the user.
struct Definition<'a> {
    /// The file, below the directory that was uploaded.
    name: &'a str,
    text: String,
    /// Counted from 1.
    line: usize,
    /// The option, or its last part, as it is in the line.
    option: &'a str,
    /// Whether the error is about one element of the option's value, which the line may not show.
    is_of_element: bool,
}

impl<'a> Definition<'a> {
    fn find(context: &ExitContext<'_>, error: &'a NixError) -> Option<Self> {
        let option = option_of(&error.summary).filter(|_| error.position.is_none())?;
        let (_, rest) = error.summary.split_once(&format!("- In `{CONFIG_DIR}"))?;
        let (name, rest) = rest.split_once('\'')?;
        // Of definitions in several files none is the wrong one.
        let is_only = !rest.contains("\n- In `");
        let text = context
            .files
            .filter(|_| is_only)?
            .text(&format!("{CONFIG_DIR}{name}"))?;
        let is_of_element = error.summary.contains(&format!("`{option}.\""));
        let last = option.rsplit('.').next()?;
        let found = [option, last]
            .into_iter()
            .find_map(|option| Some((only_line_with(&text, option)?, option)));
        let defined = || Some((only_definition(&text, option)?, last));
        let (line, option) = found.or_else(defined)?;
        Some(Self {
            name,
            text,
            line,
            option,
            is_of_element,
        })
    }

    /// The line with those around it, as Nix quotes source.
    fn lines(&self) -> Vec<String> {
        let line = self.text.lines().nth(self.line.saturating_sub(1));
        let before = line.and_then(|line| line.split_once(self.option));
        let column = before.map(|(before, _)| before.chars().count());
        source_lines::around(&self.text, self.line, column)
    }
}

/// The lines of the user's file that define the option of which `error` speaks, if Nix does not quote any.
pub(super) fn definition_excerpt(
    context: &ExitContext<'_>,
    error: &NixError,
) -> Option<Vec<String>> {
    Definition::find(context, error).map(|definition| definition.lines())
}

/// The option of which a message of the module system speaks.
fn option_of(summary: &str) -> Option<&str> {
    let speaks =
        summary.starts_with("The option `") || summary.starts_with("A definition for option `");
    let option = speaks.then(|| summary.split(['`', '\'']).nth(1))??;
    // Elements of lists and sets: `a.b."[definition 1-entry 1]"`.
    option.split(".\"").next()
}

/// The line of the only definition of `option`, or of what is below it, in `text`.
fn only_definition(text: &str, option: &str) -> Option<usize> {
    let values = [definitions_of(text, option), values_below(text, option)];
    let mut values = values.into_iter().flatten();
    let only = values.next().filter(|_| values.next().is_none())?;
    Some(only.line)
}

/// The number of the only line of `text`, counted from 1, that names `option` outside a comment.
fn only_line_with(text: &str, option: &str) -> Option<usize> {
    let names = |line: &str| {
        let code = line.split('#').next().unwrap_or(line);
        code.match_indices(option).any(|(at, _)| {
            let (before, rest) = code.split_at_checked(at).unwrap_or_default();
            let after = rest.get(option.len()..).unwrap_or_default();
            !before.ends_with(is_of_name) && !after.starts_with(is_of_name)
        })
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| names(line));
    let (index, _) = lines.next().filter(|_| !option.is_empty())?;
    lines.next().is_none().then_some(index + 1)
}

/// The lines of `summary`; a definition of the command line is named by its flag, which the user knows.
fn command_line_definitions(context: &ExitContext<'_>, summary: &str) -> Vec<String> {
    let definition = format!("- In `{}'", layout::CLI_MODULE);
    let option = option_of(summary).unwrap_or_default();
    let flag = context.cli_module.and_then(|module| module.flag_of(option));
    let mut lines: Vec<String> = Vec::new();
    let mut in_definition = false;
    for line in summary.lines() {
        let starts_another = line.trim_start().starts_with("- ") || line.trim().is_empty();
        if line.trim_start().starts_with(&definition) {
            lines.push(format!(
                "- On the command line: {}",
                flag.unwrap_or("a flag")
            ));
            in_definition = true;
        } else if starts_another
            || !in_definition
            || !line.starts_with(' ') && !line.starts_with('}')
        {
            in_definition = false;
            lines.push(line.to_owned());
        }
    }
    lines
}

/// `text` with the user's paths in place of the builder's.
fn shown(context: &ExitContext<'_>, text: &str) -> String {
    let text = text.replace(CONFIG_DIR, context.shown_dir);
    let text = text.replace(layout::CLI_MODULE, "the command line");
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

fn is_refused_package(error: &NixError) -> bool {
    EvalError::find(&error.summary).is_some_and(EvalError::is_refused_package)
}

/// `line` without the status with which a download began that then broke off, `HTTP error 200 (curl error: WHY)`.
pub(super) fn without_status(line: &str) -> String {
    let broken_off = ["200", "206"].iter().find_map(|status| {
        let (start, why) = line.split_once(&format!("HTTP error {status} (curl error: "))?;
        Some(format!("{start}{}", why.strip_suffix(')')?))
    });
    broken_off.unwrap_or_else(|| line.to_owned())
}

/// `reason` of a failed download without curl's number of the error and the general words before it, if details follow: of
/// `Could not resolve hostname (6) Could not resolve host: c.example` the end.
pub(super) fn details(reason: &str) -> &str {
    let after_number = || {
        let (_, rest) = reason.split_once(" (")?;
        let (number, details) = rest.split_once(") ")?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !details.trim().is_empty()).then_some(details)
    };
    after_number().unwrap_or(reason)
}

/// The end of an error with a trace: the reason, which comes last, with the lines of source around it; without what
/// `failure` says already.
pub(super) fn excerpt(
    context: &ExitContext<'_>,
    error: &NixError,
    failure: &Failure,
) -> Vec<String> {
    let position = error.position.as_ref();
    // What sdbuild made of the flag says nothing to a user, who sees the flag itself.
    let is_of_flag = position.is_some_and(|position| position.file == layout::CLI_MODULE);
    if is_of_flag || is_refused_package(error) {
        return Vec::new();
    }
    let lines: Vec<&str> = error
        .text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let starts_reason = |line: &&str| {
        line.trim_start()
            .strip_prefix("error:")
            .is_some_and(|l| !l.is_empty())
    };
    let reason = lines.iter().rposition(starts_reason).unwrap_or(0);
    let (_, lines) = lines.split_at_checked(reason).unwrap_or_default();
    // The first word is `error:`.
    let text = lines.join(" ");
    let words = text.split_whitespace().skip(1);
    if words.eq(error.summary.split_whitespace()) {
        return Vec::new();
    }
    let without_attributes = |line: &&str| match line.split_once(PACKAGE) {
        Some((before, _)) => format!("{before} a package"),
        None => (*line).to_owned(),
    };
    let lines = lines.iter().map(without_attributes);
    let lines = lines.map(|line| shown(context, &line));
    let message = failure.to_string();
    let lines: Vec<String> = lines.filter(|line| !is_repeated(&message, line)).collect();
    // Where sdbuild asks for the configuration says nothing about what is wrong with it.
    if lines.iter().any(|line| line.contains(layout::EXPRESSIONS))
        && !names_user_files(context, &lines)
    {
        return Vec::new();
    }
    let indent_of = |line: &String| line.len() - line.trim_start().len();
    let indent = lines.iter().map(indent_of).min().unwrap_or(0);
    let without_indent = |line: &String| line.get(indent..).unwrap_or(line).to_owned();
    lines.iter().map(without_indent).collect()
}

/// Whether one of `lines` is a place in the user's files.
fn names_user_files(context: &ExitContext<'_>, lines: &[String]) -> bool {
    let places = lines
        .iter()
        .filter_map(|line| line.trim().strip_prefix("at "));
    let mut names = places.filter_map(|place| place.strip_prefix(context.shown_dir));
    // Others are those of nixpkgs, of the store and of expressions.
    names.any(|name| !name.starts_with(['/', '<', '«']))
}

/// Whether `line` of an excerpt repeats the `message` of a failure, its place, or names that Nix proposes, of which the hint has those that
/// may be meant.
fn is_repeated(message: &str, line: &str) -> bool {
    let line = line.trim();
    let line = line.strip_prefix("error:").unwrap_or(line).trim();
    let place = line.strip_prefix("at ").and_then(|l| l.strip_suffix(':'));
    let in_words = tokens::in_words(place.unwrap_or(line));
    line.starts_with(ADVICE) || line.starts_with(PROPOSAL) || message.contains(&in_words)
}
