//! Mistakes in the form of the user's `flake.nix`. Nix reads its inputs without evaluating the file, and reports where they are wrong
//! only by a path in the store, without the line.

use rnix::SyntaxKind;
use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_LAMBDA, NODE_LET_IN, NODE_LIST, NODE_LITERAL, NODE_SELECT, NODE_STRING,
    NODE_WITH,
};

use super::evidence::ExitContext;
use super::flake_arguments::OUTPUTS_IS_FUNCTION;
use super::flake_input::unsupported_url;
use super::module_arguments::{ARGUMENTS, Header};
use super::source_lines;
use super::syntax_at::{Definition, whole_path};
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::known_repository::usual_url;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use crate::nixos::nix_syntax::parse;

/// In Nix's message about a file that is no set.
const NO_SET: &str = "' must be an attribute set";
/// What is said in its place.
const NO_SET_HERE: &str = "a flake.nix must be a set: { inputs = …; outputs = …; }";

/// What is between the name of an input and that of its own input, where the words of `inputs.NAME.follows` are in the wrong order.
const FOLLOWED: &str = ".follows.";

/// What to do about a value that Nix would have to evaluate.
const NOT_EVALUATED: &str = "Nix reads description, inputs and nixConfig without evaluating them. Write each value out, \
 without names, + and ${…}";

/// `error` with its place in the user's `flake.nix`, and the lines there, if it is about that file's form.
pub(super) fn located(context: &ExitContext<'_>, error: &NixError) -> Option<NixError> {
    let summary = error.summary.as_str();
    if let Some(url) = unsupported_url(summary) {
        return with_place_of_url(context, summary, url);
    }
    let stated = StatedPlace::of_message(summary)?;
    let file = format!("{CONFIG_DIR}{}", below_source(stated.file)?);
    let text = context.files?.text(&file)?;
    let (words, line, column) = match stated.place {
        Some((line, column)) => (stated.words, line, column),
        None if root_kind(&text)? == NODE_ATTR_SET => return None,
        None => {
            let (line, column) = first_token(&text)?;
            (NO_SET_HERE, line, column)
        }
    };
    let position = Position { file, line, column };
    if stated.place.is_some() && !is_about(words, &text, &position) {
        return None;
    }
    quoting(words, &text, position)
}

/// The error with the summary `words` at `position`, with the lines there of the file's `text`.
pub(super) fn quoting(words: &str, text: &str, position: Position) -> Option<NixError> {
    let start = text.get(..position.offset(text)?)?.rsplit('\n').next()?;
    let lines = source_lines::around(
        text,
        usize::try_from(position.line).ok()?,
        Some(start.chars().count()),
    );
    Some(NixError {
        summary: words.to_owned(),
        text: format!("error: {words}\n{}", lines.join("\n")),
        position: Some(position),
    })
}

/// The error with the summary `words` about the `url` of an input, of which Nix says no place: where the user's `flake.nix` has it,
/// if it is there once.
fn with_place_of_url(context: &ExitContext<'_>, words: &str, url: &str) -> Option<NixError> {
    let file = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files?.text(&file)?;
    let written = format!("\"{url}\"");
    let mut found = text.match_indices(&written).map(|(start, _)| start);
    let start = found.next().filter(|_| found.next().is_none())?;
    let before = text.get(..start)?;
    let column = before.rsplit('\n').next()?.len() + 1;
    let line = before.matches('\n').count() + 1;
    let position = Position {
        file,
        line: u64::try_from(line).ok()?,
        column: u64::try_from(column).ok()?,
    };
    quoting(words, &text, position)
}

/// What to write in a `flake.nix` whose form is wrong: `error` is one of [`located`].
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let place = error.position.as_ref()?;
    let is_flake = place.file.starts_with(CONFIG_DIR) && place.file.ends_with(FLAKE_FILE);
    let text = context.files.filter(|_| is_flake)?.text(&place.file)?;
    if error.summary == NO_SET_HERE {
        let kind = root_kind(&text)?;
        let is_module = Header::find(&text).is_some_and(|header| {
            ARGUMENTS.iter().any(|name| header.has(name)) && !text.contains("outputs")
        });
        let hint = if kind == NODE_LAMBDA && is_module {
            "the file is a module, not a flake. Rename it to sd-card.nix, and run: sdbuild check sd-card.nix"
        } else if kind == NODE_LAMBDA {
            "write { inputs.nixpkgs.url = \"…\"; outputs = { self, nixpkgs, ... }: { … }; }"
        } else if [NODE_LET_IN, NODE_WITH].contains(&kind) {
            "the file must begin with its `{`. What is before it belongs after `outputs = { self, nixpkgs, ... }:`"
        } else {
            "a flake.nix is a single set that is written out: { … }"
        };
        return Some(hint.to_owned());
    }
    let (expected, _) = Expected::of_message(&error.summary)?;
    if error.summary.ends_with(" thunk") {
        return Some(url_in_quotes(&text, place).unwrap_or_else(|| NOT_EVALUATED.to_owned()));
    }
    let Definition { path, written, .. } = Definition::find(&text, place)?;
    let is_url =
        expected == Expected::Set && written.contains(':') && !written.contains(['$', '\n']);
    if is_url && !["inputs", "nixConfig"].contains(&path.as_str()) {
        let url = written.trim_matches('"');
        return Some(format!("an input is a set: {path}.url = \"{url}\";"));
    }
    if let Some((input, followed)) = path.split_once(FOLLOWED) {
        return Some(format!(
            "write {input}.inputs.{followed}.follows = {written};"
        ));
    }
    let hint = match (expected, path.rsplit('.').next()?) {
        (Expected::Function, _) => OUTPUTS_IS_FUNCTION,
        (Expected::Set, "nixConfig") => {
            "nixConfig is a set of settings of Nix: nixConfig = { extra-substituters = [ … ]; };"
        }
        (Expected::Boolean, _) => "write true or false, without quotes",
        (Expected::Set, _) => "an input is a set: inputs.NAME.url = \"…\";",
        (Expected::String, "description") => "the description is a string: description = \"…\";",
        (Expected::String, "url") => {
            "the URL of an input is a single string: url = \"github:OWNER/REPOSITORY\";"
        }
        (Expected::String, "follows") => {
            "follows takes the name of another input as a string: follows = \"nixpkgs\";"
        }
        (Expected::String, _) => return None,
    };
    Some(hint.to_owned())
}

/// What to write in place of a name in `description`, `inputs` or `nixConfig`, which Nix does not evaluate.
pub(super) fn not_evaluated(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_name = error.summary.starts_with("undefined variable '");
    let place = error.position.as_ref().filter(|_| is_name)?;
    let is_flake = place.file == format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.filter(|_| is_flake)?.text(&place.file)?;
    let path = whole_path(&text, place)?;
    match path.split('.').next()? {
        "description" => {
            Some("the description is a string, without names: description = \"…\";".to_owned())
        }
        "inputs" | "nixConfig" => {
            Some(url_in_quotes(&text, place).unwrap_or_else(|| NOT_EVALUATED.to_owned()))
        }
        _ => None,
    }
}

/// The line for the URL of an input that is known, which has a name or a branch without quotes at `place` of `text`:
/// `inputs.nixpkgs.url = nixos-26.05;`.
fn url_in_quotes(text: &str, place: &Position) -> Option<String> {
    let Definition {
        path,
        value,
        written,
        ..
    } = Definition::find(text, place)?;
    let whole = whole_path(text, place)?;
    let input = whole.strip_prefix("inputs.")?.strip_suffix(".url")?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if value == NODE_SELECT || !written.chars().all(is_word) {
        return None;
    }
    let url = if input == "nixpkgs" && written.starts_with("nixos-") {
        format!("github:NixOS/nixpkgs/{written}")
    } else {
        usual_url(input)?
    };
    Some(format!("a URL is written in quotes: {path} = \"{url}\";"))
}

/// The place that a message of Nix states in its text.
struct StatedPlace<'a> {
    /// The message without it.
    words: &'a str,
    file: &'a str,
    /// Line and column, counted from 1; `None` for a message about a whole file.
    place: Option<(u64, u64)>,
}

impl<'a> StatedPlace<'a> {
    /// Of `… at FILE:LINE:COLUMN`, and of `file 'FILE' must be an attribute set`.
    fn of_message(summary: &'a str) -> Option<Self> {
        if let Some(file) = summary.strip_suffix(NO_SET) {
            return Some(Self {
                words: summary,
                file: file.strip_prefix("file '")?,
                place: None,
            });
        }
        let (words, place) = summary.rsplit_once(" at ")?;
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some(Self {
            words: words.trim_end_matches(','),
            file: parts.next()?,
            place: Some((line, column)),
        })
    }
}

/// The path of a `flake.nix` below the directory that was uploaded, if `file` may be one in the store.
fn below_source(file: &str) -> Option<&str> {
    let (_, name) = file.strip_prefix("/nix/store/")?.split_once("-source/")?;
    (name.rsplit('/').next() == Some(FLAKE_FILE)).then_some(name)
}

/// What Nix expects of an attribute of a flake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Function,
    Set,
    Boolean,
    /// A string, or a path.
    String,
}

impl Expected {
    /// What is expected, and what was found, in a message of Nix.
    fn of_message(words: &str) -> Option<(Self, &str)> {
        let (expected, found) = words
            .strip_prefix("expected a ")?
            .split_once(" but got a")?;
        let expected = match expected {
            "function" => Self::Function,
            "set" => Self::Set,
            "Boolean" => Self::Boolean,
            "string" | "string or a path" => Self::String,
            _ => return None,
        };
        Some((expected, found.trim_start_matches('n').trim_start()))
    }

    /// Whether it is expected of the attribute with this path.
    fn is_of(self, path: &str) -> bool {
        let (first, last) = (path.split('.').next(), path.rsplit('.').next());
        match self {
            Self::Function => first == Some("outputs"),
            Self::Boolean => last == Some("flake"),
            Self::Set => last != Some("outputs"),
            Self::String => {
                ["description", "url", "follows", "type", "ref", "rev", "dir"]
                    .iter()
                    .any(|name| last == Some(*name))
                    || path.contains(FOLLOWED)
            }
        }
    }
}

/// Whether the message with these `words` fits what `text` has at `position`: otherwise it is about another flake's file.
fn is_about(words: &str, text: &str, position: &Position) -> bool {
    let Some(Definition { path, value, .. }) = Definition::find(text, position) else {
        return false;
    };
    let Some((expected, found)) = Expected::of_message(words) else {
        let name = words.rsplit('\'').nth(1);
        let rest = position.offset(text).and_then(|start| text.get(start..));
        return name
            .zip(rest)
            .is_some_and(|(name, rest)| rest.contains(name));
    };
    let is_found = match found {
        // Nix has addresses without quotes, too.
        "string" => value == NODE_STRING || value == NODE_LITERAL,
        "list" => value == NODE_LIST,
        // Of `outputs.a = …`, too.
        "set" => value == NODE_ATTR_SET || path.contains('.'),
        "function" => value == NODE_LAMBDA,
        // What would have to be evaluated.
        "thunk" => true,
        _ => ![NODE_STRING, NODE_LIST, NODE_LAMBDA, NODE_ATTR_SET].contains(&value),
    };
    is_found && expected.is_of(&path)
}

/// What the whole file is.
fn root_kind(text: &str) -> Option<SyntaxKind> {
    Some(parse(text).syntax().last_child()?.kind())
}

/// Line and column of the first token that is no comment, counted from 1, the column in bytes.
fn first_token(text: &str) -> Option<(u64, u64)> {
    let root = parse(text).syntax();
    let start = usize::from(root.first_child()?.text_range().start());
    let before = text.get(..start)?;
    let column = before.rsplit('\n').next()?.len() + 1;
    let line = before.matches('\n').count() + 1;
    Some((u64::try_from(line).ok()?, u64::try_from(column).ok()?))
}
