//! Where flakes are looked for.

use std::ffi::OsStr;
use std::path::Path;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;

/// What is known of this machine when a flake is looked for.
#[derive(Clone, Copy, Debug)]
pub struct FlakeSearch<'a> {
    /// The value of `PATH`, where git is looked up.
    pub path: &'a OsStr,
    /// The user's home directory.
    pub home: Option<&'a Path>,
    /// The directory for what git fetches.
    pub cache: &'a Path,
    /// Inputs that the user's git fetches although the builder could ask for them.
    pub git_inputs: &'a [String],
    /// Whether git may fetch from this machine's own directories only.
    pub offline: bool,
    /// The run's cancellation, which ends git.
    pub cancel: &'a Cancel,
    /// Receiver of messages for the user.
    pub events: &'a Events,
}
