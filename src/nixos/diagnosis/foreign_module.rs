//! Modules that are not part of nixpkgs, such as Home Manager's, and how a configuration gets them. Pure.

use super::evidence::ExitContext;
use super::flake_arguments::add_to_outputs;
use super::input_declaration::{declare, note_of_branch};
use super::names::is_name;
use super::written_words::place_of_search_path;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake::InputNames;
use crate::nixos::known_repository::KnownRepository;
use crate::nixos::layout::CONFIG_DIR;

/// The repository with modules for boards.
const HARDWARE: &str = "nixos-hardware";
/// The option for the boards that nixos-hardware knows.
const OF_BOARD: &str = "hardware.raspberry-pi";
/// The part of its value that only nixos-hardware has.
const OF_THIS_BOARD: &str = "\"4\" =";

/// How to get the module that has the option which the message `summary` of Nix says does not exist.
pub(super) fn with_option(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    // Without the module Nix names the root, with it the option that the module does not have.
    let (option, _) = summary.strip_prefix("The option `")?.split_once('\'')?;
    let known = KnownRepository::with_option(option)?;
    // Other projects have options below that of nixos-hardware, too.
    let is_other = option == OF_BOARD && !summary.contains(OF_THIS_BOARD);
    if is_other {
        return None;
    }
    let get = if context.is_flake {
        in_flake(context, known, known.output)
    } else {
        let fetched = fetched(context, known, known.file);
        let note = note_of_branch(known, context.release);
        format!("add {fetched} to the imports{note}")
    };
    Some(format!(
        "the module of {} has this option, but is not part of nixpkgs, so {get}",
        known.name
    ))
}

/// What to write in place of `<path>`, of a channel that the builder does not have.
pub(super) fn in_place_of_channel(context: &ExitContext<'_>, path: &str) -> Option<String> {
    let (channel, file) = path.split_at(path.find('/').unwrap_or(path.len()));
    let known = KnownRepository::called(channel)?;
    let is_plain = file.is_empty() || is_name(file);
    let fetched = fetched(context, known, file);
    let note = note_of_branch(known, context.release);
    is_plain
        .then(|| format!("only <nixpkgs> exists here. Write {fetched} instead of <{path}>{note}"))
}

/// How a flake gets the module that a file of it names as `<path>`, of which the message `summary` of Nix says that it is impure.
pub(super) fn in_place_of_search_path(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (_, rest) = summary.split_once("cannot look up '<")?;
    let (path, _) = rest.split_once(">'")?;
    let (channel, file) = path.split_at(path.find('/').unwrap_or(path.len()));
    if channel == "nixpkgs" {
        return None;
    }
    let place = place_of_search_path(context, path);
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    let none = format!("{place}a flake has no <{channel}>");
    let board = file.strip_prefix("/raspberry-pi/");
    let board = board.filter(|board| channel == HARDWARE && board.len() == 1);
    Some(match KnownRepository::called(channel) {
        Some(known) if known.file == file => {
            let get = in_flake(context, known, known.output);
            format!("{none}. Remove <{path}>, and {get}")
        }
        Some(known) if let Some(board) = board => {
            let get = in_flake(
                context,
                known,
                &format!("nixosModules.raspberry-pi-{board}"),
            );
            format!("{none}. Remove <{path}>, and {get}")
        }
        known => {
            let text = flake_text(context);
            let names = InputNames::read(&text);
            let is_declared = names.inputs.contains(channel);
            let is_outputs = place
                .strip_prefix(context.shown_dir)
                .is_some_and(|place| place.starts_with(FLAKE_FILE));
            let write = match &names.all {
                // The outputs have their inputs already, also in modules that are written there.
                Some(all) if is_outputs => format!("write \"${{{all}.{channel}}}{file}\""),
                None if is_outputs && names.arguments.contains(channel) => {
                    format!("write \"${{{channel}}}{file}\"")
                }
                None if is_outputs => format!(
                    "write \"${{{channel}}}{file}\", and {}",
                    add_to_outputs(&text, channel)
                ),
                Some(_) | None => {
                    format!("write \"${{inputs.{channel}}}{file}\", with inputs from specialArgs")
                }
            };
            if is_declared {
                format!("{none}, but an input of that name: {write}")
            } else if known.is_some() {
                format!("{none}: {}, and {write}", declare(context, &text, channel))
            } else {
                let name = file.rsplit('/').next().unwrap_or_default();
                let name = if name.is_empty() { channel } else { name };
                format!(
                    "{none}. Copy the file next to flake.nix, git add it, and write ./{name}; or declare {channel} as an input, \
                     and {write}"
                )
            }
        }
    })
}

/// The text of the user's `flake.nix`.
fn flake_text(context: &ExitContext<'_>) -> String {
    let path = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.and_then(|files| files.text(&path));
    text.unwrap_or_default()
}

/// The path `file` of the repository, as an element of a list.
fn fetched(context: &ExitContext<'_>, known: KnownRepository, file: &str) -> String {
    let branch = known.branch(context.release);
    let below = if file.is_empty() {
        String::new()
    } else {
        format!(" + \"{file}\"")
    };
    format!(
        "(builtins.fetchTarball \"https://github.com/{}/archive/{branch}.tar.gz\"{below})",
        known.address
    )
}

/// How the flake gets the module that is the `output` of the repository: by an input that it has, or by a new one.
fn in_flake(context: &ExitContext<'_>, known: KnownRepository, output: &str) -> String {
    let text = flake_text(context);
    let names = InputNames::read(&text);
    let name = known.name;
    let is_argument = names.arguments.contains(name);
    let module = match &names.all {
        Some(all) if !is_argument => format!("{all}.{name}.{output}"),
        Some(_) | None => format!("{name}.{output}"),
    };
    let argument = if is_argument || names.all.is_some() {
        String::new()
    } else {
        format!(", and {name} to the {{ … }} of the outputs")
    };
    let add = format!("add {module} to the modules of nixosSystem in flake.nix{argument}");
    if names.inputs.contains(name) {
        return add;
    }
    format!("{add}, and {}", declare(context, &text, name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::nixos::user_files::UserFiles;

    const NO_HOME: &str = "The option `home-manager' does not exist.";

    fn of_module(release: Option<&str>, summary: &str) -> Option<String> {
        let context = ExitContext {
            release,
            ..ExitContext::default()
        };
        with_option(&context, summary)
    }

    /// The hint for `summary` about the flake with this text.
    fn of_flake(
        hint: fn(&ExitContext<'_>, &str) -> Option<String>,
        flake: &str,
        summary: &str,
    ) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FLAKE_FILE), flake).unwrap();
        let context = ExitContext {
            is_flake: true,
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        hint(&context, summary).unwrap()
    }

    #[test]
    fn the_branch_of_a_module_fits_the_release() {
        let home = |release| of_module(release, NO_HOME).unwrap();
        let add = |branch: &str| {
            format!(
                "add (builtins.fetchTarball \"https://github.com/nix-community/home-manager/archive/{branch}.tar.gz\" + \"/nixos\") \
                 to the imports"
            )
        };
        assert!(home(Some("26.05")).ends_with(&add("release-26.05")));
        assert!(home(Some("unstable")).ends_with(&add("master")));
        let unknown = format!("{}; for a release of nixpkgs", add("master"));
        assert!(home(None).contains(&unknown), "{}", home(None));
        let of_age = of_module(None, "The option `age' does not exist.").unwrap();
        let add = "agenix/archive/main.tar.gz\" + \"/modules/age.nix\") to the imports";
        assert!(of_age.ends_with(add), "{of_age}");
    }

    #[test]
    fn the_option_of_another_project_is_not_taken_for_a_boards() {
        let of_board = |value: &str| {
            let summary = format!(
                "The option `hardware.raspberry-pi' does not exist. Definition values:\n- In `/build/config/c.nix':\n{value}"
            );
            of_module(None, &summary)
        };
        let hint = of_board("    {\n      \"4\" = {\n").unwrap();
        assert!(hint.contains("nixos-hardware/archive/master.tar.gz\" + \"/raspberry-pi/4\")"));
        assert_eq!(of_board("    {\n      config = {\n"), None);
    }

    #[test]
    fn a_flake_gets_a_module_by_an_input() {
        let nixpkgs = "inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-25.11\";";
        let add =
            "add home-manager.nixosModules.home-manager to the modules of nixosSystem in flake.nix";
        let declare = "declare the input next to line 1: inputs.home-manager.url = \
         \"github:nix-community/home-manager/release-25.11\"; then run sdbuild lock";
        let flake = format!("{{ {nixpkgs} outputs = {{ self, nixpkgs, ... }}: {{ }}; }}");
        let option = of_flake(with_option, &flake, NO_HOME);
        let argument = "and home-manager to the { … } of the outputs";
        assert!(
            option.ends_with(&format!("{add}, {argument}, and {declare}")),
            "{option}"
        );
        let impure = "cannot look up '<home-manager/nixos>' in pure evaluation mode (use '--impure' to override)";
        let path = of_flake(in_place_of_search_path, &flake, impure);
        let remove =
            format!("a flake has no <home-manager>. Remove <home-manager/nixos>, and {add}");
        assert!(path.starts_with(&remove), "{path}");
        for (searched, told) in [
            (
                "nixos-hardware/raspberry-pi/3",
                "add nixos-hardware.nixosModules.raspberry-pi-3 to the modules of nixosSystem",
            ),
            (
                "nixos-hardware/dell/xps",
                "inputs.nixos-hardware.url = \"github:NixOS/nixos-hardware/master\"; then run sdbuild lock, and write \
                 \"${inputs.nixos-hardware}/dell/xps\"",
            ),
            (
                "mine/a/b.nix",
                "git add it, and write ./b.nix; or declare mine",
            ),
            ("mine", "and write ./mine; or declare mine"),
        ] {
            let summary = format!("cannot look up '<{searched}>' in pure evaluation mode");
            let hint = of_flake(in_place_of_search_path, &flake, &summary);
            assert!(hint.contains(told), "{searched}: {hint}");
        }
        let own = "{ inputs.mine.url = \"x\"; outputs = { self }: { }; }";
        let summary = "cannot look up '<mine/a.nix>' in pure evaluation mode";
        let hint = of_flake(in_place_of_search_path, own, summary);
        assert!(hint.contains("write \"${inputs.mine}/a.nix\""), "{hint}");
        let with_input =
            "{ inputs.home-manager.url = \"x\"; outputs = { self, nixpkgs, home-manager }: { }; }";
        let option = of_flake(with_option, with_input, NO_HOME);
        assert!(option.ends_with(add), "{option}");
        let with_all =
            "{ inputs.home-manager.url = \"x\"; outputs = { nixpkgs, ... }@inputs: { }; }";
        let option = of_flake(with_option, with_all, NO_HOME);
        assert!(
            option.contains("add inputs.home-manager.nixosModules"),
            "{option}"
        );
    }
}
