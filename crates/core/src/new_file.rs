//! New files, which never replace others and are complete or not there at all.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::atomic_file;
use super::created_dirs::CreatedDirs;
use super::failure::{Class, Failure, OrFail as _};
use super::parent_dir::parent_dir;
use super::shell_word::quoted;

/// Read permission of a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner: it contains a secret.
    Owner,
    /// Everybody.
    Everybody,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o644,
        }
    }
}

/// Writes `content` to the new file `path`, owned by `owner` (user and group id; `None`: this user). A usage error when
/// `path` exists.
pub fn write(
    path: &Path,
    content: impl AsRef<[u8]>,
    access: Access,
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let written = atomic_file::create(path, content, access.mode(), owner);
    written.map(drop).map_err(|error| not_written(error, path))
}

/// The new file `path` cannot be written: what the user named wrongly is a usage error, a full disk is none.
fn not_written(error: io::Error, path: &Path) -> Failure {
    let operation = format!("write {}", path.display());
    let is_wrong_directory = matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
    );
    if error.kind() == ErrorKind::AlreadyExists {
        exists(path)
    } else if is_wrong_directory {
        let dir = quoted(&parent_dir(path).to_string_lossy());
        let hint = format!("the directory must exist and be writable: mkdir -p {dir}");
        let failure = Failure::new(Class::Usage, error).context(operation);
        failure.hint(hint)
    } else {
        Failure::new(Class::Environment, error).context(operation)
    }
}

/// Lets only those read the file `path` whom `access` names.
pub fn restrict(path: &Path, access: Access) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(access.mode()))
}

/// A usage error when `path` exists; a dangling symbolic link exists as well.
pub fn is_free(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

/// Creates the directory of the file `path` if it is missing, owned by `owner` (user and group id; `None`: this user).
pub fn make_dir(path: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) else {
        return Ok(());
    };
    let created = CreatedDirs::create(dir, owner);
    created
        .or_usage(format!("create the directory {}", dir.display()))?
        .keep();
    Ok(())
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} already exists and is not replaced",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn full_disk_is_no_wrong_usage() {
        let class = |kind: ErrorKind| {
            let failure = not_written(kind.into(), Path::new("d/f"));
            (failure.class, failure.hints.len())
        };
        assert_eq!(class(ErrorKind::StorageFull), (Class::Environment, 0));
        assert_eq!(class(ErrorKind::NotFound), (Class::Usage, 1));
    }

    #[test]
    fn existing_files_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sd-card.nix");
        write(&path, "one", Access::Everybody, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let refused = write(&path, "two", Access::Everybody, None).unwrap_err();
        assert_eq!(refused.class, crate::failure::Class::Usage);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        let link = dir.path().join("link.nix");
        std::os::unix::fs::symlink("/nonexistent/x", &link).unwrap();
        assert!(write(&link, "two", Access::Everybody, None).is_err());
        let nowhere =
            write(&dir.path().join("no/sd-card.nix"), "x", Access::Owner, None).unwrap_err();
        assert!(!nowhere.to_string().contains(".sdbuild-"), "{nowhere}");
        assert!(nowhere.hints.concat().contains("mkdir -p"), "{nowhere:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
