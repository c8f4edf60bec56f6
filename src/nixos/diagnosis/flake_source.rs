//! Errors in the `flake.nix` itself, which Nix reports before the builder has reported the flake's store path.

use std::borrow::Cow;

use super::evidence::{ExitContext, Findings};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};

/// The beginning of store paths.
const STORE: &str = "/nix/store/";
/// The end of the name of a flake in the store.
const SOURCE: &str = "-source/";

/// `findings`, where errors in the user's own flake have the paths that the builder gave its files. Which of the flakes in the
/// store it is follows from Nix's quotation of the line.
pub(super) fn with_own_paths<'a>(
    context: &ExitContext<'_>,
    findings: &'a Findings,
) -> Cow<'a, Findings> {
    let errors = &findings.nix_errors;
    let Some(source) = errors.iter().find_map(|error| own_source(context, error)) else {
        return Cow::Borrowed(findings);
    };
    let own = |text: &str| text.replace(&source, CONFIG_DIR);
    let errors = errors.iter().map(|error| NixError {
        summary: own(&error.summary),
        text: own(&error.text),
        position: error.position.as_ref().map(|position| Position {
            file: own(&position.file),
            ..position.clone()
        }),
    });
    Cow::Owned(Findings {
        nix_errors: errors.collect(),
        ..findings.clone()
    })
}

/// The directory in the store of the user's flake, with a slash at its end, if `error` is in one of its files.
fn own_source(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let Position { file, line, .. } = error.position.as_ref()?;
    let (source, name) = file.split_once(SOURCE)?;
    let hash = source.strip_prefix(STORE)?;
    let text = context.files?.text(&format!("{CONFIG_DIR}{name}"))?;
    let index = usize::try_from(*line).ok()?.checked_sub(1)?;
    let quoted = format!("{line}| {}", text.lines().nth(index)?);
    let mut lines = error.text.lines();
    let is_own = !hash.contains('/') && lines.any(|line| line.trim() == quoted.trim());
    is_own.then(|| format!("{source}{SOURCE}"))
}

/// How to write the arguments of the `outputs` that `error` is about: `None` if it is about another function.
pub(super) fn outputs_hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_call = error
        .summary
        .starts_with("function 'outputs' called with unexpected argument");
    let Position { file, line, .. } = error.position.as_ref().filter(|_| is_call)?;
    let text = context.files?.text(file)?;
    let index = usize::try_from(*line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(index).map(str::len).sum();
    let (_, function) = text.get(start..)?.split_once('{')?;
    let (arguments, _) = function.split_once('}')?;
    let named = arguments.split(',').map(str::trim);
    let named = named.filter(|name| !["", "self", "..."].contains(name));
    let all: Vec<&str> = ["self"].into_iter().chain(named).chain(["..."]).collect();
    Some(format!(
        "the outputs of a flake get self and every input: write {{ {} }}: in line {line}",
        all.join(", ")
    ))
}
