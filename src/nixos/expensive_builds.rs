//! What takes hours to compile, from the list that Nix prints before it begins. Pure.
//!
//! People have waited a night for a kernel that was not in the binary cache; so what takes hours is
//! told loudly, and before it begins.

use crate::common::event::NixEvent;

/// Programs that take hours to compile, more under emulation. Their derivations are called `name-1.2.3`;
/// what is only made for or of them (`linux-6.12-modules-shrunk`) has more words.
const GIANTS: [&str; 16] = [
    "linux",
    "linux-rpi",
    "gcc",
    "llvm",
    "clang",
    "rustc",
    "ghc",
    "go",
    "nodejs",
    "chromium",
    "chromium-unwrapped",
    "firefox-unwrapped",
    "webkitgtk",
    "qtwebengine",
    "qtbase",
    "python3",
];
/// More giants than anybody reads.
const MOST: usize = 8;

/// Collects the giants of the list that Nix prints until the work begins.
#[derive(Debug, Default)]
pub(super) struct ExpensiveBuilds(Vec<String>);

impl ExpensiveBuilds {
    /// Takes note of one event. At the first thing that is done after a list: the giants in it.
    pub(super) fn note(&mut self, event: &NixEvent) -> Vec<String> {
        if let NixEvent::Message { level: 3, text } = event {
            let path = text.trim_start().strip_prefix("/nix/store/");
            let file = path.and_then(|path| path.strip_suffix(".drv"));
            let name = file.and_then(|file| file.split_once('-'));
            let name = name.map(|(_, name)| name).filter(|name| is_expensive(name));
            self.0.extend(name.map(str::to_owned));
            self.0.truncate(MOST);
        }
        let begun = matches!(
            event,
            NixEvent::BuildStarted { .. } | NixEvent::FetchStarted { .. }
        );
        if begun { self.finish() } else { Vec::new() }
    }

    /// The giants of a list after which nothing was done.
    pub(super) fn finish(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}

/// Whether a derivation of this name compiles something that takes hours.
fn is_expensive(name: &str) -> bool {
    GIANTS.iter().any(|giant| {
        let version = name.strip_prefix(giant).and_then(|r| r.strip_prefix('-'));
        version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && !v.contains('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> NixEvent {
        let text = text.to_owned();
        NixEvent::Message { level: 3, text }
    }

    fn begun() -> NixEvent {
        let derivation = "/nix/store/x-a.drv".to_owned();
        NixEvent::BuildStarted { id: 1, derivation }
    }

    #[test]
    fn giants_are_told_once_when_the_work_begins() {
        let mut giants = ExpensiveBuilds::default();
        for text in [
            "  /nix/store/aaa-unit-a.service.drv",
            "  /nix/store/bbb-linux-6.18.3.drv",
            "  /nix/store/ccc-gcc-14.3.0",
        ] {
            assert!(giants.note(&message(text)).is_empty());
        }
        assert_eq!(giants.note(&begun()), ["linux-6.18.3"]);
        assert!(giants.note(&begun()).is_empty());
    }

    #[test]
    fn only_what_compiles_is_a_giant() {
        for name in ["linux-6.18.3", "gcc-14.3.0", "rustc-1.90.0", "linux-6.19"] {
            assert!(is_expensive(name), "{name}");
        }
        for name in [
            "linux-6.18.3-modules-shrunk",
            "linux-6.12.107-1",
            "linux-headers-6.16",
            "gcc-wrapper-14.3.0",
            "python3-3.13.1-env",
            "linuxptp-4",
            "linux-",
        ] {
            assert!(!is_expensive(name), "{name}");
        }
    }
}
