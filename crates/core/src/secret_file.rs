//! New files with a secret, which only this user may read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::atomic_file::CompleteFile;
use super::parent_dir::parent_dir;

/// Writes `text` to the new file `path`, with mode 0600; directories above it that are missing are made for this user only.
/// The file is complete or not there at all. Fails with `AlreadyExists` if `path` exists.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    let dir = parent_dir(path);
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    CompleteFile::write(dir, text, 0o600, None)?
        .create(path)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_the_users_and_replaces_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("new/sdbuild/key");
        create(&path, "one").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let refused = create(&path, "two").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }
}
