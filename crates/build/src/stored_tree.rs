//! A directory that stays on the store volume, so that it is uploaded once: a local nixpkgs, and what replaces an input of a flake. Its
//! content is identified by the hash of its NAR, Nix's own archive of files, which is what is uploaded too.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{Read as _, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use ignore::{DirEntry, WalkBuilder, WalkState};

use crate::tar_writer::TarWriter;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::hash::{Hashed, Hashing, Sha256Hash};
use sdbuild_core::plain_file;
use sdbuild_nix::layout;
use sdbuild_nix::store_path::source_name;

pub(super) use remembered::{forget, remembered, summarize};

mod remembered;

/// Depth of nested directories; nixpkgs has about ten levels.
const MAX_DEPTH: usize = 256;

/// The hash of a directory's NAR, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeSummary {
    /// SHA-256 of the NAR.
    pub(super) digest: Sha256Hash,
    /// Bytes of the NAR.
    pub(super) size: u64,
}

/// The files of a directory that are stored: their paths below it and those of the directories around them, in the order of a NAR.
#[derive(Clone, Debug)]
pub(super) struct TreeFiles {
    root: PathBuf,
    names: Vec<String>,
    /// Whether it is all that is there.
    is_whole: bool,
}

/// What replaces an input of a flake: Nix's store on the volume keeps it.
#[derive(Clone, Debug)]
pub(crate) struct InputTree {
    files: Arc<TreeFiles>,
    summary: TreeSummary,
    /// The file with the hashes of directories.
    hashes: PathBuf,
}

impl TreeFiles {
    /// All files of the directory `root` but `.git`.
    pub(super) fn whole(root: &Path, cancel: &Cancel) -> io::Result<Self> {
        let found = walk(root, cancel, |_| Ok(Some(())))?;
        Ok(Self {
            root: root.to_path_buf(),
            names: found.into_iter().map(|(name, ())| name).collect(),
            is_whole: true,
        })
    }

    /// These files and directories of `root`, each below a directory that is among them.
    pub(super) fn listed(root: &Path, mut names: Vec<String>) -> Self {
        names.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
        Self {
            root: root.to_path_buf(),
            names,
            is_whole: false,
        }
    }

    /// The metadata of all, in their order.
    fn metadata(&self) -> io::Result<Vec<Metadata>> {
        let look = |name: &String| {
            let found = fs::symlink_metadata(self.root.join(name));
            found.map_err(|error| with_path(name, &error))
        };
        let share = self.names.len().div_ceil(READERS).max(1);
        std::thread::scope(|scope| {
            let shares = self.names.chunks(share);
            let shares: Vec<_> = shares
                .map(|names| {
                    scope.spawn(move || names.iter().map(look).collect::<io::Result<Vec<_>>>())
                })
                .collect();
            let all = shares.into_iter();
            let all: Vec<_> = all
                .map(|share| {
                    share
                        .join()
                        .unwrap_or_else(|_| Err(io::Error::other("interrupted")))
                })
                .collect::<io::Result<_>>()?;
            Ok(all.into_iter().flatten().collect())
        })
    }

    /// Writes the NAR of the files to `out`, and hashes it.
    pub(super) fn write_nar(&self, out: impl Write, cancel: &Cancel) -> io::Result<TreeSummary> {
        let mut nar = Nar(Hashing::new(io::BufWriter::new(out)));
        let top = File::open(&self.root)?;
        nar.words(&["nix-archive-1", "(", "type", "directory"])?;
        let mut open: Vec<&str> = Vec::new();
        for name in &self.names {
            if cancel.is_cancelled() {
                return Err(io::Error::other("interrupted"));
            }
            let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
            while open.last().is_some_and(|dir| *dir != parent) {
                nar.words(&[")", ")"])?;
                open.pop();
            }
            let is_dir = nar
                .entry(&top, &self.root, name, last)
                .map_err(|error| with_path(name, &error))?;
            if is_dir {
                open.push(name);
            }
        }
        for _ in open {
            nar.words(&[")", ")"])?;
        }
        nar.words(&[")"])?;
        nar.0.flush()?;
        let Hashed { sha256, size } = nar.0.finish();
        Ok(TreeSummary {
            digest: sha256,
            size,
        })
    }
}

/// Writes the format of Nix's archives.
struct Nar<W>(Hashing<W>);

impl<W: Write> Nar<W> {
    /// Writes texts, each with its length before it and filled up with zeros.
    fn words(&mut self, words: &[&str]) -> io::Result<()> {
        words.iter().try_for_each(|word| {
            self.0.write_all(&(word.len() as u64).to_le_bytes())?;
            self.0.write_all(word.as_bytes())?;
            self.fill(word.len() as u64)
        })
    }

    /// Fills up what has `length` bytes.
    fn fill(&mut self, length: u64) -> io::Result<()> {
        io::copy(
            &mut io::repeat(0).take(length.wrapping_neg() % 8),
            &mut self.0,
        )
        .map(drop)
    }

    /// Writes the entry `last` of the directory that is open, which is `name` below `root`. Whether it is a directory, which is open then.
    fn entry(&mut self, top: &File, root: &Path, name: &str, last: &str) -> io::Result<bool> {
        let path = root.join(name);
        let meta = path.symlink_metadata()?;
        let target = if meta.is_symlink() {
            Some(link_target(&path)?)
        } else if meta.is_dir() || meta.is_file() {
            None
        } else {
            // Sockets, pipes and devices are not part of a source tree.
            return Ok(false);
        };
        self.words(&["entry", "(", "name", last, "node", "(", "type"])?;
        if let Some(target) = target {
            self.words(&["symlink", "target", &target, ")", ")"])?;
        } else if meta.is_dir() {
            self.words(&["directory"])?;
        } else {
            let file = plain_file::open_beneath(top, name.as_ref())?;
            let meta = file.metadata()?;
            self.words(&["regular"])?;
            if is_executable(&meta) {
                self.words(&["executable", ""])?;
            }
            self.words(&["contents"])?;
            self.0.write_all(&meta.len().to_le_bytes())?;
            if io::copy(&mut file.take(meta.len()), &mut self.0)? != meta.len() {
                return Err(io::Error::other("it became shorter while it was read"));
            }
            self.fill(meta.len())?;
            self.words(&[")", ")"])?;
        }
        Ok(meta.is_dir())
    }
}

/// What follows a path's NAR where Nix exports it: `NIXE`.
const EXPORT_MARK: u64 = 0x4558_494e;

impl InputTree {
    /// The `files`, which are hashed unless the file `hashes` has the hash.
    pub(super) fn of(files: TreeFiles, hashes: &Path, cancel: &Cancel) -> io::Result<Self> {
        Ok(Self {
            summary: summarize(&files, hashes, cancel)?,
            files: Arc::new(files),
            hashes: hashes.to_path_buf(),
        })
    }

    /// SHA-256 of the content.
    pub(super) fn digest(&self) -> Sha256Hash {
        self.summary.digest
    }

    /// Its name in Nix's store.
    pub(super) fn name(&self) -> String {
        source_name(self.summary.digest)
    }

    /// Its path in Nix's store.
    pub(super) fn path(&self) -> String {
        format!("/nix/store/{}", self.name())
    }

    /// Bytes to upload.
    pub(super) fn size(&self) -> u64 {
        self.summary.size
    }

    /// Packs it below `incoming` as the file `NAME.export` for `nix-store --import`.
    pub(super) fn pack(
        &self,
        tar: &mut TarWriter<'_>,
        incoming: &str,
        cancel: &Cancel,
    ) -> io::Result<()> {
        let path = format!("{incoming}/{}.export", self.name());
        let number = |number: u64| number.to_le_bytes().to_vec();
        let text = |text: &str| {
            let fill = vec![0; text.len().wrapping_neg() % 8];
            [number(text.len() as u64), text.into(), fill].concat()
        };
        // No references, no deriver, no signature; and no further path.
        let path_info = [
            number(EXPORT_MARK),
            text(&self.path()),
            vec![0; 24],
            vec![0; 8],
        ]
        .concat();
        let size = 8 + self.size() + path_info.len() as u64;
        let packed = tar.written_file(&path, size, |out| {
            out.write_all(&number(1))?;
            let packed = self.files.write_nar(&mut *out, cancel)?;
            out.write_all(&path_info)?;
            Ok(packed)
        });
        let packed = packed.and_then(|packed| check_unchanged(packed, self.summary.digest));
        packed.inspect_err(|_| forget(&self.hashes))
    }

    /// What keeps it in the store of the volume, if it is there.
    pub(super) fn root(&self) -> String {
        layout::input_root(&self.name())
    }
}

/// An error when the packed content is not the one that the name on the volume stands for.
pub(super) fn check_unchanged(packed: TreeSummary, expected: Sha256Hash) -> io::Result<()> {
    if packed.digest == expected {
        Ok(())
    } else {
        Err(io::Error::other("files changed while they were uploaded"))
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

/// `error` with the path of the entry.
fn with_path(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
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
    named().map_err(|error| with_path(&relative.to_string_lossy(), &error))
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

    fn hash(dir: &Path) -> io::Result<TreeSummary> {
        let cancel = Cancel::new();
        TreeFiles::whole(dir, &cancel)?.write_nar(io::sink(), &cancel)
    }

    fn digest(dir: &Path) -> Sha256Hash {
        hash(dir).unwrap().digest
    }

    /// As `nix hash path --base16` and `nix-store --dump` have it.
    #[test]
    fn the_digest_is_that_of_nix() {
        let dir = tree();
        fs::remove_dir(dir.path().join(".git")).unwrap();
        let file = dir.path().join("nixos.a");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let TreeSummary { digest, size } = hash(dir.path()).unwrap();
        let of_nix = "0d33977d420fd4ccf3455c71703b21f2da0f5e584a66e5d3fdd2f367aa9d6c65";
        assert_eq!((digest.to_string().as_str(), size), (of_nix, 101_416));
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
    fn listed_files_are_all_that_is_stored() {
        let (one, two) = (tree(), tree());
        fs::write(two.path().join("nixos/ignored"), "").unwrap();
        let names = [
            "nixos.a",
            "l",
            "nixos",
            "nixos-a",
            "nixos/lib/a",
            "nixos/default.nix",
            "nixos/lib",
        ];
        let files = TreeFiles::listed(two.path(), names.map(str::to_owned).to_vec());
        let listed = files.write_nar(io::sink(), &Cancel::new()).unwrap();
        assert_eq!(listed, hash(one.path()).unwrap());
    }

    #[test]
    fn what_is_uploaded_is_what_was_hashed() {
        let (dir, state) = (tree(), tempfile::tempdir().unwrap());
        let cancel = Cancel::new();
        let files = TreeFiles::whole(dir.path(), &cancel).unwrap();
        let input = InputTree::of(files, &state.path().join("hashes"), &cancel).unwrap();
        let pack = || {
            let mut out = Vec::new();
            let mut tar = TarWriter::new(&mut out, Owner { uid: 1, gid: 1 });
            let packed = input.pack(&mut tar, "in", &cancel);
            tar.finish().unwrap();
            packed.map(|()| out)
        };
        let packed = pack().unwrap();
        let mut archive = tar::Archive::new(&packed[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let name = format!("in/{}.export", input.name());
        assert_eq!(entry.path().unwrap().to_str(), Some(&*name));
        // One path; what follows its archive; nothing more.
        assert_eq!(entry.size(), 8 + input.size() + 8 + 8 + 56 + 24 + 8);
        fs::write(dir.path().join("nixos-a"), "changed").unwrap();
        assert!(pack().is_err());
    }

    #[test]
    fn deeply_nested_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels| dir.path().join("d/".repeat(levels));
        fs::create_dir_all(deep(MAX_DEPTH)).unwrap();
        digest(dir.path());
        fs::create_dir_all(deep(1800)).unwrap();
        let error = hash(dir.path()).unwrap_err();
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
        let error = hash(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "nixos/lib/b: the target is not UTF-8");
    }

    #[test]
    fn hashing_ends_when_it_is_cancelled() {
        let (dir, cancel) = (tree(), Cancel::new());
        let files = TreeFiles::whole(dir.path(), &cancel).unwrap();
        cancel.received(2);
        for error in [
            files.write_nar(io::sink(), &cancel).unwrap_err(),
            TreeFiles::whole(dir.path(), &cancel).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "interrupted");
        }
    }

    #[test]
    fn a_symbolic_link_to_the_directory_gives_the_same_digest() {
        let dir = tree();
        let link = dir.path().with_extension("link");
        symlink(dir.path(), &link).unwrap();
        let through_link = hash(&link).unwrap();
        fs::remove_file(&link).unwrap();
        assert_eq!(through_link, hash(dir.path()).unwrap());
    }
}
