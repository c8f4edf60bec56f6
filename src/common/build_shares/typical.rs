//! How long derivations of an image of NixOS typically take, for a machine that has built none yet. Pure.
//!
//! Only their ratios count, for the speed of the build is measured: they are from the builds in `docs/real-nixos.md`, the last one on 30
//! November 2026 (301 derivations, `scripts/real-nixpkgs --boot`), in which nearly 290 small ones took 0.1 s each on average.

use std::time::Duration;

/// One of the many that write a file or a few.
pub(super) const SMALL: Duration = Duration::from_millis(100);

/// A derivation of which nothing is known and that takes longer compiles something, and does not show how fast this build is.
pub(super) const MAX_SMALL: Duration = Duration::from_secs(2);

/// Milliseconds of a derivation with this general name, if it is one of the few that take long.
pub(super) fn millis(name: &str) -> Option<u64> {
    Some(match name {
        // Under emulation, once 164 s; where it is not emulated it is part of the image.
        "ext0-fs0img" => 37_000,
        _ if is_image(name) => 6000,
        _ if name.ends_with("-modules-shrunk") => 6000,
        "initrd" | "hwdb0bin" => 6000,
        _ if name.starts_with("initrd-linux-") => 6000,
        "system-path" | "system-units" | "closure-info" => 1000,
        _ => return None,
    })
}

/// The last derivation of most formats.
fn is_image(name: &str) -> bool {
    let of_nixpkgs = ["0iso", "-disk-image", "0qcow0", "0tar0xz"];
    name.contains("0img") || of_nixpkgs.iter().any(|end| name.ends_with(end))
}
