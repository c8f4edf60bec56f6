//! Inputs of a flake that a file uses without asking for them: in its `flake.nix`, and in a module.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_BIN_OP, NODE_IDENT};

use super::evidence::ExitContext;
use super::input_declaration::{declare, lock_command};
use super::module_arguments::{ARGUMENTS, Header};
use super::scopes::binds_anywhere;
use super::syntax_at::{NameAt, Role};
use super::unquoted_name::is_list_of_packages;
use super::written_values::{DefinedValue, arguments, values_of};
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_name;
use crate::nixos::flake::{InputNames, SELF};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_syntax::parse;
use sdbuild_core::nearest::similar_names;

/// The usual name of the input that is nixpkgs.
const NIXPKGS: &str = "nixpkgs";
/// The usual name of all inputs together.
const INPUTS: &str = "inputs";

/// What to write in place of outputs that are a set.
pub(super) const OUTPUTS_IS_FUNCTION: &str =
    "outputs is a function of the inputs: outputs = { self, nixpkgs, ... }: { … };";

/// Whether the value that is `written` is a set.
fn is_set(written: &str) -> bool {
    let value = parse(written).syntax().first_child();
    value.is_some_and(|value| value.kind() == NODE_ATTR_SET)
}

/// How the outputs of the `flake.nix` with this `text` give all inputs that name.
fn with_all_inputs(text: &str) -> String {
    let written = line_with_all_inputs(text);
    written.unwrap_or_else(|| "write `{ … }@inputs:` after `outputs =`".to_owned())
}

/// The same with the line in which the arguments of the outputs end.
fn line_with_all_inputs(text: &str) -> Option<String> {
    let outputs = values_of(text, "outputs").into_iter().next()?;
    let number = Header::find(&outputs.written)?
        .beginning_in(outputs.line)
        .line;
    let line = text.lines().nth(number.checked_sub(1)?)?;
    let start = line.find("outputs").unwrap_or_default();
    let (arguments, _) = line.get(start..)?.split_once("}:")?;
    Some(format!(
        "write @inputs after the {{ … }} of the outputs. Line {number} then reads: {}}}@inputs:",
        arguments.trim_start()
    ))
}

/// How the `flake.nix` with this `text` declares the input that `at` selects from all of them, if it has none that is meant.
fn declare_selected(
    context: &ExitContext<'_>,
    text: &str,
    names: &InputNames,
    at: Option<&NameAt>,
) -> Option<String> {
    let selected = at?.written.strip_prefix("inputs.")?.split('.').next()?;
    let known = names.inputs.iter().chain(&names.arguments);
    let mut known = known.map(String::as_str).chain([SELF]).peekable();
    let is_read = !names.inputs.is_empty() && selected.chars().all(is_of_name);
    let is_new = is_read && similar_names(selected, known.clone()).is_none();
    (is_new && known.all(|name| name != selected))
        .then(|| format!("in flake.nix, {}", declare(context, text, selected)))
}

/// How the outputs of the `flake.nix` with `text` get at its input `name`: `None` for anything else.
pub(super) fn argument_of_outputs(
    context: &ExitContext<'_>,
    text: &str,
    name: &str,
    at: Option<&NameAt>,
) -> Option<String> {
    let names = InputNames::read(text);
    let is_declared = names.inputs.contains(name) || name == SELF;
    if name == INPUTS && !is_declared && names.all.is_none() {
        let all = with_all_inputs(text);
        return Some(match declare_selected(context, text, &names, at) {
            Some(declare) => {
                format!(
                    "two changes give the outputs this input:\n  {declare}\n  in flake.nix, {all}"
                )
            }
            None => all,
        });
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
    if values_of(text, "outputs")
        .iter()
        .any(|value| is_set(&value.written))
    {
        return Some(OUTPUTS_IS_FUNCTION.to_owned());
    }
    let get = match &names.all {
        Some(all) if is_called_like_one(&names, all) => name_one_by_one(all, name),
        Some(all) if name != SELF => format!("write {all}.{name}"),
        Some(_) | None => add_to_outputs(text, name),
    };
    Some(if is_declared {
        get
    } else {
        format!("{get}, and {}", declare(context, text, name))
    })
}

/// Whether the argument `all`, which has every input, is called like one of them: as in `outputs = nixpkgs: { … };`.
fn is_called_like_one(names: &InputNames, all: &str) -> bool {
    let is_one = [NIXPKGS, SELF].contains(&all) || names.inputs.contains(all);
    is_one && names.arguments.is_empty()
}

/// How the outputs name `all`, their only argument, and `name` as two of the inputs.
fn name_one_by_one(all: &str, name: &str) -> String {
    let both = if all == name {
        name.to_owned()
    } else {
        format!("{all}, {name}")
    };
    format!("the outputs get all inputs as one set. Write outputs = {{ {both}, ... }}:")
}

/// How the outputs name their inputs, where the attribute that `error` misses is selected from an argument that is called like one of
/// them, and has all.
pub(super) fn selected_from_all(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let place = error.position.as_ref()?;
    let is_flake = context.is_flake && place.file == format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.filter(|_| is_flake)?.text(&place.file)?;
    let at = NameAt::find(&text, place)?;
    let names = InputNames::read(&text);
    let all = names.all.as_ref()?;
    let is_of_all = at.written.split('.').next() == Some(all);
    (is_of_all && is_called_like_one(&names, all)).then(|| name_one_by_one(all, all))
}

/// How the outputs of the `flake.nix` with `text` write `nixosSystem`, a function of its input nixpkgs.
pub(super) fn nixos_system(context: &ExitContext<'_>, text: &str) -> String {
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
            let get = argument_of_outputs(context, text, NIXPKGS, None);
            format!("write {function}") + &get.map_or_else(String::new, |get| format!("; {get}"))
        }
        // Nixpkgs may have another name among the inputs.
        Some(_) | None => {
            "write INPUT.lib.nixosSystem, with the name of the input that is nixpkgs".to_owned()
        }
    }
}

/// How to add `name` to the arguments of the outputs.
pub(super) fn add_to_outputs(text: &str, name: &str) -> String {
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

/// How the `file` with `text`, a `flake.nix` or a module of the flake, gets at the flake's input `name`, which it has among packages.
pub(super) fn input_among_packages(
    context: &ExitContext<'_>,
    file: &str,
    text: &str,
    (name, at): (&str, Option<&NameAt>),
) -> Option<String> {
    if !context.is_flake {
        return None;
    }
    if !file.ends_with(FLAKE_FILE) {
        return input_in_module(context, file, text, (name, at));
    }
    let is_input = name == INPUTS || InputNames::read(text).inputs.contains(name);
    is_input
        .then(|| argument_of_outputs(context, text, name, at))
        .flatten()
}

/// How a module of the flake, the `file` with the text `module`, gets at the flake's input `name`, a line for each change: `None` for anything
/// else.
pub(super) fn input_in_module(
    context: &ExitContext<'_>,
    file: &str,
    module: &str,
    (name, at): (&str, Option<&NameAt>),
) -> Option<String> {
    let text = flake_text(context);
    let names = InputNames::read(&text);
    if name != INPUTS && !names.inputs.contains(name) {
        return None;
    }
    let at = at.filter(|_| name == INPUTS);
    let declare = declare_selected(context, &text, &names, at);
    let passed = changes(&text, file, module, name)?;
    let package = at.and_then(|at| package_of_flake(file, at));
    let mut lines: Vec<String> = declare.into_iter().chain(passed).chain(package).collect();
    let count = match lines.len() {
        1 => return lines.pop(),
        2 => "two",
        3 => "three",
        _ => "these",
    };
    Some(format!(
        "{count} changes pass {name} to the module:\n  {}",
        lines.join("\n  ")
    ))
}

/// How a module, the `file`, names the package of the flake that is a whole input at `at`, in a list of packages.
fn package_of_flake(file: &str, at: &NameAt) -> Option<String> {
    let is_listed = at.role == Role::Element && is_list_of_packages(at.attribute());
    let is_flake = at.written.matches('.').count() == 1 && !at.written.ends_with(NIXPKGS);
    let (file, flake) = (file.strip_prefix(CONFIG_DIR).unwrap_or(file), &at.written);
    (is_listed && is_flake).then(|| {
        format!(
            "in {file}, write {flake}.packages.${{pkgs.stdenv.hostPlatform.system}}.default instead of {flake}"
        )
    })
}

/// The text of the user's `flake.nix`.
fn flake_text(context: &ExitContext<'_>) -> String {
    let files = context.files;
    let text = files.and_then(|files| files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}")));
    text.unwrap_or_default()
}

/// How a module of the flake, the `file` with the text `module`, gets the input `name`, which the flake may lack and that has packages
/// of the branch at `url`: a line for each change.
pub(super) fn packages_in_module(
    context: &ExitContext<'_>,
    file: &str,
    module: &str,
    (name, url): (&str, &str),
) -> Option<String> {
    let text = flake_text(context);
    let is_declared = InputNames::read(&text).inputs.contains(name);
    let declare = (!is_declared).then(|| {
        format!(
            "in flake.nix, declare the input: inputs.{name}.url = \"{url}\"; then run {}",
            lock_command(context)
        )
    });
    let shown = file.strip_prefix(CONFIG_DIR).unwrap_or(file);
    let write = format!(
        "in {shown}, write {name}.legacyPackages.${{pkgs.stdenv.hostPlatform.system}} instead of {name}"
    );
    let passed = changes(&text, file, module, name)?;
    let lines: Vec<String> = declare.into_iter().chain(passed).chain([write]).collect();
    Some(format!(
        "these changes give the module the packages of {name}:\n  {}",
        lines.join("\n  ")
    ))
}

/// The changes with which the flake with this `text` passes the input `name` to a module, the `file` with the text `module`.
fn changes(text: &str, file: &str, module: &str, name: &str) -> Option<Vec<String>> {
    let header = Header::find(module)?;
    let names = InputNames::read(text);
    let (line, file) = (header.line, file.strip_prefix(CONFIG_DIR).unwrap_or(file));
    let ask_for = match header.with(&[name]) {
        Some(header) => format!("in line {line} of {file} write {header}"),
        None => format!("in line {line} of {file} add {name} to the {{ … }}:"),
    };
    let mut lines = vec![ask_for];
    lines.extend(Passed::of(text, &names, name).lines(text, &names, name)?);
    Some(lines)
}

/// How the outputs of a flake pass an input to modules.
struct Passed {
    /// What defines it in `specialArgs`.
    definition: String,
    /// The line that gives it to the outputs, which can pass only what they have themselves.
    outputs: Option<String>,
}

impl Passed {
    fn of(text: &str, names: &InputNames, name: &str) -> Self {
        let inherit = format!("inherit {name};");
        let (definition, outputs) = match &names.all {
            Some(all) if name == INPUTS && all != INPUTS => (format!("{INPUTS} = {all};"), None),
            None if name == INPUTS => (inherit, Some(with_all_inputs(text))),
            Some(_) | None if name == INPUTS || names.arguments.contains(name) => (inherit, None),
            Some(all) => (format!("inherit ({all}) {name};"), None),
            None => (inherit, Some(add_to_outputs(text, name))),
        };
        let outputs = outputs.map(|line| format!("in flake.nix, {line}"));
        Self {
            definition,
            outputs,
        }
    }

    /// The changes to `flake.nix` with which it passes the input `name`, none where it does so already; `None` if that is not known.
    fn lines(self, text: &str, names: &InputNames, name: &str) -> Option<Vec<String>> {
        let definition = self.definition;
        let write = format!("write specialArgs = {{ {definition} }};");
        let kinds = [NODE_APPLY, NODE_ATTR_SET, NODE_BIN_OP, NODE_IDENT];
        let given = arguments(text, "nixosSystem", "specialArgs", &kinds);
        let pass = if text.matches("nixosSystem").count() > 1 {
            // Which of several machines has the module is not known.
            format!("in flake.nix, next to modules = … of this machine, {write} unless it is there")
        } else if let Some(DefinedValue { line, written, .. }) = given.first() {
            // `specialArgs = inputs;` passes every input.
            let is_all = names.all.as_ref() == Some(written) && name != INPUTS;
            // In a `rec` set the names that it has are bound.
            let is_passed = is_all || binds_anywhere(&format!("rec {written}"), name);
            let is_set = written.starts_with('{') && !written.contains("//");
            if is_passed {
                return Some(Vec::new());
            }
            if !is_set {
                return None;
            }
            format!("in line {line} of flake.nix add {definition} to the specialArgs")
        } else {
            format!("in flake.nix, next to modules = …, {write}")
        };
        Some([Some(pass), self.outputs].into_iter().flatten().collect())
    }
}
