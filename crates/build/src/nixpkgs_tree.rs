//! A local nixpkgs directory: hashed by several threads, and packed by one walk in a fixed order. Both give the same digest.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use ignore::{DirEntry, WalkBuilder, WalkState};

use crate::tar_writer::{END_SIZE, Owner, TarWriter, entry_size};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Hashed, Hasher, HashingReader, Sha256Hash};
use sdbuild_core::plain_file;

pub(super) use remembered::{forget, remembered, summarize};

mod remembered;

/// Depth of nested directories; nixpkgs has about ten levels. Packing is recursive, so the stack limits it.
const MAX_DEPTH: usize = 256;

/// The directory that holds the tree in its archive.
const ARCHIVE_ROOT: &str = "nixpkgs";

/// Digest of a directory, and the size of its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeSummary {
    /// SHA-256 of paths, modes and contents.
    pub(super) digest: Sha256Hash,
    /// Bytes of the archive that [`pack_tree`] writes, at most.
    pub(super) archive_size: u64,
}

/// One entry of a tree with its content.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Directory,
    /// A symbolic link: the hash of its target.
    Link(Hashed),
    File {
        executable: bool,
        content: Hashed,
    },
}

impl Entry {
    /// A symbolic link to `target`.
    fn link(target: &str) -> Self {
        let mut hash = Hasher::new();
        hash.update(target);
        Self::Link(hash.finish())
    }
}

/// Puts the digest of a tree together, in the order of the names in each directory.
#[derive(Debug)]
struct TreeHasher {
    hash: Hasher,
    archive_size: u64,
}

impl TreeHasher {
    /// The digest of an empty tree.
    fn new() -> Self {
        Self {
            hash: Hasher::new(),
            // A directory's path ends with a slash in an archive.
            archive_size: entry_size(ARCHIVE_ROOT.len() as u64 + 1, 0, 0) + END_SIZE,
        }
    }

    /// Appends the entry with the path `name`. The lengths make the hashed bytes unambiguous.
    fn add(&mut self, name: &str, entry: Entry) {
        // Below the root, after a slash.
        let path = (ARCHIVE_ROOT.len() + 1 + name.len()) as u64;
        self.archive_size += match entry {
            Entry::Directory => entry_size(path + 1, 0, 0),
            Entry::Link(target) => entry_size(path, target.size, 0),
            Entry::File { content, .. } => entry_size(path, 0, content.size),
        };
        let (kind, content) = match entry {
            Entry::Directory => (b'd', None),
            Entry::Link(target) => (b'l', Some(target)),
            Entry::File {
                executable,
                content,
            } => (if executable { b'x' } else { b'f' }, Some(content)),
        };
        self.hash.update([kind]);
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name);
        if let Some(Hashed { sha256, size }) = content {
            self.hash.update(size.to_le_bytes());
            self.hash.update(<[u8; 32]>::from(sha256));
        }
    }

    fn finish(self) -> TreeSummary {
        TreeSummary {
            digest: self.hash.finish().sha256,
            archive_size: self.archive_size,
        }
    }
}

/// Whether an entry of this name belongs to the tree.
fn is_part(name: &OsStr) -> bool {
    name != ".git"
}

fn is_executable(file: &Metadata) -> bool {
    file.mode() & 0o100 != 0
}

/// The path below the root as text.
fn name_of(relative: &Path) -> io::Result<&str> {
    let name = relative.to_str();
    name.ok_or_else(|| io::Error::other("the name is not UTF-8"))
}

/// Where the symbolic link `path` leads to.
fn link_target(path: &Path) -> io::Result<String> {
    let target = fs::read_link(path)?.into_os_string().into_string();
    target.map_err(|_| io::Error::other("the target is not UTF-8"))
}

/// An error when a directory with this many components is too deep.
fn check_depth(components: usize) -> io::Result<()> {
    if components > MAX_DEPTH {
        let text = format!("directories are nested more than {MAX_DEPTH} levels deep");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// `error` with the path of the entry, unless an inner directory has added it.
fn with_path(relative: &Path, error: &io::Error) -> io::Error {
    let text = error.to_string();
    let name = relative.display().to_string();
    let text = if text.starts_with(&name) {
        text
    } else {
        format!("{name}: {text}")
    };
    io::Error::new(error.kind(), text)
}

/// Hashes the directory `root` without `.git`.
fn hash_tree(root: &Path, cancel: &Cancel) -> io::Result<TreeSummary> {
    let mut hash = TreeHasher::new();
    for (name, entry) in walk(root, cancel, describe)? {
        hash.add(&name, entry);
    }
    Ok(hash.finish())
}

/// What an entry is; `None` for what is not part of a source tree.
fn describe(found: &DirEntry) -> io::Result<Option<Entry>> {
    let path = found.path();
    let Some(kind) = found.file_type() else {
        return Ok(None);
    };
    if kind.is_symlink() {
        Ok(Some(Entry::link(&link_target(path)?)))
    } else if kind.is_dir() {
        Ok(Some(Entry::Directory))
    } else if kind.is_file() {
        let mut file = plain_file::open_unlinked(path)?;
        let executable = is_executable(&file.metadata()?);
        let mut hash = Hasher::new();
        io::copy(&mut file, &mut hash)?;
        let content = hash.finish();
        Ok(Some(Entry::File {
            executable,
            content,
        }))
    } else {
        // Sockets, pipes and devices are not part of a source tree.
        Ok(None)
    }
}

/// How many entries are read at a time. It does not follow the processor's cores: the threads wait for the disk.
const READERS: usize = 8;

/// The entries below the directory `root`, which are refused below a depth of 256, without `.git`: the path of each, and what `read` gives for it; it leaves out those
/// for which that is `None`. They are in the order in which they are packed, that of the names in each directory.
fn walk<T: Send>(
    root: &Path,
    cancel: &Cancel,
    read: impl Fn(&DirEntry) -> io::Result<Option<T>> + Sync,
) -> io::Result<Vec<(String, T)>> {
    let found = Mutex::new(Ok(Vec::new()));
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .threads(READERS)
        .filter_entry(|entry| is_part(entry.file_name()))
        .build_parallel();
    walk.run(|| {
        Box::new(|entry| {
            let read = read_entry(root, entry, cancel, &read);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match (found.as_mut(), read) {
                (Ok(all), Ok(entry)) => {
                    all.extend(entry);
                    WalkState::Continue
                }
                (Ok(_), Err(error)) => {
                    *found = Err(error);
                    WalkState::Quit
                }
                (Err(_), _) => WalkState::Quit,
            }
        })
    });
    let found = found.into_inner();
    let mut entries: Vec<(String, T)> = found.unwrap_or_else(PoisonError::into_inner)?;
    entries.sort_by(|(a, _), (b, _)| Path::new(a).cmp(Path::new(b)));
    Ok(entries)
}

/// The path of an entry below `root` and what `read` gives for it; `None` for the root itself.
fn read_entry<T>(
    root: &Path,
    entry: Result<DirEntry, ignore::Error>,
    cancel: &Cancel,
    read: impl Fn(&DirEntry) -> io::Result<Option<T>>,
) -> io::Result<Option<(String, T)>> {
    if cancel.is_cancelled() {
        return Err(io::Error::other("interrupted"));
    }
    let found = entry.map_err(io::Error::other)?;
    if found.depth() == 0 {
        return Ok(None);
    }
    let relative = found.path().strip_prefix(root).unwrap_or(found.path());
    let named = || {
        if found.file_type().is_some_and(|kind| kind.is_dir()) {
            check_depth(found.depth())?;
        }
        let name = name_of(relative)?.to_owned();
        Ok(read(&found)?.map(|entry| (name, entry)))
    };
    named().map_err(|error| with_path(relative, &error))
}

/// Writes an archive of the directory `root` without `.git` to `out`, below [`ARCHIVE_ROOT`], and hashes what is written.
pub(super) fn pack_tree(
    root: &Path,
    out: &mut dyn Write,
    owner: Owner,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    let mut packer = Packer {
        hash: TreeHasher::new(),
        tar: TarWriter::new(out, owner),
        cancel,
    };
    packer.tar.directory(ARCHIVE_ROOT)?;
    packer.directory(root, &PathBuf::new())?;
    packer.tar.finish()?;
    Ok(packer.hash.finish())
}

struct Packer<'a> {
    hash: TreeHasher,
    tar: TarWriter<'a>,
    cancel: &'a Cancel,
}

impl Packer<'_> {
    /// The entries of the directory `path`; `relative` is its path below the root.
    fn directory(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        check_depth(relative.components().count())?;
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.retain(|name| is_part(name));
        names.sort();
        for name in &names {
            let (path, relative) = (path.join(name), relative.join(name));
            self.entry(&path, &relative)
                .map_err(|e| with_path(&relative, &e))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let meta = path.symlink_metadata()?;
        let name = name_of(relative)?;
        let packed = format!("{ARCHIVE_ROOT}/{name}");
        if meta.is_symlink() {
            let target = link_target(path)?;
            self.hash.add(name, Entry::link(&target));
            self.tar.link(&packed, &target)
        } else if meta.is_dir() {
            self.hash.add(name, Entry::Directory);
            self.tar.directory(&packed)?;
            self.directory(path, relative)
        } else if meta.is_file() {
            let executable = is_executable(&meta);
            let file = plain_file::open_unlinked(path)?;
            let mut content = Hasher::new();
            let file = HashingReader::with_hasher(file, &mut content);
            self.tar.file(&packed, meta.len(), executable, file)?;
            let content = content.finish();
            self.hash.add(
                name,
                Entry::File {
                    executable,
                    content,
                },
            );
            Ok(())
        } else {
            // Sockets, pipes and devices are not part of a source tree.
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::tar_writer::Owner;
    use sdbuild_core::cancel::Cancel;
    use sdbuild_core::hash::Sha256Hash;

    const OWNER: Owner = Owner {
        uid: 1000,
        gid: 1000,
    };

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("nixos/lib")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        fs::write(dir.path().join("nixos/lib/a"), vec![7; 100_000]).unwrap();
        // After `nixos/…` by directories, before it by bytes: `-` and `.` come before `/`.
        fs::write(dir.path().join("nixos-a"), "").unwrap();
        fs::write(dir.path().join("nixos.a"), "").unwrap();
        symlink("nixos/lib", dir.path().join("l")).unwrap();
        dir
    }

    fn digest(dir: &Path) -> Sha256Hash {
        hash_tree(dir, &Cancel::new()).unwrap().digest
    }

    #[test]
    fn the_digest_follows_paths_modes_and_contents() {
        let (one, two) = (tree(), tree());
        let start = digest(one.path());
        assert_eq!(start, digest(two.path()));
        fs::write(two.path().join(".git/HEAD"), "x").unwrap();
        assert_eq!(start, digest(two.path()));
        let file = two.path().join("nixos/default.nix");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(start, digest(two.path()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(start, digest(two.path()));
        fs::rename(&file, two.path().join("nixos/other.nix")).unwrap();
        assert_ne!(start, digest(two.path()));
    }

    #[test]
    fn packing_yields_the_same_digest() {
        let dir = tree();
        let mut out = Vec::new();
        let packed = pack_tree(dir.path(), &mut out, OWNER, &Cancel::new()).unwrap();
        assert_eq!(packed, hash_tree(dir.path(), &Cancel::new()).unwrap());
        assert_eq!(packed.archive_size, out.len() as u64);
        let mut archive = tar::Archive::new(&out[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "nixpkgs/",
                "nixpkgs/l",
                "nixpkgs/nixos/",
                "nixpkgs/nixos/default.nix",
                "nixpkgs/nixos/lib/",
                "nixpkgs/nixos/lib/a",
                "nixpkgs/nixos-a",
                "nixpkgs/nixos.a"
            ]
        );
    }

    #[test]
    fn deeply_nested_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels| dir.path().join("d/".repeat(levels));
        fs::create_dir_all(deep(MAX_DEPTH)).unwrap();
        digest(dir.path());
        fs::create_dir_all(deep(1800)).unwrap();
        let error = hash_tree(dir.path(), &Cancel::new()).unwrap_err();
        assert!(
            error.to_string().contains("more than 256 levels"),
            "{error}"
        );
        assert!(error.to_string().len() < 2000, "{error}");
    }

    #[test]
    fn an_error_names_the_file_once() {
        let dir = tree();
        let link = dir.path().join("nixos/lib/b");
        symlink(OsStr::from_bytes(b"\xff"), &link).unwrap();
        let text = "nixos/lib/b: the target is not UTF-8";
        let error = hash_tree(dir.path(), &Cancel::new()).unwrap_err();
        assert_eq!(error.to_string(), text);
        let mut out = Vec::new();
        let error = pack_tree(dir.path(), &mut out, OWNER, &Cancel::new()).unwrap_err();
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn hashing_ends_when_it_is_cancelled() {
        let cancel = Cancel::new();
        cancel.received(2);
        let error = hash_tree(tree().path(), &cancel).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
    }

    #[test]
    fn a_symbolic_link_to_the_directory_gives_the_same_digest() {
        let dir = tree();
        let link = dir.path().with_extension("link");
        symlink(dir.path(), &link).unwrap();
        let through_link = hash_tree(&link, &Cancel::new()).unwrap();
        fs::remove_file(&link).unwrap();
        assert_eq!(through_link, hash_tree(dir.path(), &Cancel::new()).unwrap());
    }
}
