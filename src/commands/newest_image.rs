//! The image that `boot`, `flash` and `inspect` take when none is named: the newest one here that sdbuild made, which has a
//! manifest beside it. Another file with the name of an image, such as a copy of a card, is taken only where there is no such.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::commands::newer_file::newer_file;
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use crate::pipeline::SizedObject;
use crate::settings::{Environment, output_dir};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::image_name::{Sidecar, host_of, is_build_result, is_for_card, is_image};

/// The image that the user named, or the newest one in the current directory and in the output directory of `sdbuild.toml`,
/// which is then reported.
pub(super) fn named_or_newest(
    image: Option<&Path>,
    env: &Environment,
    context: &Context,
) -> Result<PathBuf, Failure> {
    if let Some(image) = image {
        return Ok(image.to_owned());
    }
    let (here, output) = output_dir(env)?;
    let path = newest(&here, &output).ok_or_else(|| no_image(&here))?;
    tell_taken("the newest image", &path, &here, context);
    Ok(path)
}

/// As [`named_or_newest`]; a word that is no file, but the host name of images here or the beginning of their names, is the newest
/// of them if all have the same host name.
pub(super) fn meant_or_newest(
    image: Option<&Path>,
    env: &Environment,
    context: &Context,
) -> Result<PathBuf, Failure> {
    let is_name = |path: &&Path| path.components().count() == 1 && !path.exists();
    let Some(word) = image.filter(is_name).and_then(Path::to_str) else {
        return named_or_newest(image, env, context);
    };
    let (here, output) = output_dir(env)?;
    let images = meant_by(word, images_here(&here, &output));
    let Some(newest) = images.first() else {
        return named_or_newest(image, env, context);
    };
    let host = host_of_candidate(newest);
    if images.iter().any(|image| host_of_candidate(image) != host) {
        let names = shown_names(&images).join(", ");
        let text = format!("{} may mean several images", quoted(word));
        return Err(Failure::usage(text).hint(format!("name one: {names}")));
    }
    let what = format!("the newest image of {host}");
    tell_taken(&what, &newest.path, &here, context);
    Ok(newest.path.clone())
}

/// Those of `images` whose host name is `word`; without such, `word` without `nixos-`, with which file names begin; without such,
/// those whose names begin with it.
fn meant_by(word: &str, images: Vec<Candidate>) -> Vec<Candidate> {
    /// Letters of the beginning of a name at least.
    const MIN_LETTERS: usize = 3;
    let mut others = images;
    for host in std::iter::once(word).chain(word.strip_prefix("nixos-")) {
        let (exact, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|image| host_of_candidate(image) == host);
        if !exact.is_empty() {
            return exact;
        }
        others = rest;
    }
    let begins = |image: &Candidate| {
        let name = name_of(image);
        let is_beginning = name.starts_with(word) || host_of_candidate(image).starts_with(word);
        word.len() >= MIN_LETTERS && is_beginning
    };
    others.into_iter().filter(begins).collect()
}

/// The host name in the name of `image`, or the whole name.
fn host_of_candidate(image: &Candidate) -> String {
    let name = name_of(image);
    host_of(&name).unwrap_or(&name).to_owned()
}

fn name_of(image: &Candidate) -> Cow<'_, str> {
    image.path.file_name().unwrap_or_default().to_string_lossy()
}

/// The image that the user named, or the newest one for a card, which is then reported: that of another format, and newer, only
/// where there is none for a card.
pub(super) fn named_or_newest_for_card(
    image: Option<&Path>,
    env: &Environment,
    context: &Context,
) -> Result<PathBuf, Failure> {
    if let Some(word) = image {
        let of_host = newest_of_host(word, env, context)?;
        return of_host.map_or_else(|| named_or_newest(image, env, context), Ok);
    }
    let (here, output) = output_dir(env)?;
    let path = newest_for_card(&here, &output).ok_or_else(|| no_image(&here))?;
    let newer = newest(&here, &output).filter(|newest| *newest != path);
    let what = newer.map_or_else(
        || "the newest image".to_owned(),
        |newer| {
            let newer = shown_path(&newer);
            format!("the newest image for a card ({newer} is newer, and has another format)")
        },
    );
    tell_taken(&what, &path, &here, context);
    Ok(path)
}

/// The newest image for a card of the host `word`, which is then reported: not by half a name, nor by what may be a mistyped disk.
fn newest_of_host(
    word: &Path,
    env: &Environment,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let Some(host) = word.to_str().filter(|_| !word.exists()) else {
        return Ok(None);
    };
    let (here, output) = output_dir(env)?;
    let is_meant = |image: &Candidate| {
        let name = name_of(image);
        is_for_card(&name) && host_of(&name) == Some(host)
    };
    let mut images = images_here(&here, &output).into_iter();
    let newest = images.find(is_meant).map(|image| image.path);
    if let Some(path) = &newest {
        tell_taken(&format!("the newest image of {host}"), path, &here, context);
    }
    Ok(newest)
}

fn no_image(here: &Path) -> Failure {
    Failure::usage(format!("there is no image in {}", here.display()))
        .hint("build one with `sdbuild build`, or name the file")
}

/// Says that `path`, which is `what`, is taken.
fn tell_taken(what: &str, path: &Path, here: &Path, context: &Context) {
    let changed = changed_since(path, here).map(|file| format!("; {}", rebuild_advice(&file)));
    let (shown, changed) = (shown_path(path), changed.unwrap_or_default());
    context.events.notice(format!("{what}: {shown}{changed}"));
}

/// The file of the configuration in the directory `here` that was changed last, after the build of `image`. `None` if there is no
/// such file, and if sdbuild did not make the image.
pub(super) fn changed_since(image: &Path, here: &Path) -> Option<PathBuf> {
    newer_file(here, built(image)?)
}

/// What is said of an image where `file` of the configuration is newer.
pub(super) fn rebuild_advice(file: &Path) -> String {
    let shown = quoted(&file.to_string_lossy());
    let is_configuration = [CONFIG_NAME, FLAKE_FILE]
        .iter()
        .any(|name| file == Path::new(name));
    let condition = if is_configuration {
        ""
    } else {
        " if it is part of the configuration"
    };
    format!("{shown} is newer: `sdbuild build` makes a new image{condition}")
}

/// The newest image in the current directory `here` and in the output directory.
pub(super) fn newest(here: &Path, output: &Path) -> Option<PathBuf> {
    let newest = images_here(here, output).into_iter().next();
    newest.map(|candidate| candidate.path)
}

/// The newest image for a card in the current directory `here` and in the output directory; without one, the newest of any format.
pub(super) fn newest_for_card(here: &Path, output: &Path) -> Option<PathBuf> {
    let mut images = images_here(here, output).into_iter();
    let newest = images.find(|image| is_for_card(&name_of(image)));
    let path = newest.map(|image| image.path);
    path.or_else(|| self::newest(here, output))
}

/// Whether `image` is the one that is taken in its directory when none is named.
pub(super) fn is_newest_in_its_directory(image: &Path) -> bool {
    let newest = image.parent().and_then(newest_in);
    newest.is_some_and(|newest| newest.path == image)
}

/// A file with the name of an image. The greatest one is taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// When the last build that made it or found it up to date read the configuration: the time of the manifest beside it, if
    /// there is one.
    built: Option<SystemTime>,
    written: SystemTime,
    /// Bytes on the disk: `st_blocks` counts units of 512 (stat(2)).
    size: u64,
    path: PathBuf,
}

/// When the last build that made `image` or found it up to date read the configuration; `None` if sdbuild did not make it.
pub(super) fn built(image: &Path) -> Option<SystemTime> {
    let manifest = fs::metadata(Sidecar::Manifest.path(image)).ok()?;
    manifest.is_file().then(|| manifest.modified().ok())?
}

/// The images that sdbuild made in the current directory `here` and in the output directory, the newest first.
pub(super) fn built_images(here: &Path, output: &Path) -> Vec<SizedObject> {
    let images = images_here(here, output).into_iter();
    let images = images.filter(|image| image.built.is_some());
    let sized = |image: Candidate| SizedObject {
        name: shown_path(&image.path),
        size: Some(image.size),
        age: image.written.elapsed().ok().map(|age| age.as_secs()),
    };
    images.map(sized).collect()
}

/// The names of the images in the current directory `here` and in the output directory, the newest first.
pub(super) fn names_of_images(here: &Path, output: &Path) -> Vec<String> {
    shown_names(&images_here(here, output))
}

fn shown_names(images: &[Candidate]) -> Vec<String> {
    let name = |image: &Candidate| quoted(&shown_path(&image.path));
    images.iter().map(name).collect()
}

/// The images in the current directory `here` and in the output directory, the newest first.
fn images_here(here: &Path, output: &Path) -> Vec<Candidate> {
    let dirs = BTreeSet::from([here, output]);
    let mut images: Vec<Candidate> = dirs.into_iter().flat_map(images_in).collect();
    images.sort_unstable_by(|one, other| other.cmp(one));
    images
}

/// The image in `dir` that is taken.
fn newest_in(dir: &Path) -> Option<Candidate> {
    images_in(dir).into_iter().max()
}

/// The files in `dir` with the name of an image, and what builds wrote under other names.
fn images_in(dir: &Path) -> Vec<Candidate> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let images = files.filter_map(|file| {
        let name = file.file_name();
        let metadata = file.metadata().ok()?;
        let name = name.to_str()?;
        let is_image = is_image(name) || is_build_result(&file.path());
        if !metadata.is_file() || name.starts_with('.') || !is_image {
            return None;
        }
        Some(Candidate {
            built: built(&file.path()),
            written: metadata.modified().ok()?,
            size: metadata.blocks().saturating_mul(512),
            path: file.path(),
        })
    });
    images.collect()
}

#[cfg(test)]
mod tests;
