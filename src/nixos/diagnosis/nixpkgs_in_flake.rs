//! `<nixpkgs>` in a flake, whose evaluation has no search path.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_LET_IN, NODE_ROOT};

use super::evidence::ExitContext;
use super::syntax_at::top_level_names;
use super::written_values;
use super::written_words::place_of_search_path;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake::InputNames;

/// What to write in a flake in place of `<nixpkgs>` or a file of it, of which Nix says that it is forbidden there.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let rest = summary.strip_prefix("cannot look up '<")?;
    let (path, _) = rest.split_once(">' in pure evaluation mode")?;
    let of_modules = path.strip_prefix("nixpkgs/nixos/modules/");
    let hint = match (path, of_modules) {
        ("nixpkgs", _) if is_called_plainly(context) => {
            "Write nixpkgs.legacyPackages.aarch64-linux instead of import <nixpkgs> { }".to_owned()
        }
        ("nixpkgs", _) if let Some(binding) = binding_of_packages(context) => format!(
            "Write {{ pkgs, ... }}: instead of `{binding}` there. The module gets these packages as pkgs"
        ),
        ("nixpkgs", _) if is_in_module(context, path) => {
            "Remove import <nixpkgs> { } there, and begin the module with { pkgs, ... }:. It gets these packages as pkgs"
                .to_owned()
        }
        ("nixpkgs", _) => {
            "Write nixpkgs, an input of the flake. In a module its packages are pkgs".to_owned()
        }
        ("nixpkgs/nixos", _) if let Some(line) = line_with_system(context) => {
            format!("Write nixpkgs.lib.nixosSystem. {line}")
        }
        ("nixpkgs/nixos", _) => {
            "Write nixpkgs.lib.nixosSystem { modules = [ ./FILE.nix ]; }".to_owned()
        }
        (_, Some(file)) => format!(
            "In a module write \"${{modulesPath}}/{file}\", and in the outputs \"${{nixpkgs}}/nixos/modules/{file}\""
        ),
        (_, None) => return None,
    };
    let place = place_of_search_path(context, path)?;
    Some(format!(
        "{place} names <{path}>, which no flake has. {hint}"
    ))
}

/// The beginning of the only module that binds nothing but the packages of `<nixpkgs>`: `let pkgs = import <nixpkgs> { }; in`.
fn binding_of_packages(context: &ExitContext<'_>) -> Option<String> {
    let (place, binding) = context.files?.only_place(|text| {
        let bindings = written_values::all(text, |node| {
            let is_module = node.parent().is_some_and(|of| of.kind() == NODE_ROOT);
            let body = node.last_child().map(|body| body.kind());
            is_module && node.kind() == NODE_LET_IN && body == Some(NODE_ATTR_SET)
        });
        let is_of_packages = |binding: &str| {
            let words: Vec<&str> = binding.split_whitespace().collect();
            words.concat() == "letpkgs=import<nixpkgs>{};in"
        };
        let bindings = bindings.into_iter().filter_map(|found| {
            let end = found
                .written
                .find("in\n")
                .or_else(|| found.written.find("in {"))?
                + 2;
            let binding = found.written.get(..end)?.to_owned();
            (is_of_packages(&binding) && !binding.contains('\n')).then_some((found.line, binding))
        });
        bindings.collect()
    })?;
    (place.split(':').next() != Some(FLAKE_FILE)).then_some(binding)
}

/// How the line of the `flake.nix` reads that calls `<nixpkgs/nixos>` with a module alone, if its outputs have nixpkgs.
fn line_with_system(context: &ExitContext<'_>) -> Option<String> {
    let (_, line) = context.files?.only_place(|text| {
        let has_nixpkgs = InputNames::read(text).arguments.contains("nixpkgs");
        let calls = written_values::all(text, |node| {
            let function = node.first_child().map(|node| node.text().to_string());
            let is_nixos = function.is_some_and(|text| text.contains("<nixpkgs/nixos>"));
            let given = node.last_child().map(|given| given.kind());
            has_nixpkgs && is_nixos && node.kind() == NODE_APPLY && given == Some(NODE_ATTR_SET)
        });
        let lines = calls.into_iter().filter_map(|call| {
            let given = call.written.get(call.written.find('{')?..)?;
            let is_only = top_level_names(given).len() == 1;
            let module = written_values::values_of(given, "configuration").pop()?;
            let line = text.lines().nth(call.line.checked_sub(1)?)?;
            let system = format!(
                "nixpkgs.lib.nixosSystem {{ modules = [ {} ]; }}",
                module.written
            );
            let is_whole = is_only && line.contains(&call.written);
            let reads = line.trim().replacen(&call.written, &system, 1);
            let reads = format!("Line {} then reads: {reads}", call.line);
            is_whole.then_some((call.line, reads))
        });
        lines.collect()
    })?;
    Some(line)
}

/// Whether the only `<path>` is called in another file than `flake.nix`.
fn is_in_module(context: &ExitContext<'_>, path: &str) -> bool {
    let place = context.files.and_then(|files| {
        files.only_place(|text| {
            let imported = format!("import <{path}>");
            let found = (1..).zip(text.lines());
            let found = found.filter(|(_, line)| line.contains(&imported));
            found.map(|(line, _)| (line, ())).collect()
        })
    });
    place.is_some_and(|(place, ())| place.split(':').next() != Some(FLAKE_FILE))
}

/// Whether the only `<nixpkgs>` is in the `flake.nix`, where its packages are taken without arguments: `import <nixpkgs> { }`.
fn is_called_plainly(context: &ExitContext<'_>) -> bool {
    let place = context.files.and_then(|files| {
        files.only_place(|text| {
            let calls = written_values::all(text, |node| {
                let written = node.text().to_string();
                let words: Vec<&str> = written.split_whitespace().collect();
                node.kind() == NODE_APPLY && words.concat() == "import<nixpkgs>{}"
            });
            calls.into_iter().map(|call| (call.line, ())).collect()
        })
    });
    let file = place
        .as_ref()
        .and_then(|(place, ())| place.split(':').next());
    file == Some(FLAKE_FILE)
}
