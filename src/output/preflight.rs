//! Whether an image can be written to a directory, before anything is built.

use std::fs;
use std::io;
use std::path::Path;

use crate::common::writable_dir::try_to_write;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::parent_dir::parent_dir;

/// The reasons why no image can be written to `dir`, which is created then if it is missing; empty if there are none.
/// Leaves nothing behind.
pub fn preflight(dir: &Path) -> Vec<Failure> {
    let nearest = nearest_existing(dir);
    let shown = nearest.display();
    let failure = match fs::metadata(nearest) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Failure::usage(format!("the output directory {shown} is a dangling link"))
                .hint("--output names the directory that the image is written to")
        }
        Err(e) => {
            Failure::new(Class::Usage, e).context(format!("look at the output directory {shown}"))
        }
        Ok(meta) if !meta.is_dir() => {
            Failure::usage(format!("the output {shown} is not a directory"))
                .hint("--output names the directory that the image is written to")
        }
        Ok(_) => match try_to_write(nearest) {
            Ok(()) => return Vec::new(),
            Err(e) => Failure::new(class(&e), e)
                .context(if nearest == dir {
                    format!("write to the output directory {shown}")
                } else {
                    let missing = dir.display();
                    format!("create the output directory {missing}: write to {shown}")
                })
                .hint("name another directory with --output"),
        },
    };
    vec![failure]
}

/// What to tell of a missing `dir` whose parent is missing too, because that is rather misspelt than meant; `None` if the
/// directory above it exists. True of a dry run as well, which creates nothing.
pub fn new_directories(dir: &Path) -> Option<String> {
    let nearest = nearest_existing(dir);
    let is_deep = nearest != dir && nearest != parent_dir(dir);
    is_deep.then(|| {
        let (missing, above, shown) = (dir.display(), parent_dir(dir).display(), nearest.display());
        format!("neither the output directory {missing} nor {above} exists; a build creates all missing directories in {shown}")
    })
}

/// `dir`, or the nearest directory above it that exists.
fn nearest_existing(dir: &Path) -> &Path {
    match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && dir.parent().is_some() => {
            nearest_existing(parent_dir(dir))
        }
        Ok(_) | Err(_) => dir,
    }
}

/// The class of a failure to create a file.
fn class(error: &io::Error) -> Class {
    let is_full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if is_full.contains(&error.kind()) {
        Class::Environment
    } else {
        Class::Usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_directories_are_explained() {
        let dir = tempfile::tempdir().unwrap();
        assert!(preflight(dir.path()).is_empty());
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        for (path, words) in [
            ("link", "is a dangling link"),
            ("link/x", "is a dangling link"),
            ("file", "not a directory"),
            ("file/x", "look at"),
            (
                "/proc/x/y",
                "create the output directory /proc/x/y: write to /proc: ",
            ),
        ] {
            let failures = preflight(&dir.path().join(path));
            assert!(failures[0].to_string().contains(words), "{}", failures[0]);
        }
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(preflight(&dir.path().join("new/deep")).is_empty());
    }

    #[test]
    fn several_new_directories_are_told_before_the_build() {
        let dir = tempfile::tempdir().unwrap();
        let told = |path: &str| new_directories(&dir.path().join(path));
        assert_eq!((told("."), told("new")), (None, None));
        let deep = told("new/deep").unwrap();
        let exists = format!(
            "a build creates all missing directories in {}",
            dir.path().display()
        );
        assert!(deep.ends_with(&exists), "{deep}");
    }
}
