//! A machine with Nix and an SSH server, as people have remote builders: a container, with the builder's Nix, that runs `AArch64`
//! programs by a handler of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use nix::unistd::{Gid, Uid, chown};

use super::{
    TOOLS, TestUser, docker, engine_ready, root, root_available, run, tool_unpacked,
    tools_available, wait_until,
};

/// The account in the container, in the builder's image too.
pub(super) const ACCOUNT: u32 = 1000;
/// Nix's settings there.
const NIX_CONF: &str = "build-users-group =\nsandbox = false\nfilter-syscalls = false\nsubstituters =\n\
    system-features = big-parallel\nextra-platforms = aarch64-linux\n\
    experimental-features = nix-command daemon-trust-override\n";
/// What Nix makes of an account that it does not trust.
const UNTRUSTED: &str = "nix-daemon --stdio --force-untrusted";
/// Libraries of glibc, which the container has itself.
const GLIBC: [&str; 6] =
    ["libc.so", "libm.so", "libresolv.so", "libpthread.so", "libdl.so", "ld-linux"];

/// A running machine, which is removed when the value is dropped.
pub struct NixMachine {
    dir: tempfile::TempDir,
    name: String,
}

impl NixMachine {
    /// Whether this machine can run one.
    pub fn can_run() -> bool {
        engine_ready()
            && root_available()
            && tools_available(&["ssh-keygen", "ldd"])
            && tool_unpacked("usr/sbin/sshd")
    }

    /// Whether its store has `path`.
    pub fn has(&self, path: &str) -> bool {
        let mut check = Command::new("docker");
        check.args(["exec", "--env", "NIX_REMOTE=local", &self.name]);
        check.args(["nix-store", "--check-validity", path]);
        run(&mut check).code == Some(0)
    }

    /// Lets Nix there take what `key` signed.
    pub fn trust(&self, key: &str) {
        let all = format!("{}trusted-public-keys = {key}\n", self.text("nix.conf"));
        fs::write(self.at("nix.conf"), all).unwrap();
    }

    /// Adds its host key to those that `user` knows.
    pub fn make_known_to(&self, user: &TestUser) {
        let address = self.address();
        let (host, port) = address.rsplit_once('@').unwrap().1.split_once(':').unwrap();
        let dir = user.state.path().join(".ssh");
        fs::create_dir_all(&dir).unwrap();
        let line = format!("[{host}]:{port} {}", self.text("host.pub"));
        fs::write(dir.join("known_hosts"), line).unwrap();
    }

    /// Starts one called `name` from the images of the registrar and the builder.
    pub fn start(name: &str, registrar: &str, builder: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Self { name: format!("{name}-{}", super::nonce()), dir };
        machine.write_files(registrar);
        let at = machine.dir.path().to_str().unwrap().to_owned();
        let seccomp = root().join("containers/builder/seccomp.json");
        docker(&[
            "run",
            "--detach",
            "--name",
            &machine.name,
            "--hostname",
            name,
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--security-opt",
            "apparmor=unconfined",
            "--security-opt",
            &format!("seccomp={}", seccomp.display()),
            "--env",
            &format!("SDBUILD_REGISTRATION={}", registration()),
            "--volume",
            &format!("{at}:/machine:ro"),
            "--volume",
            &format!("{at}/sdbuild:/sdbuild:ro"),
            builder,
            "/sdbuild/busybox",
            "sh",
            "/sdbuild/enter",
            "sh",
            "/machine/start",
        ]);
        wait_until(Duration::from_secs(20), "the SSH server listens", || {
            let mut logs = Command::new("docker");
            run(logs.args(["logs", &machine.name])).stderr.contains("Server listening")
        });
        machine
    }

    /// Keys, the SSH server with its libraries, and the emulator.
    fn write_files(&self, registrar: &str) {
        make_keys(self.dir.path(), &["host", "key", "untrusted", "stranger"]);
        let (key, untrusted) = (self.text("key.pub"), self.text("untrusted.pub"));
        let write = |name: &str, text: &str| fs::write(self.at(name), text).unwrap();
        write("authorized_keys", &format!("{key}command=\"{UNTRUSTED}\" {untrusted}"));
        write("nix.conf", NIX_CONF);
        write(
            "sshd_config",
            "Port 2222\nPort 2223\nPort 2224\nPort 2225\nHostKey /machine/host\nAuthorizedKeysFile /machine/authorized_keys\nPidFile none\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             SetEnv NIX_CONF_DIR=/machine PATH=/usr/bin NIX_REMOTE=local\n",
        );
        write(
            "start",
            "LD_LIBRARY_PATH=/machine/lib exec /machine/sshd -D -e -f /machine/sshd_config\n",
        );
        copy_server(self.dir.path());
        let container = docker(&["create", registrar]);
        docker(&[
            "cp",
            &format!("{}:/sdbuild", container.trim()),
            self.dir.path().to_str().unwrap(),
        ]);
        docker(&["rm", container.trim()]);
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// The private key `key`, `untrusted` (an account that Nix does not trust) or `stranger` (which may not log in).
    pub fn key(&self, name: &str) -> PathBuf {
        self.at(name)
    }

    /// Its address, as Nix names it. The SSH server listens at the following three ports too.
    pub fn address(&self) -> String {
        let format = "{{.NetworkSettings.IPAddress}}";
        let address = docker(&["inspect", "--format", format, &self.name]);
        format!("ssh-ng://sdbuild@{}:2222", address.trim())
    }

    /// Its line among Nix's builders, for `system`, with the private key `key` and the host key of `host`.
    pub fn line(&self, system: &str, key: &str, host: &str) -> String {
        let host = base64::prelude::BASE64_STANDARD.encode(self.text(&format!("{host}.pub")));
        let (address, key) = (self.address(), self.key(key));
        format!("{address} {system} {} 2 1 big-parallel - {host}", key.display())
    }

    /// The line of a machine that builds.
    pub fn good_line(&self) -> String {
        self.line("aarch64-linux", "key", "host")
    }

    /// Adds a line to the account's `authorized_keys`.
    pub fn accept(&self, public: &str) {
        let all = self.text("authorized_keys") + public;
        fs::write(self.at("authorized_keys"), all).unwrap();
    }

    /// Takes its power away.
    pub fn kill(&self) {
        docker(&["kill", &self.name]);
    }
}

impl Drop for NixMachine {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        drop(remove.args(["rm", "--force", "--volumes", &self.name]).output());
    }
}

/// Makes a key pair of each of `names` in `dir`.
pub(super) fn make_keys(dir: &Path, names: &[&str]) {
    for name in names {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        run(make.arg(dir.join(name))).assert_exit_code(0);
    }
}

/// Copies the SSH server with its libraries into `dir`, whose key `host` it reads as the account that it runs as.
pub(super) fn copy_server(dir: &Path) {
    let tools = root().join(TOOLS);
    let server = tools.join("usr/sbin/sshd");
    fs::copy(&server, dir.join("sshd")).unwrap();
    fs::create_dir(dir.join("lib")).unwrap();
    for library in libraries(&server, &tools) {
        let name = library.file_name().unwrap();
        fs::copy(&library, dir.join("lib").join(name)).unwrap();
    }
    let (user, group) = (Uid::from_raw(ACCOUNT), Gid::from_raw(ACCOUNT));
    chown(&dir.join("host"), Some(user), Some(group)).unwrap();
}

/// The libraries that the program `server` needs and the container may lack.
fn libraries(server: &Path, tools: &Path) -> Vec<PathBuf> {
    let machine = std::env::consts::ARCH;
    let unpacked =
        format!("{0}/lib/{machine}-linux-gnu:{0}/usr/lib/{machine}-linux-gnu", tools.display());
    let mut list = Command::new("ldd");
    let listed = run(list.arg(server).env("LD_LIBRARY_PATH", unpacked)).assert_exit_code(0);
    let words = listed.stdout.split_whitespace().filter(|word| word.starts_with('/'));
    let paths = words.map(PathBuf::from);
    let of_glibc = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        GLIBC.iter().any(|library| name.starts_with(library))
    };
    paths.filter(|path| !of_glibc(path)).collect()
}

/// The handler for `AArch64` programs without its name: the first bytes of an ELF file, and which bits of them count.
fn registration() -> String {
    let magic = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    format!("M::{magic}:{mask}:/sdbuild/qemu-aarch64:PF")
}
