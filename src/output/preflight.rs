//! Whether an image can be written to a directory, before anything is built.

use std::fs;
use std::io;
use std::path::Path;

use crate::common::failure::{Class, Failure};
use crate::common::parent_dir::parent_dir;
use crate::common::writable_dir::try_to_write;

/// The reasons why no image can be written to `dir`, which is created then if it is missing; empty if there are none.
/// Leaves nothing behind.
pub fn preflight(dir: &Path) -> Vec<Failure> {
    let shown = dir.display();
    let existing = match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && dir.parent().is_some() => {
            return preflight(parent_dir(dir));
        }
        _ => fs::metadata(dir),
    };
    let failure = match existing {
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
        Ok(_) => match try_to_write(dir) {
            Ok(()) => return Vec::new(),
            Err(e) => Failure::new(class(&e), e)
                .context(format!("write to the output directory {shown}"))
                .hint("name another directory with --output"),
        },
    };
    vec![failure]
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
            ("/proc/x", "write to the output directory /proc: "),
        ] {
            let failures = preflight(&dir.path().join(path));
            assert!(failures[0].to_string().contains(words), "{}", failures[0]);
        }
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(preflight(&dir.path().join("new/deep")).is_empty());
    }
}
