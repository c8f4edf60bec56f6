//! Directories that only this user may look into.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::geteuid;

/// Mode of a directory that only its owner may look into.
const DIR_MODE: u32 = 0o700;

/// Creates `dir` and the directories above it that are missing, for this user only, as the XDG base directory specification
/// requires below its base directories. If it exists already and is this user's, the rights of others are removed.
pub fn create(dir: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)?;
    let meta = dir.metadata()?;
    if meta.mode() & 0o077 != 0 && meta.uid() == geteuid().as_raw() {
        set_permissions(dir, Permissions::from_mode(DIR_MODE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_look_into_it() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("state/logs");
        let mode = |dir: &Path| dir.metadata().unwrap().mode() & 0o777;
        create(&dir).unwrap();
        assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
        // As an earlier version made it.
        set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        create(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
    }
}
