//! Whether files can be created in a directory. Its permissions do not tell: the file system of `/proc`, for one, has
//! directories that root may write to and that take no file.

use std::io;
use std::path::Path;

/// Creates a file in `dir` that is gone at once: without a name, or for a moment with one where the file system has no such files.
///
/// # Errors
///
/// With the system's reason why no file can be created there.
pub(crate) fn try_to_write(dir: &Path) -> io::Result<()> {
    tempfile::tempfile_in(dir).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_directories_that_take_files_are_writable() {
        let dir = tempfile::tempdir().unwrap();
        try_to_write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // Root meets the file system's refusal, everybody else that of the permissions; either is the system's own error.
        let error = try_to_write(Path::new("/proc")).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = try_to_write(&file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
