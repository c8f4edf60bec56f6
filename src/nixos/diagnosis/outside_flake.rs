//! What a flake cannot reach: files outside it, the environment, the system of the computer that evaluates it.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_PATH_ABS, NODE_STRING};

use super::evidence::ExitContext;
use super::flake_source::above_hint;
use super::foreign_module;
use super::names::quoted_after;
use super::nixpkgs_in_flake;
use super::written_values;
use super::written_values::DefinedValue;
use crate::nixos::nix_definitions::defines;
use crate::nixos::store_path::is_store_path;
use crate::nixos::user_files::{HARDWARE_FILE, REMOVE_HARDWARE_FILE, path_from};

/// Attributes whose files are read while the configuration is evaluated, also where their paths are strings.
const READ_AT_ONCE: [&str; 3] = ["imports", "keyFiles", "modules"];

/// What a flake needs instead of what only an impure evaluation sees.
pub(super) fn impure_hint(context: &ExitContext<'_>, summary: &str) -> String {
    if let Some(hint) = foreign_module::in_place_of_search_path(context, summary) {
        return hint;
    }
    if let Some(hint) = nixpkgs_in_flake::hint(context, summary) {
        return hint;
    }
    if let Some(hint) = fetched_without_hash(context, summary) {
        return hint;
    }
    let read = quoted_path(summary).and_then(|path| file_that_is_read(context, path));
    if let Some(hint) = read {
        return hint;
    }
    let outside = quoted_path(summary).and_then(|path| written_below(context, path));
    if summary == "attribute 'currentSystem' missing" {
        if let Some(hint) = import_without_system(context) {
            return hint;
        }
        return "a flake does not know the system of the computer that evaluates it. Write \"aarch64-linux\" instead of \
         builtins.currentSystem"
            .to_owned();
    }
    match (above_the_flake(summary), outside) {
        (Some(path), _) => above_hint(context, path),
        (None, Some(written)) => outside_hint(context, &written),
        (None, None) => "a flake cannot use the environment, <nixpkgs>, builtins.currentSystem or files outside it. \
         Make what it needs an input, or a file that git tracks"
            .to_owned(),
    }
}

/// The path of which Nix says that it is forbidden.
fn quoted_path(summary: &str) -> Option<&str> {
    let (_, rest) = summary.split_once("access to absolute path '")?;
    Some(rest.split_once('\'')?.0)
}

/// The only path in the user's files that begins with `start`, and its file and line.
fn written_below(context: &ExitContext<'_>, start: &str) -> Option<(String, DefinedValue)> {
    context.files?.only_place(|text| {
        let found = written_values::paths_below(text, start).into_iter();
        found.map(|path| (path.line, path)).collect()
    })
}

/// What to do about an absolute path in a flake, and where it is.
fn outside_hint(context: &ExitContext<'_>, (file, path): &(String, DefinedValue)) -> String {
    let place = format!("{}{file}", context.shown_dir);
    let written = &path.written;
    if let Some(below) = context.files.and_then(|files| files.below_root(written)) {
        return format!("{place} names {written}. Write {}", path_from(file, &below));
    }
    let attribute = path.defines.rsplit('.').next().unwrap_or_default();
    if ["imports", "modules"].contains(&attribute) {
        let name = written.rsplit('/').next().unwrap_or_default();
        if name == HARDWARE_FILE {
            return format!("{place} names {written}. {REMOVE_HARDWARE_FILE}");
        }
        return format!(
            "{place} names {written}, which is outside the flake. Copy it next to flake.nix, git add it, and write \
             ./{name}"
        );
    }
    format!("{place} names {written}. If that is a file on the machine, write its path in quotes")
}

/// The path after `../`, of a file above the flake's directory, which Nix has copied to the store alone.
fn above_the_flake(summary: &str) -> Option<&str> {
    let whole = quoted_after(summary, "access to absolute path")?;
    let path = whole.strip_prefix("/nix/store/")?;
    let name = path.split('/').next()?;
    (!is_store_path(&format!("/nix/store/{name}"))).then_some(path)
}

/// What to do about the only file below `start` that the user's files read while they are evaluated.
fn file_that_is_read(context: &ExitContext<'_>, start: &str) -> Option<String> {
    let (place, path) = context.files?.only_place(|text| {
        let read = written_values::given_to(text, "readFile", &[NODE_PATH_ABS, NODE_STRING]);
        let named = written_values::all(text, |node| {
            let attribute = defines(node);
            let attribute = attribute.rsplit('.').next().unwrap_or_default();
            node.kind() == NODE_STRING && READ_AT_ONCE.contains(&attribute)
        });
        let paths = read.into_iter().chain(named).filter_map(|value| {
            let path = value.written.trim_matches('"').to_owned();
            let below = path.strip_prefix(start)?;
            let is_below = below.is_empty() || below.starts_with('/');
            is_below.then_some((value.line, path))
        });
        paths.collect()
    })?;
    let name = path.rsplit('/').next()?;
    Some(format!(
        "{}{place} reads {path}, which is outside the flake. Copy it next to that file, git add it, and write \
         ./{name} without quotes. Do not copy a secret, because everybody who has the card could read it",
        context.shown_dir
    ))
}

/// What to do about a download of whose content the user's files give no hash.
fn fetched_without_hash(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let lacks_hash = summary.ends_with("requires a 'sha256' argument");
    let function = quoted_after(summary, "in pure evaluation mode,").filter(|_| lacks_hash)?;
    let (place, url) = context.files?.only_place(|text| {
        let given = written_values::given_to(text, function, &[NODE_STRING, NODE_ATTR_SET]);
        let urls = given.into_iter().filter_map(|given| {
            let is_string = given.written.starts_with('"');
            let in_set = || written_values::values_of(&given.written, "url").pop();
            let url = if is_string {
                given.written.clone()
            } else {
                in_set()?.written
            };
            let has_hash = given.written.contains("sha256");
            (!has_hash).then_some((given.line, url))
        });
        urls.collect()
    })?;
    Some(format!(
        "{}{place}: in a flake, {function} needs a hash. Write builtins.{function} {{ url = {url}; sha256 = \"\"; }}, run it \
         again, and copy the hash from the message",
        context.shown_dir
    ))
}

/// How to give the system to nixpkgs where the user's files import it without: `import nixpkgs { }`.
fn import_without_system(context: &ExitContext<'_>) -> Option<String> {
    let (place, call) = context.files?.only_place(|text| {
        let calls = written_values::all(text, |node| {
            let function = node.first_child();
            let is_import = function.is_some_and(|function| {
                let written = function.text().to_string();
                written.starts_with("import ") && written.ends_with("nixpkgs")
            });
            let given = node
                .last_child()
                .filter(|given| given.kind() == NODE_ATTR_SET);
            let lacks_system =
                given.is_some_and(|given| !given.text().to_string().contains("ystem"));
            node.kind() == NODE_APPLY && is_import && lacks_system
        });
        let calls = calls.into_iter();
        calls.map(|call| (call.line, call.written)).collect()
    })?;
    let (function, given) = call.split_once('{')?;
    let given = if given.contains('\n') {
        " … }"
    } else {
        given
    };
    Some(format!(
        "{}{place}: a flake does not know the system of the computer that evaluates it. Write {function}{{ system = \
         \"aarch64-linux\";{given}",
        context.shown_dir
    ))
}
