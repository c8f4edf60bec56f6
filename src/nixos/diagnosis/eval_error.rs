//! Errors in a configuration that Nix or nixpkgs reports, and what to do about them. Pure; the texts were
//! recorded from Nix 2.26 and nixpkgs 26.11pre (`tests/streams`).

use rnix::SyntaxKind::NODE_LIST;

use super::evidence::ExitContext;
use super::flake_arguments::selected_from_all;
use super::flake_source::is_local;
use super::flake_values::flake_as_module;
use super::foreign_module;
use super::input_declaration::lock_command;
use super::kernels;
use super::names::{is_name, quoted_after};
use super::nixpkgs_file;
use super::outside_flake::impure_hint;
use super::syntax_at::NameAt;
use super::syntax_error;
use super::undefined_variable;
use super::unknown_option;
use super::variable_attributes;
use super::written_values;
use crate::nixos::known_repository::NIXPKGS_URL;
use crate::nixos::log::NixError;
use sdbuild_core::nearest::nearest;
use sdbuild_image::image_format::in_place_of;

/// An error in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EvalError {
    /// The modules that define the image are not imported.
    NoSdImage,
    /// A variant of the image that the configuration does not have.
    NoVariant,
    /// A nixpkgs without variants of images.
    NoVariants,
    /// A variant of the image that is made in a virtual machine.
    VariantNeedsKvm,
    /// A package whose license the user must allow.
    Unfree,
    /// A package that nixpkgs does not build for the platform of the image.
    NotForPlatform,
    /// A package with known vulnerabilities.
    Insecure,
    /// An option that nixpkgs has removed.
    OptionGone,
    /// An option that does not exist.
    UnknownOption,
    /// A package that was renamed.
    Renamed,
    /// An attribute that does not exist, mostly a package.
    MissingAttribute,
    /// A variable that is not defined.
    UndefinedVariable,
    /// Nix cannot parse the file.
    Syntax,
    /// A file of a flake that git does not track.
    Untracked,
    /// A file outside the directory that is uploaded, or left out of it.
    NotUploaded,
    /// A file that nixpkgs does not have.
    NotInNixpkgs,
    /// A derivation for a platform or feature that the builder does not have.
    WrongPlatform,
    /// A flake whose lock does not have all its inputs.
    LockIncomplete,
    /// An input of a flake that has no URL.
    IndirectInput,
    /// An input of a flake that is a directory of the user's machine.
    LocalInput,
    /// Something outside the flake, which is evaluated in pure mode.
    Impure,
}

impl EvalError {
    /// All variants, in the order in which they are tried.
    pub(super) const ALL: [Self; 21] = [
        Self::NoSdImage,
        Self::NoVariant,
        Self::NoVariants,
        Self::VariantNeedsKvm,
        Self::Unfree,
        Self::NotForPlatform,
        Self::Insecure,
        Self::OptionGone,
        Self::UnknownOption,
        Self::Renamed,
        Self::Impure,
        Self::MissingAttribute,
        Self::UndefinedVariable,
        Self::Syntax,
        Self::NotInNixpkgs,
        Self::Untracked,
        Self::LocalInput,
        Self::NotUploaded,
        Self::WrongPlatform,
        Self::LockIncomplete,
        Self::IndirectInput,
    ];

    /// Whether nixpkgs refuses a package, and ends its message with commands that sdbuild does not have.
    pub(super) fn is_refused_package(self) -> bool {
        matches!(self, Self::Unfree | Self::NotForPlatform | Self::Insecure)
    }

    /// The error that the message `summary` of Nix reports.
    pub(super) fn find(summary: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.is_in(summary))
    }

    fn is_in(self, summary: &str) -> bool {
        let has = |text: &str| summary.contains(text);
        match self {
            Self::NoSdImage => has("'sdImage'") && (has("missing") || has("not found")),
            Self::NoVariant => has("the configuration has no image variant `"),
            Self::NoVariants => has("has no image variants (system.build.images)"),
            Self::VariantNeedsKvm => has("is made in a virtual machine with KVM"),
            Self::Unfree => has("has an unfree license"),
            Self::NotForPlatform => has("is not available on the requested hostPlatform"),
            Self::Insecure => has("is marked as insecure"),
            Self::OptionGone => has("no longer has any effect"),
            Self::UnknownOption => has("The option `") && has("does not exist"),
            Self::Renamed => has("has been renamed to"),
            Self::MissingAttribute => has("attribute '") && has("missing"),
            Self::UndefinedVariable => has("undefined variable '"),
            Self::Syntax => has("syntax error, ") || has("path has a trailing slash"),
            Self::Untracked => untracked_file(summary).is_some(),
            Self::NotUploaded => has("/build/") && (has("does not exist") || has("No such file")),
            Self::NotInNixpkgs => nixpkgs_file::missing(summary).is_some(),
            Self::WrongPlatform => has("is required to build") || has("required system or feature"),
            Self::LockIncomplete => has("requires lock file changes"),
            Self::IndirectInput => has("is an indirect flake reference"),
            Self::LocalInput => has("path '//") && has("does not exist"),
            Self::Impure => has("in pure eval") || has("attribute 'currentSystem' missing"),
        }
    }

    /// The hint for the user.
    pub(super) fn hint(self, context: &ExitContext<'_>, error: &NixError) -> String {
        let summary = error.summary.as_str();
        match self {
            Self::NoSdImage => "import the module that makes SD card images".to_owned(),
            Self::NoVariant => no_variant_hint(summary),
            Self::NoVariants => NO_VARIANTS_HINT.to_owned(),
            Self::VariantNeedsKvm => kvm_hint(summary),
            Self::Unfree => unfree_hint(summary),
            Self::NotForPlatform => platform_hint(summary),
            Self::Insecure => insecure_hint(summary),
            Self::OptionGone => {
                "remove the option. The message of nixpkgs says what replaces it".to_owned()
            }
            Self::UnknownOption => foreign_module::with_option(context, summary)
                .or_else(|| flake_as_module(context, summary))
                .unwrap_or_else(|| unknown_option::hint(context, summary)),
            Self::Renamed => match quoted_after(summary, "renamed to") {
                Some(name) => format!("write {name} instead"),
                None => "write the new name instead".to_owned(),
            },
            Self::MissingAttribute => search_hint(context, error),
            Self::UndefinedVariable => undefined_variable::hint(context, error),
            Self::Syntax => syntax_error::general_hint(summary).to_owned(),
            Self::Untracked => match untracked_file(summary) {
                Some(file) => match context.files.and_then(|files| files.why_missing(file, context.shown_dir)) {
                    Some(why) => why,
                    None => format!("a flake contains only files that git tracks: git add {file}"),
                },
                None => "a flake contains only files that git tracks: git add the file".to_owned(),
            },
            Self::NotUploaded => {
                "sdbuild uploads only the configuration's directory, without *.img files and what .gitignore and \
                 .sdbuildignore list. Give --root DIR to upload a directory above it"
                    .to_owned()
            }
            Self::NotInNixpkgs => nixpkgs_file::hint(context, summary),
            Self::WrongPlatform => {
                "neither this builder nor one of --builders has the platform or the feature that the configuration \
                 requires. Set nixpkgs.hostPlatform, or name the feature in the sixth field of a builder that has it"
                    .to_owned()
            }
            Self::LockIncomplete => lock_hint(context, summary),
            Self::IndirectInput => {
                format!(
                    "give the input a URL in flake.nix, such as {NIXPKGS_URL}, and run `{}`. A build reads no \
                     registry",
                    lock_command(context)
                )
            }
            Self::LocalInput => {
                "the builder has only the flake's own files of this machine. Use a relative path inside it, or give \
                 --override-input INPUT DIR, which uploads DIR"
                    .to_owned()
            }
            Self::Impure => impure_hint(context, summary),
        }
    }
}

/// Where to look for a missing attribute.
fn search_hint(context: &ExitContext<'_>, error: &NixError) -> String {
    if let Some(hint) = missing_in_flake(&error.summary).filter(|_| context.is_flake) {
        return hint;
    }
    // What NixOS calls on the value of boot.kernelPackages.
    if quoted_after(&error.summary, "attribute") == Some("extend") {
        return kernels::in_place_of_packages(context);
    }
    if let Some(hint) = range_of_ports(context, error) {
        return hint;
    }
    if let Some(hint) = variable_attributes::hint(context, error) {
        return hint;
    }
    if let Some(hint) = selected_from_all(context, error) {
        return hint;
    }
    let searched = if is_of_config(context, error) {
        "options"
    } else {
        "packages"
    };
    format!("check the name: https://search.nixos.org/{searched}")
}

/// What to write in place of a range of ports without `from` or `to`, of which nixpkgs reads both.
fn range_of_ports(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let missing = quoted_after(&error.summary, "attribute");
    let is_end = missing.is_some_and(|name| ["from", "to"].contains(&name));
    let (place, option) = context.files.filter(|_| is_end)?.only_place(|text| {
        let lists = ["allowedTCPPortRanges", "allowedUDPPortRanges"].into_iter();
        let found = lists.flat_map(|name| written_values::named(text, name, &[NODE_LIST]));
        found.map(|value| (value.line, value.defines)).collect()
    })?;
    Some(format!(
        "{}{place}: write a range of ports with from and to: {option} = [ {{ from = …; to = …; }} ];",
        context.shown_dir
    ))
}

/// What to write in place of an attribute that flakes have not always, or of one that names a part of a configuration.
fn missing_in_flake(summary: &str) -> Option<String> {
    Some(match quoted_after(summary, "attribute")? {
        name @ ("rev" | "shortRev") => format!(
            "self has no {name} without git, and while git has uncommitted changes. Write `(self.{name} or \"dirty\")` instead \
             of `self.{name}`"
        ),
        "dirtyRev" | "dirtyShortRev" | "revCount" => {
            "self has that only in a git repository with a commit. Add `or \"none\"` after it"
                .to_owned()
        }
        "drvPath" => {
            "the attribute is not a derivation. Name a configuration: sdbuild build .#NAME"
                .to_owned()
        }
        _ => return None,
    })
}

/// Whether the attribute that is missing is one of the values of options: `config.services.x`.
fn is_of_config(context: &ExitContext<'_>, error: &NixError) -> bool {
    let position = error.position.as_ref();
    let text = position.and_then(|position| context.files?.text(&position.file));
    let name = text
        .zip(position)
        .and_then(|(text, position)| NameAt::find(&text, position));
    name.is_some_and(|name| name.written.starts_with("config."))
}

/// Whose lock it is: only that of a directory of this machine can be completed from here.
fn lock_hint(context: &ExitContext<'_>, summary: &str) -> String {
    let named = summary.split_once("flake '");
    let flake = named.and_then(|(_, rest)| rest.split('\'').next());
    let flake = flake.unwrap_or_default();
    if is_local(flake) {
        format!(
            "`{}` completes flake.lock. A build never changes it",
            lock_command(context)
        )
    } else {
        "clone the repository, and complete its flake.lock there: sdbuild lock".to_owned()
    }
}

/// What to do about a nixpkgs without variants of images.
const NO_VARIANTS_HINT: &str = "use nixpkgs 25.05 or newer, which has them, or the format sd-card";

/// The variant that may be meant, of those that the message lists.
fn no_variant_hint(summary: &str) -> String {
    let unknown = quoted_after(summary, "no image variant").unwrap_or_default();
    let known = summary.split_once("it has: ").map_or("", |(_, list)| list);
    match nearest(unknown, known.split(", ").map(str::trim)).filter(|name| is_name(name)) {
        Some(name) => format!("did you mean --format nixpkgs:{name}?"),
        None => "take one of those, or a format of `sdbuild formats`".to_owned(),
    }
}

/// The format that does the same as a variant without a virtual machine.
fn kvm_hint(summary: &str) -> String {
    let variant = quoted_after(summary, "image variant").unwrap_or_default();
    match in_place_of(variant) {
        Some(format) => format!("--format {} does the same without one", format.name),
        None => "`sdbuild formats` lists what is made without one".to_owned(),
    }
}

/// How to allow a package, by the name that nixpkgs' message proposes.
fn unfree_hint(summary: &str) -> String {
    let list = summary.split_once("(lib.getName pkg) [");
    let name = list.and_then(|(_, rest)| rest.split('"').nth(1));
    match name.filter(|name| is_name(name)) {
        Some(name) => format!(
            "allow it in the configuration: nixpkgs.config.allowUnfreePredicate = pkg: \
             builtins.elem (lib.getName pkg) [ \"{name}\" ];"
        ),
        None => "allow it in the configuration: nixpkgs.config.allowUnfree = true;".to_owned(),
    }
}

/// What to do about a package that nixpkgs does not build for the platform that its message names.
fn platform_hint(summary: &str) -> String {
    let package = quoted_after(summary, "package").filter(|name| is_name(name));
    let system = summary.split_once("hostPlatform.system = \"");
    let system = system.and_then(|(_, rest)| rest.split('"').next());
    format!(
        "nixpkgs does not build {} for {}. Remove it, or look for another package: https://search.nixos.org/packages",
        package.unwrap_or("the package"),
        system.unwrap_or("the platform of the image")
    )
}

/// How to allow a package with known vulnerabilities.
fn insecure_hint(summary: &str) -> String {
    let package = quoted_after(summary, "package").filter(|name| is_name(name));
    format!(
        "look for a newer version of it. To use this one anyway, write nixpkgs.config.permittedInsecurePackages = [ \
         \"{}\" ];",
        package.unwrap_or("NAME-VERSION")
    )
}

/// The missing file FILE of a flake, from a message about `/nix/store/HASH-source/FILE`.
fn untracked_file(summary: &str) -> Option<&str> {
    let (_, rest) = summary.split_once("-source/")?;
    let (file, rest) = rest.split_once('\'')?;
    let is_missing = rest.contains("does not exist") || rest.contains("is not tracked by Git");
    (is_missing && is_name(file)).then_some(file)
}
