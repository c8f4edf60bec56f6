//! Errors of a flake: its form, inputs, outputs and lock.

use std::borrow::Cow;

use super::evidence::{ExitContext, Findings};
use super::place::{Place, definitions_below, only_name, only_word};
use super::table::{Advice, Row};
use crate::configuration_file;
use crate::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use crate::known_repository::NIXPKGS_URL;
use crate::layout::CONFIG_DIR;
use crate::log::{NixError, Position};
use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::nearest::similar_names;
use sdbuild_core::shell_word::quoted;

/// The output of a flake with its systems.
const CONFIGURATIONS: &str = "nixosConfigurations";
/// The beginning of store paths.
const STORE: &str = "/nix/store/";
/// The end of the name of a flake in the store.
const SOURCE: &str = "-source/";

/// `findings` with the paths that the builder gave the user's files, where Nix names those of its copy of the user's flake. Nix reports
/// errors in `flake.nix` itself before the builder has reported which one that is: it follows from the line that Nix quotes.
pub(super) fn with_own_paths<'a>(
    context: &ExitContext<'_>,
    findings: &'a Findings,
) -> Cow<'a, Findings> {
    let errors = &findings.nix_errors;
    let Some(source) = errors.iter().find_map(|error| own_source(context, error)) else {
        return Cow::Borrowed(findings);
    };
    let own = |text: &str| text.replace(&source, CONFIG_DIR);
    let nix_errors = errors.iter().map(|error| NixError {
        summary: own(&error.summary),
        text: own(&error.text),
        position: error.position.as_ref().map(|position| Position {
            file: own(&position.file),
            ..position.clone()
        }),
    });
    Cow::Owned(Findings {
        nix_errors: nix_errors.collect(),
        ..findings.clone()
    })
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
    (is_quoted && !hash.contains('/')).then(|| format!("{dir}{SOURCE}"))
}

/// The command that completes the lock of the flake that is built.
pub(super) fn lock_command(context: &ExitContext<'_>) -> String {
    if !context.is_flake {
        return configuration_file::lock_command("", false);
    }
    let flake = context.source.split('#').next().unwrap_or_default();
    let module = format!("{CONFIG_DIR}{CONFIG_NAME}");
    let is_beside = context.files.is_some_and(|files| files.has_file(&module));
    configuration_file::lock_command(flake, is_beside)
}

/// Whether the reference `flake` is that of a directory of this machine.
fn is_local(flake: &str) -> bool {
    let schemes = ["path:", "git+file:"];
    schemes.iter().any(|scheme| flake.starts_with(scheme)) || !flake.contains(':')
}

/// What helps with a lock of `flake` that does not have all inputs.
pub(super) fn incomplete_lock(context: &ExitContext<'_>, flake: &str) -> Advice {
    if is_local(flake) {
        Row::LockIncomplete.with("command", lock_command(context))
    } else {
        Row::LockIncomplete
            .saying("clone the repository, and complete its flake.lock there: sdbuild lock")
    }
}

/// What helps with an input without a URL.
pub(super) fn indirect_input(context: &ExitContext<'_>) -> Advice {
    Row::IndirectInput
        .with("url", NIXPKGS_URL)
        .and("command", lock_command(context))
}

/// What helps with a `flake` without outputs: the user's own one, or an input.
pub(super) fn no_outputs(context: &ExitContext<'_>, flake: &str) -> (Option<Place>, Advice) {
    if !is_local(flake) {
        return (None, Row::NotAFlake.advice());
    }
    let similar = own_attributes(context);
    let names = similar.iter().map(String::as_str);
    match similar_names("outputs", names).filter(|_| !similar.iter().any(|it| it == "outputs")) {
        Some(name) => {
            let advice = rename(&name, "outputs");
            (only_name(context, &name), advice)
        }
        None => (None, Row::NoOutputs.advice()),
    }
}

/// The attributes of the user's `flake.nix`.
fn own_attributes(context: &ExitContext<'_>) -> Vec<String> {
    let path = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.and_then(|files| files.text(&path));
    let values = definitions_below(&text.unwrap_or_default(), "");
    let names = values
        .iter()
        .filter_map(|value| value.defines.split('.').next());
    names.map(str::to_owned).collect()
}

/// What helps with an output or configuration `missing` in a flake that has those that are `known`: names, or references of configurations.
pub(super) fn no_such_output(
    context: &ExitContext<'_>,
    missing: &str,
    known: &[String],
) -> (Option<Place>, Advice) {
    let name = |known: &String| known.rsplit('#').next().unwrap_or_default().to_owned();
    let names: Vec<String> = known.iter().map(name).collect();
    let wanted = missing.rsplit('.').next().unwrap_or(missing);
    let similar = similar_names(wanted, names.iter().map(String::as_str));
    if missing != CONFIGURATIONS {
        let of_one = known.first().filter(|_| known.len() == 1);
        let is_meant = |known: &&String| {
            let name = name(known);
            name == wanted || similar.as_ref() == Some(&name)
        };
        let reference = known.iter().find(is_meant).or(similar.as_ref());
        let advice = match reference.or(of_one) {
            Some(reference) => Row::Similar.with("name", reference),
            None if known.iter().all(|known| known.contains('#')) => name_one(context, known),
            None => Row::DefineConfiguration.advice(),
        };
        return (None, advice);
    }
    let mut others = names.iter().filter(|name| name.starts_with("nixosConf"));
    let other = others.next().filter(|_| others.next().is_none());
    match similar.or_else(|| other.cloned()) {
        Some(name) => {
            let place = only_name(context, &name);
            let advice = rename(&name, CONFIGURATIONS);
            (place, advice)
        }
        None => (None, Row::DefineConfiguration.advice()),
    }
}

/// How one of the `known` references of configurations is built.
pub(super) fn name_one(context: &ExitContext<'_>, known: &[String]) -> Advice {
    match known.first() {
        Some(first) => {
            let command = format!("{} {}", context.command, quoted(first));
            Row::NameOne.with("command", command)
        }
        None => Row::DefineConfiguration.advice(),
    }
}

/// The hint to rename an attribute of `flake.nix`.
fn rename(name: &str, similar: &str) -> Advice {
    Row::Similar.saying(format!("rename {name} to {similar}"))
}

/// What helps with the attribute `name` of a `flake.nix` or of an input, which has only those that are `known`; `other` if none is similar.
pub(super) fn attribute(
    context: &ExitContext<'_>,
    name: &str,
    known: &[&'static str],
    other: Row,
) -> (Option<Place>, Advice) {
    let similar = similar_names(name, known.iter().copied());
    let advice = similar.map_or_else(
        || other.advice(),
        |similar| Row::Similar.with("name", similar),
    );
    (only_name(context, name), advice)
}

/// What helps with the `url` of an input that Nix cannot fetch.
pub(super) fn input_url(context: &ExitContext<'_>, url: &str) -> (Option<Place>, Advice) {
    let place = only_word(context, url).filter(|_| !url.is_empty());
    let advice = match url.strip_prefix("ssh:") {
        Some(rest) => Row::InputUrl.saying(format!("write git+ssh:{rest}")),
        None => Row::InputUrl.advice(),
    };
    (place, advice)
}
