//! Why a run of the builder failed: whose error it is, in one sentence, with hints. Pure.
//!
//! An error in the configuration is the user's ([`Class::Usage`]), a derivation that fails is the build's, a full
//! disk or a handler that vanished is the environment's.

mod aliased_options;
mod boolean_values;
mod brackets;
mod called_packages;
mod called_values;
mod calls_in_lists;
mod choices;
mod closing_in_comment;
mod command_line_value;
mod config_txt;
mod conflicts;
mod defined_already;
mod definitions;
mod digit_names;
mod eval_error;
mod evidence;
mod fetch_error;
mod fetched;
mod file_systems;
mod flake_arguments;
mod flake_form;
mod flake_habits;
mod flake_input;
mod flake_source;
mod flake_values;
mod foreign_module;
mod host_values;
mod image_module;
mod imbalance;
mod input_declaration;
mod input_outputs;
mod interface_address;
mod invalid_character;
mod joined_paths;
mod kernels;
mod known_error;
mod known_sets;
mod line_end;
mod listed_definitions;
mod lists_of_words;
mod machine;
mod meant_paths;
mod misplaced_options;
mod misplaced_value;
mod misread;
mod missing_command;
mod missing_files;
mod mistake;
mod module_arguments;
mod module_calls;
mod names;
mod nix_message;
mod nixpkgs_file;
mod nixpkgs_in_flake;
mod number_values;
mod option_names;
mod option_values;
mod option_without_value;
mod other_formats;
mod other_nixpkgs;
mod other_platform;
mod outside_flake;
mod overlays;
mod own_functions;
mod proposals;
mod public_keys;
mod python_packages;
mod recursive_option;
mod recursive_variable;
mod removed_packages;
mod scopes;
mod second_set;
mod secret_values;
mod set_members;
mod set_values;
mod shell_length;
mod shown_lines;
mod source_lines;
mod surrounding_text;
mod switches;
mod syntax_at;
mod syntax_cause;
mod syntax_error;
mod text_options;
mod time_zone;
mod tokens;
mod unbound_names;
mod undefined_variable;
mod unit_directives;
mod unit_faults;
mod unit_names;
mod unknown_option;
mod unquoted_name;
mod value_kinds;
mod variable_attributes;
mod warning;
mod written_forms;
mod written_sums;
mod written_values;
mod written_words;
mod wrong_token;
mod wrong_value;

use std::collections::BTreeSet;

use crate::nixos::entry_report::unmarked;
use crate::nixos::log::NixError;
pub(super) use brackets::{Imbalance, imbalance, open_brackets};
use eval_error::EvalError;
pub(super) use evidence::{ExitContext, FailedBuild, Findings, TAIL_LINES};
use fetch_error::{fetch_failure, no_network_failure};
pub(super) use known_error::{KnownError, known_errors};
use machine::{machine_failure, store_volume_full};
use mistake::Mistake;
use nix_message::reason;
use proposals::proposal;
use sdbuild_core::failure::{Class, Failure};
pub(super) use secret_values::{has_secret, is_name_of_secret};
pub(super) use warning::{Warnings, is_of_evaluation};

/// Exit status of the entry when the private handler could not be set up (`containers/builder`).
const NO_PRIVATE_HANDLER: i64 = 119;
/// Exit status of the entry when it could not prepare the store volume.
const NOT_PREPARED: i64 = 120;
/// Exit status of the entry when native glue was required and is not possible.
const NO_NATIVE_GLUE: i64 = 121;
/// Part of the entry's message about an archive without nixpkgs.
const NOT_NIXPKGS: &str = "is not a nixpkgs";
/// In place of a reason that the builder did not report.
const SEE_LOG: &str = "see the end of the log";

/// The failure of a run that ended as `context` and `findings` describe.
pub(super) fn diagnose(context: &ExitContext<'_>, findings: &Findings) -> Failure {
    let findings = &*flake_source::with_own_paths(context, findings);
    let known = all_known_errors(findings);
    let failed = findings.failed.as_ref();
    let first_cause = private_handler_failure(context, findings)
        .or_else(|| import_failure(context, findings))
        .or_else(|| memory_failure(context, findings))
        .or_else(|| no_network_failure(context, findings, &known))
        .or_else(|| fetch_failure(context, findings))
        .or_else(|| machine_failure(context, findings, &known));
    let not_found = match first_cause {
        Some(_) => None,
        None => fetched::not_found_failure(context, failed),
    };
    let is_not_found = not_found.is_some();
    let cause = first_cause
        .or(not_found)
        .or_else(|| build_failure(context, findings))
        .or_else(|| exit_status_failure(context, findings))
        .unwrap_or_else(|| evaluation_failure(context, findings));
    let first_error = findings.nix_errors.first().map_or("", |e| &e.summary);
    let mut failure = known
        .iter()
        .filter_map(|error| error.hint(first_error, context.emulated.is_some()))
        .fold(cause, Failure::hint);
    let zone = failed.and_then(|failed| time_zone::hint(context, failed));
    let command = failed.and_then(|failed| missing_command::hint(context, failed));
    failure = zone.into_iter().chain(command).fold(failure, Failure::hint);
    failure = shown_lines::with_log_tail(context, findings, failure);
    if is_not_found {
        // Neither the server's answer nor a shell shows more of it.
        failure.log_tail.clear();
        return failure;
    }
    failure.derivation = failed
        .and_then(|failed| failed.derivation.as_ref())
        .map(|derivation| derivation.path().to_owned());
    failure
}

/// The known errors in Nix's messages and in the failed build's output.
fn all_known_errors(findings: &Findings) -> BTreeSet<KnownError> {
    let in_messages = findings.nix_errors.iter().map(|e| &e.summary);
    let in_output = findings.failed.iter().flat_map(|f| &f.known_errors);
    // Nix reports what one cache failed to deliver as an error, goes on with the next one, and then may fail to build.
    let is_cause = |error: &KnownError| findings.failed.is_none() || !error.is_of_one_cache();
    in_messages
        .flat_map(|summary| known_errors(summary))
        .filter(is_cause)
        .chain(in_output.copied())
        .collect()
}

/// The entry could not set up the private handler before Nix began. Judged before all known errors: its "no
/// space left" is about user namespaces, not about a disk.
fn private_handler_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let reason = findings.last_reason("sdbuild: private emulation: ");
    (context.code == NO_PRIVATE_HANDLER).then(|| {
        let reason = reason.unwrap_or(SEE_LOG);
        Failure::environment(format!(
            "QEMU could not be registered inside the builder, although a probe had just succeeded: {reason}"
        ))
        .hint(
            "check what changed on the engine's machine: user.max_user_namespaces, AppArmor, SELinux",
        )
    })
}

/// The configuration imports the result of a derivation for the board, which takes a handler to build.
fn import_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let error = findings.nix_errors.first()?;
    let needs_platform = EvalError::find(&error.summary) == Some(EvalError::WrongPlatform);
    (context.only_evaluates && needs_platform).then(|| {
        let text = reason(context, error);
        Failure::usage(format!(
            "evaluate the configuration: it imports a derivation that must be built first, and this command builds \
             nothing: {text}"
        ))
        .hint("`sdbuild build` builds it, under emulation where necessary")
    })
}

/// Memory ran out: the kernel reports it, or a build was killed by the signal that the kernel uses for it.
fn memory_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let killed = findings
        .failed
        .as_ref()
        .filter(|f| f.message.contains("signal 9 (Killed)"));
    if !context.oom_killed && killed.is_none() {
        return None;
    }
    let what = killed.map_or("the builder".to_owned(), |f| {
        format!("the build of {}", f.name)
    });
    let verb = if context.oom_killed {
        "ran"
    } else {
        "probably ran"
    };
    Some(
        Failure::environment(format!("{what} {verb} out of memory")).hint(
            "build fewer things at once (--jobs 1 --cores 2), or give the engine's machine more memory, and raise memory-mib in \
             sdbuild.toml if it is set",
        ),
    )
}

/// A derivation failed by itself.
fn build_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
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
        let text = format!("the build of {} failed{how}{silent}", failed.name);
        return Some(Failure::message(Class::Build, text));
    }
    // nix-build: 100 and the bits above it (build failure, timeout, wrong hash, not deterministic).
    (100..112).contains(&context.code).then(|| {
        let text = match findings.nix_errors.first() {
            Some(error) => reason(context, error),
            None => "nix-build reported a failed build without a message".to_owned(),
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
        126 | 127 => Some(Failure::message(
            if context.foreign {
                Class::Usage
            } else {
                Class::Internal
            },
            "the builder's container image could not run nix-build",
        )),
        130 | 137 | 143 => Some(ended_by_watchdog(findings).unwrap_or_else(stopped)),
        1 if interrupted => Some(stopped()),
        _ => None,
    }
}

fn no_native_glue(findings: &Findings) -> Failure {
    let reason = findings.last_reason("sdbuild: glue: refused: ");
    let reason = reason.map_or(SEE_LOG, unmarked);
    let text = format!("--glue native is not possible: {reason}");
    Failure::message(Class::Build, text)
        .hint("--glue auto then builds under emulation, --glue emulated does so from the start")
}

/// The builder's watchdog received no heartbeat for its timeout and ended the builder.
fn ended_by_watchdog(findings: &Findings) -> Option<Failure> {
    let reason = findings.last_reason("sdbuild: watchdog: ")?;
    let text = format!("the builder ended by itself because it had lost sdbuild: {reason}");
    Some(Failure::environment(text).hint(
        "sdbuild or the connection to the engine was interrupted for that long. Run it again: finished builds are kept",
    ))
}

fn stopped() -> Failure {
    Failure::environment("the builder was stopped from outside")
        .hint("the container was stopped or the engine was restarted. Run it again")
}

/// The entry could not prepare the store volume and reported why.
fn not_prepared(context: &ExitContext<'_>, findings: &Findings) -> Failure {
    let reason = findings.last_reason("sdbuild: ");
    let text = reason.unwrap_or("nixpkgs could not be moved to its place on the store volume");
    let mut lines = findings.other_lines.iter();
    if text.contains(NOT_NIXPKGS) {
        Failure::usage(text).hint("--nixpkgs takes the archive of a nixpkgs tree")
    } else if lines.any(|l| known_errors(l).any(|e| e == KnownError::DiskFull)) {
        store_volume_full(context.store)
    } else {
        Failure::environment(text)
    }
}

/// Nix refused the configuration, or ended without a message.
fn evaluation_failure(context: &ExitContext<'_>, findings: &Findings) -> Failure {
    let Some(error) = findings.nix_errors.first() else {
        return Failure::environment(format!("nix-build ended with exit status {}", context.code))
            .hint(SEE_LOG);
    };
    let text = reason(context, error);
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
    let failure = Failure::usage(text);
    let failure = if is_of_reference {
        failure
    } else {
        failure.context(operation)
    };
    let of_flag = command_line_value::hint(context, &error.summary);
    let mistake = || Mistake::find(context, findings, error).map(|(_, hint)| hint);
    let mistake = of_flag.or_else(mistake).map(|hint| vec![hint]);
    let hints = mistake.unwrap_or_else(|| eval_error_hints(context, error));
    hints.into_iter().fold(failure, Failure::hint)
}

/// What to do about an error that Nix's message explains.
fn eval_error_hints(context: &ExitContext<'_>, error: &NixError) -> Vec<String> {
    let Some(eval_error) = EvalError::find(&error.summary) else {
        let branch = fetched::missing_branch(context, &error.summary);
        return branch.into_iter().collect();
    };
    let hint = || eval_error.hint(context, error);
    vec![match (eval_error, proposal(error)) {
        (EvalError::NoSdImage, _) => image_module::import_hint(context, &error.summary),
        (EvalError::MissingAttribute, Some(names)) => format!("did you mean {names}?"),
        (EvalError::Syntax, _) => syntax_error::hint(context, error).unwrap_or_else(hint),
        _ => hint(),
    }]
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod recorded_mistakes;
#[cfg(test)]
mod tests;
