//! A file that nixpkgs does not have.

use super::evidence::ExitContext;
use super::names::is_name;
use super::written_values::elements_named;
use crate::nixos::layout;
use sdbuild_core::nearest::{is_slip, nearest};

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

/// Other modules that configurations import, in the directory of modules.
const OTHER_MODULES: [&str; 13] = [
    "installer/scan/not-detected.nix",
    "profiles/all-hardware.nix",
    "profiles/base.nix",
    "profiles/bashless.nix",
    "profiles/docker-container.nix",
    "profiles/graphical.nix",
    "profiles/hardened.nix",
    "profiles/headless.nix",
    "profiles/image-based-appliance.nix",
    "profiles/installation-device.nix",
    "profiles/minimal.nix",
    "profiles/perlless.nix",
    "profiles/qemu-guest.nix",
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

/// What to write in place of `modulesPath` alone, and where that is.
fn of_directory(context: &ExitContext<'_>) -> String {
    let place = context.files.and_then(|files| {
        files.only_place(|text| {
            let named = elements_named(text, "modulesPath").into_iter();
            named.map(|value| (value.line, ())).collect()
        })
    });
    let is = place.map_or_else(
        || "modulesPath is a directory".to_owned(),
        |(place, ())| {
            let dir = context.shown_dir;
            format!("{dir}{place} names modulesPath, which is a directory")
        },
    );
    format!("{is}. Name the file in it: (modulesPath + \"/installer/sd-card/{FOR_BOARDS}\")")
}

/// Which line names the file of which the message `summary` speaks, and which one may be meant.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> String {
    let path = missing(summary).unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| is_name(name));
    let written = context.files.and_then(|files| files.naming(path));
    let by_modules_path = written.as_ref().is_some_and(|written| {
        let line = written.text.lines().nth(written.line.saturating_sub(1));
        line.is_some_and(|line| line.contains("{modulesPath}"))
    });
    let place = written.map(|written| written.place);
    let as_written = |module: &str| as_written(summary, by_modules_path, module);
    let of_sd_card = |name: &str| as_written(&format!("installer/sd-card/{name}"));
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
        return format!("{lacks}, because a slash is missing. Write modulesPath + \"/{rest}\"");
    }
    if path.strip_prefix(MODULES) == Some("/default.nix") {
        return of_directory(context);
    }
    let is_elsewhere = !path.contains("/installer/sd-card/");
    let whole = path.strip_prefix(MODULES).filter(|_| is_elsewhere);
    let lacks = match (whole, name) {
        (Some(whole), Some(name)) => lacks.replace(name, &format!("nixos/modules{whole}")),
        _ => lacks,
    };
    if let Some(name) = name.filter(|name| is_elsewhere && SD_CARD_MODULES.contains(name)) {
        return format!("{lacks}. Did you mean {}?", of_sd_card(name));
    }
    let for_boards = of_sd_card(FOR_BOARDS);
    if name.is_some_and(is_of_old_board) {
        return format!("{lacks}. The module for a Raspberry Pi 3 or 4 is {for_boards}");
    }
    if let Some(module) = name.filter(|_| is_elsewhere).and_then(other_module) {
        return format!("{lacks}. Did you mean {}?", as_written(module));
    }
    if is_elsewhere {
        return format!("{lacks}. Check the spelling of the path, or the release");
    }
    match name {
        Some(FOR_BOARDS) => format!("{lacks}. Give --nixpkgs a whole nixpkgs"),
        // Right in another release, which says nothing about the modules like it in this one.
        Some(name) if SD_CARD_MODULES.contains(&name) => {
            format!("{lacks}. Its module for SD card images is {for_boards}")
        }
        Some(_) | None => match nearest(name.unwrap_or_default(), SD_CARD_MODULES) {
            Some(meant) => format!("{lacks}. Did you mean {meant}?"),
            None => format!("{lacks}. Its module for SD card images is {for_boards}"),
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

/// The module that is meant by the file `name` in another directory, without its ending, or with a slip.
fn other_module(name: &str) -> Option<&'static str> {
    let whole = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.nix")
    };
    let is_meant = |module: &&str| {
        let file = module.rsplit('/').next().unwrap_or_default();
        file == whole || is_slip(&whole, file)
    };
    OTHER_MODULES.into_iter().find(is_meant)
}

/// How a configuration like that of the message `summary` names the `module` of nixpkgs: as it names the one that is missing, or for
/// a flake, which cannot use `<nixpkgs>`.
fn as_written(summary: &str, by_modules_path: bool, module: &str) -> String {
    if by_modules_path {
        format!("\"${{modulesPath}}/{module}\"")
    } else if summary.contains(OF_INPUT) {
        format!("\"${{nixpkgs}}/{MODULES}/{module}\"")
    } else {
        format!("<nixpkgs/{MODULES}/{module}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_their_file() {
        for (name, module) in [
            ("minimal", Some("profiles/minimal.nix")),
            ("minimal.nix", Some("profiles/minimal.nix")),
            ("headles.nix", Some("profiles/headless.nix")),
            ("raspberry-pi-4.nix", None),
            ("nginx.nix", None),
        ] {
            assert_eq!(other_module(name), module, "{name}");
        }
        let written = [
            as_written("", true, "a.nix"),
            as_written("/nix/store/x-source/a", false, "a.nix"),
            as_written("", false, "a.nix"),
        ];
        let expected = [
            "\"${modulesPath}/a.nix\"",
            "\"${nixpkgs}/nixos/modules/a.nix\"",
            "<nixpkgs/nixos/modules/a.nix>",
        ];
        assert_eq!(written, expected);
    }
}
