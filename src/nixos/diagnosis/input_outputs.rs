//! Outputs that an input of a flake does not have.

use super::evidence::ExitContext;
use super::names::quoted_after;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_path;
use crate::nixos::flake::InputNames;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;

/// What is before an input where the outputs have all of them as one argument, as it is usually called.
const INPUTS: &str = "inputs.";
/// Outputs in which packages and functions are, which other hints are about.
const OF_NIXPKGS: [&str; 3] = ["legacyPackages", "lib", "packages"];

/// What to do about an output that an input lacks, such as `hm.nixosModules.default`; `None` for any other attribute.
pub(super) fn missing(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "attribute")?;
    let files = context.files.filter(|_| context.is_flake)?;
    let position = error.position.as_ref()?;
    let text = files.text(&position.file)?;
    let selection = text.get(position.offset(&text)?..)?;
    let path = selection.split(|c| !is_of_path(c)).next()?;
    let path = path.strip_prefix(INPUTS).unwrap_or(path);
    let (input, path) = path.split_once('.')?;
    let parts: Vec<&str> = path.split('.').collect();
    let flake = InputNames::read(&files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?);
    let is_input = flake.inputs.contains(input) || flake.arguments.contains(input);
    let end = parts.iter().position(|part| *part == name)? + 1;
    let output = parts.get(..end)?;
    let is_output = end <= 2 && !OF_NIXPKGS.contains(output.first()?);
    (is_input && is_output).then(|| {
        format!(
            "the input {input} has no output {}. Its flake.nix shows the outputs that it has",
            output.join(".")
        )
    })
}
