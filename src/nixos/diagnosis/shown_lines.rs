//! What a failure shows beside its message: lines of output or source, and nothing twice or secret. Pure.

use super::evidence::{ExitContext, Findings, TAIL_LINES};
use super::flake_values;
use super::joined_paths;
use super::misplaced_value;
use super::mistake::Mistake;
use super::nix_message::{definition_excerpt, excerpt};
use super::secret_values;
use super::source_lines;
use super::syntax_error;
use crate::nixos::log::NixError;
use sdbuild_core::failure::Failure;

/// `failure` with the last lines to show beside it: those of the failed build, else of Nix's first error, else of other programs. No
/// secrets are in it.
pub(super) fn with_log_tail(
    context: &ExitContext<'_>,
    findings: &Findings,
    failure: Failure,
) -> Failure {
    let mut secrets = Vec::new();
    let lines: Vec<String> = match (&findings.failed, findings.nix_errors.first()) {
        (Some(failed), _) if !failed.tail.is_empty() => failed.tail.clone(),
        (_, Some(error)) => {
            let earlier = syntax_error::earlier_lines(context, error);
            let quoted = definition_excerpt(context, error)
                .or_else(|| joined_paths::excerpt(context, error))
                .or_else(|| misplaced_value::excerpt(context, error))
                .or_else(|| flake_values::excerpt(context, error))
                .or_else(|| source_lines::naming_a_file(context, error))
                .or_else(|| {
                    let says_nothing = says_nothing(context, findings, error);
                    let lines = (!says_nothing).then(|| excerpt(context, error, &failure));
                    lines.filter(|lines| !lines.is_empty())
                })
                .or_else(|| source_lines::of_told_place(context, &failure));
            let lines: Vec<String> = earlier
                .into_iter()
                .chain(quoted.into_iter().flatten())
                .collect();
            let is_secret = secret_values::is_about_secret(&error.summary);
            let (shown, hidden) = secret_values::excerpt(&lines, is_secret);
            secrets = hidden;
            source_lines::narrowed(shown)
        }
        _ => findings.other_lines.iter().cloned().collect(),
    };
    let skip = lines.len().saturating_sub(TAIL_LINES);
    let failure = without_told_places(failure);
    let mut failure = secret_values::without_secrets(failure, &secrets);
    failure.log_tail = lines.into_iter().skip(skip).collect();
    failure
}

/// `failure` without the place before a hint that its message has.
fn without_told_places(mut failure: Failure) -> Failure {
    let message = format!("{:#}", failure.error);
    for hint in &mut failure.hints {
        let told = hint
            .split_once(": ")
            .filter(|(place, _)| place.contains(':') && message.contains(&format!("{place}:")));
        if let Some((_, rest)) = told {
            *hint = rest.to_owned();
        }
    }
    failure
}

/// Whether the lines of source in `error` are from inside nixpkgs, and not where the mistake is.
fn says_nothing(context: &ExitContext<'_>, findings: &Findings, error: &NixError) -> bool {
    let mistake = Mistake::find(context, findings, error);
    mistake.is_some_and(|(mistake, _)| mistake.is_reported_elsewhere())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_does_not_repeat_the_place_of_the_message() {
        for (hint, shown) in [
            ("a.nix:9: write it", "write it"),
            ("a.nix:91: write it", "a.nix:91: write it"),
            ("write it: a.nix:9", "write it: a.nix:9"),
        ] {
            let failure = Failure::usage("a.nix:9:3: wrong").hint(hint);
            assert_eq!(without_told_places(failure).hints, [shown]);
        }
    }
}
