//! What is known about a run of the builder that failed.

use std::collections::{BTreeSet, VecDeque};

use super::machine::KnownError;
use crate::nixos::cli_module::CliModule;
use crate::nixos::log::NixError;
use crate::nixos::package_names::PackageNames;
use sdbuild_core::system::System;
use sdbuild_nix::shell_session::Derivation;
use sdbuild_nix::source_files::SourceFiles;

/// How many last lines of a failed build are kept and shown.
pub(in crate::nixos) const TAIL_LINES: usize = 20;

/// How the builder ended, and what it was started with.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub(in crate::nixos) struct ExitContext<'a> {
    /// Exit status of the container.
    pub(in crate::nixos) code: i64,
    /// Whether the kernel killed a process in it because memory ran out.
    pub(in crate::nixos) oom_killed: bool,
    /// The system whose programs ran under emulation, if any did.
    pub(in crate::nixos) emulated: Option<System>,
    /// The command line of sdbuild up to its configuration, such as `sdbuild build`.
    pub(in crate::nixos) command: &'a str,
    /// Whether it only evaluated and built nothing.
    pub(in crate::nixos) only_evaluates: bool,
    /// Whether the user chose the builder's container image (`--builder-image`).
    pub(in crate::nixos) foreign: bool,
    /// Whether the builder had no network.
    pub(in crate::nixos) offline: bool,
    /// Name of the store volume.
    pub(in crate::nixos) store: &'a str,
    /// The inputs of the flake that are replaced by another flake elsewhere, with its reference.
    pub(in crate::nixos) overrides: &'a [(String, String)],
    /// What replaces `/build/config/` in messages: the configuration's directory as the user wrote it.
    pub(in crate::nixos) shown_dir: &'a str,
    /// What is built, as the user named it: a file or a flake.
    pub(in crate::nixos) source: &'a str,
    /// Whether that is a flake.
    pub(in crate::nixos) is_flake: bool,
    /// The same with its kind: `the configuration pi/sd-card.nix`, `the flake ../pi`.
    pub(in crate::nixos) in_words: &'a str,
    /// The release of the nixpkgs that a module file is evaluated with, such as `26.05` or `unstable`, if it is known.
    pub(in crate::nixos) release: Option<&'a str>,
    /// The user's files, where they can be looked at.
    pub(in crate::nixos) files: Option<&'a dyn SourceFiles>,
    /// The definitions of the command line.
    pub(in crate::nixos) cli_module: Option<&'a CliModule>,
}

/// A derivation that could not be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::nixos) struct FailedBuild {
    /// Its name, without hash and `.drv`.
    pub(in crate::nixos) name: String,
    /// Its store path, when Nix's message contains a valid one.
    pub(in crate::nixos) derivation: Option<Derivation>,
    /// Nix's message about the failure.
    pub(in crate::nixos) message: String,
    /// The last [`TAIL_LINES`] lines of its output.
    pub(in crate::nixos) tail: Vec<String>,
    /// Known errors in any line of its output.
    pub(in crate::nixos) known_errors: BTreeSet<KnownError>,
}

/// The parts of the log that explain a failure.
#[derive(Clone, Debug, Default)]
pub(in crate::nixos) struct Findings {
    /// The first derivation that failed.
    pub(in crate::nixos) failed: Option<FailedBuild>,
    /// Nix's errors in the order of the log. The first one is the cause, later ones follow from it.
    pub(in crate::nixos) nix_errors: Vec<NixError>,
    /// The last store paths whose download began, each with the URL of its binary cache.
    pub(in crate::nixos) fetches: VecDeque<(String, String)>,
    /// The packages of the configuration's nixpkgs, if its evaluation failed.
    pub(in crate::nixos) packages: PackageNames,
    /// The last lines that Nix did not write.
    pub(in crate::nixos) other_lines: VecDeque<String>,
}

impl Findings {
    /// What follows `prefix` in the last line with that prefix: how the builder's own programs report why they
    /// ended.
    pub(super) fn last_reason(&self, prefix: &str) -> Option<&str> {
        let mut lines = self.other_lines.iter().rev();
        lines.find_map(|line| line.strip_prefix(prefix))
    }
}
