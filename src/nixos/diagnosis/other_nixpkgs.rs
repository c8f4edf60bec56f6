//! Packages of another branch of nixpkgs, which instructions on the web take from a channel of the machine.

use super::evidence::ExitContext;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake::InputNames;
use crate::nixos::layout::CONFIG_DIR;

/// The archive of the newest packages.
const UNSTABLE: &str =
    "builtins.fetchTarball \"https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz\"";
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
    Some(if context.is_flake {
        let text = context
            .files
            .and_then(|files| files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}")));
        let names = InputNames::read(&text.unwrap_or_default());
        let all = names.all.as_deref();
        let with_all = all.map_or("`{ … }@inputs:` after `outputs =`, ", |_| "");
        let all = all.unwrap_or("inputs");
        format!(
            "in flake.nix, write {with_all}inputs.{name}.url = \"github:NixOS/nixpkgs/nixos-unstable\"; and specialArgs = {{ \
             inherit ({all}) {name}; }}; next to the modules. Here, add {name} to the {{ … }}: and write \
             {name}.legacyPackages.${{pkgs.stdenv.hostPlatform.system}} instead of {name}"
        )
    } else {
        format!(
            "for packages of unstable, write this before the `{{` of the definitions: let {name} = import ({UNSTABLE}) \
             {FOR_THE_BOARD}; in"
        )
    })
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
