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

/// `text` without Nix's own prefixes, the delay before the next attempt, and what the server sent, which is mostly a page.
/// The address of the binary cache that does not answer, as Nix's warning `text` says.
pub fn silent_cache(text: &str) -> Option<&str> {
    let (url, _) = failed_download(text)?;
    let (cache, _) = url.rsplit_once('/')?;
    let is_asked = url.ends_with("/nix-cache-info") || url.ends_with(".narinfo");
    is_asked.then_some(cache)
}

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
            let text = format!("input '{input}' has an override for a non-existent input 'b'");
            override_of_nothing(&text)
        };
        let missing = "the flake has no input 'b', which is to be overridden";
        assert_eq!(told("configuration").as_deref(), Some(missing));
        let nested = "input 'a' has an override for a non-existent input 'b'";
        assert_eq!(told("configuration/a").as_deref(), Some(nested));
        assert_eq!((told("a"), told("configurations")), (None, None));
    }

    /// The warnings that are shown for a recorded stream.
    fn shown(stream: &str) -> Vec<String> {
        let (mut log, mut warnings) = (Log::default(), Warnings::default());
        let events = stream.lines().filter_map(|line| log.line(line));
        events.filter_map(|event| warnings.note(&event)).collect()
    }

    #[test]
    fn lock_of_the_copy_with_overrides_in_file_is_not_reported() {
        let text = "warning: creating lock file '\"/build/sdbuild/overridden/flake.lock\"': \n• Added input 'configuration'";
        let message = |text: &str| NixEvent::Message {
            level: 1,
            text: text.to_owned(),
        };
        let mut warnings = Warnings::default();
        assert_eq!(warnings.note(&message(text)), None);
        assert!(warnings.note(&message("warning: another")).is_some());
    }

    #[test]
    fn what_sdbuild_itself_has_arranged_is_not_reported() {
        let message = |text: &str| NixEvent::Message {
            level: 1,
            text: format!("warning: {text}"),
        };
        let no_network =
            "you don't have Internet access; disabling some network-dependent features";
        let setting = "ignoring untrusted flake configuration setting 'extra-substituters'.\nPass '--accept-flake-config' to trust it";
        let mut offline = Warnings::of_builder(true);
        assert_eq!(offline.note(&message(no_network)), None);
        let mut online = Warnings::of_builder(false);
        assert_eq!(online.note(&message(setting)), None);
        let or = "at /build/config/c.nix:1:7: This expression uses `or` as an identifier in a way that will change";
        assert_eq!(online.note(&message(or)), None);
        assert!(online.note(&message(no_network)).is_some());
    }

    #[test]
    fn the_page_of_a_server_is_left_out() {
        let text = "warning: unable to download 'https://c.example/x': HTTP error 403 ('Forbidden')\n\nresponse body:\n\n<html>\n</html>";
        let shown = Warnings::default().note(&NixEvent::Message {
            level: 1,
            text: text.to_owned(),
        });
        assert!(!shown.unwrap().contains("<html>"));
    }

    #[test]
    fn a_renamed_option_is_shown_with_its_new_name() {
        let shown = shown(include_str!("../../../../tests/streams/option-renamed.log"));
        assert_eq!(shown.len(), 3);
        assert_eq!(
            shown[1],
            "The option `sdImage.imageName' defined in `/build/config/c.nix' has been renamed to \
             `image.fileName'."
        );
    }

    #[test]
    fn an_unreachable_cache_is_reported_once() {
        let shown = shown(include_str!(
            "../../../../tests/streams/cache-unreachable.log"
        ));
        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("unable to download 'http://127.0.0.1:9/nix-cache-info'"));
        assert!(
            shown[0].contains("\nhint: without its binary caches"),
            "{}",
            shown[0]
        );
    }

    #[test]
    fn a_download_of_the_configuration_is_no_cache() {
        let shown = shown(include_str!(
            "../../../../tests/streams/fetch-unresolved.log"
        ));
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(
            shown[0].starts_with("unable to download 'https://github.nosuch.invalid/"),
            "{shown:?}"
        );
        let hint = "\nhint: Nix fetches this for the flake, the configuration or a package. It tries again, five times \
         in all";
        assert!(shown[0].ends_with(hint), "{shown:?}");
    }

    #[test]
    fn a_slow_server_is_reported_once_with_what_happens_next() {
        let mut warnings = Warnings::default();
        let shown = (1..=3).filter_map(|n| {
            let status = if n == 1 { 200 } else { 206 };
            let text = format!(
                "warning: error: unable to download 'http://c:1/nar/{n}.nar': HTTP error {status} (curl error: Timeout was \
                 reached); retrying from offset {n} in 250 ms"
            );
            warnings.note(&NixEvent::Message { level: 1, text })
        });
        let shown: Vec<String> = shown.collect();
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with("unable to download 'http://c:1/nar/1.nar': Timeout"));
        assert!(shown[0].ends_with(
            "\nhint: Nix tries again, five times in all, then the next binary cache that has it"
        ));
    }

    #[test]
    fn an_untrusted_cache_comes_with_a_hint() {
        let stream = include_str!("../../../../tests/streams/key-untrusted.log");
        let shown = shown(&format!(
            "{stream}{}",
            stream.replace("5zj80pxigx45", "6zj80pxigx45")
        ));
        assert_eq!(shown.len(), 1);
        assert!(shown[0].contains("'file:///tmp/cache'"), "{}", shown[0]);
        assert!(
            shown[0].contains("\nhint: Nix builds its paths here"),
            "{}",
            shown[0]
        );
    }

    #[test]
    fn a_cache_that_refuses_comes_with_a_hint() {
        for text in [
            "unable to download 'http://c/nix-cache-info': HTTP error 403",
            "'http://c' does not appear to be a binary cache",
        ] {
            let text = text.to_owned();
            let shown = Warnings::default().note(&NixEvent::Message { level: 1, text });
            assert!(shown.unwrap().contains("--netrc-file"));
        }
    }

    #[test]
    fn shows_a_limited_number_of_warnings() {
        let mut warnings = Warnings::default();
        let mut note = |level, n: usize| {
            let text = format!("warning: {n}");
            warnings.note(&NixEvent::Message { level, text })
        };
        assert_eq!(note(3, 0), None);
        let shown = (0..1000).filter_map(|n| note(1, n)).count();
        assert_eq!(shown, MAX_WARNINGS + 1);
    }
}
