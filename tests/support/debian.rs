//! Docker as releases of Debian have it: this machine's, and others that `scripts/other-engines` has unpacked, in a
//! root file system of their own. Each has its own network, so that its bridge does not meet this machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Becomes the engine. Its root is the unpacked tree, if there is one, with this machine's devices and kernel
/// directories, and the engine's own directory as `/srv`. Not by `chroot`: the kernel lets nobody who is in one make a user
/// namespace. Fixed text; the directories and the engine's arguments are its arguments.
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

/// Whose Docker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebianRelease {
    /// This machine's.
    Here,
    /// That of Debian 13.
    Trixie,
    /// The newest that Debian has.
    Newest,
}

impl DebianRelease {
    /// Where it was unpacked, when it is not this machine's.
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

/// Its engine on `dir`, with `more` arguments.
pub fn engine(suite: DebianRelease, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private"]);
    command.args(["sh", "-c", BECOME, "sh"]);
    command.arg(suite.tree().unwrap_or_default());
    command.arg(dir).args(more);
    command
}
