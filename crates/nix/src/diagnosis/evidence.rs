//! What is known about a run of the builder that failed.

use std::collections::{BTreeSet, VecDeque};

use super::machine::KnownError;
use crate::cli_module::CliModule;
use crate::flake_lock::Lock;
use crate::log::NixError;
use crate::package_names::PackageNames;
use crate::shell_session::Derivation;
use crate::source_files::SourceFiles;
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
    pub files: Option<&'a dyn SourceFiles>,
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
    /// The last [`TAIL_LINES`] lines of its output.
    pub tail: Vec<String>,
    /// Known errors in any line of its output.
    pub known_errors: BTreeSet<KnownError>,
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
}

impl Findings {
    /// What follows `prefix` in the last line with that prefix: how the builder's own programs report why they
    /// ended.
    pub(super) fn last_reason(&self, prefix: &str) -> Option<&str> {
        let mut lines = self.other_lines.iter().rev();
        lines.find_map(|line| line.strip_prefix(prefix))
    }
}
