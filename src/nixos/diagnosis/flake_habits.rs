//! Mistakes that people make in flakes, and of which Nix's message names neither the place nor what is meant.

use rnix::SyntaxKind::{NODE_LIST, NODE_PATH_REL};

use super::evidence::ExitContext;
use super::input_outputs::INPUTS;
use super::source_lines;
use super::written_values::{DefinedValue, all};
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_name;
use crate::nixos::flake::InputNames;
use crate::nixos::flake_outputs::FlakeOutputs;
use crate::nixos::known_repository::KnownRepository;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use sdbuild_core::nearest::similar_names;

/// Images and systems that NixOS makes of a configuration.
const OF_BUILD: [&str; 5] = ["isoImage", "kexecTree", "sdImage", "toplevel", "vm"];

/// What is meant, and where.
pub(super) fn hint(
    context: &ExitContext<'_>,
    outputs: &FlakeOutputs,
    error: &NixError,
) -> Option<String> {
    if !context.is_flake {
        return None;
    }
    flake_among_modules(context, outputs, &error.summary)
        .or_else(|| other_system(context, &error.summary))
        .or_else(|| path_of_input(context, &error.summary))
        .or_else(|| attribute_of_build(context, error))
}

/// The only value of a list in the user's files that `is_it`, and its file and line.
fn only_element(
    context: &ExitContext<'_>,
    is_it: impl Fn(&str) -> bool,
) -> Option<(String, DefinedValue)> {
    context.files?.only_place(|text| {
        let found = all(text, |node| {
            let list = node.parent().filter(|list| list.kind() == NODE_LIST);
            list.is_some() && is_it(&node.text().to_string())
        });
        found.into_iter().map(|value| (value.line, value)).collect()
    })
}

/// The inputs of the user's flake.
fn inputs(context: &ExitContext<'_>) -> Option<InputNames> {
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    Some(InputNames::read(&text))
}

/// What to write in place of a whole flake in a list of modules.
fn flake_among_modules(
    context: &ExitContext<'_>,
    outputs: &FlakeOutputs,
    summary: &str,
) -> Option<String> {
    let is_flake = summary.contains("because it is of type \"flake\"")
        || summary.starts_with("The option `_type' does not exist")
            && summary.contains("\"flake\"");
    let inputs = inputs(context).filter(|_| is_flake)?;
    let name = |written: &str| written.strip_prefix(INPUTS).unwrap_or(written).to_owned();
    let (place, flake) = only_element(context, |written| inputs.inputs.contains(&name(written)))?;
    let input = name(&flake.written);
    let written = flake.written;
    let is = format!("{}{place}: {written} is a whole flake", context.shown_dir);
    let modules = format!("{input}.nixosModules");
    if let Some(known) = KnownRepository::called(&input) {
        return Some(format!(
            "{is}. Write its module, such as {written}.{}",
            known.output
        ));
    }
    Some(match outputs.names(&modules) {
        [] => format!("{is}. Write its module, such as {written}.nixosModules.default"),
        names if names.iter().any(|name| name == "default") => {
            format!("{is}. Write its module, {written}.nixosModules.default")
        }
        [only] => format!("{is}. Write its module, {written}.nixosModules.{only}"),
        [first, ..] => {
            let list = outputs.in_words(&modules, "").unwrap_or_default();
            format!(
                "{is}. Write one of its modules, such as {written}.nixosModules.{first}; {list}"
            )
        }
    })
}

/// Where the flake names the system that its configuration is for, which is not that of the image.
fn other_system(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let rest = summary.strip_prefix("the configuration is for ")?;
    let (own, rest) = rest.split_once(", and the image would be for ")?;
    let (system, _) = rest.split_once(':')?;
    let place = context
        .files?
        .only_place(|text| source_lines::with_name(text, own));
    let (place, ()) = place?;
    Some(format!(
        "{}{place} names {own}. Write {system} there",
        context.shown_dir
    ))
}

/// How to write a path that begins with the name of an input, without quotes.
fn path_of_input(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let inputs = inputs(context).filter(|_| summary.contains("' does not exist"))?;
    let parts = |path: &str| {
        let (input, file) = path.split_once('/')?;
        Some((input.to_owned(), file.to_owned()))
    };
    let is_it = |written: &str| {
        parts(written).is_some_and(|(input, file)| {
            inputs.inputs.contains(&input) && summary.contains(&format!("{input}/{file}'"))
        })
    };
    let (place, path) = context.files?.only_place(|text| {
        let found = all(text, |node| {
            node.kind() == NODE_PATH_REL && is_it(&node.text().to_string())
        });
        let found = found.into_iter();
        found.map(|path| (path.line, path.written)).collect()
    })?;
    let (input, file) = parts(&path)?;
    Some(format!(
        "{}{place}: a path in an input is a string: \"${{{input}}}/{file}\"",
        context.shown_dir
    ))
}

/// The attribute of `config.system.build` that is meant by one that it does not have.
fn attribute_of_build(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let rest = error.summary.strip_prefix("attribute '")?;
    let name = rest.strip_suffix("' missing")?;
    let place = error.position.as_ref()?;
    let text = context.files?.text(&place.file)?;
    let selection = text.get(place.offset(&text)?..)?;
    let path = selection
        .split(|c: char| !is_of_name(c) && c != '.')
        .next()?;
    let of_build = path.strip_suffix(name)?;
    if !of_build.ends_with("config.system.build.") || name == "sdImage" {
        return None;
    }
    Some(match similar_names(name, OF_BUILD) {
        Some(similar) => format!("did you mean {similar}?"),
        None => format!(
            "NixOS makes no {name} of a configuration. The image of a card is {of_build}sdImage"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::nixos::log::Position;
    use crate::nixos::user_files::UserFiles;

    /// The hint for `summary` at `column` of the flake with these outputs and the inputs nixpkgs and disko.
    fn told(outputs: &str, summary: &str, column: Option<u64>) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let inputs = "inputs.nixpkgs.url = \"x\"; inputs.disko.url = \"x\";";
        let text = format!("{{ {inputs}\n  outputs = {{ self, ... }}@inputs:\n{outputs};\n}}");
        fs::write(dir.path().join(FLAKE_FILE), text).unwrap();
        let context = ExitContext {
            is_flake: true,
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        let error = NixError {
            summary: summary.to_owned(),
            position: column.map(|column| Position {
                file: format!("{CONFIG_DIR}{FLAKE_FILE}"),
                line: 3,
                column,
            }),
            ..NixError::default()
        };
        hint(&context, &FlakeOutputs::default(), &error)
    }

    #[test]
    fn what_is_meant_in_a_flake_is_told() {
        let of_flake =
            "Could not load a value as a module, because it is of type \"flake\", in file x";
        let module = "{ a = f { modules = [ inputs.disko ]; }; }";
        assert_eq!(
            told(module, of_flake, None).unwrap(),
            "flake.nix:3: inputs.disko is a whole flake. Write its module, such as inputs.disko.nixosModules.disko"
        );
        assert_eq!(told("{ a = [ self ]; }", of_flake, None), None);
        let other = "the configuration is for x86_64-linux, and the image would be for aarch64-linux: set x";
        let system = "{ a = f { system = \"x86_64-linux\"; }; }";
        assert_eq!(
            told(system, other, None).unwrap(),
            "flake.nix:3 names x86_64-linux. Write aarch64-linux there"
        );
        assert_eq!(told("{ a = 1; }", other, None), None);
        let missing = "path 'nixpkgs/nixos/a.nix' does not exist";
        let path = "{ a = [ nixpkgs/nixos/a.nix ]; }";
        assert_eq!(
            told(path, missing, None).unwrap(),
            "flake.nix:3: a path in an input is a string: \"${nixpkgs}/nixos/a.nix\""
        );
        assert_eq!(told("{ a = [ other/a.nix ]; }", missing, None), None);
    }

    #[test]
    fn attributes_of_system_build_are_corrected() {
        let of = |name: &str| {
            let outputs = format!("self.c.pi.config.system.build.{name}");
            told(&outputs, &format!("attribute '{name}' missing"), Some(1))
        };
        assert_eq!(of("sdImag").unwrap(), "did you mean sdImage?");
        let image = of("card").unwrap();
        assert!(
            image.ends_with("self.c.pi.config.system.build.sdImage"),
            "{image}"
        );
        assert_eq!(of("sdImage"), None);
        assert_eq!(told("self.a", "attribute 'a' missing", Some(1)), None);
    }
}
