//! An unprivileged system account, which runs its own engines and sdbuild.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User as SystemUser;

use super::{TestUser, lock, mini_nixpkgs, run, shared};

/// The account's name; it has 65,536 subordinate numbers, as new accounts do.
const NAME: &str = "sdbuild-tests";

/// Makes the devices that udev lets everyone open, in a mount namespace of the program, so that this machine's
/// devices stay unchanged; then runs the program as the account. A fixed text: directory and program are its
/// arguments.
const BECOME: &str = r#"
set -e
directory=$1
shift
mkdir -p "$directory/dev"
mount -t tmpfs none "$directory/dev"
device() {
  [ -e "$1" ] || return 0
  mknod -m 666 "$directory/dev/${1##*/}" c "$2" "$3"
  mount --bind "$directory/dev/${1##*/}" "$1"
}
device /dev/net/tun 10 200
device /dev/fuse 10 229
cd "$directory"
exec setpriv --reuid sdbuild-tests --regid sdbuild-tests --init-groups env -i "PATH=$PATH" \
  "HOME=$directory/home" "XDG_RUNTIME_DIR=$directory/run" "$@"
"#;

/// The account, with a home and a runtime directory for one test.
pub struct Account {
    dir: tempfile::TempDir,
    user: SystemUser,
}

impl Account {
    /// Creates the directories, and the account when this machine does not have it yet.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sdbuild-account").tempdir().unwrap();
        let account = Self { user: existing_or_new_user(), dir };
        set_mode(account.dir.path(), 0o755);
        for name in ["home", "run"] {
            fs::create_dir(account.at(name)).unwrap();
            account.chown(&account.at(name));
            set_mode(&account.at(name), 0o700);
        }
        account
    }

    /// The account's user id.
    pub fn uid(&self) -> u32 {
        self.user.uid.as_raw()
    }

    /// The account's group id.
    pub fn gid(&self) -> u32 {
        self.user.gid.as_raw()
    }

    /// The directory that holds the home and runtime directories.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of `name` in that directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that root starts and that runs as the account, without this process's environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "slave", "sh", "-c", BECOME, "sh"])
            .arg(self.dir.path())
            .args(words);
        command
    }

    /// Makes the account the owner of `path` and everything below it.
    pub fn chown(&self, path: &Path) {
        let owner = format!("{}:{}", self.user.uid, self.user.gid);
        let mut chown = Command::new("chown");
        run(chown.args(["--recursive", "--no-dereference", &owner]).arg(path)).assert_exit_code(0);
    }

    /// A user who is this account, with copies of the files that the account could not read otherwise.
    pub fn user(&self) -> TestUser {
        let user = TestUser::new();
        let copy = |from: &Path, name: &str| {
            let to = self.at(name);
            run(Command::new("cp").args(["-a"]).arg(from).arg(&to)).assert_exit_code(0);
            to.to_str().unwrap().to_owned()
        };
        copy(Path::new(env!("CARGO_BIN_EXE_sdbuild")), "sdbuild");
        copy(&mini_nixpkgs(), "nixpkgs");
        let cache = self.at("cache");
        copy_cache(&shared("cache"), &cache);
        let cache = cache.to_str().unwrap().to_owned();
        for dir in [user.home.path(), user.state.path(), Path::new(&cache)] {
            self.chown(dir);
        }
        user.with("XDG_CACHE_HOME", cache)
    }

    /// `sdbuild` with `words`, run by the account.
    pub fn sdbuild(&self, user: &TestUser, words: &[&str]) -> Command {
        let mut command = Command::new(self.at("sdbuild"));
        command
            .args(words)
            .env_clear()
            .envs(&user.environment)
            .current_dir(user.home.path())
            .stdin(std::process::Stdio::null())
            .uid(self.uid())
            .gid(self.gid());
        command
    }

    /// A build of `sd-card.nix`, run by the account.
    pub fn build(&self, user: &TestUser, more: &[&str]) -> Command {
        let nixpkgs = self.at("nixpkgs");
        let mut command = self.sdbuild(user, &["build", "--nixpkgs", nixpkgs.to_str().unwrap()]);
        command.arg("--output").arg(user.out()).args(more);
        command
    }
}

/// The account's entry in the user database; created by one test at a time.
fn existing_or_new_user() -> SystemUser {
    let _lock = lock("account");
    if let Some(user) = SystemUser::from_name(NAME).unwrap() {
        return user;
    }
    let mut useradd = Command::new("/usr/sbin/useradd");
    let shell = ["--no-create-home", "--user-group", "--shell", "/bin/sh", NAME];
    run(useradd.args(shell)).assert_exit_code(0);
    SystemUser::from_name(NAME).unwrap().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Copies the complete files of a cache. Other tests write there meanwhile, to files that have temporary names.
fn copy_cache(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_temporary = name.starts_with("new-") || name.contains(".part");
        if entry.file_type().unwrap().is_dir() {
            copy_cache(&entry.path(), &to.join(name));
        } else if !is_temporary {
            match fs::copy(entry.path(), to.join(&name)) {
                // Removed since the directory was read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => assert!(copied.is_ok(), "{name}: {copied:?}"),
            }
        }
    }
}
