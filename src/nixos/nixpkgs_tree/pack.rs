//! Packing a tree into an archive, by one walk in a fixed order.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::entry::{
    ARCHIVE_ROOT, Entry, TreeHasher, TreeSummary, check_depth, is_executable, is_part, link_target,
    name_of, with_path,
};
use crate::nixos::tar_writer::{Owner, TarWriter};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Hasher, HashingReader};
use sdbuild_core::plain_file;

/// Writes an archive of the directory `root` without `.git` to `out`, below [`ARCHIVE_ROOT`], and hashes what is written.
pub(in crate::nixos) fn pack_tree(
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
