//! Nix's warnings for the user: each one once, and a limited number of them. Pure.

use std::collections::BTreeSet;

use super::fetches::{failed_download, is_of_cache};
use super::machine::{KnownError, details, known_errors, without_status};
use crate::layout;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::text::truncate;

/// Warnings that are shown; the log file has all of them.
const MAX_WARNINGS: usize = 20;
/// Characters of one warning.
const MAX_WARNING_CHARS: usize = 600;
/// What Nix writes before a warning of the configuration or of nixpkgs.
const OF_EVALUATION: &str = "evaluation warning:";
/// What Nix writes before the delay to its next attempt of a download.
const RETRY: &str = "; retrying ";
/// What Nix writes before the answer of a server that refuses something.
const ANSWER: &str = "response body:";
const RETRIED: &str = "Nix tries again, five times in all, then the next binary cache that has it";
const FETCHED: &str = "Nix fetches this for the flake, the configuration or a package. It tries again, five times in all";
/// What Nix writes of a server that has no `nix-cache-info`, or refuses it.
const NO_CACHE: &str = "does not appear to be a binary cache";
const NOT_A_CACHE: &str = "Nix does not use it, and builds here what only it has, which takes hours. Check the address. If it \
    asks for a user name and a password, give --netrc-file FILE";
/// What is not shown: of the lock of the copy to which overridden inputs are added, of the settings in a flake, about which sdbuild itself
/// says more, of a word before an error that says what to write, and of nixpkgs' own list of images
/// (`nixos/modules/image/images.nix`), which sdbuild asks for.
const NOT_SHOWN: [&str; 4] = [
    layout::OVERRIDDEN,
    "ignoring untrusted flake configuration setting",
    "This expression uses `or` as an identifier",
    "'targetPlatform' has been renamed to/replaced by 'stdenv.targetPlatform'",
];
/// What Nix writes where there is only a loopback interface.
const NO_NETWORK: &str = "you don't have Internet access";
/// What Nix writes of an input that is changed and does not exist.
const OF_NOTHING: &str = "has an override for a non-existent input";
/// Nix's log level of warnings.
const WARNING_LEVEL: u8 = 1;

/// Collects warnings; remembers those that were shown.
#[derive(Debug, Default)]
pub struct Warnings {
    shown: BTreeSet<String>,
    offline: bool,
}

impl Warnings {
    /// Of a builder that has no network if `offline`.
    pub fn of_builder(offline: bool) -> Self {
        Self {
            offline,
            ..Self::default()
        }
    }

    /// The text to show when `event` is a warning that was not shown yet.
    pub fn note(&mut self, event: &NixEvent) -> Option<String> {
        let NixEvent::Message {
            level: WARNING_LEVEL,
            text,
        } = event
        else {
            return None;
        };
        // Of a server that does not even say what it is, more has to be said than that it is asked again.
        let is_first = text.contains("/nix-cache-info'");
        let is_retried = text.contains(RETRY) && !is_first;
        let text = without_status(without_prefix(text));
        let text = &override_of_nothing(&text).unwrap_or(text);
        if text.is_empty()
            || NOT_SHOWN.iter().any(|part| text.contains(part))
            || self.offline && text.starts_with(NO_NETWORK)
            || self.shown.len() > MAX_WARNINGS
            || !self.shown.insert(subject(text))
        {
            return None;
        }
        if self.shown.len() > MAX_WARNINGS {
            return Some("there are more warnings in the log".to_owned());
        }
        let is_configurations = failed_download(text).is_some_and(|(url, _)| !is_of_cache(url));
        let hint = if is_configurations {
            Some(FETCHED)
        } else if is_retried {
            Some(RETRIED)
        } else {
            let hint = known_errors(text).find_map(hint);
            let is_refused = is_first || text.contains(NO_CACHE);
            hint.or_else(|| is_refused.then_some(NOT_A_CACHE))
        };
        let hint = hint.map(|hint| format!("\nhint: {hint}"));
        let shown = match text.split_once("': ") {
            Some((download, reason)) if failed_download(text).is_some() => {
                format!("{download}': {}", details(reason))
            }
            _ => text.clone(),
        };
        Some(truncate(&shown, MAX_WARNING_CHARS).into_owned() + &hint.unwrap_or_default())
    }
}

/// Whether `event` is a warning of the configuration or of nixpkgs, not one of Nix itself.
pub fn is_of_evaluation(event: &NixEvent) -> bool {
    matches!(event, NixEvent::Message { text, .. } if text.contains(OF_EVALUATION))
}

/// The address of the binary cache that does not answer, as Nix's warning `text` says.
pub fn silent_cache(text: &str) -> Option<&str> {
    let (url, _) = failed_download(text)?;
    let (cache, _) = url.rsplit_once('/')?;
    let is_asked = url.ends_with("/nix-cache-info") || url.ends_with(".narinfo");
    is_asked.then_some(cache)
}

/// `text` without Nix's own prefixes, the delay before the next attempt, and what the server sent, which is mostly a page.
fn without_prefix(text: &str) -> &str {
    let mut text = text.trim();
    for word in [OF_EVALUATION, "warning:", "error:"] {
        text = text.strip_prefix(word).map_or(text, str::trim_start);
    }
    let text = text.split_once(RETRY).map_or(text, |(text, _)| text);
    text.split_once(ANSWER)
        .map_or(text, |(text, _)| text.trim_end())
}

/// What is said of an overridden input that the flake does not have: Nix names the copy to which overridden inputs are added, in
/// which the flake is the input `configuration`.
fn override_of_nothing(text: &str) -> Option<String> {
    let input = text.strip_prefix("input 'configuration")?;
    let (outer, missing) = input.split_once(OF_NOTHING)?;
    let (outer, missing) = (outer.trim().trim_end_matches('\''), missing.trim());
    Some(match outer.strip_prefix('/') {
        Some(outer) => format!("input '{outer}' {OF_NOTHING} {missing}"),
        None if outer.is_empty() => {
            format!("the flake has no input {missing}, which is to be overridden")
        }
        None => return None,
    })
}

/// What identifies a warning: the cache, for paths that are ignored because its key is not trusted; server and reason, for
/// downloads that fail; else the text.
fn subject(text: &str) -> String {
    let untrusted = text.strip_prefix("ignoring substitute for ");
    if let Some((_, cache)) = untrusted.and_then(|rest| rest.split_once(" from ")) {
        return cache.to_owned();
    }
    let download = text.strip_prefix("unable to download '");
    if let Some((url, why)) = download.and_then(|rest| rest.split_once("': ")) {
        let server = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let code = why.split_once(')').map_or(why, |(code, _)| code);
        return format!("{server} {code}");
    }
    text.to_owned()
}

fn hint(error: KnownError) -> Option<&'static str> {
    if error == KnownError::KeyUntrusted {
        return Some(
            "Nix builds its paths here instead. If you trust the cache, give its key: --extra-trusted-public-keys KEY",
        );
    }
    if error == KnownError::Certificate {
        return Some(
            "without its binary caches Nix builds everything here, which takes hours. Check the clock (date -u). If your own \
             authority signs the certificate, or a proxy that reads TLS, give --ca-file FILE",
        );
    }
    let not_reached = matches!(error, KnownError::Network | KnownError::DownloadTimeout);
    not_reached.then_some(
        "without its binary caches Nix builds everything here, which takes hours. Check the network, or --substituters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    #[test]
    fn overrides_of_nothing_are_named_without_the_copy() {
        let told = |input: &str| {
            override_of_nothing(&format!(
                "input '{input}' has an override for a non-existent input 'b'"
            ))
        };
        let missing = "the flake has no input 'b', which is to be overridden";
        assert_eq!(told("configuration").as_deref(), Some(missing));
        let nested = "input 'a' has an override for a non-existent input 'b'";
        assert_eq!(told("configuration/a").as_deref(), Some(nested));
        assert_eq!((told("a"), told("configurations")), (None, None));
    }

    fn note(warnings: &mut Warnings, text: &str) -> Option<String> {
        let text = format!("warning: {text}");
        warnings.note(&NixEvent::Message { level: 1, text })
    }

    #[test]
    fn what_sdbuild_itself_has_arranged_is_not_reported() {
        let mut warnings = Warnings::default();
        for text in [
            "creating lock file '\"/build/sdbuild/overridden/flake.lock\"': \n• Added input 'configuration'",
            "ignoring untrusted flake configuration setting 'extra-substituters'.",
            "at c.nix:1:7: This expression uses `or` as an identifier in a way that will change",
        ] {
            assert_eq!(note(&mut warnings, text), None);
        }
        let no_network = "you don't have Internet access; disabling some features";
        assert!(note(&mut warnings, no_network).is_some());
        assert_eq!(note(&mut Warnings::of_builder(true), no_network), None);
    }

    #[test]
    fn recorded_warnings_are_shown_once_with_what_helps() {
        for (name, count, start, hint) in [
            ("option-renamed", 3, "", ""),
            (
                "cache-unreachable",
                1,
                "unable to download 'http://127.0.0.1:9/nix-cache-info'",
                "without its binary caches",
            ),
            (
                "fetch-unresolved",
                1,
                "unable to download 'https://github.nosuch.invalid/",
                "Nix fetches this for",
            ),
            (
                "key-untrusted",
                1,
                "ignoring substitute for",
                "Nix builds its paths here",
            ),
        ] {
            let path = format!(
                "{}/../../tests/streams/{name}.log",
                env!("CARGO_MANIFEST_DIR")
            );
            let stream = std::fs::read_to_string(path).unwrap();
            let twice = format!("{stream}{}", stream.replace("5zj80pxigx45", "6zj80pxigx45"));
            let (mut log, mut warnings) = (Log::default(), Warnings::default());
            let events = twice.lines().filter_map(|line| log.line(line));
            let shown: Vec<_> = events.filter_map(|event| warnings.note(&event)).collect();
            assert_eq!(shown.len(), count, "{name}: {shown:?}");
            assert!(shown[0].starts_with(start), "{shown:?}");
            assert!(
                hint.is_empty() || shown[0].contains(&format!("\nhint: {hint}")),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn a_server_is_named_with_what_happens_next() {
        let mut warnings = Warnings::default();
        let slow = (1..=3).filter_map(|n| {
            let status = if n == 1 { 200 } else { 206 };
            let text = format!(
                "error: unable to download 'http://c:1/nar/{n}.nar': HTTP error {status} (curl error: Timeout was reached); \
                 retrying from offset {n} in 250 ms"
            );
            note(&mut warnings, &text)
        });
        let slow: Vec<String> = slow.collect();
        assert_eq!(slow.len(), 1, "{slow:?}");
        assert!(slow[0].starts_with("unable to download 'http://c:1/nar/1.nar': Timeout"));
        assert!(slow[0].ends_with(RETRIED));
        let refused = "unable to download 'http://c/nix-cache-info': HTTP error 403\n\nresponse body:\n\n<html>";
        for text in [refused, "'http://c' does not appear to be a binary cache"] {
            let shown = note(&mut Warnings::default(), text).unwrap();
            assert!(
                shown.contains("--netrc-file") && !shown.contains("<html>"),
                "{shown}"
            );
        }
    }

    #[test]
    fn shows_a_limited_number_of_warnings() {
        let mut warnings = Warnings::default();
        let text = "warning: 0".to_owned();
        assert_eq!(warnings.note(&NixEvent::Message { level: 3, text }), None);
        let shown = (0..1000)
            .filter_map(|n| note(&mut warnings, &n.to_string()))
            .count();
        assert_eq!(shown, MAX_WARNINGS + 1);
    }
}
