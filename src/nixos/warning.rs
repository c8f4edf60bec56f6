//! What Nix warns of, as far as a user should read it: each once, and not without end. Pure.

use std::collections::BTreeSet;

use super::known_error::{KnownError, symptoms};
use crate::common::event::NixEvent;
use crate::common::text::truncate;

/// Warnings that are told; the log file has all of them.
const MOST: usize = 20;
/// Characters of one warning.
const MAX_WARNING_CHARS: usize = 600;
/// Nix's level for warnings.
const WARNING: u8 = 1;

/// Knows what was told.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    told: BTreeSet<String>,
}

impl Warnings {
    /// The warning to tell, when `event` is one that nobody has read yet.
    pub(super) fn hear(&mut self, event: &NixEvent) -> Option<String> {
        let NixEvent::Message {
            level: WARNING,
            text,
        } = event
        else {
            return None;
        };
        let text = bare(text);
        if text.is_empty() || self.told.len() > MOST || !self.told.insert(subject(text)) {
            return None;
        }
        if self.told.len() > MOST {
            return Some("there are more warnings in the log".to_owned());
        }
        let hint = symptoms(text)
            .find_map(hint)
            .map(|hint| format!("\nhint: {hint}"));
        Some(truncate(text, MAX_WARNING_CHARS).into_owned() + &hint.unwrap_or_default())
    }
}

/// Without the words that Nix begins with, and without the times of the next try.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    for word in ["evaluation warning:", "warning:", "error:"] {
        text = text.strip_prefix(word).map_or(text, str::trim_start);
    }
    text.split_once("; retrying in ")
        .map_or(text, |(text, _)| text)
}

/// What makes two warnings the same: a cache without a trusted key is told of once, not for every path.
fn subject(text: &str) -> String {
    match text
        .strip_prefix("ignoring substitute for ")
        .and_then(|rest| rest.split_once(" from "))
    {
        Some((_, cache)) => cache.to_owned(),
        None => text.to_owned(),
    }
}

fn hint(symptom: KnownError) -> Option<&'static str> {
    if symptom == KnownError::KeyUntrusted {
        return Some(
            "what it has is built here instead; if you trust the cache, give --trusted-public-keys its key and NixOS's own: \
             the flag takes the place of the keys that are trusted",
        );
    }
    let unreached = matches!(
        symptom,
        KnownError::Network | KnownError::DownloadTimeout | KnownError::Certificate
    );
    unreached.then_some(
        "without its binary caches Nix builds everything here, which takes hours: check the network, the \
         clock (date -u) and --substituters",
    )
}

#[cfg(test)]
mod tests {
    use super::super::log::Log;
    use super::*;

    /// The warnings of a recorded stream.
    fn told(stream: &str) -> Vec<String> {
        let (mut log, mut warnings) = (Log::default(), Warnings::default());
        let events = stream.lines().filter_map(|line| log.line(line));
        events.filter_map(|event| warnings.hear(&event)).collect()
    }

    #[test]
    fn a_renamed_option_is_told_with_its_new_name() {
        let told = told(include_str!("../../tests/streams/option-renamed.log"));
        assert_eq!(told.len(), 3);
        assert_eq!(
            told[1],
            "The option `sdImage.imageName' defined in `/build/config/c.nix' has been renamed to \
             `image.fileName'."
        );
    }

    #[test]
    fn an_unreachable_cache_is_told_once() {
        let told = told(include_str!("../../tests/streams/cache-unreachable.log"));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("unable to download 'http://127.0.0.1:9/nix-cache-info'"));
        assert!(
            told[0].contains("\nhint: without its binary caches"),
            "{}",
            told[0]
        );
    }

    #[test]
    fn an_untrusted_cache_is_told_with_what_to_do() {
        let stream = include_str!("../../tests/streams/key-untrusted.log");
        let told = told(&format!(
            "{stream}{}",
            stream.replace("5zj80pxigx45", "6zj80pxigx45")
        ));
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("'file:///tmp/cache'"), "{}", told[0]);
        assert!(
            told[0].contains("\nhint: what it has is built here"),
            "{}",
            told[0]
        );
    }

    #[test]
    fn a_flood_of_warnings_ends() {
        let mut warnings = Warnings::default();
        let mut hear = |level, n: usize| {
            let text = format!("warning: {n}");
            warnings.hear(&NixEvent::Message { level, text })
        };
        assert_eq!(hear(3, 0), None);
        let told = (0..1000).filter_map(|n| hear(1, n)).count();
        assert_eq!(told, MOST + 1);
    }
}
