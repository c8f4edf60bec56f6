//! Whether files can be created in a directory. Its permissions do not tell: the file system of `/proc`, for one, has
//! directories that root may write to and that take no file.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Creates a file without a name in `dir`, which is gone at once. Where the file system has no such files, one with a
/// name is created and removed.
///
/// # Errors
///
/// With the system's reason why no file can be created there.
pub fn try_to_write(dir: &Path) -> io::Result<()> {
    let unnamed = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    match open(dir, unnamed, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(_) => Ok(()),
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => try_with_a_name(dir),
        Err(error) => Err(error.into()),
    }
}

fn try_with_a_name(dir: &Path) -> io::Result<()> {
    let path = dir.join(format!(".sdbuild-{}", std::process::id()));
    File::create_new(&path)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_take_files_are_writable() {
        let dir = tempfile::tempdir().unwrap();
        try_to_write(dir.path()).unwrap();
        try_with_a_name(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // Root meets the file system's refusal, everybody else that of the permissions.
        assert!(try_to_write(Path::new("/proc")).is_err());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = try_to_write(&file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
