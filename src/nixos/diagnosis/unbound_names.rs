//! Names that are not bound, where it is known what is meant by them: arguments of modules, functions of `lib`, packages.
//! What may be meant by any other name is in [`undefined_variable`](super::undefined_variable).

use std::ffi::OsStr;
use std::path::Path;

use rnix::SyntaxKind::NODE_ATTR_SET;

use super::evidence::{ExitContext, Findings};
use super::flake_arguments::input_among_packages;
use super::flake_input::whole_line;
use super::misread;
use super::module_arguments::{ARGUMENTS, Header, is_in_with_pkgs};
use super::names::{SEARCH, quoted_after};
use super::other_nixpkgs::packages_of_branch;
use super::python_packages;
use super::scopes::{binds_anywhere, unbound_names};
use super::syntax_at::{NameAt, inline_module};
use super::undefined_variable::packages;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_name;
use crate::nixos::log::{NixError, Position};
use crate::nixos::nix_syntax::parse;
use crate::nixos::programs::{package_called, package_of};
use sdbuild_core::text::listed;

pub(super) fn argument_not_asked_for(
    context: &ExitContext<'_>,
    error: &NixError,
) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let position = error.position.as_ref();
    let position = position.filter(|_| ARGUMENTS.contains(&name))?;
    let Some(module) = Module::find(context, position) else {
        return in_outputs(error, name);
    };
    match module.header() {
        Some(header) => Some(module.add_to(&header, name)),
        None => module.begin(name),
    }
}

/// A module with a name that is not bound.
struct Module {
    /// The text of its file.
    file: String,
    /// Its own text.
    text: String,
    /// The line of its file in which it begins, counted from 1.
    line: usize,
    /// Whether it is written in a `flake.nix`.
    is_inline: bool,
}

impl Module {
    /// The module at `position`; `None` for what is in a `flake.nix`, and in no module there.
    fn find(context: &ExitContext<'_>, position: &Position) -> Option<Self> {
        let file = context.files.and_then(|files| files.text(&position.file));
        let file = file.unwrap_or_default();
        let is_inline = Path::new(&position.file).file_name() == Some(OsStr::new(FLAKE_FILE));
        let (line, text) = if is_inline {
            inline_module(&file, position)?
        } else {
            (1, file.clone())
        };
        Some(Self {
            file,
            text,
            line,
            is_inline,
        })
    }

    fn header(&self) -> Option<Header<'_>> {
        Header::find(&self.text).map(|header| header.beginning_in(self.line))
    }

    /// The argument `name`, and the others that the module uses and does not ask for either.
    fn missing(&self, name: &str) -> Vec<&'static str> {
        // What the outputs of a flake bind is not missing.
        let [here, in_file] = [&self.text, &self.file].map(|text| unbound_names(text, &ARGUMENTS));
        let is_missing = |argument: &&str| here.contains(argument) && in_file.contains(argument);
        let arguments = ARGUMENTS.into_iter();
        arguments
            .filter(|argument| *argument == name || is_missing(argument))
            .collect()
    }

    /// How to add the argument `name`, and what else is missing, to the module's `header`.
    fn add_to(&self, header: &Header<'_>, name: &str) -> String {
        let missing = self.missing(name);
        // Without `...` the next error would be about the arguments that the module does not name.
        let rest = (!header.has("...")).then_some("...");
        let added: Vec<&str> = missing.iter().copied().chain(rest).collect();
        let reads = header.with(&missing);
        let reads = reads.map_or_else(String::new, |header| format!(", which then reads {header}"));
        let (added, line) = (listed(&added), header.line);
        // A line of a flake may have several.
        let written = header.written().filter(|_| self.is_inline);
        let written = written.unwrap_or_else(|| "{ … }:".to_owned());
        format!("add {added} to the {written} of line {line}{reads}")
    }

    /// The column in which it begins, counted from 1, if its line has several braces.
    fn column(&self) -> Option<usize> {
        let line = self.file.lines().nth(self.line.checked_sub(1)?)?;
        let before = line.get(..line.find(self.text.lines().next()?)?)?;
        let is_alone = line.matches('{').count() < 2;
        (!is_alone).then(|| before.chars().count() + 1)
    }

    /// How the module, which has no header, asks for the argument `name`, and for what else is missing; `None` if it is not only a set:
    /// it may be a function whose header is written in another way.
    fn begin(&self, name: &str) -> Option<String> {
        let root = parse(&self.text).syntax();
        root.first_child()
            .filter(|module| module.kind() == NODE_ATTR_SET)?;
        let header = format!("{{ {}, ... }}:", self.missing(name).join(", "));
        Some(if self.is_inline {
            let line = self.line;
            let which = self.column().map_or_else(
                || format!("the {{ … }} of line {line}"),
                |column| format!("the {{ … }} at column {column} of line {line}"),
            );
            format!("write ({header} {{ … }}) instead of {which}")
        } else {
            format!("begin the file with the module's arguments: {header}")
        })
    }
}

/// Where the outputs of a flake have what modules get as the argument `name`.
fn in_outputs(error: &NixError, name: &str) -> Option<String> {
    let value = match name {
        "lib" => "nixpkgs.lib",
        "pkgs" => "nixpkgs.legacyPackages.aarch64-linux",
        _ => return None,
    };
    let line = whole_line(error, &format!(" {name}."), &format!(" {value}."));
    Some(format!("in the outputs of a flake write {value}{line}"))
}

/// Functions of `lib` that configurations use most.
const LIBRARY_FUNCTIONS: [&str; 12] = [
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkEnableOption",
    "mkForce",
    "mkIf",
    "mkMerge",
    "mkOption",
    "mkOverride",
    "optional",
    "optionals",
    "optionalString",
];

pub(super) fn library_function(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let position = error.position.as_ref()?;
    if !LIBRARY_FUNCTIONS.contains(&name) {
        return None;
    }
    let Some(module) = Module::find(context, position) else {
        return Some(format!("write nixpkgs.lib.{name}"));
    };
    let unbound = unbound_names(&module.text, &LIBRARY_FUNCTIONS);
    let others = unbound.into_iter().filter(|function| *function != name);
    let functions = [name].into_iter().chain(others);
    let functions: Vec<String> = functions
        .map(|function| format!("lib.{function}"))
        .collect();
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let write = format!("write {}", listed(&functions));
    let ask = match module.header() {
        Some(header) if header.has("lib") => None,
        Some(header) => Some(module.add_to(&header, "lib")),
        None => module.begin("lib"),
    };
    Some(match ask {
        Some(ask) => format!("{write}, and {ask}"),
        None => write,
    })
}

/// The attribute that `pkgs` lacks where the user's file has `pkgs.name`, and where that is.
fn missing_in_pkgs<'a>(
    context: &ExitContext<'_>,
    error: &'a NixError,
) -> Option<(&'a str, &'a Position)> {
    let is_missing = error.summary.ends_with("' missing");
    let name = quoted_after(&error.summary, "attribute").filter(|_| is_missing)?;
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let selection = text.get(position.offset(&text)?..)?;
    let behind = selection.strip_prefix("pkgs.")?.strip_prefix(name)?;
    let is_whole = !behind.starts_with(is_of_name);
    is_whole.then_some((name, position))
}

/// How to write the function of `lib` that the user's file takes for an attribute of `pkgs`: `pkgs.mkForce`.
pub(super) fn library_function_of_pkgs(
    context: &ExitContext<'_>,
    error: &NixError,
) -> Option<String> {
    let (name, position) = missing_in_pkgs(context, error)?;
    if !LIBRARY_FUNCTIONS.contains(&name) {
        return None;
    }
    let write = format!("{name} is a function of lib. Write lib.{name}");
    let module = Module::find(context, position);
    // A `let` may have it already.
    let module = module.filter(|module| !binds_anywhere(&module.file, "lib"));
    let add = module.as_ref().and_then(|module| {
        let header = module.header()?;
        Some(format!(", and {}", module.add_to(&header, "lib")))
    });
    Some(write + &add.unwrap_or_default())
}

/// What may be meant by `name`, which no package has and none is similar to.
fn other_package(findings: &Findings, name: &str) -> Option<String> {
    let package = findings.packages.without_ending(name)?;
    Some(similar_package(name, package))
}

/// How Docker is installed.
const DOCKER: &str =
    "Docker is a service, not only a package. Write virtualisation.docker.enable = true;";

/// What other systems have as a package, and what is in its place.
const NO_PACKAGES: [(&str, &str); 4] = [
    (
        "build-essential",
        "write gcc and gnumake, which are two packages in nixpkgs",
    ),
    ("docker-ce", DOCKER),
    ("docker-engine", DOCKER),
    (
        "raspi-config",
        "raspi-config is a program for Raspberry Pi OS. Use options of the configuration instead. The recipes in sdbuild's documentation show them",
    ),
];

/// What to write in place of `name`, which is no package, but a program, or a package of other systems; `set` is what is before it:
/// `pkgs.`, or nothing.
fn package_of_program(set: &str, name: &str) -> Option<String> {
    let is_other = |package: &&str| *package != name;
    if let Some(package) = package_called(name).filter(is_other) {
        return Some(format!("{name} is called {package} in nixpkgs"));
    }
    if let Some(hint) = python_packages::among_others(name) {
        return Some(hint);
    }
    if let Some((_, hint)) = NO_PACKAGES.iter().find(|(other, _)| *other == name) {
        return Some((*hint).to_owned());
    }
    let package = package_of(name).filter(is_other)?;
    Some(format!(
        "write {set}{package}, which has the program {name}"
    ))
}

/// What is meant by the package that nixpkgs does not have, and that the user's file writes as `pkgs.name`.
pub(super) fn missing_package_of_pkgs(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let (name, _) = missing_in_pkgs(context, error)?;
    let similar = || {
        let similar = findings.packages.similar(name)?;
        Some(similar_package(name, &similar))
    };
    package_of_program("pkgs.", name)
        .or_else(similar)
        .or_else(|| other_package(findings, name))
}

fn similar_package(name: &str, similar: &str) -> String {
    format!(
        "nixpkgs has no package {name}. Did you mean {similar}? Search for others: {SEARCH}{name}"
    )
}

pub(super) fn no_such_package(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let Position { file, line, column } = error.position.as_ref()?;
    if let Some(hint) = packages_of_branch(context, name, file) {
        return Some(hint);
    }
    let text = context.files?.text(file)?;
    if !is_in_with_pkgs(&text, *line, *column) {
        return None;
    }
    let position = error.position.as_ref()?;
    let at = || NameAt::find(&text, position);
    let operator = || misread::operator(&text, position, name, at().map(|at| at.role));
    let by_other_name = || packages(file, &text, name, &at()?, position);
    let of_flake = || input_among_packages(context, file, &text, (name, at().as_ref()));
    let known = operator()
        .or_else(|| package_of_program("", name))
        .or_else(by_other_name);
    if let Some(hint) = known.or_else(of_flake) {
        return Some(hint);
    }
    let similar = findings.packages.similar(name);
    if let Some(argument) = similar.as_deref().filter(|name| ARGUMENTS.contains(name)) {
        return Some(format!("write {argument} instead of {name}"));
    }
    let similar = similar.map(|similar| similar_package(name, &similar));
    let other = similar.or_else(|| other_package(findings, name));
    Some(
        other.unwrap_or_else(|| {
            format!("nixpkgs has no package {name}. Find its name: {SEARCH}{name}")
        }),
    )
}
