//! Derivations that take hours to compile, from the list that Nix prints before it begins. Pure.
//!
//! A kernel that is not in the binary cache can take a night under emulation, so users are warned before it begins.

use sdbuild_core::nix_event::NixEvent;

/// Programs that take hours to compile, more under emulation. Their derivations are called `NAME-1.2.3`; derivations
/// made from them have longer names (`linux-6.12-modules-shrunk`).
const EXPENSIVE_PROGRAMS: [&str; 20] = [
    "linux",
    "linux-rpi",
    "linux_rpi-bcmrpi",
    "linux_rpi-bcm2709",
    "linux_rpi-bcm2711",
    "linux_rpi-bcm2712",
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
/// Names that are reported in a run.
const MAX_NAMES: usize = 8;
/// Characters of a name: no store path has a longer one.
const MAX_NAME_CHARS: usize = 211;

/// Collects expensive derivations from Nix's list until the first of them is started. Each is reported once.
#[derive(Debug, Default)]
pub(super) struct ExpensiveBuilds {
    names: Vec<String>,
    reported: usize,
}

impl ExpensiveBuilds {
    /// Handles one event. Returns the names of the list at the first build or fetch after it, otherwise nothing.
    pub(super) fn note(&mut self, event: &NixEvent) -> Vec<String> {
        if let NixEvent::Message { level: 3, text } = event {
            let path = text.trim_start().strip_prefix("/nix/store/");
            let file = path.and_then(|path| path.strip_suffix(".drv"));
            let name = file.and_then(|file| file.split_once('-'));
            let name = name.map(|(_, name)| name).filter(|name| is_expensive(name));
            let name = name.filter(|name| !self.names.iter().any(|known| known == name));
            if let Some(name) = name {
                self.add(name);
            }
        }
        let work_begun = matches!(
            event,
            NixEvent::BuildStarted { .. } | NixEvent::FetchStarted { .. }
        );
        if work_begun {
            self.finish()
        } else {
            Vec::new()
        }
    }

    /// Adds a name to those that are not reported yet, kernels first: they take longest, and some caches have them.
    fn add(&mut self, name: &str) {
        let is_kernel = name.starts_with("linux");
        let at = if is_kernel {
            self.reported
        } else {
            self.names.len()
        };
        self.names.insert(at, name.to_owned());
        self.names.truncate(MAX_NAMES);
    }

    /// The names of a list after which no build or fetch was started.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let new = self.names.get(self.reported..).unwrap_or_default().to_vec();
        self.reported = self.names.len();
        new
    }
}

/// Whether the derivation `name` compiles an expensive program.
fn is_expensive(name: &str) -> bool {
    if name.len() > MAX_NAME_CHARS {
        return false;
    }
    let mut programs = EXPENSIVE_PROGRAMS.iter();
    programs.any(|program| is_of_program(name, program))
}

/// Whether `name` is that of the derivation which makes `program`, `PROGRAM-1.2.3`. The versions of the Raspberry Pi's kernels have
/// the tag of their sources as well: `6.12.47-stable_20250916`, `6.12.75-1+rpt1`, `6.1.63-1.20231123`.
pub(super) fn is_of_program(name: &str, program: &str) -> bool {
    let rest = name.strip_prefix(program).and_then(|r| r.strip_prefix('-'));
    let Some(version) = rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) else {
        return false;
    };
    match version.split_once('-') {
        // Such a derivation downloads the sources.
        None => !version.contains(".tar"),
        Some((_, tag)) => {
            let begins = ["stable_", "1+rpt", "1.20"]
                .iter()
                .any(|start| tag.starts_with(start));
            begins && program.contains("rpi") && !tag.contains('-')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> NixEvent {
        let text = text.to_owned();
        NixEvent::Message { level: 3, text }
    }

    fn build_started() -> NixEvent {
        let derivation = "/nix/store/x-a.drv".to_owned();
        NixEvent::BuildStarted {
            id: 1,
            derivation,
            machine: String::new(),
        }
    }

    #[test]
    fn names_are_reported_once_before_the_first_build() {
        let mut expensive = ExpensiveBuilds::default();
        for text in [
            "  /nix/store/aaa-unit-a.service.drv",
            "  /nix/store/bbb-linux-6.18.3.drv",
            "  /nix/store/ccc-gcc-14.3.0",
        ] {
            assert!(expensive.note(&message(text)).is_empty());
        }
        assert_eq!(expensive.note(&build_started()), ["linux-6.18.3"]);
        assert!(expensive.note(&build_started()).is_empty());
    }

    /// A system for a Raspberry Pi without any cache: compilers of the bootstrap came first, and its kernel was not named.
    #[test]
    fn kernels_are_named_before_what_else_is_compiled() {
        let mut expensive = ExpensiveBuilds::default();
        for n in 0..MAX_NAMES {
            expensive.note(&message(&format!("  /nix/store/a-gcc-{n}.0.drv")));
        }
        expensive.note(&message(
            "  /nix/store/b-linux_rpi-bcm2712-6.12.34-stable_20250702.drv",
        ));
        let names = expensive.finish();
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names[0], "linux_rpi-bcm2712-6.12.34-stable_20250702");
    }

    #[test]
    fn a_flood_of_lists_is_reported_a_few_times() {
        let mut expensive = ExpensiveBuilds::default();
        let mut reported = 0;
        for n in 0..10_000 {
            expensive.note(&message(&format!("  /nix/store/a-linux-6.{}.drv", n % 100)));
            reported += usize::from(!expensive.note(&build_started()).is_empty());
        }
        assert_eq!(reported, MAX_NAMES);
    }

    #[test]
    fn only_compiling_derivations_are_expensive() {
        for name in [
            "linux-6.18.3",
            "gcc-14.3.0",
            "rustc-1.90.0",
            "linux-6.19",
            "linux-rpi-6.12.75-1+rpt1",
            "linux-rpi-6.18.39-stable_20260724",
            "linux_rpi-bcm2712-6.12.47-stable_20250916",
        ] {
            assert!(is_expensive(name), "{name}");
        }
        for name in [
            "linux-6.18.3-modules-shrunk",
            "linux-6.18.7.tar.xz",
            "gcc-15.2.0.tar.xz",
            "linux-rpi-6.12.75-1+rpt1-modules",
            "linux-6.12.75-1+rpt1",
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
