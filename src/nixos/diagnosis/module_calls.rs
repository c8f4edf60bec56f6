//! Modules that are called with other arguments than they take, and recursion through those arguments.

use rnix::SyntaxKind::NODE_LIST;

use super::called_values;
use super::evidence::ExitContext;
use super::module_arguments::{ARGUMENTS, Header, imports_line};
use super::names::{is_name, quoted_after};
use super::overlays;
use super::own_functions::{called_file, called_set, wrong_argument};
use super::recursive_option;
use super::recursive_variable;
use super::scopes::with_argument;
use super::second_set::SecondSet;
use super::written_values;
use super::written_values::DefinedValue;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake::InputNames;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use crate::nixos::user_files::path_from;
use sdbuild_core::nearest::is_slip;

/// Arguments by which a file shows that it is a package.
const OF_PACKAGES: [&str; 9] = [
    "buildGoModule",
    "buildPythonPackage",
    "fetchFromGitHub",
    "fetchurl",
    "mkDerivation",
    "python3Packages",
    "rustPlatform",
    "stdenv",
    "stdenvNoCC",
];

pub(super) fn unknown_argument(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "attribute")?;
    if let Some(argument) = argument_without_braces(context, error) {
        return Some(format!(
            "a module begins with {{ {argument}, ... }}:, not with {argument}:"
        ));
    }
    let (argument, file) = module_argument(&error.text)?;
    let is_missing = error.summary.ends_with("' missing") && argument == name;
    is_missing.then(|| not_passed(context, name, file))
}

/// The name of the argument of a module that begins with `pkgs:` or `lib:`, and gets a set with all arguments.
fn argument_without_braces(context: &ExitContext<'_>, error: &NixError) -> Option<&'static str> {
    let position = error
        .position
        .as_ref()
        .filter(|_| error.summary.ends_with("' missing"))?;
    // Another file may be a function of packages.
    let is_configuration = shown_file(context, &position.file) == context.source;
    let text = context
        .files
        .filter(|_| is_configuration)?
        .text(&position.file)?;
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let name = first.split_once(':')?.0.trim();
    ARGUMENTS.into_iter().find(|argument| *argument == name)
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

/// What to do where the module in `file` asks for an `argument` that modules do not get.
fn not_passed(context: &ExitContext<'_>, argument: &str, file: &str) -> String {
    let file = shown_file(context, file);
    if let Some(known) = ARGUMENTS.into_iter().find(|known| is_slip(argument, known)) {
        return format!("{file} asks for the argument {argument}. Did you mean {known}?");
    }
    if context.is_flake {
        // Of a module that is written in `flake.nix`, Nix does not know the file.
        let module = if file.starts_with('<') {
            "a module"
        } else {
            &file
        };
        let flake = format!("{CONFIG_DIR}{FLAKE_FILE}");
        let flake = context.files.and_then(|files| files.text(&flake));
        let special_args = special_args(&flake.unwrap_or_default(), argument);
        return format!(
            "{module} asks for the argument {argument}. In {FLAKE_FILE}, {special_args}"
        );
    }
    format!(
        "{file} asks for the argument {argument}, which only a flake passes (specialArgs). Here modules get only {}. \
         Import what it is for by its path, or with builtins.fetchTarball",
        ARGUMENTS.join(", ")
    )
}

/// The same where the imports of the module need the argument, which Nix reports as a recursion.
fn needed_by_imports(context: &ExitContext<'_>, argument: &str, file: &str) -> String {
    let hint = not_passed(context, argument, file);
    let text = |file: &str| context.files.filter(|_| context.is_flake)?.text(file);
    let module = text(file);
    let line = module.as_deref().and_then(Header::find);
    let Some(Header { line, .. }) = line else {
        return hint;
    };
    let shown = shown_file(context, file);
    let asks = format!("{shown} asks for the argument {argument}. ");
    let why = format!(
        "{shown}:{line} asks for the argument {argument}, which nothing passes to it, and its imports need it: that is the \
         recursion. "
    );
    let flake = text(&format!("{CONFIG_DIR}{FLAKE_FILE}")).unwrap_or_default();
    let at = |found: Vec<DefinedValue>| match found.as_slice() {
        [only] => format!(" in line {}", only.line),
        _ => String::new(),
    };
    let outputs = at(written_values::values_of(&flake, "outputs"));
    let modules = at(written_values::arguments(
        &flake,
        "nixosSystem",
        "modules",
        &[NODE_LIST],
    ));
    hint.replacen(&asks, &why, 1)
        .replacen(
            "begin the outputs",
            &format!("begin the outputs{outputs}"),
            1,
        )
        .replacen("modules = …", &format!("modules = …{modules}"), 1)
}

/// How the `flake.nix` with the text `flake` passes `argument` to modules.
fn special_args(flake: &str, argument: &str) -> String {
    let names = InputNames::read(flake);
    let write = |passed: &str| format!("write specialArgs = {{ {passed}; }}; next to modules = …");
    if argument != "inputs" {
        return write(&format!("inherit {argument}"));
    }
    match &names.all {
        Some(all) if all == argument => write("inherit inputs"),
        Some(all) => write(&format!("inputs = {all}")),
        None => {
            let outputs = written_values::values_of(flake, "outputs");
            let header = outputs.first().map(|outputs| outputs.written.as_str());
            let header = header
                .and_then(Header::find)
                .and_then(|header| header.with(&[]));
            let header = header.unwrap_or_else(|| "{ … }:".to_owned());
            let begin = format!("outputs = {}@inputs:", header.trim_end_matches(':'));
            format!(
                "begin the outputs with {begin} and {}",
                write("inherit inputs")
            )
        }
    }
}

pub(super) fn no_ellipsis(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let of_function = wrong_argument(context, error).or_else(|| called_file(context, error));
    if let Some(hint) = of_function {
        return Some(hint);
    }
    let is_call = error.summary.contains("called with unexpected argument");
    let Position { file, line, .. } = error.position.as_ref().filter(|_| is_call)?;
    let text = context.files.and_then(|files| files.text(file));
    if text.as_deref().is_some_and(|text| text.contains("mkShell")) {
        return Some(
            "that is a shell for nix-shell, not a configuration. `sdbuild init` in an empty directory writes one"
                .to_owned(),
        );
    }
    if text.as_deref().is_some_and(is_package) {
        let below = file.strip_prefix(CONFIG_DIR)?;
        let named = context.files.and_then(|files| files.naming(file));
        let (place, importing) = named.map_or_else(Default::default, |it| (it.place, it.text));
        let path = path_from(&place, below);
        let remove = place.rsplit_once(':').map_or_else(
            || "Remove".to_owned(),
            |(file, _)| format!("In {}{file}, remove", context.shown_dir),
        );
        let hint = format!(
            "{below} is a package, not a module. {remove} it from imports, and write environment.systemPackages = [ \
             (pkgs.callPackage {path} {{ }}) ];"
        );
        return Some(with_argument(&importing, hint, "pkgs"));
    }
    file.starts_with(CONFIG_DIR).then(|| {
        let header = text.as_deref().and_then(Header::find);
        // Another function of the file may be the one that is called.
        let header = header.filter(|header| u64::try_from(header.line) == Ok(*line));
        let change = match header.and_then(|header| header.with(&[])) {
            Some(header) => format!("Write {header} in line {line}"),
            None => format!("End the {{ … }}: of line {line} with `, ...`"),
        };
        format!("a module gets more arguments than it names. {change}")
    })
}

/// Whether the file `text` has an argument that packages get, and modules do not.
fn is_package(text: &str) -> bool {
    let header = Header::find(text);
    header.is_some_and(|header| OF_PACKAGES.into_iter().any(|name| header.has(name)))
}

/// What to write in place of `"""`, of which Nix reads the first two as an empty string.
const THREE_QUOTES: &str =
    "a string of several lines begins and ends with `''`, not with three double quotes";

/// Whether `"""` is at `position` of `text`.
fn has_three_quotes(text: &str, position: &Position) -> bool {
    let here = position.offset(text).and_then(|start| text.get(start..));
    here.is_some_and(|here| here.starts_with("\"\"\""))
}

/// What to write in place of the list that `withPackages` is given: Nix calls it where nixpkgs is.
fn list_for_function(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_list = error.summary.contains("not a function but a list");
    let (place, list) = context.files.filter(|_| is_list)?.only_place(|text| {
        let lists = written_values::given_to(text, "withPackages", &[NODE_LIST]);
        let lists = lists.into_iter().map(|list| (list.line, list.written));
        lists.collect()
    })?;
    let elements = written_values::elements_of(&list)?;
    let names = elements
        .iter()
        .filter_map(|element| element.rsplit('.').next())
        .map(|name| format!("ps.{name}"));
    let names: Vec<String> = names.collect();
    Some(format!(
        "{}{place}: withPackages takes a function: withPackages (ps: [ {} ])",
        context.shown_dir,
        names.join(" ")
    ))
}

pub(super) fn not_a_function(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_call = error
        .summary
        .starts_with("attempt to call something which is not a function");
    if let Some(hint) = list_for_function(context, error).filter(|_| is_call) {
        return Some(hint);
    }
    let position = error.position.as_ref().filter(|_| is_call)?;
    let Position { file, .. } = position;
    let text = context.files.and_then(|files| files.text(file));
    if text
        .as_deref()
        .is_some_and(|text| has_three_quotes(text, position))
    {
        return Some(THREE_QUOTES.to_owned());
    }
    let list = text
        .as_deref()
        .and_then(|text| called_values::hint(text, position));
    if list.is_some() {
        return list;
    }
    if let Some(second) = text.as_deref().and_then(SecondSet::called) {
        return Some(second.hint());
    }
    let is_set = error.summary.contains("but a set") && !error.summary.contains("_type = \"");
    let of_set = text.as_deref().filter(|_| is_set);
    if let Some(hint) = of_set.and_then(|text| called_set(text, position)) {
        return Some(hint);
    }
    let hint = if error.summary.contains("but a float") {
        "put the address in double quotes"
    } else if error.summary.contains("_type = \"") {
        "lib.mkForce and its like take one value, and lib.mkIf takes a condition and one value. Remove what is too \
         much, or put what belongs together in parentheses"
    } else {
        "what is before the argument is not a function. Put several values into a list, [ a b ], and join two lists \
         with ++"
    };
    file.starts_with(CONFIG_DIR).then(|| hint.to_owned())
}

pub(super) fn recursion(context: &ExitContext<'_>, error: &NixError) -> String {
    // Before the trace: it may pass through the imports of a module that is not to blame.
    let by_itself =
        recursive_option::hint(context).or_else(|| recursive_variable::hint(context, error));
    if let Some(hint) = by_itself {
        return hint;
    }
    match module_argument(&error.text) {
        Some(("pkgs", file)) => {
            let made_with = overlays::with_pkgs(context);
            let made_with = made_with.filter(|_| !imports_use_pkgs(context, file));
            made_with.unwrap_or_else(|| {
                format!(
                    "the imports in {} use pkgs, which exists only once all imports are known. Name the file by \
                     modulesPath, <nixpkgs/…> or builtins.fetchTarball instead",
                    shown_imports(context, file)
                )
            })
        }
        Some(("config" | "options", file)) => format!(
            "the imports in {} depend on config, which exists only once all imports are known. Import it always, and \
             use lib.mkIf inside it",
            shown_imports(context, file)
        ),
        Some((argument, file)) => needed_by_imports(context, argument, file),
        None if is_defined_by_itself(context, error) => {
            "a configuration is defined by itself. Write nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { … };"
                .to_owned()
        }
        None => "an option is defined by its own value. Look for a definition that reads config.… of the same option. \
         lib.mkForce, lib.mkBefore and lib.mkAfter change a value without reading it"
            .to_owned(),
    }
}

/// Whether the imports in the builder's `file` may use `pkgs`: those of a file that is not the user's are not known.
fn imports_use_pkgs(context: &ExitContext<'_>, file: &str) -> bool {
    let text = context.files.and_then(|files| files.text(file));
    text.is_none_or(|text| {
        let imports = written_values::values_of(&text, "imports");
        imports.iter().any(|value| value.written.contains("pkgs"))
    })
}

/// Whether the flake at the place of `error` has a definition `x = self.x`.
fn is_defined_by_itself(context: &ExitContext<'_>, error: &NixError) -> bool {
    let place = error.position.as_ref().filter(|_| context.is_flake);
    let text = place.and_then(|place| context.files?.text(&place.file));
    text.is_some_and(|text| !written_values::defined_by_themselves(&text).is_empty())
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
