//! Mistakes in a configuration that Nix's message alone does not explain: they are seen in its trace, or in the user's file.

use std::ffi::OsStr;
use std::path::Path;

use super::definitions::{conflict, defined_by_image, wrong_type};
use super::evidence::{ExitContext, Findings};
use super::flake_source::{
    missing_output_hint, no_outputs_hint, outputs_hint, wrong_attribute_hint,
};
use super::image_module::import_hint;
use super::module_arguments::{Header, imports_line, is_in_with_pkgs};
use super::names::{is_name, quoted_after};
use super::nixpkgs_file;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::layout::{CONFIG_DIR, HOME_OF_NIX};
use crate::nixos::log::{NixError, Position};

/// A mistake. `docs/errors.md` lists every variant by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Options of the image, without the modules that define it.
    NoImageModule,
    /// `pkgs`, `lib` or another argument of modules that the file does not ask for.
    ArgumentNotAskedFor,
    /// A name inside `with pkgs;` that no package has.
    NoSuchPackage,
    /// A module argument that no caller passes.
    UnknownArgument,
    /// A module that takes only some arguments, without `...`.
    NoEllipsis,
    /// `imports` that depend on what they define, or an option defined by itself.
    InfiniteRecursion,
    /// `<name>` of something else than nixpkgs.
    NotInSearchPath,
    /// A value of another type than the option's.
    WrongType,
    /// An option that the image sets, as `fileSystems."/"`.
    DefinedByImage,
    /// An option that two files set to different values.
    Conflict,
    /// A function of `lib`, written without `lib.`.
    LibraryFunction,
    /// A path in quotes.
    QuotedPath,
    /// A path in place of a list, in `imports` or `modules`.
    ImportsWithoutList,
    /// A file in `imports` that is not a module.
    NotAModule,
    /// An attribute that is defined twice in one file.
    DefinedTwice,
    /// A file that the builder does not have.
    FileNotSent,
    /// An output or a configuration that the flake does not have.
    NoSuchOutput,
    /// A text that is not UTF-8.
    OtherEncoding,
}

impl Mistake {
    /// All variants, in the order in which they are tried.
    pub(super) const ALL: [Self; 18] = [
        Self::NoImageModule,
        Self::ArgumentNotAskedFor,
        Self::LibraryFunction,
        Self::NoSuchPackage,
        Self::UnknownArgument,
        Self::NoEllipsis,
        Self::InfiniteRecursion,
        Self::NotInSearchPath,
        Self::WrongType,
        Self::DefinedByImage,
        Self::Conflict,
        Self::QuotedPath,
        Self::ImportsWithoutList,
        Self::NotAModule,
        Self::DefinedTwice,
        Self::FileNotSent,
        Self::NoSuchOutput,
        Self::OtherEncoding,
    ];

    /// The mistake that `error` shows, and what to do about it.
    pub(super) fn find(
        context: &ExitContext<'_>,
        findings: &Findings,
        error: &NixError,
    ) -> Option<(Self, String)> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|mistake| Some((mistake, mistake.hint(context, findings, error)?)))
    }

    /// Whether the place that Nix reports is inside nixpkgs and says nothing about the mistake.
    pub(super) fn is_reported_elsewhere(self) -> bool {
        matches!(self, Self::InfiniteRecursion | Self::UnknownArgument)
    }

    fn hint(
        self,
        context: &ExitContext<'_>,
        findings: &Findings,
        error: &NixError,
    ) -> Option<String> {
        let summary = error.summary.as_str();
        match self {
            Self::NoImageModule => {
                let options = [
                    "The option `sdImage' does not exist",
                    "The option `image.fileName' does not exist",
                ];
                let is_missing = options.iter().any(|option| summary.starts_with(option));
                is_missing.then(|| import_hint(context, summary))
            }
            Self::ArgumentNotAskedFor => argument_not_asked_for(context, error),
            Self::NoSuchPackage => no_such_package(context, findings, error),
            Self::UnknownArgument => unknown_argument(context, error),
            Self::NoEllipsis => outputs_hint(context, error).or_else(|| no_ellipsis(error)),
            Self::InfiniteRecursion => {
                let is_recursion = summary.starts_with("infinite recursion encountered");
                is_recursion.then(|| recursion(context, error))
            }
            Self::NotInSearchPath => not_in_search_path(context, summary),
            Self::WrongType => wrong_type(summary),
            Self::DefinedByImage => defined_by_image(summary),
            Self::Conflict => conflict(summary),
            Self::LibraryFunction => library_function(context, error),
            Self::QuotedPath => summary
                .ends_with("doesn't represent an absolute path")
                .then(|| {
                    "a path is written without quotes: write ./FILE.nix, or <nixpkgs/…>".to_owned()
                }),
            Self::ImportsWithoutList => imports_without_list(context, summary),
            Self::NotAModule => summary
                .contains("is neither a path, a function nor an attribute set")
                .then(|| "a module is a set: { pkgs, ... }: { … }".to_owned()),
            Self::DefinedTwice => defined_twice(context, error),
            Self::FileNotSent => {
                let path = missing_path(summary)?;
                Some(context.files?.why_absent(path))
            }
            Self::NoSuchOutput => missing_output_hint(summary)
                .or_else(|| no_outputs_hint(context, summary))
                .or_else(|| wrong_attribute_hint(summary)),
            Self::OtherEncoding => other_encoding(context, summary),
        }
    }
}

/// What every module may ask for.
pub(super) const ARGUMENTS: [&str; 5] = ["pkgs", "lib", "config", "options", "modulesPath"];

fn argument_not_asked_for(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let position = error.position.as_ref();
    let file = &position.filter(|_| ARGUMENTS.contains(&name))?.file;
    if Path::new(file).file_name() == Some(OsStr::new(FLAKE_FILE)) {
        return in_outputs(name);
    }
    let text = context.files.and_then(|files| files.text(file));
    Some(match text.as_deref().and_then(Header::find) {
        Some(header) if header.has("...") => {
            format!("add {name} to the {{ … }}: of line {}", header.line)
        }
        // Without them the next error would be about the arguments that it does not name.
        Some(header) => format!("add {name} and ... to the {{ … }}: of line {}", header.line),
        None => format!("a module begins with its arguments: {{ {name}, ... }}:"),
    })
}

fn defined_twice(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let place = error.summary.split_once("' already defined at ")?.1;
    let first: u64 = place.rsplit(':').nth(1)?.parse().ok()?;
    let second = error.position.as_ref()?.line;
    if first == second {
        return Some(format!("keep one of the two definitions in line {first}"));
    }
    let hint = whole_and_part(context, error, [first, second]);
    Some(hint.unwrap_or_else(|| format!("keep one of the lines {first} and {second}")))
}

fn other_encoding(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let is_reported = summary.contains("invalid UTF-8 byte");
    let place = context.files?.place_that_is_not_utf_8();
    let place = place.filter(|_| is_reported)?;
    Some(format!(
        "{}{place} is not UTF-8: save the file in that encoding",
        context.shown_dir
    ))
}

/// What to do about an attribute of which one of two `lines` sets all, and the other a part.
fn whole_and_part(context: &ExitContext<'_>, error: &NixError, lines: [u64; 2]) -> Option<String> {
    let name = quoted_after(&error.summary, "attribute")?;
    let text = context.files?.text(&error.position.as_ref()?.file)?;
    let part = format!("{name}.");
    let has_part = |line: u64| {
        let mut numbered = (1..).zip(text.lines());
        numbered.any(|(number, text)| number == line && text.trim_start().starts_with(&part))
    };
    let [whole, part] = match lines.map(has_part) {
        [false, true] => lines,
        [true, false] => [lines[1], lines[0]],
        _ => return None,
    };
    Some(format!(
        "line {whole} sets all of {name}, and line {part} a part of it: set only parts, such as {name}.enable = true;"
    ))
}

fn imports_without_list(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let path = summary.strip_prefix("expected a list but found a path: ")?;
    let (place, attribute, written) = context.files?.place_of_path(path)?;
    Some(format!(
        "{}{place}: {attribute} is a list: {attribute} = [ {written} ];",
        context.shown_dir
    ))
}

/// Where the outputs of a flake have what modules get as the argument `name`.
fn in_outputs(name: &str) -> Option<String> {
    let value = match name {
        "lib" => "nixpkgs.lib",
        "pkgs" => "nixpkgs.legacyPackages.aarch64-linux",
        _ => return None,
    };
    Some(format!("in the outputs of a flake write {value}"))
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

fn library_function(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let file = &error.position.as_ref()?.file;
    let is_known = LIBRARY_FUNCTIONS.contains(&name);
    let text = context
        .files
        .filter(|_| is_known)
        .and_then(|files| files.text(file));
    let header = text.as_deref().and_then(Header::find);
    is_known.then(|| match header {
        Some(header) => format!(
            "write lib.{name}, and lib in the {{ … }}: of line {} if it is not there",
            header.line
        ),
        None => format!("write lib.{name}, and begin the file with {{ lib, ... }}:"),
    })
}

fn no_such_package(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let Position { file, line, column } = error.position.as_ref()?;
    let text = context.files?.text(file)?;
    if !is_in_with_pkgs(&text, *line, *column) {
        return None;
    }
    let search = format!("https://search.nixos.org/packages?query={name}");
    Some(match findings.packages.similar(name) {
        Some(similar) => {
            format!(
                "nixpkgs has no package {name}: did you mean {similar}? Search for others: {search}"
            )
        }
        None => format!("nixpkgs has no package {name}; find its name: {search}"),
    })
}

fn unknown_argument(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "attribute")?;
    let (argument, file) = module_argument(&error.text)?;
    let is_missing = error.summary.ends_with("' missing") && argument == name;
    is_missing.then(|| not_passed(name, &shown_file(context, file)))
}

/// The last module argument in a trace, and the file of the module. The lines of nixpkgs around the place may have the
/// same words, but no name in them.
fn module_argument(trace: &str) -> Option<(&str, &str)> {
    let frames = trace
        .split("while evaluating the module argument `")
        .skip(1);
    let named = frames.filter_map(|frame| {
        let (argument, rest) = frame.split_once('\'')?;
        let file = rest.split('"').nth(1)?;
        is_name(argument).then_some((argument, file))
    });
    named.last()
}

fn shown_file(context: &ExitContext<'_>, file: &str) -> String {
    file.replace(CONFIG_DIR, context.shown_dir)
}

fn not_passed(argument: &str, file: &str) -> String {
    format!(
        "{file} asks for the argument {argument}, which a flake would pass in specialArgs; here modules get only {}: import what \
         it is for by its path, or by builtins.fetchTarball",
        ARGUMENTS.join(", ")
    )
}

fn no_ellipsis(error: &NixError) -> Option<String> {
    let is_call = error.summary.contains("called with unexpected argument");
    let Position { file, line, .. } = error.position.as_ref().filter(|_| is_call)?;
    file.starts_with(CONFIG_DIR).then(|| {
        format!("a module gets more arguments than it names: end the {{ … }}: of line {line} with `, ...`")
    })
}

fn recursion(context: &ExitContext<'_>, error: &NixError) -> String {
    match module_argument(&error.text) {
        Some(("pkgs", file)) => format!(
            "the imports in {} use pkgs, which exists only once all imports are known: name the file by modulesPath, \
             <nixpkgs/…> or builtins.fetchTarball instead",
            shown_imports(context, file)
        ),
        Some(("config" | "options", file)) => format!(
            "the imports in {} depend on config, which exists only once all imports are known: import it always, and use \
             lib.mkIf inside it",
            shown_imports(context, file)
        ),
        Some((argument, file)) => not_passed(argument, &shown_file(context, file)),
        None => "an option is defined by its own value: look for config.… of an option in the definition of the same \
                 option; lib.mkForce, lib.mkBefore and lib.mkAfter change a value without reading it"
            .to_owned(),
    }
}

/// The file of the builder as the user knows it, with the line of its imports.
fn shown_imports(context: &ExitContext<'_>, file: &str) -> String {
    let shown = shown_file(context, file);
    let text = context.files.and_then(|files| files.text(file));
    match text.as_deref().and_then(imports_line) {
        Some(line) => format!("{shown}:{line}"),
        None => shown,
    }
}

/// Repositories that instructions name by `<…>`, where a channel would have been added.
const CHANNELS: [(&str, &str); 5] = [
    ("nixos-hardware", "NixOS/nixos-hardware"),
    ("home-manager", "nix-community/home-manager"),
    ("agenix", "ryantm/agenix"),
    ("sops-nix", "Mic92/sops-nix"),
    ("disko", "nix-community/disko"),
];

fn not_in_search_path(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (path, _) = summary
        .strip_prefix("file '")?
        .split_once("' was not found in the Nix search path")?;
    if path.starts_with("nixpkgs/") {
        return Some(nixpkgs_file::hint(context, summary));
    }
    let (channel, rest) = path
        .split_once('/')
        .map_or((path, ""), |(channel, rest)| (channel, rest));
    let known = CHANNELS.iter().find(|(name, _)| *name == channel);
    Some(match known.filter(|_| rest.is_empty() || is_name(rest)) {
        Some((_, repository)) => {
            let below = if rest.is_empty() { String::new() } else { format!(" + \"/{rest}\"") };
            format!(
                "only <nixpkgs> exists here; write (builtins.fetchTarball \
                 \"https://github.com/{repository}/archive/master.tar.gz\"{below}) in place of <{channel}{}{rest}>",
                if rest.is_empty() { "" } else { "/" }
            )
        }
        None => "only <nixpkgs> exists here: name a file by its path, or fetch it with builtins.fetchTarball".to_owned(),
    })
}

/// The path in a message about a file that does not exist, unless it is in the Nix store.
fn missing_path(summary: &str) -> Option<&str> {
    let by_path = summary
        .strip_prefix("path '")
        .and_then(|rest| rest.split_once("' does not exist"));
    let by_open = summary
        .strip_prefix("opening file '")
        .and_then(|rest| rest.split_once("': No such file"));
    let by_status = summary
        .strip_prefix("getting status of '")
        .and_then(|rest| rest.split_once("': "));
    let (path, _) = by_path.or(by_open).or(by_status)?;
    let is_home = path.starts_with(HOME_OF_NIX);
    let is_users = path.starts_with('/') && !path.starts_with("/nix/") && !path.starts_with("//");
    (is_users || is_home).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::missing_path;

    /// As Nix reports them.
    #[test]
    fn the_users_files_are_found_in_messages() {
        for (summary, path) in [
            (
                "opening file '/nix/var/sdbuild/home/.ssh/id_ed25519.pub': No such file or directory",
                Some("/nix/var/sdbuild/home/.ssh/id_ed25519.pub"),
            ),
            (
                "getting status of '/root/.ssh': Permission denied",
                Some("/root/.ssh"),
            ),
            (
                "path '/home/me/x.nix' does not exist",
                Some("/home/me/x.nix"),
            ),
            ("getting status of '/nix/store/x': No such file", None),
            ("path '//lib' does not exist", None),
        ] {
            assert_eq!(missing_path(summary), path, "{summary}");
        }
    }
}
