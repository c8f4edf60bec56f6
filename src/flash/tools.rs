//! Two of util-linux's programs: `umount`, which knows who may unmount what without being root, and
//! `blockdev`, which has the kernel read a partition table anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::failure::{Failure, OrFail as _};

/// Where such programs are, set-user-id ones of NixOS first. A user's own `PATH` often lacks `sbin`.
const DIRS: [&str; 6] = [
    "/run/wrappers/bin",
    "/run/current-system/sw/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Unmounts the file system at `point`.
pub(super) fn unmount(point: &Path) -> Result<(), Failure> {
    let hint = "close what uses it, or unmount it yourself";
    run("umount", &[Path::new("--"), point]).map_err(|failure| {
        failure
            .context(format!("unmount {}", point.display()))
            .hint(hint)
    })
}

/// Has the kernel read the partition table of `node` anew.
pub(super) fn reread(node: &Path) -> Result<(), Failure> {
    run("blockdev", &[Path::new("--rereadpt"), node])
}

fn run(program: &str, words: &[&Path]) -> Result<(), Failure> {
    let found = DIRS.iter().map(|dir| Path::new(dir).join(program));
    let found: Option<PathBuf> = found.into_iter().find(|path| path.is_file());
    let Some(found) = found else {
        return Err(Failure::environment(format!(
            "there is no {program} on this machine"
        )));
    };
    let mut command = Command::new(found);
    command
        .args(words)
        .stdin(Stdio::null())
        .env("LC_ALL", "C.UTF-8");
    let output = command.output().or_environment(format!("run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::environment(said))
}
