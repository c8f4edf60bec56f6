//! Docker as another release of Debian has it, which `scripts/other-engines` has unpacked: in a root file system
//! and a network of its own, so that neither its files nor its bridge meet this machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Becomes the engine. Its root is the unpacked tree with this machine's devices and kernel folders, and the
/// engine's own folder as `/srv`. Not by `chroot`: the kernel lets nobody who is in one make a user namespace.
/// Fixed text; the folders and the engine's arguments are its arguments.
const BECOME: &str = r#"
set -e
tree=$1 folder=$2
shift 2
ip link set lo up
mount --bind "$tree" "$tree"
cd "$tree"
for name in dev proc sys; do mount --rbind "/$name" "$name"; done
for name in run tmp; do mount -t tmpfs none "$name"; done
mount --bind "$folder" srv
pivot_root . mnt
cd /
export PATH=/usr/sbin:/usr/bin
exec dockerd --host unix:///srv/run/docker.sock --data-root /srv/data --exec-root /srv/exec --pidfile /srv/pid "$@"
"#;

/// The release's name in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Trixie,
    Sid,
}

impl Suite {
    /// Where its Docker was unpacked.
    pub fn tree(self) -> PathBuf {
        let name = match self {
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        };
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        target.join("engines").join(name)
    }
}

/// Its engine on `folder`, with `more` arguments.
pub fn engine(suite: Suite, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private"]);
    command.args(["sh", "-c", BECOME, "sh"]);
    command.arg(suite.tree()).arg(folder).args(more);
    command
}
