//! Directories that are created for a file and removed again if there will be none.

use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// The directories that were created, the outermost first. Those that are empty are removed when this is dropped, unless
/// they are [kept](Self::keep).
#[derive(Debug)]
#[must_use = "the directories are removed when this is dropped"]
pub struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    /// Creates `dir` and the directories above it that are missing, for `owner` (user and group id; `None`: this user).
    pub fn create(dir: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let missing: Vec<&Path> = dir
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir())
            .collect();
        let mut created = Self(Vec::new());
        for dir in missing.into_iter().rev() {
            match std::fs::create_dir(dir) {
                Ok(()) => created.0.push(dir.to_owned()),
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {
                    continue;
                }
                Err(error) => return Err(error),
            }
            if let Some((user, group)) = owner {
                chown(dir, Some(user), Some(group))?;
            }
        }
        Ok(created)
    }

    /// Leaves the directories where they are.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // One that has files by now stays.
            std::fs::remove_dir(dir).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_new_directories_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        std::fs::create_dir(at("old")).unwrap();
        let created = CreatedDirs::create(&at("old/a/b"), None).unwrap();
        assert!(at("old/a/b").is_dir());
        drop(created);
        assert!(at("old").is_dir() && !at("old/a").exists());

        let created = CreatedDirs::create(&at("old/a/b"), None).unwrap();
        std::fs::write(at("old/a/mine"), "").unwrap();
        drop(created);
        assert!(at("old/a/mine").exists() && !at("old/a/b").exists());

        CreatedDirs::create(&at("c/d"), None).unwrap().keep();
        assert!(at("c/d").is_dir());
        drop(CreatedDirs::create(&at("c/d"), None).unwrap());
        assert!(at("c/d").is_dir(), "it existed before");
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", base.path().join("link")).unwrap();
        for dir in ["file/a", "link/a", "link"] {
            let refused = CreatedDirs::create(&base.path().join(dir), None);
            assert!(refused.is_err(), "{dir}");
        }
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 2);
    }
}
