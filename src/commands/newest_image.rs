//! The image that `boot`, `flash` and `inspect` take when none is named, or when a host name is: the newest one here that sdbuild
//! made, which has a manifest beside it. Another file with the name of an image, such as a copy of a card, comes last, and a copy with
//! the files of one board is not taken at all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::commands::Session;
use crate::settings::output_dir;
use sdbuild_build::SizedObject;
use sdbuild_core::failure::Failure;
use sdbuild_core::host_name;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::untrusted;
use sdbuild_image::image_name::{Sidecar, host_of, is_build_result, is_for_card, is_image};
use sdbuild_image::sidecars::MAX_MANIFEST_BYTES;
use sdbuild_nix::configuration_file::configuration_in;
use serde_json::Value;

/// The image that the user named, or the newest one in the current directory and in the output directory of `sdbuild.toml`,
/// which is then reported.
pub(super) fn named_or_newest(
    image: Option<&Path>,
    session: Session<'_>,
) -> Result<PathBuf, Failure> {
    choose(image, |_| true, session)
}

/// The same for a command that writes cards: an image of another format is taken only where there is none for a card.
pub(super) fn named_or_newest_for_card(
    image: Option<&Path>,
    session: Session<'_>,
) -> Result<PathBuf, Failure> {
    choose(image, is_for_card, session)
}

/// The newest image whose name `fits`, or another one if there is no such; of the host `image` if that is not a file.
fn choose(
    image: Option<&Path>,
    fits: fn(&str) -> bool,
    session: Session<'_>,
) -> Result<PathBuf, Failure> {
    let Session { env, context, .. } = session;
    let host = match image {
        Some(path) if path.exists() || !may_be_host(path) => return Ok(path.to_owned()),
        Some(path) => Some(path.to_string_lossy()),
        None => None,
    };
    let (here, output) = output_dir(env)?;
    let images = images_here(&here, &output).into_iter();
    let images = images.filter(|image| !is_personal(&image.path));
    let is_of_host = |image: &Candidate| {
        let host = host.as_deref();
        host.is_none_or(|host| fits(image.name()) && host_of(image.name()) == Some(host))
    };
    let (fitting, others): (Vec<_>, Vec<_>) = images
        .filter(is_of_host)
        .partition(|image| fits(image.name()));
    let newest = fitting.into_iter().chain(others).next();
    let Some(Candidate { path, .. }) = newest else {
        return if let Some(path) = image {
            Ok(path.to_owned())
        } else {
            let text = format!("there is no image in {}", here.display());
            Err(Failure::usage(text).hint("build one with `sdbuild build`, or name the file"))
        };
    };
    let of_host = host.map_or_else(String::new, |host| format!(" of {host}"));
    let newer = changed_since(&path, &here);
    let newer = newer.map_or_else(String::new, |file| format!("; {}", rebuild_advice(&file)));
    let shown = shown_path(&path);
    let text = format!("the newest image{of_host}: {shown}{newer}");
    context.events.notice(text);
    Ok(path)
}

/// Whether it can be a host name, and is not that of a disk, which may be mistyped: `sdb`.
fn may_be_host(path: &Path) -> bool {
    const DISKS: [&str; 5] = ["hd", "mmcblk", "nvme", "sd", "vd"];
    let name = path.to_str().unwrap_or_default();
    let mut ends = DISKS.iter().filter_map(|start| name.strip_prefix(start));
    let is_disk = ends.any(|end| end.len() <= 2 || end.starts_with(|c: char| c.is_ascii_digit()));
    host_name::is_valid(name) && !is_disk
}

/// The file of the configuration in the directory `here` that was changed last, if that was after the build of `image`. Only times
/// are compared, as what a build would make of the files needs an evaluation.
pub(super) fn changed_since(image: &Path, here: &Path) -> Option<PathBuf> {
    const OTHER_NAMES: [&str; 3] = ["flake.lock", "sdbuild.lock", "sdbuild.toml"];
    configuration_in(here)?;
    let built = built(image)?;
    let files = fs::read_dir(here).into_iter().flatten().flatten();
    let newer = files.filter_map(|file| {
        let name = PathBuf::from(file.file_name());
        let is_nix = name.extension().is_some_and(|end| end == "nix");
        let is_part = is_nix || OTHER_NAMES.iter().any(|other| name == Path::new(other));
        let time = fs::metadata(file.path()).ok()?.modified().ok()?;
        (is_part && time > built).then_some((time, name))
    });
    newer.max().map(|(_, name)| name)
}

/// What to do about an image where `file` of the configuration is newer.
pub(super) fn rebuild_advice(file: &Path) -> String {
    let shown = quoted(&file.to_string_lossy());
    format!("{shown} is newer: `sdbuild build` makes a new image")
}

/// The newest image in the current directory `here` and in the output directory.
pub(super) fn newest(here: &Path, output: &Path) -> Option<PathBuf> {
    let mut images = images_here(here, output).into_iter();
    let newest = images.find(|image| !is_personal(&image.path));
    newest.map(|candidate| candidate.path)
}

/// Whether `image` is the one that is taken in its directory when none is named.
pub(super) fn is_newest_in_its_directory(image: &Path) -> bool {
    let newest = image.parent().and_then(|dir| newest(dir, dir));
    newest.is_some_and(|newest| newest == image)
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

impl Candidate {
    fn name(&self) -> &str {
        let name = self.path.file_name().unwrap_or_default();
        name.to_str().unwrap_or_default()
    }
}

/// When the last build that made `image` or found it up to date read the configuration; `None` if sdbuild did not make it.
fn built(image: &Path) -> Option<SystemTime> {
    let manifest = fs::metadata(Sidecar::Manifest.path(image)).ok()?;
    manifest.is_file().then(|| manifest.modified().ok())?
}

/// Whether files of one board were put into `image`, as the manifest beside it says: their secrets are not for another card.
fn is_personal(image: &Path) -> bool {
    let text = plain_file::read_text(&Sidecar::Manifest.path(image), MAX_MANIFEST_BYTES);
    let manifest: Option<Value> = untrusted::json(&text.unwrap_or_default()).ok();
    let put = manifest.as_ref().and_then(|manifest| manifest.get("put"));
    put.and_then(Value::as_array)
        .is_some_and(|put| !put.is_empty())
}

/// The files with the name of an image, and what builds wrote under other names, in the current directory `here` and in the output
/// directory, the newest first.
fn images_here(here: &Path, output: &Path) -> Vec<Candidate> {
    let dirs = BTreeSet::from([here, output]).into_iter();
    let files = dirs.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
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
    let mut images: Vec<_> = images.collect();
    images.sort_unstable_by(|one, other| other.cmp(one));
    images
}

#[cfg(test)]
mod tests;
