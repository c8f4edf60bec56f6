//! What `containers/builder/entry` and its parts report on standard error, a line each. Anything that the builder runs can write such
//! lines too, so every text is checked.

use serde::Deserialize;

use super::diagnosis::Machine;
use super::git_source::is_commit;
use super::store_path::{is_derivation, is_store_path};
use super::trace::traced;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, Question};
use sdbuild_core::flake_caches::{CacheAnswer, CacheUse, FlakeCaches};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::untrusted;

/// A line of JSON follows, see `flake-source.nix`.
const FLAKE: &str = "sdbuild: flake: ";
/// The mark of what is not a configuration, see `flake-source.nix`.
const AS_IT_IS: &str = "as-it-is: ";
/// The mark of a platform that compiles for another one, see `glue/default.nix`.
const CROSS: &str = "cross: ";

/// A report of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryReport<'a> {
    /// This derivation, that of the image, is going to be built.
    Image(&'a str),
    /// The evaluation was pure, and this is its key.
    PureEvaluation(Sha256Hash),
    /// The most memory that the evaluator used, in bytes.
    EvaluatorMemory(u64),
    /// What the machine is like: at the end of a command that failed, and while it builds if space is short.
    Machine(Machine),
    /// What the configuration changes of what caches have, as JSON.
    Causes(&'a str),
    /// How many of the paths to fetch a binary cache has; `None` if it did not answer.
    Cache(&'a str, Option<u64>),
    /// How many derivations would be built and paths be fetched without these changes.
    Without(u64, u64),
    /// The configuration is compiled by this platform.
    CrossCompiled(&'a str),
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
pub struct AsItIs<'a> {
    /// This as a sentence.
    pub text: &'a str,
    /// The reference of the first configuration of the flake, if it has any.
    pub configuration: Option<&'a str>,
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
    pub fn parse(line: &'a str) -> Option<Self> {
        let (kind, text) = line.strip_prefix("sdbuild: ")?.split_once(": ")?;
        match kind {
            "image" => is_derivation(text).then_some(Self::Image(text)),
            "evaluation" => text.parse().ok().map(Self::PureEvaluation),
            "evaluator" => Self::of_kib(text),
            "causes" => Some(Self::Causes(text)),
            "cache" => Self::of_cache(text),
            "without" => {
                let (build, fetch) = text.split_once(' ')?;
                Some(Self::Without(build.parse().ok()?, fetch.parse().ok()?))
            }
            "machine" => Some(Self::Machine(Machine::parse(text))),
            "glue" => Self::of_glue(text),
            _ => None,
        }
    }

    fn of_cache(text: &'a str) -> Option<Self> {
        let (paths, url) = text.split_once(' ')?;
        let paths = match paths {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        Some(Self::Cache(url, paths))
    }

    /// The memory of `text` KiB.
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
                None => match text.strip_prefix(CROSS) {
                    Some(platform) => Self::CrossCompiled(platform),
                    None => Self::AllEmulated(text),
                },
            }),
            "one emulated" => Some(Self::OneEmulated(text)),
            _ => None,
        }
    }
}

/// The `reason` why an image is not built natively, without the mark.
pub fn unmarked(reason: &str) -> &str {
    if reason.starts_with(CROSS) {
        return "the configuration cross-compiles";
    }
    let marked = reason.strip_prefix(AS_IT_IS).and_then(AsItIs::parse);
    marked.map_or(reason, |marked| marked.text)
}

/// What precedes the choice of the image in a trace of Nix, see `expressions/default.nix`.
const CHOICE: &str = "sdbuild: image choice";

/// The choice of the image in `line` of Nix's log, if that is a sound one. Anything that the builder runs can write such a line.
pub fn image_choice(line: &str) -> Option<ImageChoice> {
    let choice = traced(line, CHOICE)?;
    let choice: ImageChoice = untrusted::json(&choice).ok()?;
    choice.is_sound().then_some(choice)
}

/// The most machines of a flake.
const MAX_MACHINES: usize = 1000;

/// The attribute paths of the configurations of a flake, each as it is named behind `#`, in the `json` that Nix printed.
pub fn machines(json: &str) -> Option<Vec<Vec<String>>> {
    let paths: Vec<Vec<String>> = untrusted::json(json).ok()?;
    let is_name = |name: &String| !name.is_empty() && !name.contains(char::is_control);
    let is_sound = |path: &Vec<String>| !path.is_empty() && path.iter().all(is_name);
    (paths.len() <= MAX_MACHINES && paths.iter().all(is_sound)).then_some(paths)
}

/// The report of a flake that the entry has locked, if `line` is one.
pub fn flake_report(line: &str) -> Option<FlakeReport> {
    line.strip_prefix(FLAKE).and_then(FlakeReport::parse)
}

/// A locked flake. Every text was checked: it comes from the builder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FlakeReport {
    /// The store path of its files.
    pub source: String,
    /// The store path of sdbuild's own expressions.
    pub expressions: String,
    /// The hash of its files as Nix writes it: `sha256-…`.
    #[serde(rename = "narHash")]
    pub nar_hash: String,
    /// The commit; `None` for a dirty tree or without git.
    pub revision: Option<String>,
    /// SHA-256 of its `flake.lock` in hex; `None` without one.
    pub lock: Option<String>,
    /// The binary caches that it names.
    pub caches: FlakeCaches,
    /// Whether the flake's caches are used.
    #[serde(skip)]
    pub uses_caches: bool,
}

impl FlakeReport {
    /// The report in `json`, a line of the builder's log; `None` when it is not one.
    pub fn parse(json: &str) -> Option<Self> {
        let report: Self = untrusted::json(json).ok()?;
        let valid = is_store_path(&report.source)
            && is_store_path(&report.expressions)
            && is_nar_hash(&report.nar_hash)
            && report.revision.as_deref().is_none_or(is_commit)
            && report
                .lock
                .as_deref()
                .is_none_or(|hash| hash.parse::<Sha256Hash>().is_ok())
            && report.caches.are_words();
        valid.then_some(report)
    }

    /// What to tell the user about its binary caches, with which `used` is done; nothing when it names none.
    pub fn tell_caches(&self, used: CacheUse, events: &Events) {
        let FlakeCaches {
            substituters,
            trusted_public_keys,
        } = &self.caches;
        if substituters.is_empty() {
            return;
        }
        let (urls, keys) = (substituters.join(", "), trusted_public_keys.join(", "));
        let urls = hide_secrets(&urls);
        if keys.is_empty() && matches!(used, CacheUse::Asked | CacheUse::Unknown) {
            return events.notice(format!(
                "the flake names binary caches without a key, which are not used: {urls}"
            ));
        }
        match used {
            CacheUse::Used => events.notice(format!(
                "the binary caches of the flake are used: {urls} (keys {keys})"
            )),
            CacheUse::Refused => events.notice(format!(
                "the binary caches of the flake are not used, as you answered before: {urls}; --accept-flake-caches uses them"
            )),
            CacheUse::Unknown => events.warn(format!(
                "the flake names binary caches that are not used: {urls} (keys {keys}); if you trust the owners of the keys, \
                 give --accept-flake-caches"
            )),
            CacheUse::Asked | CacheUse::Offline => {}
        }
    }

    /// The end of a run before the user is asked about its binary caches; `flake` says where it is.
    pub fn ask_about_caches(&self, flake: &str) -> Failure {
        let question = Question::AcceptCaches(CacheAnswer {
            flake: flake.to_owned(),
            accepted: false,
            caches: self.caches.clone(),
        });
        Failure::new(Class::Usage, question)
            .hint("give --accept-flake-caches if you trust the owners of their keys")
    }
}

/// The hash of a directory, a SHA-256, as Nix writes it.
fn is_nar_hash(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let hash = text.strip_prefix("sha256-");
    hash.is_some_and(|hash| hash.len() == 44 && hash.chars().all(is_base64))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn told(report: &FlakeReport, used: CacheUse) -> String {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        report.tell_caches(used, &events);
        let told = told.lock().unwrap();
        told.first()
            .map_or(String::new(), |event| format!("{event:?}"))
    }

    #[test]
    fn caches_without_a_key_are_not_offered() {
        let source = format!("/nix/store/{}-source", "a".repeat(32));
        let hash = format!("sha256-{}=", "A".repeat(43));
        let keyless = "{\"substituters\":[\"https://c.example\"],\"trusted-public-keys\":[]}";
        let keyless = FlakeReport::parse(&json(&source, &hash, keyless)).unwrap();
        for used in [CacheUse::Asked, CacheUse::Unknown] {
            let told = told(&keyless, used);
            assert!(
                told.contains("without a key") && !told.contains("accept"),
                "{told}"
            );
        }
    }

    #[test]
    fn only_names_of_machines_are_understood() {
        let paths = machines(r#"[["pi"],["packages","aarch64-linux","b.c"]]"#).unwrap();
        assert_eq!(
            paths,
            [vec!["pi"], vec!["packages", "aarch64-linux", "b.c"]]
        );
        for unsound in ["", "[[]]", r#"[[""]]"#, r#"["pi"]"#, r#"[["a\n"]]"#] {
            assert_eq!(machines(unsound), None, "{unsound}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn only_sound_reports_of_the_entry_are_understood() {
        let derivation = format!("/nix/store/{}-card.img.drv", "a".repeat(32));
        let key = Sha256Hash::of(b"inputs");
        let (image, evaluation) = (format!("image: {derivation}"), format!("evaluation: {key}"));
        let as_it_is = |text, configuration| {
            EntryReport::AsItIs(AsItIs {
                text,
                configuration,
            })
        };
        let machine = Machine {
            bytes: Some(4096),
            killed: Some(0),
            ..Machine::default()
        };
        for (line, report) in [
            (image.as_str(), EntryReport::Image(&derivation)),
            (&evaluation, EntryReport::PureEvaluation(key)),
            (
                "cache: 3 https://c",
                EntryReport::Cache("https://c", Some(3)),
            ),
            ("cache: - https://c", EntryReport::Cache("https://c", None)),
            ("without: 271 305", EntryReport::Without(271, 305)),
            ("causes: {}", EntryReport::Causes("{}")),
            (
                "machine: bytes=4096 killed=0 unknown=1",
                EntryReport::Machine(machine),
            ),
            ("evaluator: 2", EntryReport::EvaluatorMemory(2048)),
            ("glue: retried: a", EntryReport::Retried("a")),
            (
                "glue: one emulated: a.drv",
                EntryReport::OneEmulated("a.drv"),
            ),
            (
                "glue: emulated: cross: x86_64-linux",
                EntryReport::CrossCompiled("x86_64-linux"),
            ),
            (
                "glue: emulated: no room: here",
                EntryReport::AllEmulated("no room: here"),
            ),
            (
                "glue: emulated: as-it-is: .#pi: x: y",
                as_it_is("x: y", Some(".#pi")),
            ),
            ("glue: emulated: as-it-is: : x", as_it_is("x", None)),
        ] {
            assert_eq!(
                EntryReport::parse(&format!("sdbuild: {line}")),
                Some(report)
            );
            assert_eq!(EntryReport::parse(line), None);
        }
        for line in [
            "cache: x https://c",
            "without: 271",
            "evaluator: 18446744073709551615",
            "evaluator: -1",
            "glue: emulated: as-it-is: x",
            "glue: other: a.drv",
            "image: /etc/passwd",
            "evaluation: x",
            "step: a.drv bytes 1 2",
        ] {
            assert_eq!(
                EntryReport::parse(&format!("sdbuild: {line}")),
                None,
                "{line}"
            );
        }
    }

    #[test]
    fn the_expressions_mark_what_is_no_configuration() {
        assert_eq!(unmarked("as-it-is: .#pi: x"), "x");
        assert_eq!(unmarked("no room: here"), "no room: here");
        let expressions = include_str!("../../build/src/expressions/flake-source.nix");
        assert!(expressions.contains(&format!("\"{AS_IT_IS}${{")));
    }

    fn json(source: &str, hash: &str, caches: &str) -> String {
        format!(
            "{{\"source\":\"{source}\",\"expressions\":\"{source}\",\"narHash\":\"{hash}\",\"revision\":null,\"lock\":null,\"caches\":{caches}}}"
        )
    }

    #[test]
    fn a_report_is_checked() {
        let source = format!("/nix/store/{}-source", "a".repeat(32));
        let hash = format!("sha256-{}=", "A".repeat(43));
        let caches =
            "{\"substituters\":[\"https://c.example\"],\"trusted-public-keys\":[\"c-1:k=\"]}";
        let report = FlakeReport::parse(&json(&source, &hash, caches)).unwrap();
        let unknown = told(&report, CacheUse::Unknown);
        for part in [
            "Warning",
            "https://c.example",
            "c-1:k=",
            "not used",
            "--accept-flake-caches",
        ] {
            assert!(unknown.contains(part), "{unknown}");
        }
        assert!(told(&report, CacheUse::Used).contains("are used: https://c.example"));
        assert!(told(&report, CacheUse::Refused).contains("as you answered before"));
        assert_eq!(told(&report, CacheUse::Asked), "", "the question says it");
        let none = "{\"substituters\":[],\"trusted-public-keys\":[]}";
        let report = FlakeReport::parse(&json(&source, &hash, none)).unwrap();
        assert_eq!(told(&report, CacheUse::Used), "");
        assert_eq!(FlakeReport::parse(&json("/etc", &hash, none)), None);
        assert_eq!(FlakeReport::parse(&json(&source, "sha256-x", none)), None);
        assert_eq!(FlakeReport::parse("{}"), None);
        // One word each: it is a word in a setting of Nix, and one in the hash that the user accepts.
        for bad in ["https://a https://b", "", "a\\nb", "a\\u001b[2J"] {
            for (urls, keys) in [(bad, "k"), ("u", bad)] {
                let caches = format!(
                    "{{\"substituters\":[\"{urls}\"],\"trusted-public-keys\":[\"{keys}\"]}}"
                );
                assert_eq!(
                    FlakeReport::parse(&json(&source, &hash, &caches)),
                    None,
                    "{caches}"
                );
            }
        }
        let with = |revision: usize, lock: usize| {
            let digits = |count: usize| format!("\"{}\"", "a".repeat(count));
            let report = json(&source, &hash, none)
                .replace(
                    "\"revision\":null",
                    &format!("\"revision\":{}", digits(revision)),
                )
                .replace("\"lock\":null", &format!("\"lock\":{}", digits(lock)));
            FlakeReport::parse(&report).is_some()
        };
        assert!(with(40, 64) && with(64, 64));
        assert!(!with(41, 64) && !with(40, 40) && !with(40, 63));
    }
}
