//! Mistakes in a configuration that keep the machine from booting or its owner from logging in.
//!
//! Nix evaluates the facts (`check/facts.nix`); rules that are pure turn them into findings.

mod board;
mod facts;
mod login;
mod rule;
#[cfg(test)]
mod tests;
mod traps;
mod ways_in;

use serde::Serialize;

pub use facts::ConfigFacts;
pub use traps::findings;
pub use ways_in::who_logs_in;

use crate::common::failure::Failure;

/// The expression that the builder evaluates, and its attributes in the order of evaluation.
pub(super) const EXPRESSION: &str = include_str!("check/facts.nix");
pub(super) const ATTRIBUTES: [&str; 2] = ["facts", "whole"];

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the machine boots and login is possible.
    Note,
    /// The machine does not boot, login is not possible, or nobody who logs in can administer it.
    Trap,
}

/// A mistake in a configuration, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, for scripts.
    pub id: &'static str,
    /// How serious it is.
    pub severity: Severity,
    /// What the configuration sets.
    pub is: String,
    /// The consequence.
    pub why: String,
    /// Lines of Nix that correct it.
    pub add: Vec<String>,
}

/// The result of evaluating a configuration.
#[derive(Debug)]
pub struct CheckResult {
    /// What the configuration sets.
    pub facts: ConfigFacts,
    /// Why the evaluation of a build would fail; `None` when it succeeds.
    pub failure: Option<Failure>,
}

/// The facts in the builder's output; `None` when they could not be evaluated. What follows them in the output only
/// shows that everything else could be evaluated.
pub(super) fn facts(lines: &[String]) -> Option<ConfigFacts> {
    // Very long lines arrive in pieces.
    let text = lines.concat();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    values.next()?.ok()
}
