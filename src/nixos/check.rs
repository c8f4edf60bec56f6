//! What of a configuration would keep the machine from booting, or its owner out of it.
//!
//! Nix says what is set (`check/facts.nix`), the rest is pure: facts in, findings out.

mod facts;
#[cfg(test)]
mod tests;
mod traps;
mod ways_in;

use serde::Serialize;

pub use facts::ConfigFacts;
pub use traps::findings;
pub use ways_in::who_gets_in;

use crate::common::failure::Failure;

/// The expression that the builder evaluates, and the attributes that are asked for, in order.
pub(super) const EXPRESSION: &str = include_str!("check/facts.nix");
pub(super) const ATTRIBUTES: [&str; 2] = ["facts", "whole"];

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the machine boots and somebody gets in.
    Note,
    /// The machine would not boot, or nobody would get in.
    Trap,
}

/// Something in a configuration, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, for scripts.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is set.
    pub is: String,
    /// What comes of it.
    pub why: String,
    /// The lines that change it, as in the configuration.
    pub add: Vec<String>,
}

/// A configuration that was looked at.
#[derive(Debug)]
pub struct CheckResult {
    /// What is set.
    pub facts: ConfigFacts,
    /// Why a build would not get past evaluation, when it would not.
    pub failure: Option<Failure>,
}

/// The facts in what the builder printed; `None` when it did not get that far. What follows them only says
/// that everything could be evaluated.
pub(super) fn facts(lines: &[String]) -> Option<ConfigFacts> {
    // A line that is very long comes in pieces.
    let text = lines.concat();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    values.next()?.ok()
}
