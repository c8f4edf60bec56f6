//! Mistakes that a configuration is told of by Nix or by nixpkgs, and what helps. Pure; the words were
//! recorded from Nix 2.26 and nixpkgs 26.11pre (`tests/streams`).

use super::known_error::KnownError;

/// A mistake in a configuration. The order is that in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EvalError {
    /// The modules that make an image are not imported.
    NoSdImage,
    /// A package that the user must allow.
    Unfree,
    /// An option that nixpkgs has removed.
    OptionGone,
    /// An option that never was.
    UnknownOption,
    /// A package under another name now.
    Renamed,
    /// A package or anything else that is not there.
    MissingAttribute,
    /// A name that nobody defined.
    UndefinedVariable,
    /// Nix cannot read the file.
    Syntax,
    /// A file of a flake that git does not know.
    Untracked,
    /// A file that stayed behind.
    NotUploaded,
    /// Another platform was asked for.
    WrongPlatform,
}

impl EvalError {
    /// All of them, as they are looked for.
    pub(super) const ALL: [Self; 11] = [
        Self::NoSdImage,
        Self::Unfree,
        Self::OptionGone,
        Self::UnknownOption,
        Self::Renamed,
        Self::MissingAttribute,
        Self::UndefinedVariable,
        Self::Syntax,
        Self::Untracked,
        Self::NotUploaded,
        Self::WrongPlatform,
    ];

    /// The mistake that an error of Nix tells of.
    pub(super) fn of(summary: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mistake| mistake.is_in(summary))
    }

    fn is_in(self, summary: &str) -> bool {
        let says = |words: &str| summary.contains(words);
        match self {
            Self::NoSdImage => says("'sdImage'") && (says("missing") || says("not found")),
            Self::Unfree => says("has an unfree license"),
            Self::OptionGone => says("no longer has any effect"),
            Self::UnknownOption => says("The option `") && says("does not exist"),
            Self::Renamed => says("has been renamed to"),
            Self::MissingAttribute => says("attribute '") && says("missing"),
            Self::UndefinedVariable => says("undefined variable '"),
            Self::Syntax => says("syntax error, "),
            Self::Untracked => untracked(summary).is_some(),
            Self::NotUploaded => {
                says("/build/") && (says("does not exist") || says("No such file"))
            }
            Self::WrongPlatform => {
                says("is required to build") || says("required system or feature")
            }
        }
    }

    /// What to do about it.
    pub(super) fn hint(self, summary: &str) -> String {
        match self {
            Self::NoSdImage => {
                "import <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> in the \
                configuration"
                    .to_owned()
            }
            Self::Unfree => unfree(summary),
            Self::OptionGone => {
                "take the option out; what nixpkgs says after it tells what came in its place"
                    .to_owned()
            }
            Self::UnknownOption => unknown_option(summary),
            Self::Renamed => match quoted_after(summary, "renamed to") {
                Some(name) => format!("write {name} in its place"),
                None => "write the new name in its place".to_owned(),
            },
            Self::MissingAttribute => {
                "check the name: https://search.nixos.org/packages".to_owned()
            }
            Self::UndefinedVariable => match quoted_after(summary, "undefined variable") {
                Some(name) => {
                    format!("if it is a package, write pkgs.{name}; else check its spelling")
                }
                None => "check its spelling".to_owned(),
            },
            Self::Syntax if summary.contains("expecting ';'") => {
                "a `;` is missing there or at the end of the line before".to_owned()
            }
            Self::Syntax => "a bracket, a quote or a `;` is missing there or before it".to_owned(),
            Self::Untracked => match untracked(summary) {
                Some(file) => format!("a flake holds what git tracks: git add {file}"),
                None => "a flake holds what git tracks: git add the file".to_owned(),
            },
            Self::NotUploaded => {
                "only the configuration's directory goes into the builder, without what \
                .gitignore and .sdbuildignore name and without *.img files"
                    .to_owned()
            }
            Self::WrongPlatform => {
                "the configuration asks for another platform or for KVM: set nixpkgs.hostPlatform"
                    .to_owned()
            }
        }
    }
}

/// How to allow a package, by the name that nixpkgs proposes.
fn unfree(summary: &str) -> String {
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

fn unknown_option(summary: &str) -> String {
    let options = "https://search.nixos.org/options";
    match quoted_after(summary, "Did you mean") {
        Some(name) => format!("perhaps {name} is meant; all options: {options}"),
        None => format!("check its spelling: {options}"),
    }
}

/// The file in `/nix/store/HASH-source/FILE` that is not there.
fn untracked(summary: &str) -> Option<&str> {
    let (_, rest) = summary.split_once("-source/")?;
    let (file, rest) = rest.split_once('\'')?;
    let gone = rest.contains("does not exist") || rest.contains("is not tracked by Git");
    (gone && is_name(file)).then_some(file)
}

/// The name in quotes behind `words`.
fn quoted_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(words)?;
    let name = rest.split(['\'', '`', '"', '‘', '’']).nth(1)?;
    is_name(name).then_some(name)
}

/// Whether a user may be told to write it: names, options, paths; nothing that a shell would read.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "._-+/".contains(c);
    (1..200).contains(&text.len()) && text.chars().all(fits)
}

/// The hash that a download has, and the one that it should have: of Nix's own words.
pub(super) fn hashes(summary: &str) -> Option<(&str, &str)> {
    let word = |key: &str| summary.split_once(key)?.1.split_whitespace().next();
    let (got, specified) = (word("got:")?, word("specified:")?);
    let fits = |hash: &str| {
        hash.len() < 200
            && hash
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+/=-:".contains(c))
    };
    (fits(got) && fits(specified)).then_some((got, specified))
}

/// What helps when something that was built or fetched went wrong; `said` is Nix's first complaint.
pub(super) fn hint_for(symptom: KnownError, said: &str, emulated: bool) -> Option<String> {
    let text = match symptom {
        KnownError::RootTooSmall => {
            "the root file system was made too small for its content, a known weakness of make-ext4-fs with \
             very many small files: leave some out (documentation.enable = false), or give \
             sdImage.rootFilesystemCreator a maker that leaves more room"
        }
        KnownError::FirmwareTooSmall => {
            "make the firmware partition larger: sdImage.firmwareSize = 60; (MiB)"
        }
        KnownError::EmulatorCrash => {
            "an emulated program crashed, which may be the emulator's fault: a native engine (DOCKER_HOST) \
             would tell"
        }
        KnownError::WrongHash => {
            return Some(match hashes(said) {
                Some((got, specified)) => format!(
                    "if you trust what the server sends now, write {got} in place of {specified}"
                ),
                None => {
                    "the server's file has changed, or the configuration's hash is wrong".to_owned()
                }
            });
        }
        KnownError::NoHandler if !emulated => {
            "a program of another architecture was run, and this engine emulates none"
        }
        KnownError::NoHandler
        | KnownError::DiskFull
        | KnownError::ProcessLimit
        | KnownError::Certificate
        | KnownError::DownloadTimeout
        | KnownError::Network
        | KnownError::KeyUntrusted
        | KnownError::MissingProgram => return None,
    };
    Some(text.to_owned())
}
