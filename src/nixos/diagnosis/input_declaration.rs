//! How a flake declares an input that it lacks.

use super::evidence::ExitContext;
use super::written_values::{DefinedValue, values_below, values_of};
use crate::common::configuration_file;
use crate::common::configuration_file::CONFIG_NAME;
use crate::nixos::known_repository::{KnownRepository, NIXPKGS_URL, release_in};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::user_files::UserFiles;

/// The command that completes the lock of the flake that is built.
pub(super) fn lock_command(context: &ExitContext<'_>) -> String {
    if !context.is_flake {
        return configuration_file::lock_command("", false);
    }
    let flake = context.source.split_once('#');
    let flake = flake.map_or(context.source, |(flake, _)| flake);
    let is_beside = |files: &UserFiles| files.has_file(&format!("{CONFIG_DIR}{CONFIG_NAME}"));
    configuration_file::lock_command(flake, context.files.is_some_and(is_beside))
}

/// How to declare the input `name`, beside those that the flake with `text` has, and to lock it.
pub(super) fn declare(context: &ExitContext<'_>, text: &str, name: &str) -> String {
    let known = KnownRepository::called(name).map(|known| input_url(text, known));
    let (url, note) = match known {
        Some(known) => known,
        None if name == "nixpkgs" => (NIXPKGS_URL.to_owned(), String::new()),
        None => ("…".to_owned(), String::new()),
    };
    let inputs = values_of(text, "inputs");
    let below = values_below(text, "inputs");
    let declare = match (inputs.first(), below.first()) {
        (Some(DefinedValue { line, .. }), _) => {
            format!("add {name}.url = \"{url}\"; to the inputs in line {line};")
        }
        (None, Some(DefinedValue { line, .. })) => {
            format!("declare the input next to line {line}: inputs.{name}.url = \"{url}\";")
        }
        (None, None) => format!("declare the input: inputs.{name}.url = \"{url}\";"),
    };
    // The branch comes first: the lock is made of it.
    let branch = note
        .strip_prefix(';')
        .map_or(String::new(), |note| format!("{note};"));
    format!("{declare}{branch} then run {}", lock_command(context))
}

/// The URL of the repository as an input of the `flake.nix` with `text`, and what to say of its branch.
fn input_url(text: &str, known: KnownRepository) -> (String, String) {
    let urls = values_of(text, "inputs.nixpkgs.url");
    let release = urls
        .first()
        .and_then(|url| release_in(url.written.trim_matches('"')));
    let url = format!("github:{}/{}", known.address, known.branch(release));
    (url, note_of_branch(known, release))
}

/// What to say of the branch if the release of nixpkgs is not known.
pub(super) fn note_of_branch(known: KnownRepository, release: Option<&str>) -> String {
    if known.may_need_other_branch(release) {
        format!(
            "; for a release of nixpkgs, take its branch instead of {}, such as release-26.05",
            known.default_branch
        )
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_chosen_before_the_lock_is_made() {
        let hint = declare(
            &ExitContext::default(),
            "{ outputs = { ... }: { }; }",
            "home-manager",
        );
        assert_eq!(
            hint,
            "declare the input: inputs.home-manager.url = \"github:nix-community/home-manager/master\"; for a release \
             of nixpkgs, take its branch instead of master, such as release-26.05; then run sdbuild lock"
        );
    }
}
