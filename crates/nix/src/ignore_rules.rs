//! Which paths of a configuration's directory are uploaded: the walk and its ignore files.
//!
//! The `ignore` crate opens ignore files without checking what they are. So each one is checked before the walk reaches
//! it, and one that cannot be read to its end is refused; skipping it would upload the files that it lists.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::GitignoreBuilder;
use ignore::{DirEntry, Match, WalkBuilder};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::plain_file;
use sdbuild_core::untrusted::Budget;
use sdbuild_image::image_name::is_output;

pub const IGNORE_HINT: &str = "list it in .sdbuildignore to exclude it";
/// sdbuild's own ignore file, with the syntax of `.gitignore`.
pub const OWN_IGNORE_FILE: &str = ".sdbuildignore";
/// Bytes of all ignore files of a directory together: those of Linux have half of it. A rule takes up to 750 bytes of memory for each
/// of its own.
const MAX_RULES_BYTES: u64 = 128 << 10;

/// Every path below `root` that is uploaded: no ignore file lists it, and it is not an image or a repository. `no_hidden`
/// excludes hidden files.
pub fn walk(
    root: &Path,
    no_hidden: bool,
) -> Result<impl Iterator<Item = Result<PathBuf, Failure>>, Failure> {
    // Rules of parent directories apply only inside a repository, up to its top directory; otherwise a ~/.gitignore
    // would apply everywhere.
    let repository = root.ancestors().any(|dir| dir.join(".git").exists());
    let levels = if repository { usize::MAX } else { 1 };
    let budget = rules_room();
    let mut outer = root.ancestors().take(levels);
    outer.try_for_each(|dir| check_rules(dir, &budget))?;
    let refused = Arc::new(Mutex::new(None));
    let refuse = Arc::clone(&refused);
    let mut walk = WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(no_hidden)
        .git_ignore(true)
        .git_exclude(true)
        .require_git(repository)
        .parents(repository)
        .add_custom_ignore_filename(OWN_IGNORE_FILE)
        // Called before the directory's own ignore files are opened, and not for ignored paths.
        .filter_entry(move |entry| {
            let uploaded = is_uploaded(entry);
            if uploaded
                && is_dir(entry)
                && let Err(failure) = check_rules(entry.path(), &budget)
            {
                *refuse.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                return false;
            }
            uploaded
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
                // Removed since its directory was read.
                Err(error) if is_gone(&error) => {}
                entry => return Some(path(entry)),
            }
        }
    }))
}

fn is_gone(error: &ignore::Error) -> bool {
    let error = error.io_error();
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The ignore file because of which `name`, a path below `root`, is not uploaded, and the entry of the directory that it
/// lists, as a pattern: the file itself, or the topmost directory that is left out with everything in it. `None` when no
/// ignore file lists it.
pub fn ignoring_rule(root: &Path, name: &str) -> Option<(PathBuf, String)> {
    let mut path = root.to_owned();
    Path::new(name).components().find_map(|part| {
        path.push(part);
        let is_dir = path.is_dir();
        let rule = rule_for(root, &path, is_dir)?;
        let entry = path.strip_prefix(root).ok()?.to_str()?;
        Some((rule, format!("/{entry}{}", if is_dir { "/" } else { "" })))
    })
}

/// The ignore file that decides to leave out `path`: sdbuild's own files come before git's, those of inner directories
/// before those of outer ones.
fn rule_for(root: &Path, path: &Path, is_dir: bool) -> Option<PathBuf> {
    let in_repository = root.ancestors().any(|dir| dir.join(".git").exists());
    let dirs = || path.ancestors().skip(1);
    let dirs = || dirs().take_while(|dir| in_repository || dir.starts_with(root));
    let own = dirs().map(|dir| (dir, dir.join(OWN_IGNORE_FILE)));
    let git = dirs()
        .flat_map(|dir| [".gitignore", ".git/info/exclude"].map(|name| (dir, dir.join(name))));
    let decision = own.chain(git).find_map(|(dir, file)| {
        let mut rules = GitignoreBuilder::new(dir);
        // A missing file has no rules, and what is wrong with another one was reported when the directory was walked.
        rules.add(&file);
        match rules.build().ok()?.matched(path, is_dir) {
            Match::None => None,
            Match::Ignore(_) => Some(Some(file)),
            Match::Whitelist(_) => Some(None),
        }
    });
    decision.flatten()
}

/// The path of an entry, or the failure of the walk.
fn path(entry: Result<DirEntry, ignore::Error>) -> Result<PathBuf, Failure> {
    let entry = entry.or_usage("read the configuration's directory");
    let path = entry.map(DirEntry::into_path);
    path.map_err(|f| f.hint(IGNORE_HINT))
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

/// Whether an entry is uploaded: everything except repositories and images with their sidecars, which sdbuild writes to
/// the configuration's directory by default.
fn is_uploaded(entry: &DirEntry) -> bool {
    entry.file_name() != ".git" && (is_dir(entry) || !is_output(entry.path()))
}

/// The bytes of ignore files that may be read.
fn rules_room() -> Budget {
    Budget::new(MAX_RULES_BYTES, &Cancel::new())
}

/// A usage error when an ignore file that applies to `dir` cannot be read to its end, or does not fit into `room`.
fn check_rules(dir: &Path, room: &Budget) -> Result<(), Failure> {
    check(&dir.join(OWN_IGNORE_FILE), room)?;
    check(&dir.join(".gitignore"), room)?;
    let git = dir.join(".git");
    let repository = if git.is_file() {
        repository_of_work_tree(&git)?
    } else {
        Some(git)
    };
    repository.map_or(Ok(()), |git| check(&git.join("info/exclude"), room))
}

/// The repository that the file `.git` of a linked work tree refers to; `None` when it refers to none.
pub fn repository_of_work_tree(git: &Path) -> Result<Option<PathBuf>, Failure> {
    let first_line = |path: &Path| {
        check(path, &rules_room())?;
        // A missing file and one that is not text have no rules.
        let text = plain_file::read_text(path, MAX_RULES_BYTES).ok();
        Ok::<_, Failure>(text.and_then(|text| text.lines().next().map(str::to_owned)))
    };
    let line = first_line(git)?;
    let Some(dir) = line
        .as_deref()
        .and_then(|line| line.strip_prefix("gitdir: "))
    else {
        return Ok(None);
    };
    let dir = PathBuf::from(dir);
    let common = first_line(&dir.join("commondir"))?;
    Ok(common.map(|common| dir.join(common)))
}

/// A usage error when the ignore file `path` cannot be read to its end, or does not fit into `room`. A missing file and a directory of
/// that name have no rules.
fn check(path: &Path, room: &Budget) -> Result<(), Failure> {
    let Ok(meta) = fs::metadata(path) else {
        return Ok(());
    };
    let reason = if meta.is_dir() || (meta.is_file() && room.spend(meta.len()).is_ok()) {
        return Ok(());
    } else if meta.is_file() {
        format!("the ignore files here have more than {MAX_RULES_BYTES} bytes together")
    } else {
        "it is not a plain file".to_owned()
    };
    let refused: io::Result<()> = Err(io::Error::other(reason));
    refused
        .or_usage(format!("read {}", path.display()))
        .map_err(|f| f.hint("it lists what is not uploaded, so it must be a readable file"))
}
