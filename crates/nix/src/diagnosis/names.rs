//! Names that Nix does not find: variables, attributes, and arguments of modules.

use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_LAMBDA, NODE_LIST, NODE_PAT_BIND, NODE_PAT_ENTRY, NODE_PATTERN,
    NODE_SELECT, NODE_WITH,
};
use rnix::SyntaxNode;

use super::cause::Cause;
use super::evidence::{ExitContext, Findings};
use super::place::{Place, is_value, node_at, only_name, spans};
use super::table::{Advice, Row};
use crate::configuration_file::FLAKE_FILE;
use crate::layout::CONFIG_DIR;
use crate::log::{NixError, Position};
use crate::nix_definitions::{defines, line_number_of};
use crate::nix_name::is_of_name;
use crate::nix_syntax::parse;
use sdbuild_core::nearest::{is_slip, nearest};
use sdbuild_core::text::alternatives;

/// What every module may ask for, in the order in which modules name it.
const ARGUMENTS: [&str; 5] = ["config", "lib", "pkgs", "options", "modulesPath"];

/// The arguments of a function: `{ config, pkgs, ... }:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The line in which they end, from 1.
    pub(super) line: usize,
    /// Each argument, with its default.
    arguments: Vec<String>,
    /// The name of all of them: `@inputs`.
    pub(super) all: Option<String>,
}

impl Header {
    /// The arguments of the outermost function in `text`.
    pub(super) fn of_file(text: &str) -> Option<Self> {
        let function = parse(text).syntax().first_child()?;
        Self::of(text, &function)
    }

    /// The arguments of `function` in `text`, unless it has one argument without braces.
    pub(super) fn of(text: &str, function: &SyntaxNode) -> Option<Self> {
        let pattern = function
            .first_child()
            .filter(|_| function.kind() == NODE_LAMBDA)
            .filter(|pattern| pattern.kind() == NODE_PATTERN)?;
        let parts = |kind| {
            let parts = pattern.children().filter(move |part| part.kind() == kind);
            parts.map(|part| part.text().to_string())
        };
        let lines = pattern.text().to_string().matches('\n').count();
        Some(Self {
            line: line_number_of(text, &pattern) + lines,
            arguments: parts(NODE_PAT_ENTRY).collect(),
            all: parts(NODE_PAT_BIND)
                .next()
                .map(|all| all.trim_matches(['@', ' ', '\n']).to_owned()),
        })
    }

    /// The names of the arguments.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let arguments = self.arguments.iter();
        arguments.filter_map(|argument| argument.split(|c| !is_of_name(c)).next())
    }

    /// Whether the function asks for the argument `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|argument| argument == name)
    }

    /// The header with `more` arguments, and with `...`.
    pub(super) fn with(&self, more: &[&str]) -> String {
        let arguments = self.arguments.iter().map(String::as_str);
        let all: Vec<&str> = arguments.chain(more.iter().copied()).collect();
        let all = [all, vec!["..."]].concat().join(", ");
        match &self.all {
            Some(name) => format!("{{ {all} }}@{name}:"),
            None => format!("{{ {all} }}:"),
        }
    }
}

/// A name at the place of an error, and what is around it.
struct NameAt {
    text: String,
    node: SyntaxNode,
    /// The module that it is in: the file, or a function or a set in the list `modules` of a flake.
    module: Option<SyntaxNode>,
}

impl NameAt {
    fn find(context: &ExitContext<'_>, position: &Position) -> Option<Self> {
        let text = context.files?.text(&position.file)?;
        let node = node_at(&text, position)?;
        let is_module = |node: &SyntaxNode| {
            let is_element = node.parent().is_some_and(|list| list.kind() == NODE_LIST);
            let path = defines(node);
            let names_modules = path.rsplit('.').next() == Some("modules");
            let kind = node.kind();
            is_element && names_modules && [NODE_ATTR_SET, NODE_LAMBDA].contains(&kind)
        };
        let unwrapped = |node: SyntaxNode| match node.first_child() {
            // A function in a list is in parentheses.
            Some(inner) if inner.kind() == NODE_LAMBDA => inner,
            _ => node,
        };
        let of_flake = position.file.ends_with(&format!("/{FLAKE_FILE}"));
        let module = if of_flake {
            node.ancestors()
                .map(unwrapped)
                .find(|node| is_module(node) || node.parent().is_some_and(|of| is_module_in(&of)))
        } else {
            parse(&text).syntax().first_child()
        };
        Some(Self { text, node, module })
    }

    /// How the module gets the argument `name`.
    fn argument(&self, name: &str) -> Option<Advice> {
        let module = self.module.as_ref()?;
        let header = match Header::of(&self.text, module) {
            Some(header) if header.has(name) => return None,
            Some(header) => header.with(&[name]),
            None if module.kind() == NODE_ATTR_SET => format!("{{ {name}, ... }}:"),
            None => return None,
        };
        Some(Row::ModuleArgument.with("header", header))
    }

    /// Whether the name is in the scope of `with pkgs;`, or of a set in it.
    fn is_in_packages(&self) -> bool {
        let mut scopes = self
            .node
            .ancestors()
            .filter(|scope| scope.kind() == NODE_WITH);
        scopes.any(|scope| {
            let set = scope.first_child().map(|set| set.text().to_string());
            let set = set.unwrap_or_default();
            let body = scope.last_child().map(|body| body.text_range());
            let is_inside = body.is_some_and(|body| body.contains_range(self.node.text_range()));
            is_inside && (set == "pkgs" || set.starts_with("pkgs."))
        })
    }

    /// The selection that begins with the name: `pkgs.htop`.
    fn selection(&self) -> String {
        let selection = self
            .node
            .ancestors()
            .find(|node| node.kind() == NODE_SELECT);
        let whole = selection.unwrap_or_else(|| self.node.clone());
        whole.text().to_string()
    }
}

/// Whether `node` is an element, in parentheses, of the list `modules`.
fn is_module_in(node: &SyntaxNode) -> bool {
    let list = node.parent().filter(|list| list.kind() == NODE_LIST);
    list.is_some_and(|list| defines(&list).rsplit('.').next() == Some("modules"))
}

/// What helps with the undefined variable `name` at `position`.
pub(super) fn undefined(
    context: &ExitContext<'_>,
    findings: &Findings,
    name: &str,
    position: Option<&Position>,
) -> Vec<Advice> {
    if let Some(similar) = ARGUMENTS
        .iter()
        .find(|known| *known != &name && is_slip(name, known))
    {
        return vec![Row::Similar.with("name", similar)];
    }
    let check = Row::CheckName.with("name", name);
    let Some(at) = position.and_then(|position| NameAt::find(context, position)) else {
        return vec![similar_package(findings, name).unwrap_or(check)];
    };
    if let Some(value) = boolean(name) {
        return vec![Row::Boolean.with("name", name).and("value", value)];
    }
    let is_argument = ARGUMENTS.contains(&name);
    if is_argument && let Some(advice) = at.argument(name) {
        return vec![advice];
    }
    if is_of_library(name) {
        return library_function(Some(&at), name);
    }
    if at.is_in_packages() {
        return vec![no_package(findings, name)];
    }
    let is_known = findings.packages.all().any(|known| known == name);
    let is_flake = position.is_some_and(|at| at.file == format!("{CONFIG_DIR}{FLAKE_FILE}"));
    if is_flake && at.module.is_none() && !is_known {
        return vec![Row::InOutputs.advice()];
    }
    let parent = at.node.parent();
    let of_list = parent.is_some_and(|list| list.kind() == NODE_LIST);
    let similar = similar_package(findings, name).filter(|_| of_list && !is_known);
    vec![similar.unwrap_or(check)]
}

/// How the file at the name `at` calls the function `name` of `lib`.
fn library_function(at: Option<&NameAt>, name: &str) -> Vec<Advice> {
    let ask = at.and_then(|at| at.argument("lib"));
    let write = Row::LibraryFunction.with("name", name);
    std::iter::once(write).chain(ask).collect()
}

/// Whether `name` is that of a function of `lib` such as `mkForce` and `optionals`.
fn is_of_library(name: &str) -> bool {
    let rest = name.strip_prefix("mk");
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        || ["optional", "optionals", "optionalString", "optionalAttrs"].contains(&name)
}

/// The Boolean that other languages call `name`.
fn boolean(name: &str) -> Option<bool> {
    match name.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" | "enabled" => Some(true),
        "no" | "off" | "false" | "disabled" => Some(false),
        _ => None,
    }
}

fn similar_package(findings: &Findings, name: &str) -> Option<Advice> {
    let similar = findings.packages.similar(name)?;
    Some(
        Row::SimilarPackage
            .with("name", name)
            .and("similar", similar),
    )
}

/// What to write in place of a package that nixpkgs does not have.
fn no_package(findings: &Findings, name: &str) -> Advice {
    if name.starts_with("linuxPackages") && name.contains(|c: char| c.is_ascii_digit()) {
        return Row::Kernel.with("name", name);
    }
    similar_package(findings, name).unwrap_or_else(|| Row::NoSuchPackage.with("name", name))
}

/// What helps with the attribute `name`, which is missing at the place of `error`, and in place of which Nix suggests others.
pub(super) fn missing_attribute(
    context: &ExitContext<'_>,
    findings: &Findings,
    name: &str,
    suggestions: &[String],
    error: &NixError,
) -> Vec<Advice> {
    let position = error.position.as_ref();
    let is_foreign = |at: &Position| {
        context
            .files
            .is_some_and(|files| files.text(&at.file).is_none())
    };
    if position.is_some_and(is_foreign) {
        // The user did not write that name.
        return Vec::new();
    }
    let at = position.and_then(|position| NameAt::find(context, position));
    let selection = at.as_ref().map(NameAt::selection).unwrap_or_default();
    if selection.starts_with("pkgs.") && is_of_library(name) {
        return library_function(at.as_ref(), name);
    }
    if selection == format!("pkgs.{name}") {
        return vec![no_package(findings, name)];
    }
    let near = suggestions.iter().map(String::as_str);
    let near: Vec<&str> = near
        .filter(|known| nearest(name, [*known]).is_some())
        .collect();
    vec![if near.is_empty() {
        Row::CheckAttribute.advice()
    } else {
        Row::Similar.with("name", alternatives(&near))
    }]
}

/// Where the module in the builder's file `module` asks for an `argument` that nothing passes, and what helps.
pub(super) fn not_passed(
    context: &ExitContext<'_>,
    argument: &str,
    module: &str,
) -> (Option<Place>, Advice) {
    let shown = if module.starts_with('<') {
        // Of a module that is part of `flake.nix`, Nix does not know the file.
        "a module".to_owned()
    } else {
        module.replace(CONFIG_DIR, context.shown_dir)
    };
    let text = context.files.and_then(|files| files.text(module));
    let header = text.as_deref().and_then(Header::of_file);
    let place = header.and_then(|header| {
        Some(Place {
            file: module.strip_prefix(CONFIG_DIR)?.to_owned(),
            line: header.line,
            column: None,
        })
    });
    let similar = ARGUMENTS.iter().find(|known| is_slip(argument, known));
    let advice = match similar {
        Some(similar) => Row::Similar.with("name", similar),
        None if context.is_flake => Row::SpecialArgs.with("pass", passing(context, argument)),
        None => Row::NoSpecialArgs.advice(),
    };
    let advice = advice.and("module", &shown).and("argument", argument);
    (place, advice)
}

/// The attribute of `specialArgs` that passes `argument`, in the user's flake.
fn passing(context: &ExitContext<'_>, argument: &str) -> String {
    if argument != "inputs" {
        return format!("inherit {argument};");
    }
    match outputs_header(context).and_then(|header| header.all) {
        Some(all) if all == argument => "inherit inputs;".to_owned(),
        Some(all) => format!("inputs = {all};"),
        None => "inherit inputs;".to_owned(),
    }
}

/// The arguments of the outputs of the user's flake.
fn outputs_header(context: &ExitContext<'_>) -> Option<Header> {
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    let found = spans(&text, |node| is_value(node) && defines(node) == "outputs");
    let span = found.into_iter().next()?;
    let header = Header::of_file(&span.text)?;
    let line = span.line + header.line - 1;
    Some(Header { line, ..header })
}

/// What helps where `function` at `position` is called with an `argument` that it does not take.
pub(super) fn unexpected(
    context: &ExitContext<'_>,
    function: &str,
    argument: &str,
    position: Option<&Position>,
) -> Option<Advice> {
    let is_own = position.is_none_or(|at| at.file.starts_with(CONFIG_DIR));
    let header = if function == "outputs" {
        // An input has such a function, too.
        outputs_header(context).filter(|_| is_own)
    } else {
        // nixpkgs calls modules with all of its arguments.
        let is_module = ARGUMENTS.contains(&argument) || argument == "_class";
        let text = context.files?.text(&position?.file)?;
        Header::of_file(&text).filter(|_| is_module)
    }?;
    let advice = Row::NoEllipsis.with("header", header.with(&[]));
    Some(advice.and("line", header.line))
}

/// What helps with a name that a file of an input does not find: its modules need what a function of that input passes to them.
pub(super) fn of_input(
    context: &ExitContext<'_>,
    findings: &Findings,
    cause: &Cause,
    error: &NixError,
) -> Option<Advice> {
    let is_name = matches!(
        cause,
        Cause::UndefinedVariable { .. } | Cause::MissingAttribute { .. }
    );
    let file = if let Cause::MissingArgument { module, .. } = cause {
        module
    } else {
        &error.position.as_ref().filter(|_| is_name)?.file
    };
    let is_of = |dir: &str| {
        file.strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if let Some(input) = findings.packages.inputs().find(|input| is_of(&input.dir)) {
        let place = file.replacen(&input.dir, &format!("<{}>", input.name), 1);
        if matches!(cause, Cause::MissingAttribute { name, .. } if name == "specialArgs") {
            // The input's own function is called, and without them.
            let advice = Row::SpecialArgs.with("module", place);
            let pass = format!("inherit {};", input.name);
            return Some(advice.and("argument", &input.name).and("pass", pass));
        }
        // Then its file lacks something else, such as what another nixpkgs has.
        let call = format!("{}.lib.{}", input.name, input.function);
        let flake = format!("{CONFIG_DIR}{FLAKE_FILE}");
        let flake = context.files.and_then(|files| files.text(&flake));
        if flake.is_some_and(|text| text.contains(&call)) {
            return None;
        }
        let advice = Row::InputFunction
            .with("file", place)
            .and("input", &input.name);
        return Some(advice.and("function", &input.function));
    }
    // Not of nixpkgs, whose functions take what the user writes.
    let (_, path) = file.strip_prefix("/nix/store/")?.split_once('/')?;
    let of_nixpkgs = ["nixos/", "pkgs/", "lib/", "doc/"];
    let is_of_nixpkgs = of_nixpkgs.iter().any(|dir| path.starts_with(dir));
    (!is_of_nixpkgs).then(|| Row::InputFile.with("file", path))
}

/// The only line of the user's files that names the package `name`, which nixpkgs refuses or no longer has.
pub(super) fn package(context: &ExitContext<'_>, name: &str) -> Option<Place> {
    let is_version = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let mut dashes = name.match_indices('-').map(|(at, _)| name.split_at(at));
    let front = dashes.find(|(_, rest)| rest.strip_prefix('-').is_some_and(is_version));
    only_name(context, front.map_or(name, |(front, _)| front))
}
