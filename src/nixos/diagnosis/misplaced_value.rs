//! Values of the wrong kind that Nix reports without their place: a string or a list that is where something else is expected.

use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_STRING};

use super::evidence::ExitContext;
use super::meant_paths::{file, quoted_path};
use super::names::is_name;
use super::scopes::with_argument;
use super::set_members;
use super::source_lines;
use super::switches;
use super::unquoted_name::is_list_of_packages;
use super::written_sums;
use super::written_values;
use super::written_values::DefinedValue;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use sdbuild_core::system::System;
use sdbuild_image::board::ONLY_64_BIT;

/// What Nix says of a list in place of a string, which `+` makes of it too.
const LIST_AS_STRING: &str = "cannot coerce a list to a string: [";

/// How `mkIf` is called.
const CONDITION_FIRST: &str = "mkIf takes a condition before the value: lib.mkIf CONDITION { … }";

/// The mistake in a message of Nix.
enum Misplaced<'a> {
    /// The string is a path that is written in quotes.
    QuotedPath(&'a str),
    /// The path is in place of a list.
    PathForList(&'a str),
    /// The string is in place of a list.
    StringForList(&'a str),
    /// What `lib.mkDefault` and the like give is in a sum: they are called before `+` and `++`.
    ModifierInSum,
    /// The string `true` or `false` is in place of the value of that name.
    StringForBoolean(&'a str),
    /// A set is in place of the condition of `mkIf`.
    SetForCondition,
    /// A package is in place of a list, after `++`.
    PackageForList,
    /// The string is in place of a set.
    StringForSet(&'a str),
    /// The option, which has options of its own, has a value.
    ValueForOptions(&'a str),
    /// A list is in place of a string.
    ListForString,
    /// The number is in place of a string.
    NumberForString(&'a str),
    /// A package is in place of a kernel with its modules.
    PackageForKernel,
    /// A function and its argument are two elements of a list of modules.
    FunctionForModule,
    /// The string is no name of a system.
    OtherSystem(&'a str),
    /// Something has to be built for the system, which no builder builds for.
    RequiredSystem(&'a str),
}

/// A value in the user's files.
struct Written {
    /// Its file and line, as `sd-card.nix:4`.
    place: String,
    /// The text of the file.
    text: String,
    value: DefinedValue,
}

/// What to write in place of a value.
struct Correction {
    told: String,
    /// The module argument that it uses and the user's file may lack.
    argument: Option<&'static str>,
}

impl<'a> Misplaced<'a> {
    fn find(summary: &'a str) -> Option<Self> {
        let string = |prefix: &str| summary.strip_prefix(prefix)?.strip_suffix('"');
        let quoted_path = || {
            let path = summary.strip_prefix("string '")?;
            path.strip_suffix("' doesn't represent an absolute path")
        };
        let option = || {
            let by_path = summary.strip_prefix("The option path `");
            let by_type = summary.split_once("rather than an attribute set for the option\n`");
            let rest = by_path.or(by_type.map(|(_, rest)| rest))?;
            Some(rest.split_once('\'')?.0)
        };
        let boolean = || {
            let found = string("expected a Boolean but found a string: \"");
            found.filter(|text| ["true", "false"].contains(text))
        };
        let is_set = || summary.starts_with("expected a Boolean but found a set: {");
        let is_package = || {
            summary.starts_with("expected a list but found a set: {")
                && summary.contains(" type = \"derivation\";")
        };
        let path = || summary.strip_prefix("expected a list but found a path: ");
        let is_list = || summary.starts_with(LIST_AS_STRING);
        let number = || summary.strip_prefix("cannot coerce an integer to a string: ");
        let is_kernel = || summary == "attribute 'kernel' missing";
        // The arguments of a module.
        let is_function = || {
            let is_set = summary.starts_with("cannot coerce a set to a string: {");
            is_set && summary.contains(" config = ") && summary.contains(" lib = ")
        };
        let processor = || summary.strip_prefix("Unknown CPU type: ");
        let system = || summary.strip_prefix("system string '")?.split('\'').next();
        let required = || {
            let named = summary.split_once(" is required to build ");
            let named = named.and_then(|(before, _)| before.rsplit_once("a '"));
            let (_, rest) = named.or_else(|| summary.split_once("Required system: '"))?;
            let system = rest.split('\'').next()?;
            system.parse::<System>().is_err().then_some(system)
        };
        quoted_path()
            .map(Self::QuotedPath)
            .or_else(|| path().map(Self::PathForList))
            .or_else(|| string_for_list(summary).map(Self::StringForList))
            .or_else(|| written_sums::found_modifier_result(summary).then_some(Self::ModifierInSum))
            .or_else(|| boolean().map(Self::StringForBoolean))
            .or_else(|| is_set().then_some(Self::SetForCondition))
            .or_else(|| is_package().then_some(Self::PackageForList))
            .or_else(|| string("expected a set but found a string: \"").map(Self::StringForSet))
            .or_else(|| option().map(Self::ValueForOptions))
            .or_else(|| is_list().then_some(Self::ListForString))
            .or_else(|| number().map(Self::NumberForString))
            .or_else(|| is_kernel().then_some(Self::PackageForKernel))
            .or_else(|| is_function().then_some(Self::FunctionForModule))
            .or_else(|| system().or_else(processor).map(Self::OtherSystem))
            .or_else(|| required().map(Self::RequiredSystem))
    }

    /// What to write in place of the value at `written`; `None` if that is not certain.
    fn correction(&self, written: Option<&DefinedValue>) -> Option<Correction> {
        let defines = written.map_or("", |value| &value.defines);
        let attribute = defines.rsplit('.').next().unwrap_or_default();
        let is_list_of_files = ["imports", "modules"].contains(&attribute);
        if let Some((argument, told)) = self.using_an_argument(written) {
            let argument = Some(argument);
            return Some(Correction { told, argument });
        }
        let told = match self {
            Self::QuotedPath(string) => quoted_path(string),
            Self::PathForList(_) | Self::StringForList(_) if is_list_of_files => {
                let file = file(&written?.written)?;
                format!("{attribute} is a list: {attribute} = [ {file} ];")
            }
            Self::StringForBoolean(value) => {
                written?;
                format!("write the value without quotes: {defines} = {value};")
            }
            Self::SetForCondition => written.map(|_| CONDITION_FIRST.to_owned())?,
            Self::PackageForList => {
                format!("`++` joins two lists. Write ++ [ {} ]", written?.written)
            }
            // The path of the builder says nothing to the user.
            Self::PathForList(_) | Self::PackageForKernel => return None,
            Self::StringForList(_) if written?.is_joined => "join two strings with `+`".to_owned(),
            Self::StringForList(string) => format!("write a list: [ \"{string}\" ]"),
            Self::ModifierInSum => written_sums::in_parentheses(&written?.written)?,
            Self::StringForSet(_) => {
                written?;
                "write a set: { … }".to_owned()
            }
            Self::ValueForOptions(option) if option.ends_with(".authorizedKeys") => {
                format!("write the keys as the list {option}.keys = [ \"ssh-ed25519 …\" ];")
            }
            Self::ValueForOptions(option) => {
                value_for_options(option, written.map(|value| value.written.as_str()))
            }
            Self::NumberForString(number) => number_as_string(number, written),
            Self::FunctionForModule => {
                let file = &written?.written;
                format!("a module in a list is only its path. Write {file} without `import`")
            }
            Self::OtherSystem(name) => system(name, written),
            // A derivation of another system may be one for a remote builder.
            Self::RequiredSystem(_) if !defines.starts_with("nixpkgs.") => return None,
            Self::RequiredSystem(_) => format!("{ONLY_64_BIT}: {defines} = \"aarch64-linux\";"),
            Self::ListForString if written.is_some() => "join two lists with `++`".to_owned(),
            Self::ListForString => {
                "make a string of a list with lib.concatStringsSep \" \" [ … ]".to_owned()
            }
        };
        let argument = None;
        Some(Correction { told, argument })
    }

    /// A correction that uses an argument of modules, with the name of that.
    fn using_an_argument(&self, written: Option<&DefinedValue>) -> Option<(&'static str, String)> {
        if let Self::QuotedPath(string) = self {
            let is_of_nixos = string.starts_with("installer/");
            return is_of_nixos.then(|| {
                let told = format!(
                    "the modules of NixOS are in modulesPath. Write \"${{modulesPath}}/{string}\""
                );
                ("modulesPath", told)
            });
        }
        let DefinedValue {
            defines, is_joined, ..
        } = written?;
        let attribute = defines.rsplit('.').next().unwrap_or_default();
        let is_set_missing = matches!(self, Self::StringForSet(_));
        let is_kernel = is_set_missing && attribute == "kernelPackages"
            || matches!(self, Self::PackageForKernel);
        if is_kernel {
            let told = format!(
                "a kernel and its modules are a set of packages: {defines} = pkgs.linuxPackages_latest;"
            );
            return Some(("pkgs", told));
        }
        let Self::StringForList(string) = self else {
            return None;
        };
        let is_package = !is_joined && is_list_of_packages(attribute) && is_name(string);
        is_package.then(|| ("pkgs", format!("write a list: [ pkgs.{string} ]")))
    }

    /// The value, if the user's files have only one that can be meant.
    fn written(&self, context: &ExitContext<'_>) -> Option<Written> {
        let find = |text: &str| match self {
            Self::StringForList(string) => {
                let found = [
                    written_sums::joined_strings(text, string),
                    // The string may be the value of an option that is named there.
                    written_sums::before_joined_strings(text),
                    written_values::strings(text, string),
                    written_values::imports_ending_like(text, string),
                ];
                let mut found = found.into_iter();
                found.find(|found| !found.is_empty()).unwrap_or_default()
            }
            Self::ModifierInSum => written_sums::sums_of_modifiers(text),
            Self::StringForBoolean(string) => written_values::whole_strings(text, string),
            Self::SetForCondition => written_values::given_to(text, "mkIf", &[NODE_ATTR_SET]),
            Self::PackageForList => written_values::joined_packages(text),
            Self::QuotedPath(string) | Self::StringForSet(string) => {
                written_values::strings(text, string)
            }
            Self::OtherSystem(name) => {
                // Of a system, Nix may name only the part before the `-`.
                written_values::all(text, |node| {
                    let written = node.text().to_string();
                    let system = written.trim_matches('"');
                    let is_known = || System::by_other_name(system).is_some();
                    let is_system = system.strip_prefix(name).is_some_and(|rest| {
                        ["", "-linux"].contains(&rest) || rest.starts_with('-') && is_known()
                    });
                    node.kind() == NODE_STRING && is_system
                })
            }
            Self::RequiredSystem(name) => written_values::whole_strings(text, name),
            Self::PathForList(path) => {
                written_values::paths_to(text, path.rsplit('/').next().unwrap_or_default())
            }
            Self::ValueForOptions(option) => written_values::values_of(text, option),
            Self::ListForString => written_values::sums_of_lists(text),
            Self::NumberForString(number) => written_values::numbers_in_strings(text, number),
            Self::PackageForKernel => written_values::values_of(text, "boot.kernelPackages"),
            Self::FunctionForModule => written_values::imports_in_lists(text),
        };
        let (place, (text, value)) = context.files?.only_place(|text| {
            let found = find(text).into_iter();
            let found = found.map(|value| (value.line, (text.to_owned(), value)));
            found.collect()
        })?;
        Some(Written { place, text, value })
    }
}

/// The mistake of which `error` speaks, unless Nix names its place in the user's files: that of the value may be another one.
fn without_place(error: &NixError) -> Option<Misplaced<'_>> {
    let place = error.position.as_ref();
    let is_named = place.is_some_and(|place| place.file.starts_with(CONFIG_DIR));
    Misplaced::find(&error.summary).filter(|_| !is_named)
}

/// What to write in place of the value, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let misplaced = without_place(error)?;
    let written = misplaced.written(context);
    let instead = misplaced.correction(written.as_ref().map(|written| &written.value))?;
    let Some(Written { place, text, .. }) = written else {
        return Some(instead.told);
    };
    let told = format!("{}{place}: {}", context.shown_dir, instead.told);
    Some(match instead.argument {
        Some(argument) => with_argument(&text, told, argument),
        None => told,
    })
}

/// The lines of the user's file with the value, as Nix quotes source.
pub(super) fn excerpt(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let Written { text, value, .. } = without_place(error)?.written(context)?;
    Some(source_lines::around(&text, value.line, Some(value.column)))
}

/// The string in place of a list of which `summary` speaks.
fn string_for_list(summary: &str) -> Option<&str> {
    let rest = summary.strip_prefix("expected a list but found a string")?;
    let rest = rest.strip_prefix(" with context").unwrap_or(rest);
    rest.strip_prefix(": \"")?.strip_suffix('"')
}

/// The definition that is meant by the `value` of an `option` that has options of its own.
fn value_for_options(option: &str, value: Option<&str>) -> String {
    let known = value.and_then(|value| {
        switches::switch(option, value)
            .or_else(|| set_members::of_options(option, value))
            .or_else(|| set_members::in_place_of_list(option, value))
    });
    known.unwrap_or_else(|| {
        format!("{option} is a set of options: https://search.nixos.org/options?query={option}.")
    })
}

/// How `written`, which is `number`, becomes part of a string.
fn number_as_string(number: &str, written: Option<&DefinedValue>) -> String {
    let Some(DefinedValue { written, .. }) = written else {
        return format!("make a string of a number with toString: \"${{toString {number}}}\"");
    };
    let instead = format!("make a string of the number: toString {written}");
    if written == number {
        format!("{instead}. For the characters ${{ themselves, write \\${{, or ''${{ in ''…''")
    } else {
        instead
    }
}

/// What Nix calls the system `name`, which is part of the string that is `written`.
fn system(name: &str, written: Option<&DefinedValue>) -> String {
    let whole = written.map_or(name, |value| &value.written);
    match (System::by_other_name(whole.trim_matches('"')), written) {
        (Some(system), Some(_)) => {
            format!("{whole} is not a system of Nix. Write \"{system}\"")
        }
        (Some(system), None) => format!("Nix calls the system \"{system}\""),
        (None, _) => format!("{ONLY_64_BIT}: systems are \"aarch64-linux\" and \"x86_64-linux\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_whose_place_nix_names_is_left_to_it() {
        let error = NixError {
            summary: "expected a set but found a string: \"pi\"".to_owned(),
            position: Some(crate::nixos::log::Position {
                file: "/build/config/c.nix".to_owned(),
                line: 1,
                column: 1,
            }),
            ..NixError::default()
        };
        assert!(without_place(&error).is_none());
    }
}
