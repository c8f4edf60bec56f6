//! Why a run of the builder failed: whose error it is, in one sentence, with hints. Pure.
//!
//! An error in the configuration is the user's ([`Class::Usage`]), a derivation that fails is the build's, a full disk or a handler that
//! vanished is the environment's. Nix's message is read once, as a `Cause`; with its `Place` and rows of the
//! `table` it is an `Explanation`, which becomes text here, at the end.

mod cause;
mod evidence;
mod excerpt;
mod explanation;
mod fetches;
mod files;
mod flakes;
mod machine;
mod message;
mod names;
mod options;
mod place;
mod syntax;
mod table;
mod warnings;

use crate::log::NixError;
use crate::reports::unmarked;
use cause::Cause;
pub use evidence::{DerivationFacts, ExitContext, FailedBuild, Findings, Machine, TAIL_LINES};
use explanation::Explanation;
use fetches::{fetch_failure, no_network_failure};
pub use machine::{KnownError, known_errors};
use machine::{
    confirmed_errors, environment, machine_failure, out_of_memory, store_volume_full, with_rows,
};
use message::reason;
use sdbuild_core::failure::{Class, Failure};
use table::{Advice, Row};
pub use warnings::{Warnings, is_of_evaluation, silent_cache};

/// Exit status of the entry when the private handler could not be set up (`containers/builder`).
const NO_PRIVATE_HANDLER: i64 = 119;
/// Exit status of the entry when it could not prepare the store volume.
const NOT_PREPARED: i64 = 120;
/// Exit status of the entry when native glue was required and is not possible.
const NO_NATIVE_GLUE: i64 = 121;
/// Exit status of the same: no builder has a feature that a derivation requires.
const NO_FEATURE: i64 = 122;
/// Part of the entry's message about an archive without nixpkgs.
const NOT_NIXPKGS: &str = "is not a nixpkgs";
/// In place of a reason that the builder did not report.
const SEE_LOG: &str = "see the end of the log";

/// The failure of a run that ended as `context` and `findings` describe.
pub fn diagnose(context: &ExitContext<'_>, findings: &Findings) -> Failure {
    let findings = &*flakes::with_own_paths(context, findings);
    let known = confirmed_errors(context, findings);
    let failed = findings.failed.as_ref();
    let error = findings.nix_errors.first();
    let explained = error.map(|error| (error, Explanation::find(context, findings, error)));
    let explained = explained.as_ref().map(|(error, found)| (*error, found));
    // What ended the run comes before what Nix says about it.
    let first_cause = private_handler_failure(context, findings)
        .or_else(|| import_failure(context, explained))
        .or_else(|| memory_failure(context, findings))
        .or_else(|| no_network_failure(context, findings, &known))
        .or_else(|| fetch_failure(context, findings))
        .or_else(|| machine_failure(context, findings, &known));
    let cause = first_cause
        .or_else(|| build_failure(context, findings, explained))
        .or_else(|| exit_status_failure(context, findings))
        .unwrap_or_else(|| evaluation_failure(context, explained));
    let rows = known
        .iter()
        .filter_map(|error| error.row_of_build(context.emulated.is_some()));
    let rows: Vec<Row> = rows.collect();
    let mut failure = with_rows(cause, &rows);
    if known.contains(&KnownError::WrongHash) {
        failure = with_hash(failure, explained);
    }
    failure = excerpt::with_lines(context, findings, explained, failure);
    failure.has_no_image = explained
        .is_some_and(|(_, found)| matches!(found.cause, Cause::NoImage | Cause::OtherSystem));
    failure.derivation = failed
        .and_then(|failed| failed.derivation.as_ref())
        .map(|derivation| derivation.path().to_owned());
    failure
}

/// `failure` of a download with a wrong hash, with the hint that has both hashes, if the message has them.
fn with_hash(failure: Failure, explained: Option<(&NixError, &Explanation)>) -> Failure {
    let mut advice = explained.iter().flat_map(|(_, found)| &found.advice);
    let advice = advice.find(|advice| advice.row == Row::WrongHash);
    let text = advice.map_or_else(
        || "the server's file has changed, or the configuration's hash is wrong".to_owned(),
        Advice::text,
    );
    if failure.hints.contains(&text) {
        failure
    } else {
        failure.hint(text)
    }
}

/// The entry could not set up the private handler before Nix began. Judged before all known errors: its "no
/// space left" is about user namespaces, not about a disk.
fn private_handler_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let reason = findings.last_reason("sdbuild: private emulation: ");
    (context.code == NO_PRIVATE_HANDLER).then(|| {
        let reason = reason.unwrap_or(SEE_LOG);
        let text = format!(
            "QEMU could not be registered inside the builder, although a probe had just succeeded: {reason}"
        );
        environment(text, &[Row::PrivateHandler])
    })
}

/// The configuration imports the result of a derivation for the board, which takes a handler to build.
fn import_failure(
    context: &ExitContext<'_>,
    explained: Option<(&NixError, &Explanation)>,
) -> Option<Failure> {
    let (error, explanation) = explained?;
    let needs_platform = explanation.cause == Cause::WrongPlatform;
    (context.only_evaluates && needs_platform).then(|| {
        let text = reason(context, error, explanation);
        let text = format!(
            "evaluate the configuration: it imports a derivation that must be built first, and this command builds \
             nothing: {text}"
        );
        with_rows(Failure::usage(text), &[Row::NeedsBuild])
    })
}

/// Memory ran out: the kernel reports it, or a build was killed by the signal that the kernel uses for it.
fn memory_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let failed = findings.failed.as_ref();
    let killed = failed.filter(|f| f.message.contains("signal 9 (Killed)"));
    let counted = findings.machine.killed;
    let counted = counted.filter(|_| failed.is_none_or(|failed| failed.machine.is_empty()));
    match counted {
        _ if context.oom_killed => Some(out_of_memory(killed, "ran")),
        // Something else has sent the signal.
        Some(0) => None,
        Some(_) => killed.map(|_| out_of_memory(killed, "ran")),
        None => killed.map(|_| out_of_memory(killed, "probably ran")),
    }
}

/// Where `failed` failed: ` in checkPhase, under emulation`.
fn circumstances(context: &ExitContext<'_>, failed: &FailedBuild) -> String {
    let phase = failed.phase.as_ref().map(|phase| format!(" in {phase}"));
    let emulated = failed
        .ran_emulated(context.emulated)
        .then_some(", under emulation");
    let remote = (!failed.machine.is_empty()).then(|| format!(", on {}", failed.machine));
    [phase, emulated.map(str::to_owned), remote]
        .into_iter()
        .flatten()
        .collect()
}

/// What helps if the tests of a package failed under emulation.
fn failed_check(context: &ExitContext<'_>, failed: &FailedBuild) -> Option<Advice> {
    let phase = failed.phase.as_deref()?;
    let is_check = phase.to_lowercase().ends_with("checkphase");
    let switch = match phase {
        "installCheckPhase" => "doInstallCheck",
        _ => "doCheck",
    };
    let is_python = failed.name.starts_with("python3");
    let change = if is_python {
        "overridePythonAttrs"
    } else {
        "overrideAttrs"
    };
    (is_check && failed.ran_emulated(context.emulated)).then(|| {
        Row::CheckEmulated
            .with("change", change)
            .and("switch", switch)
    })
}

/// What helps if the initrd is to have a module that the kernel does not have.
fn missing_module(context: &ExitContext<'_>, failed: &FailedBuild) -> Option<Advice> {
    let mut lines = failed.tail.iter().rev();
    let module =
        lines.find_map(|line| cause::between(line, "modprobe: FATAL: Module ", " not found"))?;
    let is_closure = failed.name.ends_with("-shrunk") && cause::is_name(module);
    let place = place::only_word(context, module);
    let place = place.map(|place| format!(" ({})", place.shown(context)));
    is_closure.then(|| {
        Row::ModuleMissing
            .with("module", module)
            .and("place", place.unwrap_or_default())
    })
}

/// A derivation failed by itself.
fn build_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    explained: Option<(&NixError, &Explanation)>,
) -> Option<Failure> {
    if let Some(failed) = &findings.failed {
        let first_line = failed.message.lines().next().unwrap_or("");
        let how = match first_line.split_once("' failed ") {
            Some((_, how)) => format!(" {how}"),
            None => String::new(),
        };
        let exited = failed.message.contains("failed with exit code");
        let silent = if exited && failed.tail.is_empty() {
            ": it printed nothing"
        } else {
            ""
        };
        let where_ = circumstances(context, failed);
        let text = format!("the build of {} failed{how}{where_}{silent}", failed.name);
        let advice = [
            failed_check(context, failed),
            missing_module(context, failed),
        ];
        let hints = advice.iter().flatten().map(Advice::text);
        return Some(hints.fold(Failure::message(Class::Build, text), Failure::hint));
    }
    // nix-store --realise: 100 and the bits above it (build failure, timeout, wrong hash, not deterministic).
    (100..112).contains(&context.code).then(|| {
        let text = match explained {
            Some((error, explanation)) => reason(context, error, explanation),
            None => "Nix reported a failed build without a message".to_owned(),
        };
        Failure::message(Class::Build, text)
    })
}

/// Failures that only the exit status shows.
fn exit_status_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let interrupted = findings
        .nix_errors
        .iter()
        .any(|e| e.summary.contains("interrupted by the user"));
    match context.code {
        NOT_PREPARED => Some(not_prepared(context, findings)),
        NO_NATIVE_GLUE => Some(no_native_glue(findings)),
        NO_FEATURE => Some(no_feature(findings)),
        126 | 127 => Some(Failure::message(
            if context.foreign {
                Class::Usage
            } else {
                Class::Internal
            },
            "the builder's container image could not run Nix",
        )),
        130 | 137 | 143 => Some(ended_by_watchdog(findings).unwrap_or_else(stopped)),
        1 if interrupted => Some(stopped()),
        _ => None,
    }
}

/// A derivation requires a feature, such as `kvm`, that neither the builder nor a remote one has.
fn no_feature(findings: &Findings) -> Failure {
    let reason = findings.last_reason("sdbuild: glue: lacking: ");
    let (feature, name) = reason
        .and_then(|reason| reason.split_once(": "))
        .unwrap_or_default();
    let text =
        format!("no builder has the feature {feature}, which the derivation {name} requires");
    with_rows(Failure::message(Class::Build, text), &[Row::WrongPlatform])
}

fn no_native_glue(findings: &Findings) -> Failure {
    let reason = findings.last_reason("sdbuild: glue: refused: ");
    let reason = reason.map_or(SEE_LOG, unmarked);
    let text = format!("--glue native is not possible: {reason}");
    with_rows(Failure::message(Class::Build, text), &[Row::NoNativeGlue])
}

/// The builder's watchdog received no heartbeat for its timeout and ended the builder.
fn ended_by_watchdog(findings: &Findings) -> Option<Failure> {
    let reason = findings.last_reason("sdbuild: watchdog: ")?;
    let text = format!("the builder lost the connection to sdbuild and ended: {reason}");
    Some(environment(text, &[Row::Interrupted]))
}

fn stopped() -> Failure {
    environment("the builder was stopped from outside", &[Row::Interrupted])
}

/// The entry could not prepare the store volume and reported why.
fn not_prepared(context: &ExitContext<'_>, findings: &Findings) -> Failure {
    let reason = findings.last_reason("sdbuild: ");
    let text = reason.unwrap_or("nixpkgs could not be moved to its place on the store volume");
    let mut lines = findings.other_lines.iter();
    if text.contains(NOT_NIXPKGS) {
        with_rows(Failure::usage(text), &[Row::NotNixpkgs])
    } else if findings.machine.is_full() != Some(false)
        && lines.any(|l| known_errors(l).any(|e| e == KnownError::DiskFull))
    {
        store_volume_full(context.store)
    } else {
        Failure::environment(text)
    }
}

/// Nix refused the configuration, or ended without a message.
fn evaluation_failure(
    context: &ExitContext<'_>,
    explained: Option<(&NixError, &Explanation)>,
) -> Failure {
    let Some((error, explanation)) = explained else {
        let text = format!("Nix ended with exit status {}", context.code);
        return Failure::environment(text).hint(SEE_LOG);
    };
    let text = reason(context, error, explanation);
    let names_source = [context.source, context.in_words]
        .iter()
        .any(|source| *source != "." && text.contains(source));
    let operation = if names_source {
        "evaluate the configuration".to_owned()
    } else {
        format!("evaluate {}", context.in_words)
    };
    // These say themselves what is looked for, which the flake does not have, or as another thing.
    let flake = context.source.split('#').next().unwrap_or_default();
    let mut beginnings = [context.in_words.to_owned(), format!("{flake}#")].into_iter();
    let is_of_reference = context.is_flake && beginnings.any(|begin| text.starts_with(&begin));
    let failure = if is_of_reference {
        Failure::usage(text)
    } else {
        Failure::usage(text).context(operation)
    };
    let hints = explanation.advice.iter().map(Advice::text);
    hints.fold(failure, Failure::hint)
}

#[cfg(test)]
mod tests;
