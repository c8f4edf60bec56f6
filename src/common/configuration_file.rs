//! The files that are taken as a configuration where the user names only a directory, or nothing.

use std::path::Path;

/// The name of a configuration.
pub const CONFIG_NAME: &str = "sd-card.nix";
/// The file in the directory of a flake.
pub const FLAKE_FILE: &str = "flake.nix";

/// The name of the configuration in the directory `dir`, if there is one; where there are both, the first is taken.
pub fn configuration_in(dir: &Path) -> Option<&'static str> {
    [CONFIG_NAME, FLAKE_FILE]
        .into_iter()
        .find(|name| dir.join(name).is_file())
}
