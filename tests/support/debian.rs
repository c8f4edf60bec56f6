//! Docker of several releases of Debian: this machine's, and others that `scripts/other-engines` has unpacked, in a
//! root file system of their own. Each runs in its own network namespace, so that its bridge does not conflict with
//! this machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Starts the engine. With an unpacked tree, that is its root, with this machine's devices and kernel directories,
/// and the engine's own directory as `/srv`. Not by `chroot`, in which no user namespace can be created. A fixed
/// text: the directories and the engine's arguments are its arguments.
const BECOME: &str = r#"
set -e
tree=$1 directory=$2
shift 2
ip link set lo up
if [ -n "$tree" ]; then
  mount --bind "$tree" "$tree"
  cd "$tree"
  for name in dev proc sys; do mount --rbind "/$name" "$name"; done
  for name in run tmp; do mount -t tmpfs none "$name"; done
  mount --bind "$directory" srv
  pivot_root . mnt
  cd /
  directory=/srv
  export PATH=/usr/sbin:/usr/bin
fi
exec dockerd --host "unix://$directory/run/docker.sock" --data-root "$directory/data" --exec-root "$directory/exec" \
  --pidfile "$directory/pid" "$@"
"#;

/// The release of Debian that Docker is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebianRelease {
    /// The one that this machine has.
    Here,
    /// Debian 13.
    Trixie,
    /// The newest one with an installable Docker.
    Newest,
}

impl DebianRelease {
    /// The directory that it was unpacked in; `None` for this machine's.
    pub fn tree(self) -> Option<PathBuf> {
        let name = match self {
            Self::Here => return None,
            Self::Trixie => "trixie",
            Self::Newest => "newest",
        };
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        Some(target.join("engines").join(name))
    }
}

/// The command that starts its engine on `dir`, with `more` arguments.
pub fn engine(suite: DebianRelease, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private"]);
    command.args(["sh", "-c", BECOME, "sh"]);
    command.arg(suite.tree().unwrap_or_default());
    command.arg(dir).args(more);
    command
}
