//! Inputs of a flake that a file uses without asking for them: in its `flake.nix`, and in a module.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_BIN_OP, NODE_IDENT};

use super::evidence::ExitContext;
use super::input_declaration::declare;
use super::module_arguments::{ARGUMENTS, Header};
use super::scopes::binds_anywhere;
use super::syntax_at::NameAt;
use super::written_values::{DefinedValue, arguments, values_of};
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nearest::similar_names;
use crate::nixos::flake::{InputNames, SELF};
use crate::nixos::layout::CONFIG_DIR;

/// The usual name of the input that is nixpkgs.
const NIXPKGS: &str = "nixpkgs";

/// How the outputs of the `flake.nix` with `text` get at its input `name`: `None` for anything else.
pub(super) fn argument_of_outputs(text: &str, name: &str, at: Option<&NameAt>) -> Option<String> {
    let names = InputNames::read(text);
    let is_declared = names.inputs.contains(name) || name == SELF;
    if name == "inputs" && !is_declared && names.all.is_none() {
        return Some("write `{ … }@inputs:` after `outputs =`".to_owned());
    }
    let known = names.inputs.iter().chain(&names.arguments);
    let known = known.map(String::as_str).chain(["builtins"]);
    if let Some(similar) = similar_names(name, known).filter(|_| !is_declared) {
        return Some(format!("did you mean {similar}?"));
    }
    // As in `agenix.nixosModules.default`.
    let is_selection = at.is_some_and(NameAt::is_selection) && !ARGUMENTS.contains(&name);
    if !is_declared && name != "nixpkgs" && !is_selection {
        return None;
    }
    let get = match &names.all {
        Some(all) if name != SELF => format!("write {all}.{name}"),
        Some(_) | None => add_to_outputs(text, name),
    };
    Some(if is_declared {
        get
    } else {
        format!("{get}, and {}", declare(text, name))
    })
}

/// How the outputs of the `flake.nix` with `text` write `nixosSystem`, a function of its input nixpkgs.
pub(super) fn nixos_system(text: &str) -> String {
    let names = InputNames::read(text);
    let is_declared = names.inputs.contains(NIXPKGS);
    let function = "nixpkgs.lib.nixosSystem";
    match &names.all {
        _ if names.arguments.contains(NIXPKGS) => format!("write {function}"),
        Some(all) if is_declared => format!("write {all}.{function}"),
        Some(_) | None if is_declared => {
            format!("write {function}, and {}", add_to_outputs(text, NIXPKGS))
        }
        Some(_) | None if names.inputs.is_empty() => {
            let get = argument_of_outputs(text, NIXPKGS, None);
            format!("write {function}") + &get.map_or_else(String::new, |get| format!("; {get}"))
        }
        // Nixpkgs may have another name among the inputs.
        Some(_) | None => {
            "it is a function of the input that is nixpkgs: write INPUT.lib.nixosSystem".to_owned()
        }
    }
}

/// How to add `name` to the arguments of the outputs.
fn add_to_outputs(text: &str, name: &str) -> String {
    let add = format!("add {name} to the {{ … }} of the outputs");
    let outputs = values_of(text, "outputs");
    let Some(outputs) = outputs.first() else {
        return add;
    };
    let header = Header::find(&outputs.written);
    let Some(header) = header.map(|header| header.beginning_in(outputs.line)) else {
        return add;
    };
    let line = header.line;
    let reads = header.with(&[name]);
    let reads = reads.map_or_else(String::new, |header| format!(", which then reads {header}"));
    format!("{add} in line {line}{reads}")
}

/// How a module of the flake, with the text `module`, gets at the flake's input `name`: `None` for anything else.
pub(super) fn input_in_module(
    context: &ExitContext<'_>,
    module: &str,
    name: &str,
) -> Option<String> {
    let header = Header::find(module)?;
    let line = header.line;
    let text = context
        .files
        .and_then(|files| files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}")));
    let text = text.unwrap_or_default();
    let names = InputNames::read(&text);
    if name != "inputs" && !names.inputs.contains(name) {
        return None;
    }
    // The outputs can pass only what they have themselves.
    let (passed, ask) = match &names.all {
        _ if name == "inputs" || names.arguments.contains(name) => (name.to_owned(), String::new()),
        Some(all) => (format!("({all}) {name}"), String::new()),
        None => (
            name.to_owned(),
            format!("; there, {}", add_to_outputs(&text, name)),
        ),
    };
    let ask_for = format!("add {name} to the {{ … }}: of line {line}");
    // Which of several machines has the module is not known.
    if text.matches("nixosSystem").count() > 1 {
        return Some(format!(
            "{ask_for}, and give it to this machine in flake.nix with specialArgs = {{ inherit {passed}; }}; beside its modules, \
             unless that is there{ask}"
        ));
    }
    let kinds = [NODE_APPLY, NODE_ATTR_SET, NODE_BIN_OP, NODE_IDENT];
    let given = arguments(&text, "nixosSystem", "specialArgs", &kinds);
    if let Some(given) = given.first() {
        let DefinedValue { line, written, .. } = given;
        // `specialArgs = inputs;` passes every input.
        let is_all = names.all.as_ref() == Some(written) && name != "inputs";
        // In a `rec` set the names that it has are bound.
        let is_passed = is_all || binds_anywhere(&format!("rec {written}"), name);
        let is_set = written.starts_with('{') && !written.contains("//");
        if !is_set && !is_passed {
            return None;
        }
        return Some(if is_passed {
            ask_for
        } else {
            format!(
                "{ask_for}, and inherit {passed}; to the specialArgs in line {line} of flake.nix{ask}"
            )
        });
    }
    Some(format!(
        "{ask_for}, and specialArgs = {{ inherit {passed}; }}; beside the modules in flake.nix{ask}"
    ))
}
