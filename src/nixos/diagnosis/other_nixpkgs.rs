//! Packages of another branch of nixpkgs, which instructions on the web take from a channel of the machine.

use super::evidence::ExitContext;
use super::flake_arguments::packages_in_module;
use crate::common::configuration_file::FLAKE_FILE;

/// The archive of the newest packages.
const UNSTABLE: &str =
    "builtins.fetchTarball \"https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz\"";
/// The same as an input of a flake.
const UNSTABLE_URL: &str = "github:NixOS/nixpkgs/nixos-unstable";
/// The argument with which nixpkgs has packages for the board, and not for the machine that evaluates it.
const FOR_THE_BOARD: &str = "{ inherit (pkgs.stdenv.hostPlatform) system; }";

/// How a module of `file` gets the packages of the branch that it calls `name`; `None` for all other names, and for a `flake.nix`,
/// where it is an input.
pub(super) fn packages_of_branch(
    context: &ExitContext<'_>,
    name: &str,
    file: &str,
) -> Option<String> {
    let is_flake_file = file.rsplit('/').next() == Some(FLAKE_FILE);
    if is_flake_file || !is_unstable(name) {
        return None;
    }
    if context.is_flake {
        let module = context.files?.text(file)?;
        return packages_in_module(context, file, &module, (name, UNSTABLE_URL));
    }
    Some(format!(
        "for packages of unstable, write this before the `{{` of the definitions: let {name} = import ({UNSTABLE}) \
         {FOR_THE_BOARD}; in"
    ))
}

/// What to write in place of `<CHANNEL>`, a branch of nixpkgs.
pub(super) fn in_place_of_channel(channel: &str) -> Option<String> {
    is_unstable(channel).then(|| {
        format!(
            "only <nixpkgs> exists here. Write import ({UNSTABLE}) {FOR_THE_BOARD} instead of import <{channel}> {{ }}"
        )
    })
}

fn is_unstable(name: &str) -> bool {
    [
        "unstable",
        "nixos-unstable",
        "nixpkgs-unstable",
        "pkgs-unstable",
        "pkgsUnstable",
        "unstablePkgs",
    ]
    .contains(&name)
}
