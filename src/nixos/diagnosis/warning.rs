//! Nix's warnings for the user: each one once, and a limited number of them. Pure.

use std::collections::BTreeSet;

use super::known_error::{KnownError, known_errors};
use crate::common::event::NixEvent;
use crate::common::text::truncate;

/// Warnings that are shown; the log file has all of them.
const MAX_WARNINGS: usize = 20;
/// Characters of one warning.
const MAX_WARNING_CHARS: usize = 600;
/// Nix's log level of warnings.
const WARNING_LEVEL: u8 = 1;

/// Collects warnings; remembers those that were shown.
#[derive(Debug, Default)]
pub(in crate::nixos) struct Warnings {
    shown: BTreeSet<String>,
}

impl Warnings {
    /// The text to show when `event` is a warning that was not shown yet.
    pub(in crate::nixos) fn note(&mut self, event: &NixEvent) -> Option<String> {
        let NixEvent::Message {
            level: WARNING_LEVEL,
            text,
        } = event
        else {
            return None;
        };
        let text = without_prefix(text);
        if text.is_empty() || self.shown.len() > MAX_WARNINGS || !self.shown.insert(subject(text)) {
            return None;
        }
        if self.shown.len() > MAX_WARNINGS {
            return Some("there are more warnings in the log".to_owned());
        }
        let hint = known_errors(text)
            .find_map(hint)
            .map(|hint| format!("\nhint: {hint}"));
        Some(truncate(text, MAX_WARNING_CHARS).into_owned() + &hint.unwrap_or_default())
    }
}

/// `text` without Nix's own prefixes, and without the delay before the next attempt.
fn without_prefix(text: &str) -> &str {
    let mut text = text.trim();
    for word in ["evaluation warning:", "warning:", "error:"] {
        text = text.strip_prefix(word).map_or(text, str::trim_start);
    }
    text.split_once("; retrying in ")
        .map_or(text, |(text, _)| text)
}

/// What identifies a warning: the cache, for paths that are ignored because its key is not trusted; else the text.
fn subject(text: &str) -> String {
    match text
        .strip_prefix("ignoring substitute for ")
        .and_then(|rest| rest.split_once(" from "))
    {
        Some((_, cache)) => cache.to_owned(),
        None => text.to_owned(),
    }
}

fn hint(error: KnownError) -> Option<&'static str> {
    if error == KnownError::KeyUntrusted {
        return Some(
            "its paths are built here instead; if you trust the cache, give --trusted-public-keys its key and that of \
             cache.nixos.org: the flag replaces the trusted keys",
        );
    }
    let not_reached = matches!(
        error,
        KnownError::Network | KnownError::DownloadTimeout | KnownError::Certificate
    );
    not_reached.then_some(
        "without its binary caches Nix builds everything here, which takes hours: check the network, the \
         clock (date -u) and --substituters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Log;

    /// The warnings that are shown for a recorded stream.
    fn shown(stream: &str) -> Vec<String> {
        let (mut log, mut warnings) = (Log::default(), Warnings::default());
        let events = stream.lines().filter_map(|line| log.line(line));
        events.filter_map(|event| warnings.note(&event)).collect()
    }

    #[test]
    fn a_renamed_option_is_shown_with_its_new_name() {
        let shown = shown(include_str!("../../../tests/streams/option-renamed.log"));
        assert_eq!(shown.len(), 3);
        assert_eq!(
            shown[1],
            "The option `sdImage.imageName' defined in `/build/config/c.nix' has been renamed to \
             `image.fileName'."
        );
    }

    #[test]
    fn an_unreachable_cache_is_reported_once() {
        let shown = shown(include_str!("../../../tests/streams/cache-unreachable.log"));
        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("unable to download 'http://127.0.0.1:9/nix-cache-info'"));
        assert!(
            shown[0].contains("\nhint: without its binary caches"),
            "{}",
            shown[0]
        );
    }

    #[test]
    fn an_untrusted_cache_comes_with_a_hint() {
        let stream = include_str!("../../../tests/streams/key-untrusted.log");
        let shown = shown(&format!(
            "{stream}{}",
            stream.replace("5zj80pxigx45", "6zj80pxigx45")
        ));
        assert_eq!(shown.len(), 1);
        assert!(shown[0].contains("'file:///tmp/cache'"), "{}", shown[0]);
        assert!(
            shown[0].contains("\nhint: its paths are built here"),
            "{}",
            shown[0]
        );
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
