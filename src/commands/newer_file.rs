//! Whether a file of the configuration here is newer than an image. Only times are compared: it must be instant, and what a
//! build would make of the files needs an evaluation. So nothing says that the configuration has changed.

use std::collections::VecDeque;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::common::image_name::Sidecar;
use crate::settings::configuration_in;

/// Entries of directories that are looked at: more would take its time on a slow disk.
const MAX_ENTRIES: usize = 5000;
/// Files besides those of Nix that decide what is built.
const OTHER_NAMES: [&str; 3] = ["flake.lock", "sdbuild.lock", "sdbuild.toml"];

/// The newest file of the configuration in the directory `here` that is newer than `image`, relative to `here`. A directory below
/// it that has a configuration of its own does not belong to it.
pub(super) fn newer_file(here: &Path, image: &Path) -> Option<PathBuf> {
    configuration_in(here)?;
    // The manifest is dated anew by a build that finds the image up to date.
    let confirmed = modified(&Sidecar::Manifest.path(image));
    let built = confirmed.max(modified(image))?;
    let mut dirs = VecDeque::from([here.to_owned()]);
    let (mut newest, mut looked_at) = (None, 0);
    while let Some(dir) = dirs.pop_front() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_ENTRIES {
                break;
            }
            let path = entry.path();
            if is_further_dir(&entry) {
                dirs.push_back(path);
            } else if is_of_configuration(&entry)
                && let Some(time) = modified(&path).filter(|time| *time > built)
            {
                newest = newest.max(Some((time, path)));
            }
        }
    }
    let (_, path) = newest?;
    path.strip_prefix(here).map(Path::to_owned).ok()
}

/// Whether files in it may belong to the configuration of the directory that it is in.
fn is_further_dir(entry: &DirEntry) -> bool {
    let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
    is_dir && !is_hidden && configuration_in(&entry.path()).is_none()
}

fn is_of_configuration(entry: &DirEntry) -> bool {
    let path = entry.path();
    let name = entry.file_name();
    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
    let is_nix = path.extension().is_some_and(|extension| extension == "nix");
    is_file && (is_nix || OTHER_NAMES.iter().any(|other| name == *other))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes `name` in `dir` with a time of so many minutes.
    fn write(dir: &Path, name: &str, minutes: u64) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
        fs::File::create(&path).unwrap().set_modified(time).unwrap();
        path
    }

    #[test]
    fn only_files_of_the_configuration_that_are_newer_count() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        let image = write(here, "a.img", 5);
        let newer = || newer_file(here, &image).map(|path| path.display().to_string());
        write(here, "other.nix", 9);
        assert_eq!(newer(), None, "no configuration is here");
        write(here, "other.nix", 5);
        write(here, "sd-card.nix", 4);
        write(here, "notes.txt", 9);
        write(here, ".git/x.nix", 9);
        write(here, "second/sd-card.nix", 9);
        write(here, "second/more.nix", 9);
        std::os::unix::fs::symlink("second/more.nix", here.join("link.nix")).unwrap();
        assert_eq!(newer(), None);
        write(here, "modules/ssh.nix", 6);
        assert_eq!(newer().as_deref(), Some("modules/ssh.nix"));
        write(here, "sdbuild.toml", 7);
        assert_eq!(newer().as_deref(), Some("sdbuild.toml"));
        write(here, "sd-card.nix", 8);
        assert_eq!(newer().as_deref(), Some("sd-card.nix"));
        write(here, "a.img.json", 8);
        assert_eq!(newer(), None, "a build has found it up to date");
    }
}
