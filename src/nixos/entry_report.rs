//! What `containers/builder/entry` and its parts report on standard error, a line each. Pure. Anything that the builder runs can
//! write such lines too.

use super::flake::FlakeReport;
use super::store_path::is_derivation;
use sdbuild_core::hash::Sha256Hash;

/// A line of JSON follows, see `flake-source.nix`.
const FLAKE: &str = "sdbuild: flake: ";
/// The mark of what is not a configuration, see `flake-source.nix`.
const AS_IT_IS: &str = "as-it-is: ";

/// A report of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryReport<'a> {
    /// This derivation, that of the image, is going to be built.
    Image(&'a str),
    /// The evaluation was pure, and this is its key.
    PureEvaluation(Sha256Hash),
    /// The most memory that the evaluator used, in bytes.
    EvaluatorMemory(u64),
    /// The derivation of this name failed, or `the image`, and is tried in another way.
    Retried(&'a str),
    /// Everything is built under emulation, for this reason.
    AllEmulated(&'a str),
    /// What is built is not an image of a configuration.
    AsItIs(AsItIs<'a>),
    /// The derivation of this name was built under emulation, and the rest is built natively.
    OneEmulated(&'a str),
}

/// That what was built is not an image of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoConfiguration {
    /// The reference of the first configuration of the flake, if it has any.
    pub configuration: Option<String>,
}

/// What is built, and is not an image of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsItIs<'a> {
    /// This as a sentence.
    pub(super) text: &'a str,
    /// The reference of the first configuration of the flake, if it has any.
    pub(super) configuration: Option<&'a str>,
}

impl<'a> AsItIs<'a> {
    /// The text behind the mark in `flake-source.nix`: `CONFIGURATION: SENTENCE`.
    fn parse(marked: &'a str) -> Option<Self> {
        let (configuration, text) = marked.split_once(": ")?;
        Some(Self {
            text,
            configuration: Some(configuration).filter(|name| !name.is_empty()),
        })
    }
}

impl<'a> EntryReport<'a> {
    /// The report in `line`, if it is one.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (kind, text) = line.strip_prefix("sdbuild: ")?.split_once(": ")?;
        match kind {
            "image" => is_derivation(text).then_some(Self::Image(text)),
            "evaluation" => text.parse().ok().map(Self::PureEvaluation),
            "evaluator" => Self::of_kib(text),
            "glue" => Self::of_glue(text),
            _ => None,
        }
    }

    fn of_kib(text: &str) -> Option<Self> {
        let kib: u64 = text.parse().ok()?;
        kib.checked_mul(1024).map(Self::EvaluatorMemory)
    }

    fn of_glue(text: &'a str) -> Option<Self> {
        let (kind, text) = text.split_once(": ")?;
        match kind {
            "retried" => Some(Self::Retried(text)),
            "emulated" => Some(match text.strip_prefix(AS_IT_IS) {
                Some(marked) => Self::AsItIs(AsItIs::parse(marked)?),
                None => Self::AllEmulated(text),
            }),
            "one emulated" => Some(Self::OneEmulated(text)),
            _ => None,
        }
    }
}

/// The `reason` why an image is not built natively, without the mark.
pub(super) fn unmarked(reason: &str) -> &str {
    let marked = reason.strip_prefix(AS_IT_IS).and_then(AsItIs::parse);
    marked.map_or(reason, |marked| marked.text)
}

/// The report of a flake that the entry has locked, if `line` is one.
pub(super) fn flake_report(line: &str) -> Option<FlakeReport> {
    line.strip_prefix(FLAKE).and_then(FlakeReport::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_reports_of_the_entry_are_understood() {
        let derivation = format!("/nix/store/{}-card.img.drv", "a".repeat(32));
        let image = format!("sdbuild: image: {derivation}");
        assert_eq!(
            EntryReport::parse(&image),
            Some(EntryReport::Image(&derivation))
        );
        let key = Sha256Hash::of(b"inputs");
        let pure = format!("sdbuild: evaluation: {key}");
        assert_eq!(
            EntryReport::parse(&pure),
            Some(EntryReport::PureEvaluation(key))
        );
        for (line, report) in [
            ("glue: retried: a", Some(EntryReport::Retried("a"))),
            ("evaluator: 2", Some(EntryReport::EvaluatorMemory(2048))),
            ("evaluator: 18446744073709551615", None),
            ("evaluator: -1", None),
            (
                "glue: emulated: no room: here",
                Some(EntryReport::AllEmulated("no room: here")),
            ),
            (
                "glue: emulated: as-it-is: .#pi: x: y",
                Some(EntryReport::AsItIs(AsItIs {
                    text: "x: y",
                    configuration: Some(".#pi"),
                })),
            ),
            (
                "glue: emulated: as-it-is: : x",
                Some(EntryReport::AsItIs(AsItIs {
                    text: "x",
                    configuration: None,
                })),
            ),
            ("glue: emulated: as-it-is: x", None),
            (
                "glue: one emulated: a.drv",
                Some(EntryReport::OneEmulated("a.drv")),
            ),
            ("glue: other: a.drv", None),
            ("image: /etc/passwd", None),
            ("evaluation: x", None),
            ("step: a.drv bytes 1 2", None),
        ] {
            let line = format!("sdbuild: {line}");
            assert_eq!(EntryReport::parse(&line), report, "{line}");
        }
        assert_eq!(EntryReport::parse("glue: retried: a.drv"), None);
    }

    #[test]
    fn the_expressions_mark_what_is_no_configuration() {
        assert_eq!(unmarked("as-it-is: .#pi: x"), "x");
        assert_eq!(unmarked("no room: here"), "no room: here");
        let expressions = include_str!("expressions/flake-source.nix");
        assert!(expressions.contains(&format!("\"{AS_IT_IS}${{")));
    }
}
