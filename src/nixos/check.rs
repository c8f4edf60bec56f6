//! Mistakes in a configuration that keep the machine from booting or its owner from logging in.
//!
//! Nix evaluates the facts (`expressions/check/facts.nix`); rules that are pure turn them into findings.

mod addresses;
mod authorized_keys;
mod board;
mod broken_key;
mod corrections;
mod disks;
mod facts;
mod hidden_definitions;
mod login;
mod named_options;
mod network;
mod nixos_messages;
mod obstacle;
mod own_facts;
mod passwords;
mod placeholders;
mod places;
mod rule;
mod rules;
mod shells;
mod state_version;
mod stored_secrets;
mod sudo_passwords;
#[cfg(test)]
pub(super) mod tests;
mod unknown_groups;
mod upgrades;
mod ways_in;
mod wireless;

use jiff::Timestamp;
use serde::Serialize;

pub use facts::ConfigFacts;
pub use places::OwnDefinitions;
pub use rules::findings;
pub use ways_in::who_logs_in;

use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_nix::trace;
use sdbuild_nix::trace::traced;

/// The attributes of `expressions/default.nix` that have the facts, in the order of evaluation.
pub(super) const ATTRIBUTES: [&str; 2] = ["facts", "whole"];

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the machine boots and login is possible.
    Warning,
    /// The machine does not boot, login is not possible, or no user who logs in can administer it.
    Error,
}

/// A mistake in a configuration, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, for scripts.
    pub id: &'static str,
    /// Severity of the finding.
    pub severity: Severity,
    /// The setting of the configuration.
    pub is: String,
    /// The consequence.
    pub why: String,
    /// Lines of Nix that correct it.
    pub add: Vec<String>,
    /// Where the setting is, if that is certain.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A line of the user's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as messages name it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// The result of evaluating a configuration.
#[derive(Debug)]
pub struct CheckResult {
    /// The setting of the configuration.
    pub facts: ConfigFacts,
    /// What the user's files define.
    pub definitions: OwnDefinitions,
    /// Why the evaluation of a build would fail; `None` when it succeeds.
    pub failure: Option<Failure>,
}

/// What precedes the facts in a trace of Nix, which the evaluation of a build writes.
const TRACED: &str = "sdbuild: facts";

/// Whether `line` of Nix's log is a trace with facts. It is not for the log: it may have what belongs in no log.
pub(super) fn is_trace(line: &str) -> bool {
    trace::is_trace(line, TRACED)
}

/// The facts in `line` of Nix's log. Anything that the builder runs can write such a line.
pub(super) fn traced_facts(line: &str) -> Option<ConfigFacts> {
    let facts = traced(line, TRACED)?;
    let facts: ConfigFacts = serde_json::from_str(&facts).ok()?;
    Some(facts.at(Timestamp::now()))
}

/// What a build warns of: the errors in `facts`, and what fails a build later, for an image of `system`; each with its place in the
/// files that have `definitions`, where that is certain.
pub(super) fn warnings(
    facts: &ConfigFacts,
    system: System,
    definitions: &OwnDefinitions,
) -> Vec<String> {
    let mut facts = facts.clone();
    definitions.keep_unexplained(&mut facts);
    let mut found = findings(&facts, &system.to_string(), None);
    definitions.locate(&mut found);
    let told = found.iter().filter(|finding| is_told_by_a_build(finding));
    let told = told.take(MAX_WARNINGS).map(|finding| {
        let place = finding.place.as_ref();
        let place = place.map(|place| format!("{}:{}: ", place.file, place.line));
        let place = place.unwrap_or_default();
        format!("{place}{}: {}", finding.is, finding.why)
    });
    told.collect()
}

/// Largest number of findings that a build reports: more than a configuration has.
const MAX_WARNINGS: usize = 16;

/// Not what a build fails at with words of its own.
fn is_told_by_a_build(finding: &Finding) -> bool {
    match finding.id {
        "assertion" | "no-image" => false,
        // Nothing else names these options: the clock shows another time, and the build of the locales fails with other words.
        "time-zone" | "locale" => true,
        _ => finding.severity == Severity::Error,
    }
}

/// The facts in the builder's output; `None` when they could not be evaluated. What follows them in the output only
/// shows that everything else could be evaluated.
pub(super) fn facts(lines: &[String]) -> Option<ConfigFacts> {
    // Very long lines arrive in pieces.
    let text = lines.concat();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    let facts: ConfigFacts = values.next()?.ok()?;
    Some(facts.at(Timestamp::now()))
}
