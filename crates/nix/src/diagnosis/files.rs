//! Files that the builder does not have, and what a flake must not read.

use super::cause::{Impure, is_name};
use super::evidence::ExitContext;
use super::flakes::lock_command;
use super::place::{Place, only_line, only_word};
use super::table::{Advice, Row};
use crate::known_repository::{KnownRepository, NIXPKGS_URL};
use crate::layout::CONFIG_DIR;
use crate::store_path::is_store_path;

/// Where the user's files name the file at the builder's `path`.
pub(super) fn naming(context: &ExitContext<'_>, path: &str) -> Option<Place> {
    let path = context.files?.naming(path)?;
    Some(Place {
        file: path.file,
        line: path.line,
        column: Some(path.column + 1),
    })
}

/// What helps with the file at the builder's `path`, which does not exist there, and where it is named.
pub(super) fn missing(context: &ExitContext<'_>, path: &str) -> (Option<Place>, Advice) {
    let why = context
        .files
        .map(|files| files.why_absent(path, context.shown_dir));
    let advice = why.map_or_else(
        || Row::MissingFile.advice(),
        |why| Row::MissingFile.saying(why),
    );
    (naming(context, path), advice)
}

/// The same for the file `path` of a flake, which has only what git tracks.
pub(super) fn untracked(context: &ExitContext<'_>, path: &str) -> (Option<Place>, Advice) {
    let why = context
        .files
        .and_then(|files| files.why_missing(path, context.shown_dir));
    let advice = match why {
        Some(why) => Row::Untracked.saying(why),
        None => Row::Untracked.with("path", path),
    };
    (naming(context, &format!("{CONFIG_DIR}{path}")), advice)
}

/// The same for the file `path` of nixpkgs.
pub(super) fn not_in_nixpkgs(context: &ExitContext<'_>, path: &str) -> (Option<Place>, Advice) {
    let place = naming(context, path);
    // Until 20.09.
    let advice = if path.contains("/installer/cd-dvd/sd-image") {
        Row::MovedModule.with("new", path.replace("/cd-dvd/", "/sd-card/"))
    } else {
        Row::NotInNixpkgs.with("path", path)
    };
    (place, advice)
}

/// The same for `<path>`.
pub(super) fn not_in_search_path(context: &ExitContext<'_>, path: &str) -> (Option<Place>, Advice) {
    let (channel, file) = path.split_at(path.find('/').unwrap_or(path.len()));
    let url = KnownRepository::called(channel).map(|known| {
        let branch = known.branch(context.release);
        format!(
            "https://github.com/{}/archive/{branch}.tar.gz",
            known.address
        )
    });
    let url = url.unwrap_or_else(|| "https://…".to_owned());
    let module = format!("(builtins.fetchTarball \"{url}\" + \"{file}\")");
    (
        search_path(context, path),
        Row::NoSearchPath.with("module", module),
    )
}

/// The only line with `<path>`.
fn search_path(context: &ExitContext<'_>, path: &str) -> Option<Place> {
    let written = format!("<{path}>");
    only_line(context, |line| line.contains(&written))
}

/// What helps if the user's files read a variable of the environment, which is empty here.
pub(super) fn empty_variable(context: &ExitContext<'_>) -> Option<Advice> {
    let modules = context.files?.modules();
    // A copy of nixpkgs reads variables that nobody sets.
    let own =
        |(path, _): &&(std::path::PathBuf, Vec<u8>)| path.iter().all(|part| part != "nixpkgs");
    modules.iter().filter(own).find_map(|(path, bytes)| {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = (1..).zip(text.lines());
        lines.find_map(|(line, text)| {
            let code = text.split('#').next().unwrap_or_default();
            let (_, rest) = code.split_once("getEnv ")?;
            let name = rest.split('"').nth(1).filter(|name| is_name(name))?;
            let place = format!("{}{}:{line}", context.shown_dir, path.display());
            Some(Row::EmptyVariable.with("place", place).and("name", name))
        })
    })
}

/// What helps with something outside a flake that it reads, and where that is.
pub(super) fn impure(context: &ExitContext<'_>, impure: &Impure) -> (Option<Place>, Advice) {
    match impure {
        Impure::Path(path) => impure_path(context, path),
        Impure::SearchPath(path) => {
            let channel = path.split('/').next().unwrap_or(path);
            let known = KnownRepository::called(channel);
            let url = match known {
                Some(known) => format!("github:{}", known.address),
                None if channel == "nixpkgs" => NIXPKGS_URL.to_owned(),
                None => "…".to_owned(),
            };
            let advice = Row::ImpureSearchPath
                .with("channel", channel)
                .and("url", url)
                .and("command", lock_command(context));
            (search_path(context, path), advice)
        }
        Impure::System => {
            let place = only_line(context, |line| line.contains("currentSystem"));
            (place, Row::ImpureSystem.advice())
        }
        Impure::Download(function) => {
            let place = only_line(context, |line| line.contains(function));
            (place, Row::ImpureDownload.with("function", function))
        }
        Impure::Other => (None, Row::Impure.advice()),
    }
}

fn impure_path(context: &ExitContext<'_>, path: &str) -> (Option<Place>, Advice) {
    // Nix has copied the directory of the flake to the store alone.
    let above = path.strip_prefix("/nix/store/").filter(|below| {
        let name = below.split('/').next().unwrap_or_default();
        !is_store_path(&format!("/nix/store/{name}"))
    });
    if let Some(above) = above {
        let written = format!("../{above}");
        return (
            only_word(context, &written),
            Row::ImpurePath.saying(format!(
                "../{above} is above the flake's directory, and Nix reads only files in it that git tracks. Move the file \
                 there, and git add it"
            )),
        );
    }
    let place = only_word(context, path).or_else(|| {
        let below = format!("{}/", path.trim_end_matches('/'));
        only_line(context, |line| {
            let is_around = |c: char| c.is_whitespace() || "\"';()[]".contains(c);
            line.split(is_around).any(|word| word.starts_with(&below))
        })
    });
    let name = path.rsplit('/').next().unwrap_or_default();
    (place, Row::ImpurePath.with("path", path).and("name", name))
}
