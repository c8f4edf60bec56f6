//! Whether a file of the configuration here is newer than an image. Only times are compared: it must be instant, and what a
//! build would make of the files needs an evaluation. So nothing says that the configuration has changed.

use std::collections::VecDeque;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::common::configuration_file::configuration_in;

/// Entries of directories that are looked at: more would take its time on a slow disk.
const MAX_ENTRIES: usize = 5000;
/// Files besides those of Nix that decide what is built.
const OTHER_NAMES: [&str; 3] = ["flake.lock", "sdbuild.lock", "sdbuild.toml"];

/// The newest file of the configuration in the directory `here` that was changed after the build of an image had `read` the
/// configuration, relative to `here`. A directory below it that has a configuration of its own does not belong to it.
pub(super) fn newer_file(here: &Path, read: SystemTime) -> Option<PathBuf> {
    configuration_in(here)?;
    let mut dirs = VecDeque::from([here.to_owned()]);
    let mut entries = std::iter::from_fn(|| {
        let dir = dirs.pop_front()?;
        let entries: Vec<_> = fs::read_dir(&dir).into_iter().flatten().flatten().collect();
        let further = entries.iter().filter(|entry| is_further_dir(entry));
        dirs.extend(further.map(DirEntry::path));
        Some(entries)
    });
    let entries = entries.by_ref().flatten().take(MAX_ENTRIES);
    let files = entries.filter(is_of_configuration);
    let newer = files.filter_map(|file| {
        let time = modified(&file.path()).filter(|time| *time > read)?;
        Some((time, file.path()))
    });
    let (_, path) = newer.max()?;
    path.strip_prefix(here).map(Path::to_owned).ok()
}

/// Whether files in it may belong to the configuration of the directory that it is in.
fn is_further_dir(entry: &DirEntry) -> bool {
    let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
    is_dir && !is_hidden && configuration_in(&entry.path()).is_none()
}

/// Whether it is a file, or a link to one, that decides what is built.
fn is_of_configuration(entry: &DirEntry) -> bool {
    let path = entry.path();
    let name = entry.file_name();
    let is_nix = path.extension().is_some_and(|extension| extension == "nix");
    (is_nix || OTHER_NAMES.iter().any(|other| name == *other)) && path.is_file()
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
        let since = |minutes: u64| {
            let read = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
            newer_file(here, read).map(|path| path.display().to_string())
        };
        write(here, "other.nix", 9);
        assert_eq!(since(5), None, "no configuration is here");
        write(here, "other.nix", 5);
        write(here, "sd-card.nix", 4);
        write(here, "notes.txt", 9);
        write(here, ".git/x.nix", 9);
        write(here, "second/sd-card.nix", 9);
        write(here, "second/more.nix", 9);
        assert_eq!(since(5), None);
        write(here, "modules/ssh.nix", 6);
        assert_eq!(since(5).as_deref(), Some("modules/ssh.nix"));
        write(here, "sdbuild.toml", 7);
        assert_eq!(since(5).as_deref(), Some("sdbuild.toml"));
        write(here, "sd-card.nix", 8);
        assert_eq!(since(5).as_deref(), Some("sd-card.nix"));
        assert_eq!(since(8), None);
        std::os::unix::fs::symlink("second/more.nix", here.join("link.nix")).unwrap();
        assert_eq!(since(8).as_deref(), Some("link.nix"));
    }
}
