//! What a build will take, from the lists that Nix prints before it begins. Pure.
//!
//! People have waited a night for a kernel that was not in the binary cache; so what takes hours is
//! told loudly, and before it begins.

use crate::event::NixEvent;

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

/// Collects what the lists say until the work begins.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    build: u64,
    fetch: Option<String>,
    giants: Vec<String>,
    told: bool,
}

impl Forecast {
    /// Takes note of one event. When the lists are complete, at the first thing that is done: a line
    /// for the person, and the giants.
    pub(super) fn note(&mut self, event: &NixEvent) -> Option<(Option<String>, Vec<String>)> {
        match event {
            NixEvent::Message { level: 3, text } => {
                self.list(text);
                None
            }
            NixEvent::BuildStarted { .. } | NixEvent::FetchStarted { .. } => self.tell(),
            NixEvent::Message { .. }
            | NixEvent::Stopped { .. }
            | NixEvent::BuildLine { .. }
            | NixEvent::BuildPhase { .. }
            | NixEvent::Built { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::Other(_) => None,
        }
    }

    fn list(&mut self, text: &str) {
        if let Some((number, rest)) = counted(text) {
            if rest.contains("will be built") {
                self.build = number;
            } else if rest.contains("will be fetched") {
                let bytes = rest.split_once('(').and_then(|(_, b)| b.split_once(')'));
                let bytes = bytes.map_or(String::new(), |(bytes, _)| format!(" ({bytes})"));
                self.fetch = Some(format!("{number} to fetch{bytes}"));
            }
        } else if let Some(name) = text
            .trim_start()
            .strip_prefix("/nix/store/")
            .and_then(|path| path.strip_suffix(".drv"))
            .and_then(|file| file.split_once('-'))
            .map(|(_, name)| name)
            && is_giant(name)
            && self.giants.len() < MOST
        {
            self.giants.push(name.to_owned());
        }
    }

    fn tell(&mut self) -> Option<(Option<String>, Vec<String>)> {
        let giants = std::mem::take(&mut self.giants);
        let (build, fetch) = (std::mem::take(&mut self.build), self.fetch.take());
        let parts = [fetch, (build > 0).then(|| format!("{build} to build"))];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        // Later steps of the same run have short lists of their own.
        let line = (!parts.is_empty() && !self.told).then(|| parts.join(", "));
        self.told |= line.is_some();
        (line.is_some() || !giants.is_empty()).then_some((line, giants))
    }
}

/// `these 12 derivations …` or `this derivation …`: the number and what follows.
fn counted(text: &str) -> Option<(u64, &str)> {
    if let Some(rest) = text.strip_prefix("this ") {
        return Some((1, rest));
    }
    let (number, rest) = text.strip_prefix("these ")?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// Whether a derivation of this name compiles something that takes hours.
fn is_giant(name: &str) -> bool {
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
    fn the_lists_are_told_once_when_the_work_begins() {
        let mut forecast = Forecast::default();
        for text in [
            "these 2 derivations will be built:",
            "  /nix/store/aaa-unit-a.service.drv",
            "  /nix/store/bbb-linux-6.18.3.drv",
            "these 812 paths will be fetched (1203.50 MiB download, 5003.10 MiB unpacked):",
            "  /nix/store/ccc-gcc-14.3.0",
        ] {
            assert_eq!(forecast.note(&message(text)), None);
        }
        let line = "812 to fetch (1203.50 MiB download, 5003.10 MiB unpacked), 2 to build";
        let told = (Some(line.to_owned()), vec!["linux-6.18.3".to_owned()]);
        assert_eq!(forecast.note(&begun()), Some(told));
        assert_eq!(forecast.note(&begun()), None);
        forecast.note(&message("this derivation will be built:"));
        assert_eq!(forecast.note(&begun()), None, "a later step is no news");
    }

    #[test]
    fn only_what_compiles_is_a_giant() {
        for name in ["linux-6.18.3", "gcc-14.3.0", "rustc-1.90.0", "linux-6.19"] {
            assert!(is_giant(name), "{name}");
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
            assert!(!is_giant(name), "{name}");
        }
    }
}
