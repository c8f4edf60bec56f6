//! Errors in the `flake.nix` itself, which Nix reports before the builder has reported the flake's store path.

use std::borrow::Cow;

use rnix::SyntaxKind::NODE_PATH_REL;

use super::aliased_options;
use super::called_packages;
use super::evidence::{ExitContext, Findings, MAX_SHOWN};
use super::flake_arguments::add_to_outputs;
use super::flake_form;
use super::flake_values;
use super::flake_values::with_own_module;
use super::input_declaration::lock_command;
use super::source_lines;
use super::written_values;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::path_of;
use crate::nixos::flake::InputNames;
use crate::nixos::known_repository::NIXPKGS_URL;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::nearest::similar_names;
use sdbuild_core::shell_word::quoted;

mod wrong_attribute;

pub(super) use wrong_attribute::wrong_attribute_hint;

/// The output of a flake with its systems.
const CONFIGURATIONS: &str = "nixosConfigurations";
/// What a flake without outputs lacks.
const OUTPUTS_LINE: &str = "write in flake.nix: outputs = { self, nixpkgs, ... }: { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; }; };";
/// The beginning of what is in place of a list of outputs (`expressions/flake-source.nix`).
const NONE: &str = "no ";
/// What is before a list of references to configurations (`expressions/flake-source.nix`).
const LISTED: &str = ". Its configurations are ";
/// The same in a sentence about something else than the flake.
const OF_FLAKE: &str = ". The configurations of the flake are ";
/// The beginning of store paths.
const STORE: &str = "/nix/store/";
/// The end of the name of a flake in the store.
const SOURCE: &str = "-source/";

/// `findings`, where errors in the user's own flake have the paths that the builder gave its files, and errors in the form of its
/// `flake.nix` their place.
pub(super) fn with_own_paths<'a>(
    context: &ExitContext<'_>,
    findings: &'a Findings,
) -> Cow<'a, Findings> {
    let errors = &findings.nix_errors;
    let nix_errors = match errors.as_slice() {
        [error] => called_packages::located(context, findings, error)
            .or_else(|| flake_form::located(context, error))
            .or_else(|| aliased_options::of_user(context, error))
            .or_else(|| flake_values::in_inline_module(context, error))
            .or_else(|| flake_values::in_conflict(context, error))
            .map(|error| vec![error]),
        _ => None,
    };
    let nix_errors = nix_errors.or_else(|| errors_with_own_paths(context, errors));
    nix_errors.map_or(Cow::Borrowed(findings), |nix_errors| {
        Cow::Owned(Findings {
            nix_errors,
            ..findings.clone()
        })
    })
}

/// Which of the flakes in the store is the user's own follows from Nix's quotation of a line; `None` if there is none.
fn errors_with_own_paths(context: &ExitContext<'_>, errors: &[NixError]) -> Option<Vec<NixError>> {
    let source = errors.iter().find_map(|error| own_source(context, error))?;
    let own = |text: &str| text.replace(&source, CONFIG_DIR);
    let errors = errors.iter().map(|error| NixError {
        summary: own(&error.summary),
        text: own(&error.text),
        position: error.position.as_ref().map(|position| Position {
            file: own(&position.file),
            ..position.clone()
        }),
    });
    Some(errors.collect())
}

/// The directory in the store of the user's flake, with a slash at its end, if `error` is in one of its files.
fn own_source(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let Position { file, line, .. } = error.position.as_ref()?;
    let (dir, name) = file.split_once(SOURCE)?;
    let hash = dir.strip_prefix(STORE)?;
    let text = context.files?.text(&format!("{CONFIG_DIR}{name}"))?;
    let numbered = || (1..).zip(text.lines());
    // Of a place after the last line, Nix quotes that one.
    let ends = error.summary.contains("unexpected end of file");
    let (number, source) = numbered()
        .find(|(number, _)| number == line)
        .or_else(|| numbered().last().filter(|_| ends))
        .or((ends && *line == 1).then_some((1, "")))?;
    // The text of the log has no invisible characters, such as a byte order mark.
    let source = source.replace(is_format_char, "");
    let quoted = format!("{number}| {source}");
    let mut lines = error.text.lines();
    let is_quoted = text.is_empty() || lines.any(|line| line.trim() == quoted.trim());
    let is_own = is_quoted && !hash.contains('/');
    is_own.then(|| format!("{dir}{SOURCE}"))
}

/// How to write the arguments of the `outputs` that `error` is about: `None` if it is about another function.
pub(super) fn outputs_hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_call = error
        .summary
        .starts_with("function 'outputs' called with unexpected argument");
    let position = error.position.as_ref().filter(|_| is_call)?;
    let text = context.files?.text(&position.file)?;
    let line = position.line;
    let (_, function) = text.get(position.offset(&text)?..)?.split_once('{')?;
    let (arguments, _) = function.split_once('}')?;
    let named = arguments.split(',').map(str::trim);
    let named = named.filter(|name| !["", "self", "..."].contains(name));
    let all: Vec<&str> = ["self"].into_iter().chain(named).chain(["..."]).collect();
    Some(format!(
        "the outputs of a flake get self and every input. Write {{ {} }}: in line {line}",
        all.join(", ")
    ))
}

/// What to write in place of an output or a configuration that the flake does not have. `summary` is an error of
/// `expressions/flake-source.nix`.
pub(super) fn missing_output_hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (missing, known) = missing_output(summary)?;
    // Configurations are listed as references: `.#pi`; without any output, it is these words.
    let known: Vec<&str> = known
        .split(", ")
        .filter(|name| !name.starts_with(NONE))
        .collect();
    let name = |known: &&'_ str| known.rsplit('#').next().unwrap_or_default().to_owned();
    let names: Vec<String> = known.iter().map(name).collect();
    let similar = similar_names(missing, names.iter().map(String::as_str));
    let similar = similar.or_else(|| short_name_like(missing, &names).map(str::to_owned));
    let is_without_configurations = missing == CONFIGURATIONS;
    let similar = similar.or_else(|| {
        let other = other_name_of_configurations(&names).filter(|_| is_without_configurations);
        other.map(str::to_owned)
    });
    match (similar, is_without_configurations) {
        (None, false) => only_configuration(summary),
        (None, true) => {
            let define = format!(
                "define one in the outputs: {} = nixpkgs.lib.nixosSystem {{ modules = [ ./configuration.nix ]; }};",
                wanted_configuration(summary)
            );
            Some(with_own_module(context, define) + &input_of_nixpkgs(context))
        }
        (Some(similar), false) => {
            let mut references = known.iter().copied();
            let reference = references.find(|known| name(known) == similar);
            let reference = reference.filter(|_| similar != CONFIGURATIONS);
            let reference = reference.or_else(|| configuration_after_output(summary));
            Some(format!("did you mean {}?", reference.unwrap_or(&similar)))
        }
        (Some(similar), true) => {
            let place = context
                .files
                .and_then(|files| files.only_place(|text| source_lines::with_name(text, &similar)));
            let place = place.map_or_else(String::new, |(place, ())| {
                format!(" in {}{place}", context.shown_dir)
            });
            Some(format!(
                "rename the output {similar} to {CONFIGURATIONS}{place}"
            ))
        }
    }
}

/// The changes that give the flake its input `nixpkgs`, a line each; empty if it has one.
fn input_of_nixpkgs(context: &ExitContext<'_>) -> String {
    let path = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.and_then(|files| files.text(&path));
    let Some(text) = text.filter(|text| !text.contains("nixpkgs")) else {
        return String::new();
    };
    let declare = format!(
        "Declare the input nixpkgs: inputs.nixpkgs.url = \"{NIXPKGS_URL}\"; then run {}",
        lock_command(context)
    );
    if written_values::values_of(&text, "outputs").is_empty() {
        return format!("\n  {declare}");
    }
    let add = add_to_outputs(&text, "nixpkgs");
    format!("\n  {declare}\n  In flake.nix, {add}")
}

/// The configuration that the user named, of which `summary` tells, or one without its name.
fn wanted_configuration(summary: &str) -> String {
    let wanted = summary.split_once(" has no attribute ");
    let wanted = wanted.and_then(|(_, rest)| rest.split(',').next());
    let mut names = wanted.unwrap_or_default().split('.').skip(1);
    let name = names.next().filter(|name| path_of(name) == Some(*name));
    format!("{CONFIGURATIONS}.{}", name.unwrap_or("NAME"))
}

/// The only one of `names` that begins as the output with the systems does: `nixosConfigs`.
fn other_name_of_configurations(names: &[String]) -> Option<&str> {
    let mut others = names.iter().filter(|name| name.starts_with("nixosConf"));
    let only = others.next().filter(|_| others.next().is_none())?;
    Some(only)
}

/// How one of several configurations is named, of which `summary`, an error of `expressions/flake-source.nix`, tells to name one.
pub(super) fn one_of_several(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let lacks = summary.starts_with("the flake ") && summary.contains(" has no ");
    let named = || summary.split_once(LISTED).filter(|_| lacks);
    let mut lists = [". Name one of them: ", OF_FLAKE].into_iter();
    let listed = lists.find_map(|before| summary.split_once(before));
    let (_, references) = listed.or_else(named)?;
    let first = references.split(", ").next()?;
    Some(format!(
        "for instance: {} {}",
        context.command,
        quoted(first)
    ))
}

/// The configuration with the name that follows an output which the flake does not have, as `summary` tells.
fn configuration_after_output(summary: &str) -> Option<&str> {
    let (start, references) = summary.split_once(LISTED)?;
    let (_, wanted) = start.split_once(" has no attribute ")?;
    let (_, name) = wanted.split_once(", because ")?.0.split_once('.')?;
    let mut references = references.split(", ");
    references.find(|known| {
        known
            .split_once('#')
            .is_some_and(|(_, known)| known == name)
    })
}

/// The only configuration of a flake that does not have the attribute that was named.
fn only_configuration(summary: &str) -> Option<String> {
    let (start, references) = summary.split_once(LISTED)?;
    let is_only = start.contains(" has no attribute ") && !references.contains(", ");
    is_only.then(|| format!("did you mean {references}?"))
}

/// The only one of `names` that differs from `missing` by one letter, for names that are too short for other comparisons.
fn short_name_like<'a>(missing: &str, names: &'a [String]) -> Option<&'a str> {
    let is_like = |name: &&String| {
        let pairs = name.chars().zip(missing.chars());
        let differing = pairs.filter(|(known, wrong)| known != wrong).count();
        name.chars().count() == missing.chars().count() && name.len() > 1 && differing == 1
    };
    let mut like = names.iter().filter(is_like);
    let only = like.next().filter(|_| like.next().is_none())?;
    Some(only)
}

/// What to do about a flake without `outputs`: the user's own one, or an input.
pub(super) fn no_outputs_hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (flake, rest) = summary.strip_prefix("flake '")?.split_once('\'')?;
    if rest != " lacks attribute 'outputs'" {
        return None;
    }
    if !is_local(flake) {
        return Some("if that is not a flake, give the input `flake = false;`".to_owned());
    }
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    let names = InputNames::read(&text).attributes;
    let is_empty = written_values::is_empty_set(&text);
    // Otherwise it is about an input, or the file is more than a plain set.
    if names.is_empty() && !is_empty || names.contains("outputs") {
        return None;
    }
    if is_empty {
        return Some(format!(
            "{OUTPUTS_LINE} or remove the file and run `sdbuild init --flake`, which writes a whole flake"
        ));
    }
    if names.contains(CONFIGURATIONS) {
        let values = written_values::values_below(&text, CONFIGURATIONS);
        let (place, definition) = match values.first() {
            Some(value) if value.written.len() <= MAX_SHOWN && !value.written.contains('\n') => (
                format!("{}{FLAKE_FILE}:{}: ", context.shown_dir, value.line),
                format!("{} = {};", value.defines, value.written),
            ),
            Some(_) | None => (String::new(), format!("{CONFIGURATIONS} = …;")),
        };
        return Some(format!(
            "{place}{CONFIGURATIONS} is a part of the outputs. Move it there: outputs = {{ self, nixpkgs, ... }}: {{ \
             {definition} }};{}",
            input_of_nixpkgs(context)
        ));
    }
    let similar = similar_names("outputs", names.iter().map(String::as_str));
    Some(match similar {
        Some(similar) => format!(
            "rename {similar} to outputs in {}",
            place_of_name(context, &similar)
        ),
        None => OUTPUTS_LINE.to_owned(),
    })
}

/// The `flake.nix` with the line of the only definition of `name` in it, if there is one.
fn place_of_name(context: &ExitContext<'_>, name: &str) -> String {
    let path = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.and_then(|files| files.text(&path));
    let lines = source_lines::with_name(&text.unwrap_or_default(), name);
    match lines.as_slice() {
        [(line, ())] => format!("{}{FLAKE_FILE}:{line}", context.shown_dir),
        _ => FLAKE_FILE.to_owned(),
    }
}

/// What to write in place of `../{path}`, of which Nix says that it is above the directory of the flake.
pub(super) fn above_hint(context: &ExitContext<'_>, path: &str) -> String {
    let written = format!("../{path}");
    let is_inside = context.files.is_some_and(|files| {
        let flake = files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"));
        let is_named = flake.is_some_and(|text| text.contains(&written));
        is_named && files.has_file(&format!("{CONFIG_DIR}{path}"))
    });
    let is_above = format!("{written} is above the flake's directory");
    let named = context.files.and_then(|files| {
        files.only_place(|text| {
            let named = written_values::all(text, |node| {
                node.kind() == NODE_PATH_REL && node.text() == written.as_str()
            });
            named.into_iter().map(|path| (path.line, ())).collect()
        })
    });
    let place = named.map_or_else(String::new, |(place, ())| {
        format!("{}{place}: ", context.shown_dir)
    });
    if is_inside {
        return format!(
            "{place}{is_above}, which has {path} itself. Write ./{path} in {FLAKE_FILE}"
        );
    }
    format!(
        "{place}{is_above}, and Nix reads only files in it that git tracks. Move the file there, and git add it"
    )
}

/// Whether the reference `flake` is that of a directory of this machine.
pub(super) fn is_local(flake: &str) -> bool {
    let schemes = ["path:", "git+file:"];
    schemes.iter().any(|scheme| flake.starts_with(scheme)) || !flake.contains(':')
}

/// The name that the flake lacks, and the list of those that it has.
fn missing_output(summary: &str) -> Option<(&str, &str)> {
    let of_configuration = || {
        let (start, known) = summary.split_once(LISTED)?;
        Some((start.split_once(" has no configuration ")?.1, known))
    };
    let of_output = || {
        let (start, known) = summary.split_once(". It has ")?;
        let (known, _) = known.split_once(LISTED).unwrap_or((known, ""));
        Some((start.rsplit_once(" has no ")?.1, known))
    };
    let found = of_configuration().or_else(of_output);
    found.filter(|_| summary.starts_with("the flake "))
}

#[cfg(test)]
mod tests;
