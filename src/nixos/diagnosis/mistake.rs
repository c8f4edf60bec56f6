//! Mistakes in a configuration that Nix's message alone does not explain: they are seen in its trace, or in the user's file.

use super::called_packages;
use super::calls_in_lists;
use super::conflicts;
use super::definitions::{defined_twice, mixed_module, wrong_type};
use super::digit_names;
use super::evidence::{ExitContext, Findings};
use super::file_systems;
use super::flake_form;
use super::flake_habits;
use super::flake_input::wrong_input_hint;
use super::flake_source::{
    missing_output_hint, no_outputs_hint, one_of_several, outputs_hint, wrong_attribute_hint,
};
use super::flake_values;
use super::image_module::import_hint;
use super::input_outputs;
use super::interface_address;
use super::joined_paths;
use super::kernels;
use super::misplaced_value;
use super::missing_files::{
    home_in_flake, missing_path, not_in_search_path, not_sent, other_encoding, text_as_module,
};
use super::module_calls::{no_ellipsis, not_a_function, recursion, unknown_argument};
use super::option_without_value;
use super::other_formats;
use super::other_platform;
use super::overlays;
use super::python_packages;
use super::removed_packages;
use super::unbound_names::{
    argument_not_asked_for, library_function, library_function_of_pkgs, missing_package_of_pkgs,
    no_such_package,
};
use super::unit_faults;
use super::written_forms;
use crate::nixos::log::NixError;

/// A mistake.
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
    /// An address in another form than its option takes, such as one without the length of its network.
    WrongAddress,
    /// A value of another type than the option's.
    WrongType,
    /// An option without a value that something else needs.
    NoValue,
    /// An option that the image sets, as `fileSystems."/"`.
    DefinedByImage,
    /// An option that two files set to different values.
    Conflict,
    /// A function of `lib`, written without `lib.`.
    LibraryFunction,
    /// A path in quotes or in place of a list, or another value of the wrong kind that Nix reports without its place.
    MisplacedValue,
    /// A file in `imports` that is not a module.
    NotAModule,
    /// An attribute that is defined twice in one file.
    DefinedTwice,
    /// A file that the builder does not have.
    FileNotSent,
    /// Definitions of a module that are partly inside `config`.
    MixedModule,
    /// A value that is called like a function, mostly an element of a list without brackets.
    NotAFunction,
    /// An output or a configuration that the flake does not have.
    NoSuchOutput,
    /// A `flake.nix` that is not a set, or has a value of the wrong type.
    FlakeForm,
    /// An input of the flake, or an argument of `nixosSystem`, that is wrong.
    WrongInput,
    /// A text that is not UTF-8.
    OtherEncoding,
}

impl Mistake {
    /// All variants, in the order in which they are tried.
    pub(super) const ALL: [Self; 23] = [
        Self::NoImageModule,
        Self::ArgumentNotAskedFor,
        Self::LibraryFunction,
        Self::NoSuchPackage,
        Self::UnknownArgument,
        Self::NoEllipsis,
        Self::InfiniteRecursion,
        Self::NotInSearchPath,
        Self::WrongAddress,
        Self::WrongType,
        Self::NoValue,
        Self::DefinedByImage,
        Self::Conflict,
        Self::MisplacedValue,
        Self::NotAModule,
        Self::DefinedTwice,
        Self::FileNotSent,
        Self::MixedModule,
        Self::NotAFunction,
        Self::NoSuchOutput,
        Self::FlakeForm,
        Self::WrongInput,
        Self::OtherEncoding,
    ];

    /// The mistake that `error` shows, and what to do about it.
    pub(super) fn find(
        context: &ExitContext<'_>,
        findings: &Findings,
        error: &NixError,
    ) -> Option<(Self, String)> {
        // Whatever Nix says of such a text, it is none of the user's modules.
        if let Some(hint) = text_as_module(context, error) {
            return Some((Self::MisplacedValue, hint));
        }
        if let Some(hint) = other_formats::hint(context, error) {
            return Some((Self::NotAModule, hint));
        }
        if let Some(hint) = flake_form::not_evaluated(context, error) {
            return Some((Self::FlakeForm, hint));
        }
        if let Some(hint) = flake_habits::hint(context, &findings.outputs, error) {
            return Some((Self::WrongInput, hint));
        }
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
            Self::NoSuchPackage => package(context, findings, error),
            Self::UnknownArgument => unknown_argument(context, error),
            Self::NoEllipsis => {
                outputs_hint(context, error).or_else(|| no_ellipsis(context, error))
            }
            Self::InfiniteRecursion => {
                let is_recursion = summary.starts_with("infinite recursion encountered");
                is_recursion.then(|| recursion(context, error))
            }
            Self::NotInSearchPath => not_in_search_path(context, summary),
            Self::WrongAddress => digit_names::address(context, error)
                .or_else(|| interface_address::hint(context, error)),
            Self::WrongType if let Some(hint) = overlays::no_list(context, summary) => Some(hint),
            Self::WrongType => wrong_type_of(context, findings, error),
            Self::NoValue => option_without_value::hint(context, summary)
                .or_else(|| file_systems::hint(context, summary)),
            Self::DefinedByImage => conflicts::defined_by_image(summary),
            Self::Conflict => conflicts::hint(context, summary),
            Self::LibraryFunction => library_function(context, error)
                .or_else(|| library_function_of_pkgs(context, error)),
            Self::MisplacedValue => joined_paths::hint(context, error)
                .or_else(|| flake_values::hint(context, error))
                .or_else(|| misplaced_value::hint(context, error))
                .or_else(|| other_platform::hint(context, error)),
            Self::NotAModule => summary
                .contains("is neither a path, a function nor an attribute set")
                .then(|| "a module is a set: { pkgs, ... }: { … }".to_owned()),
            Self::DefinedTwice => defined_twice(context, error),
            Self::FileNotSent => {
                let of_path = missing_path(summary).and_then(|path| not_sent(context, path));
                of_path.or_else(|| home_in_flake(context, summary))
            }
            Self::MixedModule => mixed_module(context, summary),
            Self::NotAFunction => {
                overlays::hint(context, error).or_else(|| not_a_function(context, error))
            }
            Self::FlakeForm => flake_form::hint(context, error),
            Self::WrongInput => wrong_input_hint(error),
            Self::NoSuchOutput => missing_output_hint(context, summary)
                .or_else(|| no_outputs_hint(context, summary))
                .or_else(|| wrong_attribute_hint(context, summary))
                .or_else(|| one_of_several(context, summary))
                .or_else(|| input_outputs::missing(context, findings, error)),
            Self::OtherEncoding => other_encoding(context, summary),
        }
    }
}

/// What is meant by a value of the wrong type.
fn wrong_type_of(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let summary = error.summary.as_str();
    calls_in_lists::hint(context, summary)
        .or_else(|| unit_faults::hint(findings, summary))
        .or_else(|| written_forms::hint(context, error))
        .or_else(|| wrong_type(summary, written_forms::may_be_part(context, summary)))
}

/// What is meant by a package that nixpkgs does not have.
fn package(context: &ExitContext<'_>, findings: &Findings, error: &NixError) -> Option<String> {
    called_packages::hint(error)
        .or_else(|| digit_names::hint(context, error))
        .or_else(|| python_packages::missing(context, error))
        .or_else(|| kernels::missing(context, findings, error))
        .or_else(|| no_such_package(context, findings, error))
        .or_else(|| missing_package_of_pkgs(context, findings, error))
        .or_else(|| removed_packages::hint(context, error))
}
