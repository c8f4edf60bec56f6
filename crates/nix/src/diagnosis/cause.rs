//! What went wrong in an evaluation, read once from Nix's message. The texts are those of Nix 2.26 and nixpkgs 26.11pre
//! (`tests/streams`).

use crate::layout::{self, CONFIG_DIR, HOME_OF_NIX};
use crate::log::{NixError, Position};

/// The cause of an error of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nix cannot parse a file.
    Syntax,
    /// A text is not UTF-8.
    NotUtf8,
    /// A variable is not defined.
    UndefinedVariable { name: String },
    /// A set does not have an attribute; Nix suggests others.
    MissingAttribute {
        name: String,
        suggestions: Vec<String>,
    },
    /// A module asks for an argument that nothing passes to it.
    MissingArgument { argument: String, module: String },
    /// A function is called with an argument that it does not take.
    UnexpectedArgument { function: String, argument: String },
    /// A value is called that is no function.
    NotAFunction,
    /// A value depends on itself; if a module's imports do, on this argument of that module.
    InfiniteRecursion { imports: Option<(String, String)> },
    /// A value has another type than an expression needs.
    WrongValue { wanted: String, found: String },
    /// A string is not an absolute path.
    StringAsPath { text: String },
    /// A file defines an attribute twice.
    DefinedTwice { attribute: String, first: Position },
    /// An option does not exist; nixpkgs suggests others.
    UnknownOption {
        option: String,
        suggestions: Vec<String>,
        definitions: Vec<Definition>,
    },
    /// A definition has another type than its option.
    WrongType {
        option: String,
        wanted: String,
        definitions: Vec<Definition>,
    },
    /// A set of options is defined as another value.
    NotASet { option: String },
    /// Definitions of an option contradict each other.
    Conflict {
        option: String,
        definitions: Vec<Definition>,
    },
    /// An option that something needs is not defined.
    NoValue { option: String },
    /// An option no longer has any effect.
    OptionGone { option: String },
    /// A package was removed, or has another name now.
    Removed {
        name: String,
        instead: Option<String>,
    },
    /// A package has a license that must be allowed.
    Unfree { package: String, allow: String },
    /// A package has known vulnerabilities.
    Insecure { package: String },
    /// A package is not built for the image's platform.
    NotForPlatform { package: String },
    /// The configuration makes no image, as the message says (`expressions/image.nix`).
    NoImage,
    /// The configuration is for another system than the image.
    OtherSystem,
    /// The configuration has no SD card image.
    NoSdImage,
    /// The configuration does not have a variant of images.
    NoVariant { variant: String, known: Vec<String> },
    /// Its nixpkgs has no variants of images.
    NoVariants,
    /// A variant of images needs a virtual machine.
    VariantNeedsKvm { variant: String },
    /// A derivation is for a platform or needs a feature that no builder has.
    WrongPlatform,
    /// A file does not exist in the builder.
    MissingFile { path: String },
    /// A file of nixpkgs does not exist.
    NotInNixpkgs { path: String },
    /// `<path>` is not known.
    NotInSearchPath { path: String },
    /// A flake does not contain a file.
    NotInFlake { path: String },
    /// A flake reads what is outside it.
    Impure(Impure),
    /// The lock of a flake does not have all its inputs.
    LockIncomplete { flake: String },
    /// An input of a flake has no URL.
    IndirectInput,
    /// An input of a flake is a directory of the user's machine.
    LocalInput,
    /// A flake has no outputs.
    NoOutputs { flake: String },
    /// A flake does not have an output or a configuration, but others.
    NoSuchOutput { missing: String, known: Vec<String> },
    /// A flake has several configurations, of which one has to be named.
    SeveralConfigurations { known: Vec<String> },
    /// An attribute or a value in `flake.nix` has the wrong form.
    FlakeForm { place: Option<Position> },
    /// `flake.nix` has an attribute that flakes do not have.
    FlakeAttribute { name: String },
    /// An input of a flake has an attribute that inputs do not have.
    InputAttribute { name: String },
    /// An input of a flake has a URL that Nix cannot fetch.
    InputUrl { url: String },
    /// What was fetched has another hash.
    WrongHash { specified: String, got: String },
    /// The system of the image is among those that it is to emulate.
    EmulatesItself,
    /// The message says itself what is wrong: an assertion, `throw`, or an error that is not known.
    Other,
}

/// A definition that nixpkgs lists in its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// The builder's path of its file.
    pub(super) file: String,
    /// Its value, if it fits in the line; else empty.
    pub(super) value: String,
}

/// What a flake reads that is outside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Impure {
    /// A file.
    Path(String),
    /// `<path>`.
    SearchPath(String),
    /// `builtins.currentSystem`.
    System,
    /// A download without a hash, by this function.
    Download(String),
    /// Something else, such as the environment.
    Other,
}

impl Cause {
    /// The cause in Nix's `error`.
    pub(super) fn read(error: &NixError) -> Self {
        of_templates(error).unwrap_or(Self::Other)
    }

    /// Whether nixpkgs refuses a package, and ends its message with commands that sdbuild does not have.
    pub(super) fn is_refused_package(&self) -> bool {
        matches!(
            self,
            Self::Unfree { .. } | Self::Insecure { .. } | Self::NotForPlatform { .. }
        )
    }

    /// Whether Nix reports the error at a place in nixpkgs that says nothing about the cause.
    pub(super) fn is_reported_elsewhere(&self) -> bool {
        matches!(
            self,
            Self::InfiniteRecursion { .. } | Self::MissingArgument { .. }
        )
    }

    /// Whether an empty text in the place of a value can be what it is about.
    pub(super) fn may_need_a_variable(&self) -> bool {
        matches!(
            self,
            Self::StringAsPath { .. }
                | Self::MissingFile { .. }
                | Self::Impure(Impure::Path(_))
                | Self::WrongType { .. }
                | Self::WrongValue { .. }
                | Self::Other
        )
    }

    /// The option that the message is about.
    pub(super) fn option(&self) -> Option<&str> {
        let (Self::UnknownOption { option, .. }
        | Self::WrongType { option, .. }
        | Self::NotASet { option, .. }
        | Self::Conflict { option, .. }
        | Self::NoValue { option }
        | Self::OptionGone { option }) = self
        else {
            return None;
        };
        Some(option)
    }
}

/// The part of `text` between `start` and the next `end`.
pub(super) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// Whether `text` may be repeated in a command: a name, an option or a path without characters that a shell interprets.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "._-+/".contains(c);
    (1..200).contains(&text.len()) && text.chars().all(allowed)
}

/// The parts of `text` in the place of each `{}` of `template`, which `text` contains, or begins with after `^`. A part is of one line, but
/// the rest of the text where nothing follows it.
fn captures<const N: usize>(text: &str, template: &str) -> Option<[String; N]> {
    let anchored = template.strip_prefix('^');
    let mut literals = anchored.unwrap_or(template).split("{}");
    let first = literals.next()?;
    let mut rest = match anchored {
        Some(_) => text.strip_prefix(first)?,
        None => text.split_once(first)?.1,
    };
    let part = |literal: &str| {
        if literal.is_empty() {
            return Some(rest.to_owned());
        }
        let (part, after) = rest.split_once(literal)?;
        rest = after;
        (!part.contains('\n')).then(|| part.to_owned())
    };
    let parts: Option<Vec<String>> = literals.map(part).collect();
    parts?.try_into().ok()
}

/// Returns the cause of the first template that the text of an error has; each names its parts. A cause may be an `Option`.
macro_rules! first_of {
    ($text:expr, $($template:literal [$($part:ident)*] $cause:expr;)*) => {
        $(if let Some([$($part),*]) = captures($text, $template)
            && let Some(cause) = Option::<Cause>::from($cause)
        {
            return Some(cause);
        })*
    };
}

/// The cause in a message of Nix, nixpkgs or `expressions/*.nix`.
#[expect(clippy::too_many_lines, reason = "a table")]
fn of_templates(error: &NixError) -> Option<Cause> {
    let summary = error.summary.as_str();
    let of_binfmt = || {
        let file = &error.position.as_ref()?.file;
        file.ends_with("/system/boot/binfmt.nix")
            .then_some(Cause::EmulatesItself)
    };
    let conflict = |option| Cause::Conflict {
        option,
        definitions: definitions(summary),
    };
    let named = |name: String| Some(name).filter(|name| is_name(name));
    first_of! { summary,
        // The form of a file.
        "^syntax error, " [] Cause::Syntax;
        "path has a trailing slash" [] Cause::Syntax;
        "invalid UTF-8 byte" [] Cause::NotUtf8;
        "^assertion '" [] of_binfmt();
        "^attribute '{}' already defined at {}" [attribute first] position(&first).map(|first| Cause::DefinedTwice { attribute, first });
        // Flakes, their inputs and locks.
        "flake '{}' requires lock file changes" [flake] Cause::LockIncomplete { flake };
        "is an indirect flake reference" [] Cause::IndirectInput;
        "^path '//{}' does not exist" [_path] Cause::LocalInput;
        "flake '{}' lacks attribute 'outputs'" [flake] Cause::NoOutputs { flake };
        "^flake '{}' has an unsupported attribute '{}'" [_flake name] named(name).map(|name| Cause::FlakeAttribute { name });
        "unexpected flake input attribute '{}'" [name] named(name).map(|name| Cause::InputAttribute { name });
        "input '{}' is unsupported" [url] Cause::InputUrl { url };
        "' in flake reference '{}'" [url] Cause::InputUrl { url };
        "found circular import of flake 'path:'" [] Cause::InputUrl { url: String::new() };
        "/flake.nix' must be an attribute set" [] Cause::FlakeForm { place: None };
        "^expected {} but got {} at {}" [_wanted _found place] Cause::FlakeForm { place: position(&place) };
        "" [] of_outputs(summary);
        "cannot look up '<{}>'" [path] Cause::Impure(Impure::SearchPath(path));
        "access to absolute path '{}'" [path] Cause::Impure(Impure::Path(path));
        "the path '{}' can not be resolved in pure mode" [path] Cause::Impure(Impure::Path(path));
        "^attribute 'currentSystem' missing" [] Cause::Impure(Impure::System);
        "in pure evaluation mode, '{}' requires a 'sha256' argument" [name] named(name).map(|name| Cause::Impure(Impure::Download(name)));
        "in pure eval" [] Cause::Impure(Impure::Other);
        // Definitions of options.
        "^A definition for option `{}' is not of type `{}'." [option wanted]
            Cause::WrongType { option, wanted, definitions: definitions(summary) };
        "an attribute set for the option\n`{}'" [option] Cause::NotASet { option };
        "The option definition `{}'{}no longer has any effect" [option _files] Cause::OptionGone { option };
        "^The option `{}' can no longer be used since it's been removed" [option] Cause::OptionGone { option };
        "^The option `{}' does not exist" [option]
            Cause::UnknownOption { option, suggestions: suggestions(summary), definitions: definitions(summary) };
        "^The option `{}' has conflicting definition values" [option] conflict(option);
        "^The option `{}' is defined multiple times while it's expected to be unique" [option] conflict(option);
        "^The option `{}' was accessed but has no value defined" [option] Cause::NoValue { option };
        // What makes the image.
        "^the configuration makes no image: " [] Cause::NoImage;
        "^the configuration is for " [] Cause::OtherSystem;
        "'sdImage'{}missing" [_path] Cause::NoSdImage;
        "'sdImage'{}not found" [_path] Cause::NoSdImage;
        "the configuration has no image variant `{}'; it has: {}" [variant known]
            Cause::NoVariant { variant, known: known.split(", ").map(str::to_owned).collect() };
        "has no image variants (system.build.images)" [] Cause::NoVariants;
        "^the image {}`{}' is made in a virtual machine with KVM" [_kind variant] Cause::VariantNeedsKvm { variant };
        "is required to build" [] Cause::WrongPlatform;
        "required system or feature" [] Cause::WrongPlatform;
        // Packages.
        "" [] of_package(summary);
        // Names, files and values.
        "undefined variable '{}'" [name] Cause::UndefinedVariable { name };
        "function '{}' called with unexpected argument '{}'" [function argument]
            named(argument).map(|argument| Cause::UnexpectedArgument { function, argument });
        "^infinite recursion encountered" [] Cause::InfiniteRecursion { imports: module_argument(&error.text) };
        "attribute '{}' missing" [name] match module_argument(&error.text) {
            Some((argument, module)) if argument == name => Cause::MissingArgument { argument, module },
            _ => Cause::MissingAttribute { name, suggestions: suggestions(&error.text) },
        };
        "file 'nixpkgs/{}' was not found in the Nix search path" [path] Cause::NotInNixpkgs { path };
        "file '{}' was not found in the Nix search path" [path] Cause::NotInSearchPath { path };
        "path '{}' does not exist" [path] of_path(path);
        "path '{}' is not tracked by Git" [path] of_path(path);
        "opening file '{}': No such file" [path] of_path(path);
        "getting status of '{}': " [path] of_path(path);
        "something which is not a function but " [] Cause::NotAFunction;
        "string '{}' doesn't represent an absolute path" [text] Cause::StringAsPath { text };
        "^expected {} but found {}" [wanted found] Cause::WrongValue { wanted, found };
        "^cannot coerce {} to {}" [found wanted] Cause::WrongValue { wanted, found };
    }
    None
}

/// The first name in quotes after `start`, whatever quotes nixpkgs writes.
fn quoted_after(text: &str, start: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    let name = rest.split(['\'', '`', '"', '‘', '’']).nth(1)?;
    is_name(name).then(|| name.to_owned())
}

/// The names in ``Did you mean `a', `b' or `c'?`` and `Did you mean one of a, b or c?`.
fn suggestions(text: &str) -> Vec<String> {
    let Some(names) = between(text, "Did you mean ", "?") else {
        return Vec::new();
    };
    let names = names.trim_start_matches("one of ").replace(" or ", ", ");
    let names = names.split(", ").map(|name| name.trim_matches(['`', '\'']));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The definitions that nixpkgs lists below a message about an option.
fn definitions(summary: &str) -> Vec<Definition> {
    let lines = summary.lines().map(str::trim_start);
    let listed = lines.filter_map(|line| {
        let (file, value) = line.strip_prefix("- In `")?.split_once('\'')?;
        Some(Definition {
            file: file.to_owned(),
            value: value.strip_prefix(": ").unwrap_or_default().to_owned(),
        })
    });
    listed.collect()
}

/// The position in `FILE:LINE:COLUMN`.
fn position(text: &str) -> Option<Position> {
    let (rest, column) = text.trim().rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Position {
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// Errors of `expressions/flake-source.nix`.
fn of_outputs(summary: &str) -> Option<Cause> {
    const LISTED: [&str; 3] = [
        ". Name one of them: ",
        ". Its configurations are ",
        ". The configurations of the flake are ",
    ];
    let no_configurations = || Cause::NoSuchOutput {
        missing: "nixosConfigurations".to_owned(),
        known: Vec::new(),
    };
    if summary.ends_with(" is neither a NixOS configuration nor a derivation") {
        return Some(no_configurations());
    }
    let words = |list: &str| -> Vec<String> { list.split(", ").map(str::to_owned).collect() };
    let listed = LISTED.iter().find_map(|start| summary.split_once(start));
    let configurations = listed.map(|(_, known)| words(known));
    let start = listed.map_or(summary, |(start, _)| start);
    let is_of_flake = start.starts_with("the flake ");
    if is_of_flake && start.contains(" has a nixosConfigurations ") {
        return Some(no_configurations());
    }
    let (start, outputs) = match start.split_once(". It has ") {
        Some((start, outputs)) => (start, Some(words(outputs))),
        None => (start, None),
    };
    let missing = start
        .split_once(" has no configuration ")
        .or_else(|| start.split_once(" has no attribute "))
        .or_else(|| start.rsplit_once(" has no "));
    let Some((_, missing)) = missing.filter(|_| is_of_flake) else {
        return configurations.map(|known| Cause::SeveralConfigurations { known });
    };
    let mut known = configurations.or(outputs)?;
    known.retain(|name| !name.starts_with("no "));
    let missing = missing.split(", because ").next().unwrap_or_default();
    let missing = missing.to_owned();
    Some(Cause::NoSuchOutput { missing, known })
}

/// Causes in packages that nixpkgs refuses, or no longer has.
fn of_package(summary: &str) -> Option<Cause> {
    let package = || quoted_after(summary, "ackage ").unwrap_or_default();
    if summary.contains("has an unfree license") {
        let (_, list) = summary
            .split_once("(lib.getName pkg) [")
            .unwrap_or_default();
        let allow = list.split('"').nth(1).filter(|name| is_name(name));
        return Some(Cause::Unfree {
            package: package(),
            allow: allow.unwrap_or_default().to_owned(),
        });
    }
    if summary.contains("is marked as insecure") {
        return Some(Cause::Insecure { package: package() });
    }
    if summary.contains("is not available on the requested hostPlatform") {
        return Some(Cause::NotForPlatform { package: package() });
    }
    let hash = |label: &str| {
        let (_, rest) = summary.split_once(label)?;
        let hash = rest.split_whitespace().next()?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+/=-:".contains(c);
        (hash.len() < 200 && hash.chars().all(allowed)).then(|| hash.to_owned())
    };
    if summary.starts_with("hash mismatch in ") {
        return Some(Cause::WrongHash {
            specified: hash("specified:")?,
            got: hash("got:")?,
        });
    }
    if let Some((old, new)) = summary.split_once("has been renamed to") {
        return Some(Cause::Removed {
            name: quoted_after(&format!(" {old}"), " ")?,
            instead: Some(quoted_after(new, "")?),
        });
    }
    let (name, rest) = maybe_removed(summary)?;
    let verbs = [
        "has been removed",
        "was removed",
        "was moved to",
        "previously ",
    ];
    let is_removed = verbs.iter().any(|verb| rest.starts_with(verb));
    (is_removed && is_name(&name)).then(|| Cause::Removed {
        name,
        instead: quoted_after(rest, "use "),
    })
}

/// The name that a message about a package may begin with, and the rest of the message.
fn maybe_removed(summary: &str) -> Option<(String, &str)> {
    if let Some(rest) = summary.strip_prefix("linux ") {
        let (version, rest) = rest.split_once(' ')?;
        let name = format!("linuxPackages_{}", version.replace('.', "_"));
        return Some((name, rest));
    }
    let rest = summary.strip_prefix("The ").unwrap_or(summary);
    let quotes = ['\'', '`', '‘', '’'];
    let (name, rest) = match rest.strip_prefix(quotes) {
        Some(rest) => rest.split_once(quotes)?,
        None => rest.split_once(' ')?,
    };
    Some((name.to_owned(), rest.trim_start()))
}

/// The last module argument in a trace, and the file of the module. The lines of nixpkgs that Nix quotes may have the same words, but no
/// name in them.
fn module_argument(trace: &str) -> Option<(String, String)> {
    let frames = trace
        .split("while evaluating the module argument `")
        .skip(1);
    let named = frames.filter_map(|frame| {
        let (argument, rest) = frame.split_once('\'')?;
        let file = rest.split('"').nth(1)?;
        is_name(argument).then(|| (argument.to_owned(), file.to_owned()))
    });
    named.last()
}

/// The cause in a file that does not exist at `path`.
fn of_path(path: String) -> Option<Cause> {
    let of_tree = path.strip_prefix(layout::nixpkgs("").as_str());
    let of_tree = of_tree.and_then(|tree| Some(tree.split_once('/')?.1));
    if let Some(file) = path.strip_prefix("<nixpkgs>/").or(of_tree) {
        let path = file.to_owned();
        return Some(Cause::NotInNixpkgs { path });
    }
    if path.starts_with(CONFIG_DIR) || path.starts_with(HOME_OF_NIX) {
        return Some(Cause::MissingFile { path });
    }
    if let Some((_, file)) = path.split_once("-source/") {
        let path = file.to_owned();
        return Some(if path.starts_with("nixos/modules/installer/") {
            Cause::NotInNixpkgs { path }
        } else {
            Cause::NotInFlake { path }
        });
    }
    let is_of_user = path.starts_with('/') && !path.starts_with("/nix/");
    is_of_user.then_some(Cause::MissingFile { path })
}
