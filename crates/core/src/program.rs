//! Programs of this machine that sdbuild runs.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::failure::Failure;

/// The packages that contain OpenSSH's client, `ssh` and `ssh-keygen`.
pub const OPENSSH_PACKAGES: &str =
    "openssh-client (Debian, Ubuntu), openssh-clients (Fedora), openssh (Arch)";

/// The executable file `name` in the first directory of `path` (the value of `PATH`) that has one.
/// Relative directories are skipped: a program of the current directory is never run.
pub fn find_program(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| {
            let metadata = file.metadata();
            metadata.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// The failure when `program` is not installed; `packages` says which packages contain it.
pub fn missing_program(program: &str, packages: &str) -> Failure {
    Failure::environment(format!("{program} is not on this machine"))
        .hint(format!("install it: {packages}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_executables_in_absolute_directories_only() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tool");
        std::fs::write(&program, "").unwrap();
        let path = std::env::join_paths([OsStr::new("."), dir.path().as_os_str()]).unwrap();
        assert_eq!(find_program("tool", &path), None, "not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program("tool", &path), Some(program));
        std::fs::create_dir(dir.path().join("directory")).unwrap();
        assert_eq!(find_program("directory", &path), None);
        assert_eq!(find_program("tool", OsStr::new("")), None);
    }
}
