//! A file that nixpkgs does not have.

use super::evidence::ExitContext;
use super::names::is_name;
use crate::common::nearest::nearest;
use crate::nixos::layout;

/// Modules of nixpkgs for SD card images, in `nixos/modules/installer/sd-card`.
const SD_CARD_MODULES: [&str; 6] = [
    "sd-image-aarch64.nix",
    "sd-image-aarch64-installer.nix",
    "sd-image-aarch64-new-kernel.nix",
    "sd-image-aarch64-new-kernel-installer.nix",
    "sd-image-x86_64.nix",
    "sd-image.nix",
];

/// The directory of modules in nixpkgs, `modulesPath`.
const MODULES: &str = "nixos/modules";

/// What ends the name of an input of a flake in the store.
const OF_INPUT: &str = "-source/";

/// The path below nixpkgs of the file that Nix did not find there, from its message.
pub(super) fn missing(summary: &str) -> Option<&str> {
    let (_, quoted) = summary
        .split_once("file '")
        .or_else(|| summary.split_once("path '"))?;
    let (path, rest) = quoted.split_once('\'')?;
    if rest.starts_with(" was not found in the Nix search path") {
        return path.strip_prefix("nixpkgs/");
    }
    let is_missing = rest.starts_with(" does not exist") || rest.starts_with(": No such file");
    let of_tree = || {
        let tree = path.strip_prefix(layout::nixpkgs("").as_str())?;
        Some(tree.split_once('/')?.1)
    };
    // Of a flake: "${nixpkgs}/nixos/modules/…".
    let of_input = || {
        let (_, file) = path.strip_prefix("/nix/store/")?.split_once(OF_INPUT)?;
        file.starts_with("nixos/modules/installer/").then_some(file)
    };
    let below = path.strip_prefix("<nixpkgs>/");
    let below = below.or_else(of_tree).or_else(of_input);
    below.filter(|_| is_missing)
}

/// Which line names the file of which the message `summary` speaks, and which one may be meant.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> String {
    let path = missing(summary).unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| is_name(name));
    let written = context.files.and_then(|files| files.naming(path));
    let place = written.map(|written| written.place);
    let place = place.map(|place| format!(", which {}{place} names", context.shown_dir));
    let lacks = format!(
        "nixpkgs has no file {}{}",
        name.unwrap_or("of that name"),
        place.unwrap_or_default()
    );
    if let Some(rest) = path
        .strip_prefix(MODULES)
        .filter(|rest| !rest.starts_with('/'))
    {
        return format!("{lacks}: a slash is missing: write modulesPath + \"/{rest}\"");
    }
    let is_elsewhere = !path.contains("/installer/sd-card/");
    if let Some(name) = name.filter(|name| is_elsewhere && SD_CARD_MODULES.contains(name)) {
        return format!("{lacks}: did you mean {}?", as_written(summary, name));
    }
    if is_elsewhere {
        return format!("{lacks}: check the spelling of the path, or the release");
    }
    match nearest(name.unwrap_or_default(), SD_CARD_MODULES) {
        Some(meant) => format!("{lacks}: did you mean {meant}?"),
        None => format!(
            "{lacks}; its module for SD card images is {}",
            as_written(summary, "sd-image-aarch64.nix")
        ),
    }
}

/// How a configuration like that of the message `summary` names the module `name`: a flake cannot use `<nixpkgs>`.
fn as_written(summary: &str, name: &str) -> String {
    let module = format!("nixos/modules/installer/sd-card/{name}");
    if summary.contains(OF_INPUT) {
        format!("\"${{nixpkgs}}/{module}\"")
    } else {
        format!("<nixpkgs/{module}>")
    }
}
