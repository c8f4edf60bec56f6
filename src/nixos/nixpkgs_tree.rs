//! A directory of nixpkgs: read in a fixed order, hashed and packed by the same walk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::tar_writer::TarWriter;
use crate::common::cancel::Cancel;
use crate::common::hash::{Hasher, HashingReader};
use crate::common::plain_file;

/// Directories inside directories; nixpkgs has about ten. Each takes a piece of the stack.
const DEEPEST: usize = 256;

/// SHA-256 of a directory's paths, modes and contents.
pub(super) type TreeDigest = [u8; 32];

/// Size and digest of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) digest: TreeDigest,
    pub(super) size: u64,
}

/// Hashes the directory `root`, `.git` left out; packs it below `prefix` while at it, if asked to.
pub(super) fn read_tree(
    root: &Path,
    cancel: &Cancel,
    pack: Option<(&mut TarWriter<'_>, &str)>,
) -> io::Result<Measured> {
    let mut walk = Walk {
        hash: Hasher::new(),
        size: 0,
        cancel,
        pack,
    };
    walk.dir(root, &PathBuf::new())?;
    Ok(Measured {
        digest: walk.hash.finish().sha256.into(),
        size: walk.size,
    })
}

struct Walk<'a, 'w> {
    hash: Hasher,
    size: u64,
    cancel: &'a Cancel,
    pack: Option<(&'a mut TarWriter<'w>, &'a str)>,
}

impl Walk<'_, '_> {
    fn dir(&mut self, dir: &Path, relative: &Path) -> io::Result<()> {
        if relative.components().count() > DEEPEST {
            let text = format!("directories lie more than {DEEPEST} levels deep");
            return Err(io::Error::other(text));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name());
        }
        names.sort();
        for name in names
            .iter()
            .filter(|name| name.as_encoded_bytes() != b".git")
        {
            let (path, relative) = (dir.join(name), relative.join(name));
            self.one(&path, &relative)
                .map_err(|e| named(&relative, &e))?;
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let meta = path.symlink_metadata()?;
        let name = relative
            .to_str()
            .ok_or_else(|| io::Error::other("the name is not UTF-8"))?;
        if meta.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target
                .to_str()
                .ok_or_else(|| io::Error::other("the target is not UTF-8"))?;
            self.begin(b'l', name, target.len() as u64);
            self.hash.update(target.as_bytes());
            if let Some((packer, prefix)) = &mut self.pack {
                packer.link(&format!("{prefix}/{name}"), target)?;
            }
            Ok(())
        } else if meta.is_dir() {
            self.begin(b'd', name, 0);
            if let Some((packer, prefix)) = &mut self.pack {
                packer.directory(&format!("{prefix}/{name}"))?;
            }
            self.dir(path, relative)
        } else if meta.is_file() {
            self.file(path, name, &meta)
        } else {
            // sockets and the like are no part of a source tree
            Ok(())
        }
    }

    fn file(&mut self, path: &Path, name: &str, meta: &fs::Metadata) -> io::Result<()> {
        let executable = meta.mode() & 0o100 != 0;
        self.begin(if executable { b'x' } else { b'f' }, name, meta.len());
        self.size += meta.len();
        let file = plain_file::open_unlinked(path)?;
        let mut file = HashingReader::with_hasher(file, &mut self.hash);
        if let Some((packer, prefix)) = &mut self.pack {
            return packer.file(
                &format!("{prefix}/{name}"),
                (meta.len(), executable),
                &mut file,
            );
        }
        let read = io::copy(&mut file, &mut io::sink())?;
        let whole = read == meta.len();
        if whole {
            Ok(())
        } else {
            Err(io::Error::other("the file changed while it was read"))
        }
    }

    /// Lengths go first, so that no two trees give the same bytes to hash.
    fn begin(&mut self, kind: u8, name: &str, size: u64) {
        self.hash.update([kind]);
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name.as_bytes());
        self.hash.update(size.to_le_bytes());
    }
}

/// Puts the path into an error, once, at the place where it happened.
fn named(relative: &Path, error: &io::Error) -> io::Error {
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
    use super::super::tar_writer::Owner;
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

    fn digest(dir: &Path) -> TreeDigest {
        read_tree(dir, &Cancel::new(), None).unwrap().digest
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
    fn packing_hashes_the_same() {
        let dir = tree();
        let mut out = Vec::new();
        let mut packer = TarWriter::new(
            &mut out,
            Owner {
                uid: 1000,
                gid: 1000,
            },
        );
        let measured = read_tree(dir.path(), &Cancel::new(), Some((&mut packer, "in/x"))).unwrap();
        packer.finish().unwrap();
        assert_eq!(
            measured,
            read_tree(dir.path(), &Cancel::new(), None).unwrap()
        );
        assert_eq!(measured.size, 100_002);
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
    fn dirs_without_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels| dir.path().join("d/".repeat(levels));
        fs::create_dir_all(deep(DEEPEST)).unwrap();
        digest(dir.path());
        fs::create_dir_all(deep(1800)).unwrap();
        let error = read_tree(dir.path(), &Cancel::new(), None).unwrap_err();
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
        let error = read_tree(dir.path(), &cancel, None).unwrap_err();
        assert_eq!(error.to_string(), "l: interrupted");
    }
}
