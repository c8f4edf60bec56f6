//! A file that nixpkgs does not have.

use super::evidence::ExitContext;
use super::names::is_name;
use crate::common::nearest::nearest;
use crate::nixos::layout;

/// The one for all boards with 64 bits.
const FOR_BOARDS: &str = "sd-image-aarch64.nix";

/// Modules of nixpkgs for SD card images, in `nixos/modules/installer/sd-card`.
const SD_CARD_MODULES: [&str; 6] = [
    FOR_BOARDS,
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
    let lacks = match (place, name) {
        (Some(place), Some(name)) => format!(
            "{}{place} names {name}, which this nixpkgs does not have",
            context.shown_dir
        ),
        (None, Some(name)) => format!("nixpkgs has no file {name}"),
        (_, None) => "nixpkgs has no file of that name".to_owned(),
    };
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
    let for_boards = as_written(summary, FOR_BOARDS);
    if name.is_some_and(is_of_old_board) {
        return format!("{lacks}: the module for a Raspberry Pi 3 or 4 is {for_boards}");
    }
    if is_elsewhere {
        return format!("{lacks}: check the spelling of the path, or the release");
    }
    match name {
        Some(FOR_BOARDS) => format!("{lacks}: give --nixpkgs a whole nixpkgs"),
        // Right in another release, which says nothing about the modules like it in this one.
        Some(name) if SD_CARD_MODULES.contains(&name) => {
            format!("{lacks}; its module for SD card images is {for_boards}")
        }
        Some(_) | None => match nearest(name.unwrap_or_default(), SD_CARD_MODULES) {
            Some(meant) => format!("{lacks}: did you mean {meant}?"),
            None => format!("{lacks}; its module for SD card images is {for_boards}"),
        },
    }
}

/// Whether `name` is that of a module for one Raspberry Pi, as old releases had them. The one without a number was for
/// the first, which is of another architecture.
fn is_of_old_board(name: &str) -> bool {
    let board = name
        .strip_prefix("sd-image-raspberrypi")
        .or_else(|| name.strip_prefix("sd-image-rpi"));
    board.is_some_and(|board| board.starts_with(['3', '4']))
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
