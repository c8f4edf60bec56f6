//! Two programs of util-linux: `umount`, which knows who may unmount what without being root, and
//! `blockdev`, which makes the kernel read a partition table again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sdbuild_core::failure::{Failure, OrFail as _};

/// Directories that are searched for the programs, NixOS' set-user-id wrappers first. A user's `PATH`
/// often lacks `sbin`.
const PROGRAM_DIRS: [&str; 6] = [
    "/run/wrappers/bin",
    "/run/current-system/sw/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Unmounts the file system at `point`.
pub(super) fn unmount(point: &Path) -> Result<(), Failure> {
    let hint = "close the programs that use it, or unmount it yourself";
    run("umount", &[Path::new("--"), point]).map_err(|failure| {
        failure
            .context(format!("unmount {}", point.display()))
            .hint(hint)
    })
}

/// Makes the kernel read the partition table of `node` again.
pub(super) fn reread(node: &Path) -> Result<(), Failure> {
    run("blockdev", &[Path::new("--rereadpt"), node])
}

fn run(program: &str, args: &[&Path]) -> Result<(), Failure> {
    let paths = PROGRAM_DIRS.iter().map(|dir| Path::new(dir).join(program));
    let path: Option<PathBuf> = paths.into_iter().find(|path| path.is_file());
    let path =
        path.ok_or_else(|| Failure::environment(format!("{program} is not on this machine")))?;
    let mut command = Command::new(path);
    command
        .args(args)
        .stdin(Stdio::null())
        .env("LC_ALL", "C.UTF-8");
    let output = command.output().or_environment(format!("run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::environment(stderr.trim().to_owned()))
}
