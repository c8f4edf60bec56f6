//! What of a configuration's directory is looked at: the walk, and the files that rule it.
//!
//! The walk opens ignore files by itself, whatever they are. So each is looked at before the walk
//! comes to it, and one that would never end is refused; leaving it out would upload what it names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder};

use crate::common::failure::{Failure, OrFail};
use crate::common::plain_file;

pub(super) const IGNORE_HINT: &str = "name it in .sdbuildignore to leave it behind";
const OWN: &str = ".sdbuildignore";
/// Nobody's ignore file is longer.
const LONGEST: u64 = 1 << 20;

/// Every path below `root` that no ignore file names, and that is not ours to leave behind.
pub(super) fn walk(
    root: &Path,
    no_hidden: bool,
) -> Result<impl Iterator<Item = Result<PathBuf, Failure>>, Failure> {
    // Rules from above count inside a repository only: there they end at its top directory, elsewhere
    // a stray ~/.gitignore would rule everywhere.
    let repository = root.ancestors().any(|dir| dir.join(".git").exists());
    let ruling = if repository { usize::MAX } else { 1 };
    root.ancestors().take(ruling).try_for_each(check_rules)?;
    let refused = Arc::new(Mutex::new(None));
    let refuse = Arc::clone(&refused);
    let mut walk = WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(no_hidden)
        .git_ignore(true)
        .git_exclude(true)
        .require_git(repository)
        .parents(repository)
        .add_custom_ignore_filename(OWN)
        // Asked before the directory's own ignore files are opened, and not at all for what is ignored.
        .filter_entry(move |entry| {
            let goes = goes_along(entry);
            if goes
                && is_dir(entry)
                && let Err(failure) = check_rules(entry.path())
            {
                *refuse.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                return false;
            }
            goes
        })
        .build();
    Ok(std::iter::from_fn(move || {
        loop {
            let entry = walk.next();
            let refused = refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(failure) = refused {
                return Some(Err(failure));
            }
            match entry? {
                Ok(entry) if entry.depth() == 0 => {}
                entry => return Some(path(entry)),
            }
        }
    }))
}

fn path(entry: Result<DirEntry, ignore::Error>) -> Result<PathBuf, Failure> {
    let entry = entry.or_usage("read the configuration's directory");
    let path = entry.map(DirEntry::into_path);
    path.map_err(|f| f.hint(IGNORE_HINT))
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

const IMAGES: [&[u8]; 4] = [b".img", b".img.zst", b".img.xz", b".img.gz"];
/// What stands beside an image, by what its name has more.
const SIDECARS: [&[u8]; 4] = [b".sha256", b".bmap", b".rpi-imager.json", b".json"];

/// Everything but repositories and images with what is beside those: ours land where configurations are.
fn goes_along(entry: &DirEntry) -> bool {
    let name = entry.file_name().as_encoded_bytes();
    let of = SIDECARS
        .iter()
        .find_map(|ending| name.strip_suffix(*ending));
    let image = IMAGES
        .iter()
        .any(|ending| of.unwrap_or(name).ends_with(ending));
    name != b".git" && (is_dir(entry) || !image)
}

/// Refuses what rules `dir` and cannot be read to its end.
fn check_rules(dir: &Path) -> Result<(), Failure> {
    check(&dir.join(OWN))?;
    check(&dir.join(".gitignore"))?;
    let git = dir.join(".git");
    let repository = if git.is_file() {
        work_tree_of(&git)?
    } else {
        Some(git)
    };
    repository.map_or(Ok(()), |git| check(&git.join("info/exclude")))
}

/// The repository that the file `.git` of a work tree leads to.
fn work_tree_of(git: &Path) -> Result<Option<PathBuf>, Failure> {
    let first = |path: &Path| {
        check(path)?;
        // One that is absent or no text rules nothing.
        let text = plain_file::read_text(path, LONGEST).unwrap_or_default();
        Ok::<_, Failure>(text.lines().next().map(str::to_owned))
    };
    let line = first(git)?;
    let Some(dir) = line
        .as_deref()
        .and_then(|line| line.strip_prefix("gitdir: "))
    else {
        return Ok(None);
    };
    let dir = PathBuf::from(dir);
    let common = first(&dir.join("commondir"))?;
    Ok(common.map(|common| dir.join(common)))
}

/// A file that is not there, or a directory by its name, is no harm.
fn check(path: &Path) -> Result<(), Failure> {
    let Ok(meta) = fs::metadata(path) else {
        return Ok(());
    };
    let trouble = if meta.is_dir() || (meta.is_file() && meta.len() <= LONGEST) {
        return Ok(());
    } else if meta.is_file() {
        format!("it is larger than {LONGEST} bytes")
    } else {
        "it is not a plain file".to_owned()
    };
    let refused: io::Result<()> = Err(io::Error::other(trouble));
    refused
        .or_usage(format!("read {}", path.display()))
        .map_err(|f| f.hint("it says what is left behind, so it must be a file that can be read"))
}
