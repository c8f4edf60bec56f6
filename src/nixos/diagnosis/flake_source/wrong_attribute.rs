//! Attributes that no flake has, and what is named as a configuration and is none.

use super::CONFIGURATIONS;
use super::one_of_several;
use super::place_of_name;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::diagnosis::evidence::{ExitContext, MAX_SHOWN};
use crate::nixos::diagnosis::module_arguments::Header;
use crate::nixos::diagnosis::names::quoted_after;
use crate::nixos::diagnosis::written_values::is_empty_set;
use crate::nixos::diagnosis::{source_lines, written_values};
use crate::nixos::layout::CONFIG_DIR;
use sdbuild_core::nearest::similar_names;

/// How to write the configuration that `reference` names, where `flake.nix` has only a set of its modules.
fn set_as_configuration(context: &ExitContext<'_>, reference: &str) -> Option<String> {
    let (_, attribute) = reference.split_once('#')?;
    let name = attribute.rsplit('.').next()?;
    let path = format!("{CONFIGURATIONS}.{name}");
    if name.ends_with("-linux") {
        let found = name_below(context, &path);
        let (place, below) = found.unwrap_or_else(|| (String::new(), "NAME".to_owned()));
        return Some(format!(
            "{place}a configuration has no system in its path. Write {CONFIGURATIONS}.{below} instead of {path}.{below}"
        ));
    }
    let (place, set) = context.files?.only_place(|text| {
        let values = written_values::values_of(text, &format!("outputs.{path}"));
        let values = values.into_iter().map(|value| (value.line, value.written));
        values.collect()
    })?;
    let makers = [
        ("homeManagerConfiguration", "the home of a user"),
        ("darwinSystem", "the settings of a Mac"),
    ];
    let maker = makers.iter().find(|(maker, _)| set.contains(maker));
    if let Some((maker, made)) = maker {
        return Some(format!(
            "{}{place}: {maker} makes {made}, not a machine. Write {path} = nixpkgs.lib.nixosSystem {{ modules = [ … ]; }};",
            context.shown_dir
        ));
    }
    let is_short = set.len() <= MAX_SHOWN && !set.contains('\n');
    let file = set
        .strip_prefix("import ")
        .filter(|file| file.starts_with("./"));
    let given = match file {
        Some(file) => format!("{{ modules = [ {file} ]; }}"),
        None => set.clone(),
    };
    (given.starts_with('{') && is_short).then(|| {
        format!(
            "{}{place}: write {path} = nixpkgs.lib.nixosSystem {given};",
            context.shown_dir
        )
    })
}

/// What to write in place of an attribute that no flake has, or of a configuration that is none.
pub(in crate::nixos::diagnosis) fn wrong_attribute_hint(
    context: &ExitContext<'_>,
    summary: &str,
) -> Option<String> {
    if let Some(reference) =
        summary.strip_suffix(" is neither a NixOS configuration nor a derivation")
    {
        let written = set_as_configuration(context, reference);
        return Some(written.unwrap_or_else(|| {
            "make a configuration with nixpkgs.lib.nixosSystem { modules = [ … ]; }".to_owned()
        }));
    }
    if summary.contains(" is a derivation, not a NixOS configuration") {
        let named = one_of_several(context, summary);
        let named = named.map_or_else(String::new, |named| format!(", {named}"));
        return Some(format!(
            "`sdbuild build` builds it as it is, without --set, --hostname and --ssh-key. `sdbuild check` takes only a \
             configuration{named}"
        ));
    }
    if let Some((_, configuration)) = summary.split_once(" is not an image of the configuration ") {
        return Some(format!(
            "write {configuration}, which builds the image. The attribute of an SD card image is \
             config.system.build.sdImage"
        ));
    }
    if summary.ends_with("has a nixosConfigurations without a configuration") {
        return Some(format!(
            "write {CONFIGURATIONS}.NAME = nixpkgs.lib.nixosSystem {{ modules = [ … ]; }}; in flake.nix"
        ));
    }
    if summary.ends_with(" has a nixosConfigurations that is a configuration itself") {
        let place = context.files.and_then(|files| {
            files.only_place(|text| source_lines::with_name(text, CONFIGURATIONS))
        });
        let place = place.map_or_else(String::new, |(place, ())| {
            format!("{}{place}: ", context.shown_dir)
        });
        return Some(format!(
            "{place}give it a name: {CONFIGURATIONS}.pi = nixpkgs.lib.nixosSystem {{ … }};"
        ));
    }
    let is_flake = summary.starts_with("flake '");
    let name = quoted_after(summary, "has an unsupported attribute").filter(|_| is_flake)?;
    let all = ["description", "inputs", "outputs", "nixConfig"];
    Some(match similar_names(name, all) {
        Some(similar) => format!(
            "rename {name} to {similar} in {}",
            place_of_name(context, name)
        ),
        None if NAMESPACES.contains(&name) => options_in_outputs(context, name),
        None => format!("a flake.nix has only the attributes {}", all.join(", ")),
    })
}

/// The name that follows `path` in the outputs of the user's `flake.nix`, after its line as it is before a hint.
fn name_below(context: &ExitContext<'_>, path: &str) -> Option<(String, String)> {
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    let path = format!("outputs.{path}");
    let values = written_values::values_below(&text, &path);
    let value = values.first()?;
    let name = value.defines.strip_prefix(&path)?.split('.').nth(1)?;
    let place = format!("{}{FLAKE_FILE}:{}: ", context.shown_dir, value.line);
    Some((place, name.to_owned()))
}

/// How the outputs have a module with what the user's `flake.nix` defines in `name` at its top.
fn options_in_outputs(context: &ExitContext<'_>, name: &str) -> String {
    let path = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.and_then(|files| files.text(&path));
    let text = text.unwrap_or_default();
    let modules = format!("modules = [ {} ];", definition_at_top(&text, name));
    let outputs = written_values::values_of(&text, "outputs");
    let outputs = outputs.first().map(|outputs| outputs.written.as_str());
    let header = outputs.and_then(Header::find);
    let header = header.filter(|header| header.has("nixpkgs") && !text.contains("nixosSystem"));
    let Some(header) = header.and_then(|header| header.written()) else {
        return format!(
            "options belong to a module. Write in nixosSystem of the outputs: {modules}"
        );
    };
    let place = place_of_name(context, name);
    let system = format!("{CONFIGURATIONS}.pi = nixpkgs.lib.nixosSystem {{ {modules} }};");
    let remove = format!("options belong to a module. Remove {name} from {place}, and write");
    let outputs = outputs.unwrap_or_default();
    let body = outputs.strip_prefix(&header).unwrap_or_default();
    if is_empty_set(body) {
        return format!("{remove}: outputs = {header} {{ {system} }};");
    }
    format!("{remove} in the outputs: {system}")
}

/// The first definition in `name` at the top of the `flake.nix` with `text`, as a module.
fn definition_at_top(text: &str, name: &str) -> String {
    let values = written_values::values_below(text, name);
    match values.first() {
        Some(value) if value.written.len() <= MAX_SHOWN && !value.written.contains('\n') => {
            format!("{{ {} = {}; }}", value.defines, value.written)
        }
        Some(_) | None => format!("{{ {name} = …; }}"),
    }
}
