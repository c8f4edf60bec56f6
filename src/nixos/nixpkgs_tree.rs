//! A local nixpkgs directory: hashed and packed by one walk in a fixed order.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::tar_writer::{Owner, TarWriter};
use crate::common::cancel::Cancel;
use crate::common::hash::{Hasher, HashingReader, Sha256Hash};
use crate::common::plain_file;

/// Depth of nested directories; nixpkgs has about ten levels. The walk is recursive, so the stack limits it.
const MAX_DEPTH: usize = 256;

/// Digest and size of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeSummary {
    /// SHA-256 of paths, modes and contents.
    pub(super) digest: Sha256Hash,
    /// Bytes of all files.
    pub(super) size: u64,
}

/// Hashes the directory `root` without `.git`.
pub(super) fn hash_tree(root: &Path, cancel: &Cancel) -> io::Result<TreeSummary> {
    let mut sink = io::sink();
    let mut tar = TarWriter::new(&mut sink, Owner { uid: 0, gid: 0 });
    pack_tree(root, &mut tar, "nixpkgs", cancel)
}

/// Writes the directory `root` without `.git` to `tar`, below `prefix`, and hashes what is written.
pub(super) fn pack_tree(
    root: &Path,
    tar: &mut TarWriter<'_>,
    prefix: &str,
    cancel: &Cancel,
) -> io::Result<TreeSummary> {
    let mut packer = Packer {
        hash: Hasher::new(),
        size: 0,
        tar,
        prefix,
        cancel,
    };
    packer.directory(root, &PathBuf::new())?;
    Ok(TreeSummary {
        digest: packer.hash.finish().sha256,
        size: packer.size,
    })
}

struct Packer<'a, 'w> {
    hash: Hasher,
    size: u64,
    tar: &'a mut TarWriter<'w>,
    prefix: &'a str,
    cancel: &'a Cancel,
}

impl Packer<'_, '_> {
    /// The entries of the directory `path`; `relative` is its path below the root.
    fn directory(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        if relative.components().count() > MAX_DEPTH {
            let text = format!("directories are nested more than {MAX_DEPTH} levels deep");
            return Err(io::Error::other(text));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.retain(|name| name.as_encoded_bytes() != b".git");
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
        let name = relative
            .to_str()
            .ok_or_else(|| io::Error::other("the name is not UTF-8"))?;
        let packed = format!("{}/{name}", self.prefix);
        if meta.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target
                .to_str()
                .ok_or_else(|| io::Error::other("the target is not UTF-8"))?;
            self.hash_header(b'l', name, target.len() as u64);
            self.hash.update(target.as_bytes());
            self.tar.link(&packed, target)
        } else if meta.is_dir() {
            self.hash_header(b'd', name, 0);
            self.tar.directory(&packed)?;
            self.directory(path, relative)
        } else if meta.is_file() {
            let executable = meta.mode() & 0o100 != 0;
            let file_type = if executable { b'x' } else { b'f' };
            self.hash_header(file_type, name, meta.len());
            self.size += meta.len();
            let file = plain_file::open_unlinked(path)?;
            let file = HashingReader::with_hasher(file, &mut self.hash);
            self.tar.file(&packed, meta.len(), executable, file)
        } else {
            // Sockets, pipes and devices are not part of a source tree.
            Ok(())
        }
    }

    /// Hashes what precedes an entry's content. The lengths make the hashed bytes unambiguous.
    fn hash_header(&mut self, file_type: u8, name: &str, size: u64) {
        self.hash.update([file_type]);
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name.as_bytes());
        self.hash.update(size.to_le_bytes());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("nixos/lib")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        fs::write(dir.path().join("nixos/lib/a"), vec![7; 100_000]).unwrap();
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
        let mut tar = TarWriter::new(
            &mut out,
            Owner {
                uid: 1000,
                gid: 1000,
            },
        );
        let packed = pack_tree(dir.path(), &mut tar, "in/x", &Cancel::new()).unwrap();
        tar.finish().unwrap();
        assert_eq!(packed, hash_tree(dir.path(), &Cancel::new()).unwrap());
        assert_eq!(packed.size, 100_002);
        let mut archive = tar::Archive::new(&out[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "in/x/l",
                "in/x/nixos/",
                "in/x/nixos/default.nix",
                "in/x/nixos/lib/",
                "in/x/nixos/lib/a"
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
        let cancel = Cancel::new();
        cancel.received(2);
        let error = hash_tree(dir.path(), &cancel).unwrap_err();
        assert_eq!(error.to_string(), "l: interrupted");
    }
}
