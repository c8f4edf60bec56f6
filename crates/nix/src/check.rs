//! Mistakes in a configuration that keep the machine from booting or its owner from logging in.
//!
//! Nix evaluates the facts (`expressions/check/facts.nix`); rules that are pure turn them into findings.

mod accounts;
mod boot;
mod disks;
mod facts;
mod finding;
mod login;
mod network;
mod places;
mod secrets;
mod system;
#[cfg(test)]
pub mod tests;
mod ways_in;

use jiff::Timestamp;

pub use facts::ConfigFacts;
pub use finding::{Change, Finding, OptionPath, Place, Replaced, Severity, Value};
pub use places::OwnDefinitions;
pub use ways_in::who_logs_in;

use crate::trace;
use crate::trace::traced;
use sdbuild_core::failure::Failure;
use sdbuild_core::untrusted;
use sdbuild_image::board::{Board, Start};

/// The result of evaluating a configuration.
#[derive(Debug)]
pub struct CheckResult {
    /// What the configuration sets.
    pub facts: ConfigFacts,
    /// What the user's files define.
    pub definitions: OwnDefinitions,
    /// Why the evaluation of a build would fail; `None` when it succeeds.
    pub failure: Option<Failure>,
}

/// The mistakes in `facts`, and for `board`, if it is for one in particular; errors first.
pub fn findings(facts: &ConfigFacts, board: Option<&Board>) -> Vec<Finding> {
    let mut all = boot::findings(facts, board);
    all.extend(disks::findings(facts));
    all.extend(network::findings(facts));
    all.extend(accounts::findings(facts));
    all.extend(login::findings(facts));
    all.extend(secrets::findings(facts));
    all.extend(system::findings(facts, board));
    system::keep_one_definition(&mut all);
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity == Severity::Error));
    all
}

/// What the rules look at in `facts`, for `board`, if the image is for one in particular: a configuration without findings is only right in these.
pub fn looked_at(facts: &ConfigFacts, board: Option<&Board>) -> Vec<String> {
    let is = |holds: bool, name: &str| holds.then(|| name.to_owned());
    let of_board = board.and_then(|board| {
        let part = match &board.start {
            Start::RaspberryPi(_) => "the firmware partition",
            Start::UBoot(_) => "U-Boot on the card",
            Start::Uefi => "the boot loader for UEFI",
            Start::OwnUBoot | Start::Bios => return None,
        };
        Some(format!("{part} for {}", board.title))
    });
    let has_card = facts.card && facts.sd.root_label.is_some();
    let parts = [
        is(true, "the image's system"),
        is(facts.card, "its boot loader"),
        of_board,
        is(has_card, "the root file system on the card"),
        is(facts.disk.is_some(), "the root file system on the disk"),
        is(!facts.container, "the network"),
        is(true, "logins"),
        is(true, "secrets in the store"),
        is(true, "names and time"),
    ];
    parts.into_iter().flatten().collect()
}

/// What precedes the facts in a trace of Nix, which the evaluation of a build writes.
const TRACED: &str = "sdbuild: facts";

/// Whether `line` of Nix's log is a trace with facts. It is not for the log: it may have what belongs in no log.
pub fn is_trace(line: &str) -> bool {
    trace::is_trace(line, TRACED)
}

/// The facts in `line` of Nix's log. Anything that the builder runs can write such a line.
pub fn traced_facts(line: &str) -> Option<ConfigFacts> {
    let facts = traced(line, TRACED)?;
    let facts: ConfigFacts = untrusted::json(&facts).ok()?;
    Some(facts.at(Timestamp::now()))
}

/// The facts in the builder's output; `None` when they could not be evaluated. What follows them in the output only
/// shows that everything else could be evaluated.
pub fn facts(lines: &[String]) -> Option<ConfigFacts> {
    // Very long lines arrive in pieces.
    let text = lines.concat();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    let facts: ConfigFacts = values.next()?.ok()?;
    Some(facts.at(Timestamp::now()))
}

/// What a build warns of: the errors in `facts`, and what fails a build later; each with its place in the
/// files that have `definitions`, where that is certain.
pub fn warnings(facts: &ConfigFacts, definitions: &OwnDefinitions) -> Vec<String> {
    /// Largest number of findings that a build reports: more than a configuration has.
    const MAX_WARNINGS: usize = 16;
    let mut facts = facts.clone();
    definitions.complete(&mut facts);
    let mut found = findings(&facts, None);
    definitions.locate(&mut found);
    let relevant = found.iter().filter(|finding| concerns_a_build(finding));
    let texts = relevant.take(MAX_WARNINGS).map(|finding| {
        let place = finding.place.as_ref();
        let place = place.map(|place| format!("{}:{}: ", place.file, place.line));
        let place = place.unwrap_or_default();
        format!("{place}{}: {}", finding.statement(), finding.why)
    });
    texts.collect()
}

/// Not what a build fails at with a message of its own.
fn concerns_a_build(finding: &Finding) -> bool {
    match finding.id {
        "assertion" | "no-image" => false,
        // Nothing else names these options: the clock shows another time, and the build of the locales fails with another message.
        "time-zone" | "locale" => true,
        _ => finding.severity == Severity::Error,
    }
}
