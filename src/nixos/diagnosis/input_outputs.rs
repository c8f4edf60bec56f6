//! Outputs that an input of a flake does not have.

use super::evidence::{ExitContext, Findings};
use super::names::quoted_after;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_path;
use crate::nixos::flake::InputNames;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use sdbuild_image::image_format::SD_CARD;

/// What is before an input where the outputs have all of them as one argument, as it is usually called.
pub(super) const INPUTS: &str = "inputs.";
/// Outputs in which packages and functions are, which other hints are about.
const OF_NIXPKGS: [&str; 4] = ["legacyPackages", "lib", "nixosSystem", "packages"];

/// What to do about an output that an input lacks, such as `hm.nixosModules.default`; `None` for any other attribute.
pub(super) fn missing(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let is_missing = error.summary.ends_with("' missing");
    let name = quoted_after(&error.summary, "attribute").filter(|_| is_missing)?;
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
        if let ("nixpkgs", ["nixosModules"]) = (input, output) {
            return format!("the input {input} has no output nixosModules; {}", files_of(&text, &parts));
        }
        let (_, set) = output.split_last().unwrap_or((&"", &[]));
        let set = [&[input], set].concat().join(".");
        let known = findings.outputs.in_words(&set, name);
        let output = output.join(".");
        match known {
            Some(known) => format!("the input {input} has no output {output}; {known}"),
            None => format!(
                "the input {input} has no output {output}. Its flake.nix shows the outputs that it has"
            ),
        }
    })
}

/// How a flake whose file has this `text` names the module of nixpkgs that is meant by the output `parts`.
fn files_of(text: &str, parts: &[&str]) -> String {
    let module = parts.get(1).copied().unwrap_or_default();
    let is_image = module.to_lowercase().contains("sd");
    let file = if is_image {
        SD_CARD.module.unwrap_or_default()
    } else {
        "/FILE.nix"
    };
    let prefix = if text.contains("inputs.nixpkgs.nixosModules") {
        INPUTS
    } else {
        ""
    };
    format!("its modules are files: write \"${{{prefix}nixpkgs}}/nixos/modules{file}\"")
}
