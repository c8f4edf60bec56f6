//! What is known about a run of the builder that failed.

use std::collections::{BTreeSet, VecDeque};

use super::machine::{KnownError, suspicions};
use crate::cli_module::CliModule;
use crate::flake_lock::Lock;
use crate::log::NixError;
use crate::package_names::PackageNames;
use crate::shell_session::Derivation;
use crate::user_files::UserFiles;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::system::System;

/// How many last lines of a failed build are kept and shown.
pub const TAIL_LINES: usize = 20;

/// How the builder ended, and what it was started with.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct ExitContext<'a> {
    /// Exit status of the container.
    pub code: i64,
    /// Whether the kernel killed a process in it because memory ran out.
    pub oom_killed: bool,
    /// The system whose programs ran under emulation, if any did.
    pub emulated: Option<System>,
    /// The derivation of the image, if it was known before it was built.
    pub image: Option<&'a str>,
    /// The command line of sdbuild up to its configuration, such as `sdbuild build`.
    pub command: &'a str,
    /// Whether it only evaluated and built nothing.
    pub only_evaluates: bool,
    /// Whether the user chose the builder's container image (`--builder-image`).
    pub foreign: bool,
    /// Whether the builder had no network.
    pub offline: bool,
    /// Name of the store volume.
    pub store: &'a str,
    /// The inputs of the flake that are replaced by another flake elsewhere, with its reference.
    pub overrides: &'a [(String, String)],
    /// The lock of the flake, as far as it is known.
    pub lock: Option<&'a Lock>,
    /// What replaces `/build/config/` in messages: the configuration's directory as the user wrote it.
    pub shown_dir: &'a str,
    /// What is built, as the user named it: a file or a flake.
    pub source: &'a str,
    /// Whether that is a flake.
    pub is_flake: bool,
    /// The same with its kind: `the configuration pi/sd-card.nix`, `the flake ../pi`.
    pub in_words: &'a str,
    /// The release of the nixpkgs that a module file is evaluated with, such as `26.05` or `unstable`, if it is known.
    pub release: Option<&'a str>,
    /// The user's files, where they can be looked at.
    pub files: Option<&'a UserFiles>,
    /// The definitions of the command line.
    pub cli_module: Option<&'a CliModule>,
}

/// A derivation that could not be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedBuild {
    /// Its name, without hash and `.drv`.
    pub name: String,
    /// Its store path, when Nix's message contains a valid one.
    pub derivation: Option<Derivation>,
    /// Nix's message about the failure.
    pub message: String,
    /// The phase that it was in, such as `checkPhase`, if it has phases.
    pub phase: Option<String>,
    /// The remote builder that built it; empty for the engine's machine.
    pub machine: String,
    /// What its file says, if that could be read.
    pub facts: Option<DerivationFacts>,
    /// The last [`TAIL_LINES`] lines of its output.
    pub tail: Vec<String>,
    /// Known errors in any line of its output.
    pub known_errors: BTreeSet<KnownError>,
}

/// What the file of a derivation says about how it is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DerivationFacts {
    /// The system whose programs build it; `builtin` for Nix itself.
    pub system: String,
    /// Whether the hash of its output is given: what it runs may use the network.
    pub is_fixed_output: bool,
}

impl DerivationFacts {
    /// The facts in the text of a `.drv` file, `Derive([OUTPUTS],[INPUTS],[SOURCES],"SYSTEM",…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (outputs, rest) = text.strip_prefix("Derive([")?.split_once(")],[")?;
        // Neither inputs nor sources have other texts than store paths and names of outputs.
        let (_, rest) = rest.split_once("],\"")?;
        let (system, _) = rest.split_once('"')?;
        Some(Self {
            system: system.to_owned(),
            is_fixed_output: !outputs.ends_with(",\"\""),
        })
    }
}

impl FailedBuild {
    /// Whether it is known to have run under the emulation of `emulated`.
    pub(super) fn ran_emulated(&self, emulated: Option<System>) -> bool {
        let system = self.facts.as_ref().map(|facts| facts.system.as_str());
        self.machine.is_empty()
            && emulated.is_some_and(|one| system == Some(one.to_string().as_str()))
    }

    /// Whether it is known to have a given hash.
    pub(super) fn is_fixed_output(&self) -> bool {
        self.facts
            .as_ref()
            .is_some_and(|facts| facts.is_fixed_output)
    }
}

/// What the builder's machine was like when the command failed; `None` for what could not be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The fewest free bytes of the store volume that were seen.
    pub bytes: Option<u64>,
    /// Its fewest free inodes; `None` also where their number has no limit.
    pub inodes: Option<u64>,
    /// Processes that the kernel killed because memory ran out.
    pub killed: Option<u64>,
    /// Processes that the builder's limit did not allow.
    pub refused: Option<u64>,
    /// Whether a program of the emulated system can no longer be run.
    pub lost_handler: bool,
}

impl Machine {
    /// Fewer free bytes are no space: what a program writes at a time does not fit any more.
    const FULL_BYTES: u64 = 32 << 20;
    /// The same of inodes.
    const FULL_INODES: u64 = 64;

    /// The machine in the words `bytes=N inodes=N killed=N refused=N`, of which each may be missing.
    pub(crate) fn parse(text: &str) -> Self {
        let mut machine = Self::default();
        for (key, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            let value = value.parse().ok();
            match key {
                "bytes" => machine.bytes = value,
                "inodes" => machine.inodes = value,
                "killed" => machine.killed = value,
                "refused" => machine.refused = value,
                _ => {}
            }
        }
        machine
    }

    /// What both say.
    pub(crate) fn and(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            bytes: least(self.bytes, other.bytes),
            inodes: least(self.inodes, other.inodes),
            killed: self.killed.max(other.killed),
            refused: self.refused.max(other.refused),
            lost_handler: self.lost_handler || other.lost_handler,
        }
    }

    /// Whether the store volume had no space left; `None` if that is not known.
    pub(super) fn is_full(&self) -> Option<bool> {
        let has_no_inode = self.inodes.is_some_and(|inodes| inodes < Self::FULL_INODES);
        self.bytes
            .map(|bytes| has_no_inode || bytes < Self::FULL_BYTES)
    }
}

/// The parts of the log that explain a failure.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The first derivation that failed.
    pub failed: Option<FailedBuild>,
    /// Nix's errors in the order of the log. The first one is the cause, later ones follow from it.
    pub nix_errors: Vec<NixError>,
    /// The last store paths whose download began, each with the URL of its binary cache.
    pub fetches: VecDeque<(String, String)>,
    /// The packages of the configuration's nixpkgs, if its evaluation failed.
    pub packages: PackageNames,
    /// The image that is evaluated.
    pub image: Option<ImageChoice>,
    /// The option that keeps the configuration from making one.
    pub missing_image: Option<String>,
    /// The last lines that Nix did not write.
    pub other_lines: VecDeque<String>,
    /// The machine at the end.
    pub machine: Machine,
}

impl Findings {
    /// Whether something says that programs of another system could not be run, which only the machine can confirm.
    pub fn suspects_handler(&self) -> bool {
        suspicions(self).any(|(error, _)| error == KnownError::NoHandler)
    }

    /// What follows `prefix` in the last line with that prefix: how the builder's own programs report why they
    /// ended.
    pub(super) fn last_reason(&self, prefix: &str) -> Option<&str> {
        let mut lines = self.other_lines.iter().rev();
        lines.find_map(|line| line.strip_prefix(prefix))
    }
}
