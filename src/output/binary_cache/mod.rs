//! A binary cache in a directory, which takes what a container sends as an archive.
//!
//! At every moment the directory is a valid cache: a file with content has its name once it is complete and on the disk, then
//! its description gets its own; references come before what refers to them. Whatever ends the export, the next one goes on.
//! Names, types, sizes and hashes are checked: the archive is untrusted.

mod narinfo;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use self::narinfo::{NarInfo, described, is_nar, nar_with};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::HashingReader;
use sdbuild_core::plain_file;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::MAX_IMAGE_BYTES;

/// The file that makes a directory a binary cache.
const CACHE_INFO: &str = "nix-cache-info";
/// Its text: what NixOS's cache has is taken from there, whose priority is 40.
const CACHE_INFO_TEXT: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 50\n";
/// The line of it that every cache for NixOS has.
const STORE_DIR: &str = "StoreDir: /nix/store";
/// Bytes of a description, and of [`CACHE_INFO`]: a path with ten thousand references has less.
const MAX_INFO_BYTES: u64 = 1 << 20;
/// The beginning of the names of incomplete files.
const PART: &str = ".sdbuild-part-";

/// A directory with a binary cache.
#[derive(Clone, Debug)]
pub struct CacheDir {
    dir: PathBuf,
}

impl CacheDir {
    /// The cache in `dir`, absolute, which is made if it is missing or empty. A usage error if it has something else.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let shown = shown_path(dir);
        let cache = Self {
            dir: dir.to_owned(),
        };
        let make = || DirBuilder::new().recursive(true).create(dir.join("nar"));
        match plain_file::read_text(&dir.join(CACHE_INFO), MAX_INFO_BYTES) {
            Ok(text) if text.lines().any(|line| line.trim_end() == STORE_DIR) => {
                make().or_usage(format!("write to the binary cache {shown}"))?;
            }
            Ok(_) => {
                return Err(Failure::usage(format!(
                    "{shown} is a binary cache for another store than /nix/store"
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()) {
                    let text = format!(
                        "{shown} is neither empty nor a binary cache: it has no {CACHE_INFO}"
                    );
                    return Err(Failure::usage(text).hint("name a directory for the cache alone"));
                }
                make()
                    .and_then(|()| cache.put(CACHE_INFO, &mut CACHE_INFO_TEXT.as_bytes()))
                    .or_usage(format!("create the binary cache {shown}"))?;
            }
            Err(error) => return Err(error).or_usage(format!("read the binary cache {shown}")),
        }
        cache.remove_parts();
        Ok(cache)
    }

    /// The hashes of the store paths that are there, complete and signed by `key`.
    pub fn exported(&self, key: &str) -> Result<Vec<String>, Failure> {
        let names =
            fs::read_dir(&self.dir).or_environment(format!("list {}", shown_path(&self.dir)))?;
        let is_there = |name: &str| {
            let text = plain_file::read_text(&self.dir.join(name), MAX_INFO_BYTES).ok()?;
            let info = NarInfo::parse(&text).ok()?;
            let size = self.dir.join(&info.file).symlink_metadata().ok()?.len();
            let is_whole = described(name) == Some(&info.hash) && size == info.file_size;
            (is_whole && info.is_signed_by(key)).then_some(info.hash)
        };
        let names = names
            .flatten()
            .filter_map(|file| file.file_name().into_string().ok());
        Ok(names.filter_map(|name| is_there(&name)).collect())
    }

    /// Takes the files of the archives in `stream`, which follow one another, into the cache. Each path is to be signed by `key`.
    /// An interrupted stream ends it: what is complete by then is kept.
    pub fn take(&self, stream: impl Read, key: &str) -> Result<(), Failure> {
        let mut archive = tar::Archive::new(stream);
        archive.set_ignore_zeros(true);
        let shown = shown_path(&self.dir);
        let entries = archive.entries().or_environment("read the export")?;
        let mut nar = None;
        for entry in entries {
            let mut entry = entry.or_environment("read the export")?;
            let name = entry.path_bytes().into_owned();
            let name = String::from_utf8_lossy(&name).into_owned();
            let size = entry.size();
            let is_file = entry.header().entry_type() == tar::EntryType::Regular;
            if is_file && is_nar(&name) && size <= MAX_IMAGE_BYTES {
                self.take_nar(&mut entry, &name, size).map_err(|failure| {
                    failure.context(format!("write to the binary cache {shown}"))
                })?;
                nar = Some((name, size));
            } else if let Some(hash) = described(&name)
                && is_file
                && size <= MAX_INFO_BYTES
            {
                let mut text = String::new();
                entry
                    .read_to_string(&mut text)
                    .or_environment("read the export")?;
                let info = NarInfo::parse(&text).map_err(|why| damaged(&name, why))?;
                let is_own = info.hash == hash && info.is_signed_by(key);
                if !is_own || nar.take() != Some((info.file, info.file_size)) {
                    return Err(damaged(&name, "it describes something else"));
                }
                self.put(&name, &mut text.as_bytes())
                    .or_environment(format!("write to the binary cache {shown}"))?;
            } else {
                return Err(damaged(&name, "no such file belongs to a binary cache"));
            }
        }
        Ok(())
    }

    /// Writes the next entry's content, `size` bytes, which has to have the hash that is in its name.
    fn take_nar(&self, entry: &mut impl Read, name: &str, size: u64) -> Result<(), Failure> {
        let mut reader = HashingReader::new(entry);
        let part = self
            .part(name, &mut reader)
            .or_environment("take a file of the export")?;
        let hashed = reader.finish();
        if hashed.size != size {
            return Err(damaged(name, "it is cut off"));
        }
        if nar_with(hashed.sha256) != name {
            return Err(damaged(name, "its content has another hash"));
        }
        self.keep(part, name)
            .or_environment("name a file of the export")
    }

    /// Writes the file `name` in one step.
    fn put(&self, name: &str, content: &mut impl Read) -> io::Result<()> {
        let part = self.part(name, content)?;
        self.keep(part, name)
    }

    /// A file with `content` beside the place of `name`, on the disk, and locked while it is incomplete.
    fn part(&self, name: &str, content: &mut impl Read) -> io::Result<NamedTempFile> {
        let place = self.dir.join(name);
        let part = tempfile::Builder::new()
            .prefix(PART)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(place.parent().unwrap_or(&self.dir));
        let mut part = part.map_err(|error| io::Error::from(error.kind()))?;
        // Where there are no locks nothing is removed either.
        part.as_file().try_lock().ok();
        io::copy(content, part.as_file_mut())?;
        part.flush()?;
        part.as_file().sync_all()?;
        Ok(part)
    }

    fn keep(&self, part: NamedTempFile, name: &str) -> io::Result<()> {
        let place = self.dir.join(name);
        part.persist(&place).map_err(|error| error.error)?;
        File::open(place.parent().unwrap_or(&self.dir))?.sync_all()
    }

    /// Removes the incomplete files of exports that were killed: their lock is free.
    fn remove_parts(&self) {
        for dir in [self.dir.clone(), self.dir.join("nar")] {
            for file in fs::read_dir(dir).into_iter().flatten().flatten() {
                let is_part = file.file_name().to_string_lossy().starts_with(PART);
                let is_stale = || {
                    let opened = plain_file::open_unlinked(&file.path());
                    opened.is_ok_and(|opened| opened.try_lock().is_ok())
                };
                if is_part && is_stale() {
                    fs::remove_file(file.path()).ok();
                }
            }
        }
    }
}

/// The failure for a file that the container should not have sent.
fn damaged(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::environment(format!("the export is damaged: {name:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::narinfo::describing;
    use super::*;
    use sdbuild_core::hash::Sha256Hash;

    const KEY: &str = "k-1";

    fn hash(letter: char) -> String {
        letter.to_string().repeat(32)
    }

    /// An archive of these files, with its end.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // `set_path` refuses names that lead out of a directory.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn exported(letter: char, content: &[u8]) -> Vec<u8> {
        let (nar, info) = (
            nar_with(Sha256Hash::of(content)),
            describing(&hash(letter), content, KEY),
        );
        let name = format!("{}.narinfo", hash(letter));
        archive(&[(&nar, content), (&name, info.as_bytes())])
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_archive_becomes_a_cache_that_knows_its_paths() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("new/cache");
        let cache = CacheDir::open(&dir).unwrap();
        let stream = [exported('a', b"one"), exported('b', b"two")].concat();
        cache.take(&stream[..], KEY).unwrap();
        let mut there = CacheDir::open(&dir).unwrap().exported(KEY).unwrap();
        there.sort();
        assert_eq!(there, [hash('a'), hash('b')]);
        assert!(cache.exported("other-1").unwrap().is_empty());
        let mode = dir
            .join(CACHE_INFO)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o444, 0o444, "a server may be another user");
        // A file that is cut off does not count.
        fs::write(dir.join(nar_with(Sha256Hash::of(b"one"))), "o").unwrap();
        assert_eq!(cache.exported(KEY).unwrap(), [hash('b')]);
    }

    #[test]
    fn an_export_that_breaks_off_leaves_what_is_complete() {
        let base = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(base.path()).unwrap();
        let (one, two) = (exported('a', b"one"), exported('b', &[7; 5000]));
        for length in [1, 512, 700, 512 + 5000, 512 + 5120 + 100] {
            let stream = [&one[..], &two[..length]].concat();
            drop(cache.take(&stream[..], KEY));
            assert_eq!(cache.exported(KEY).unwrap(), [hash('a')], "{length}");
            let infos = names(base.path())
                .into_iter()
                .filter(|name| name.ends_with("narinfo"));
            assert_eq!(infos.count(), 1, "{length}");
        }
        let (stale, held) = (
            base.path().join(".sdbuild-part-1"),
            base.path().join("nar/.sdbuild-part-2"),
        );
        fs::write(&stale, "half").unwrap();
        let file = File::create(&held).unwrap();
        file.try_lock().unwrap();
        let cache = CacheDir::open(base.path()).unwrap();
        assert!(!stale.exists() && held.exists());
        cache.take(&two[..], KEY).unwrap();
        assert_eq!(cache.exported(KEY).unwrap().len(), 2);
    }

    #[test]
    fn what_a_cache_does_not_have_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("cache");
        let cache = CacheDir::open(&dir).unwrap();
        let before = (names(&dir), names(&dir.join("nar")));
        let content = b"content";
        let (nar, info) = (
            nar_with(Sha256Hash::of(content)),
            describing(&hash('a'), content, KEY),
        );
        let (a, b) = (
            format!("{}.narinfo", hash('a')),
            format!("{}.narinfo", hash('b')),
        );
        let unsigned = describing(&hash('a'), content, "other-1");
        for files in [
            vec![("../evil", &content[..])],
            vec![("nar/../../evil", content)],
            vec![(CACHE_INFO, content)],
            vec![(a.as_str(), info.as_bytes())],
            vec![(nar.as_str(), b"changed")],
            vec![(nar.as_str(), &content[..]), (b.as_str(), info.as_bytes())],
            vec![(nar.as_str(), content), (a.as_str(), unsigned.as_bytes())],
        ] {
            let refused = cache.take(&archive(&files)[..], KEY).unwrap_err();
            assert!(
                refused.to_string().contains("damaged")
                    || format!("{refused:?}").contains("damaged"),
                "{refused:?}"
            );
            fs::remove_file(dir.join(&nar)).ok();
            assert_eq!((names(&dir), names(&dir.join("nar"))), before, "{files:?}");
        }
        assert_eq!(names(base.path()), ["cache"]);
    }

    #[test]
    fn a_directory_with_something_else_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("notes"), "mine").unwrap();
        let refused = CacheDir::open(base.path()).unwrap_err();
        assert!(
            refused.to_string().contains("neither empty nor"),
            "{refused}"
        );
        fs::write(base.path().join(CACHE_INFO), "StoreDir: /gnu/store\n").unwrap();
        let refused = CacheDir::open(base.path()).unwrap_err();
        assert!(refused.to_string().contains("another store"), "{refused}");
        fs::write(
            base.path().join(CACHE_INFO),
            "StoreDir: /nix/store\nPriority: 3\n",
        )
        .unwrap();
        CacheDir::open(base.path()).unwrap();
    }
}
