//! Values of the wrong kind that Nix reports without their place: a string or a list that is where something else is expected.

use super::evidence::ExitContext;
use super::source_lines;
use super::syntax_at::{DefinedValue, joined_lists};
use crate::nixos::log::NixError;

/// What Nix says of a list in place of a string, which `+` makes of it.
const JOINED: &str = "cannot coerce a list to a string: [";

/// The mistake in a message of Nix.
enum Misplaced<'a> {
    /// The string is a path that is written in quotes.
    Path(&'a str),
    /// The path is in place of a list.
    PathForList(&'a str),
    /// The string is in place of a list.
    ForList(&'a str),
    /// The string is in place of a set.
    ForSet(&'a str),
    /// The option, which has options of its own, has a value.
    Option(&'a str),
    /// `+` is between two lists.
    Joined,
}

/// A value in the user's files.
struct Written {
    /// Its file and line, as `sd-card.nix:4`.
    place: String,
    /// The text of the file.
    text: String,
    value: DefinedValue,
}

impl<'a> Misplaced<'a> {
    fn find(error: &'a NixError) -> Option<Self> {
        let summary = error.summary.as_str();
        let string = |prefix: &str| summary.strip_prefix(prefix)?.strip_suffix('"');
        let option = || {
            let (_, rest) = summary
                .strip_prefix("The option path `")
                .map(|rest| ("", rest))
                .or_else(|| summary.split_once("rather than an attribute set for the option\n`"))?;
            Some(rest.split_once('\'')?.0)
        };
        let path = || {
            let path = summary.strip_prefix("string '")?;
            path.strip_suffix("' doesn't represent an absolute path")
        };
        if summary.starts_with(JOINED) {
            return Some(Self::Joined);
        }
        if let Some(path) = summary.strip_prefix("expected a list but found a path: ") {
            return Some(Self::PathForList(path));
        }
        path()
            .map(Self::Path)
            .or_else(|| string("expected a list but found a string: \"").map(Self::ForList))
            .or_else(|| string("expected a set but found a string: \"").map(Self::ForSet))
            .or_else(|| option().map(Self::Option))
    }

    /// What to write in place of the `value`, if that is known.
    fn correction(&self, value: Option<&DefinedValue>) -> Option<String> {
        let defines = value.map_or("", |value| &value.defines);
        let attribute = defines.rsplit('.').next().unwrap_or_default();
        let is_list_of_files = ["imports", "modules"].contains(&attribute);
        Some(match self {
            Self::Path(string) => {
                format!("a path is written without quotes: write {}", path(string))
            }
            Self::PathForList(_) | Self::ForList(_) if is_list_of_files => {
                let file = value.map_or("", |value| value.written.trim_matches('"'));
                let file = path(file);
                format!("{attribute} is a list: {attribute} = [ {file} ];")
            }
            // The path of the builder says nothing to the user.
            Self::PathForList(_) => return None,
            Self::ForList(string) => format!("write a list: [ \"{string}\" ]"),
            Self::ForSet(_) if attribute == "kernelPackages" => format!(
                "a kernel and its modules are a set of packages: {defines} = pkgs.linuxPackages_latest;"
            ),
            Self::ForSet(_) => "write a set: { … }".to_owned(),
            Self::Option(option) if option.ends_with(".authorizedKeys") => {
                format!("the list of keys is {option}.keys = [ \"ssh-ed25519 …\" ];")
            }
            Self::Option(option) => {
                format!("{option} has options of its own: write {option}.NAME = …;")
            }
            Self::Joined => "two lists are joined by `++`".to_owned(),
        })
    }

    /// The value in the user's files, with its place and the text of its file.
    fn written(&self, context: &ExitContext<'_>) -> Option<Written> {
        let find = |text: &str| match self {
            Self::Path(string) | Self::ForList(string) | Self::ForSet(string) => {
                DefinedValue::string(text, string)
            }
            Self::PathForList(path) => {
                DefinedValue::path_to(text, path.rsplit('/').next().unwrap_or_default())
            }
            Self::Option(option) => DefinedValue::of(text, option),
            Self::Joined => joined_lists(text),
        };
        let (place, (text, value)) = context.files?.search(|text| {
            let value = find(text)?;
            Some((value.line, (text.to_owned(), value)))
        })?;
        Some(Written { place, text, value })
    }
}

/// What to write in place of the value, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let misplaced = Misplaced::find(error)?;
    let written = misplaced.written(context);
    let instead = misplaced.correction(written.as_ref().map(|written| &written.value))?;
    Some(match written {
        Some(Written { place, .. }) => format!("{}{place}: {instead}", context.shown_dir),
        None => instead,
    })
}

/// The lines of the user's file with the value, as Nix quotes source.
pub(super) fn excerpt(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let Written { text, value, .. } = Misplaced::find(error)?.written(context)?;
    Some(source_lines::around(&text, value.line, Some(value.column)))
}

/// `string` as a path.
fn path(string: &str) -> String {
    if string.starts_with(['.', '/', '<', '~']) {
        string.to_owned()
    } else {
        format!("./{string}")
    }
}
