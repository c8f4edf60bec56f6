//! The files that are taken as a configuration where the user names only a directory, or nothing.

use std::path::Path;

use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::text::alternatives;

/// The name of a configuration.
pub const CONFIG_NAME: &str = "sd-card.nix";
/// The file in the directory of a flake.
pub const FLAKE_FILE: &str = "flake.nix";

/// Bytes that are read of a `flake.nix`: far above what anybody writes by hand.
const MAX_FLAKE_BYTES: u64 = 1 << 20;

/// The text of the `flake.nix` in the directory `dir`; `None` if it cannot be read, which Nix reports.
pub fn flake_text(dir: &Path) -> Option<String> {
    plain_file::read_text(&dir.join(FLAKE_FILE), MAX_FLAKE_BYTES).ok()
}

/// The name of the configuration in the directory `dir`, if there is one; where there are both, the first is taken.
pub fn configuration_in(dir: &Path) -> Option<&'static str> {
    [CONFIG_NAME, FLAKE_FILE]
        .into_iter()
        .find(|name| dir.join(name).is_file())
}

/// What to do about the directory `dir` without a configuration, if directories in it have flakes.
pub fn flakes_below(dir: &Path) -> Option<String> {
    let inside = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let flakes = inside.filter(|one| one.path().join(FLAKE_FILE).is_file());
    let mut flakes: Vec<String> = flakes.map(|one| quoted(&shown_path(&one.path()))).collect();
    flakes.sort();
    let flakes: Vec<&str> = flakes.iter().map(String::as_str).collect();
    (!flakes.is_empty())
        .then(|| format!("name the directory of a flake: {}", alternatives(&flakes)))
}

/// The command that completes the lock of `flake`, which is empty or `.` in the current directory. Beside an `sd-card.nix`, which has a lock
/// too, it names the flake.
pub fn lock_command(flake: &str, is_beside_module: bool) -> String {
    match flake {
        "" => "sdbuild lock".to_owned(),
        "." if !is_beside_module => "sdbuild lock".to_owned(),
        flake => format!("sdbuild lock --flake {}", quoted(flake)),
    }
}
