//! Shared by the test tiers: a person with a home of their own, the machine's state, configurations.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod account;
mod builder;
mod ci;
mod context;
mod debian;
mod desktop;
mod engine;
mod gate;
mod handler;
mod screen;
mod service;
mod small;
mod sshd;
mod tools;
mod way_out;
pub use account::Account;
pub use builder::{STORE, builder_image, in_builder};
pub use ci::Ci;
pub use debian::Suite;
pub use desktop::{Desktop, Refuses};
pub use engine::OwnEngine;
pub use gate::{
    boot_is_here, engine_is_here, root_is_here, suite_is_here, tools_are_here, unpacked,
    with_engine,
};
pub use handler::{Handler, machine_emulates};
pub use screen::{Screen, parser};
pub use service::{Make, Service};
pub use small::Small;
pub use sshd::{Sshd, TOOLS};
pub use way_out::WayOut;

/// The kernel's table of handlers.
pub const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The miniature nixpkgs; `scripts/test` names one with renewed locks when it has to.
pub fn mini_nixpkgs() -> PathBuf {
    std::env::var_os("SDBUILD_MINI_NIXPKGS")
        .map_or_else(|| root().join("tests/mini-nixpkgs"), PathBuf::from)
}

/// A folder below `target` that outlives a test.
fn shared(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A person: a home folder with a configuration, and a shared cache of downloads.
pub struct Person {
    /// Where the configuration and the output folder are.
    pub home: tempfile::TempDir,
    /// What stands for the home folder proper.
    pub state: tempfile::TempDir,
    pub environment: BTreeMap<String, String>,
}

impl Person {
    pub fn new() -> Self {
        let home = tempfile::Builder::new()
            .prefix("sdbuild test ü")
            .tempdir()
            .unwrap();
        fs::create_dir(home.path().join("out")).unwrap();
        let mut environment = BTreeMap::new();
        for name in [
            "PATH",
            "SDBUILD_DEBIAN_MIRROR",
            "SDBUILD_LOCKS",
            "LD_LIBRARY_PATH",
        ] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let state = tempfile::tempdir().unwrap();
        environment.insert("HOME".into(), text(state.path()));
        environment.insert("XDG_CACHE_HOME".into(), text(&shared("cache")));
        environment.insert("SDBUILD_SUBSTITUTERS".into(), String::new());
        // Most tests look into the image; those of the default unset this.
        environment.insert("SDBUILD_COMPRESS".into(), "none".into());
        Self {
            home,
            state,
            environment,
        }
    }

    /// Sets a variable for all that this person runs.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    pub fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// A cache of their own, with the shared one's contents: `clean` may empty it.
    pub fn with_own_cache(self) -> Self {
        let cache = self.state.path().join("cache");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--link"]).arg(shared("cache")).arg(&cache);
        assert!(copy.status().unwrap().success());
        let cache = cache.to_str().unwrap().to_owned();
        self.with("XDG_CACHE_HOME", cache)
    }

    /// Writes a file below the home folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// `sdbuild` with `words`, in the home folder, without standard input.
    pub fn sdbuild(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        command
            .args(words)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// `sdbuild build` of `sd-card.nix` in the home folder against the miniature nixpkgs.
    pub fn build(&self, more: &[&str]) -> Command {
        let mini = mini_nixpkgs();
        let mut command = self.sdbuild(&["build", "--nixpkgs", mini.to_str().unwrap()]);
        command.arg("--output").arg(self.out()).args(more);
        command
    }

    /// What stands beside `image`, of whatever compression, and itself: the names in order.
    pub fn beside(image: &Path) -> Vec<String> {
        let name = image.file_name().unwrap().to_str().unwrap();
        let mut names = [".sha256", ".bmap", ".json", ""]
            .map(|ending| format!("{name}{ending}"))
            .to_vec();
        names.sort();
        names
    }

    /// The files in the output folder.
    pub fn outputs(&self) -> Vec<String> {
        names(&self.out())
    }
}

/// Sorted names in `folder`, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs to the end; the outcome with its texts.
pub struct Ran {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `command` to its end.
pub fn ran(command: &mut Command) -> Ran {
    outcome(&command.output().unwrap())
}

pub fn outcome(output: &Output) -> Ran {
    use std::os::unix::process::ExitStatusExt as _;
    Ran {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "signal {:?}\n--- stdout\n{}--- stderr\n{}",
            self.signal,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that standard error holds every one of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`{part}` is not in:\n{}",
                self.stderr
            );
        }
        self
    }

    /// The image: the last line of standard output.
    #[track_caller]
    pub fn image(&self) -> PathBuf {
        PathBuf::from(
            self.stdout
                .lines()
                .last()
                .expect("a line on standard output"),
        )
    }
}

/// A build under way, watched line by line.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// A build that is in the middle of something when this returns, and would stay there.
    pub fn in_the_middle(person: &Person, more: &[&str]) -> Self {
        let script = fresh("    echo in the middle\n    sleep 600");
        person.write("sd-card.nix", &product(&script));
        let mut running = Self::start(&mut person.build(&[&["-v"], more].concat()));
        running.until("in the middle");
        running
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Its standard input, when that was to be a pipe.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Whether the process is stopped (state `T`).
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('T')
    }

    /// Waits until a line of standard error holds `part`, two minutes at most.
    #[track_caller]
    pub fn until(&mut self, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let Ok(line) = line else {
                panic!(
                    "`{part}` did not come; what came:\n{}",
                    self.seen.join("\n")
                );
            };
            let found = line.contains(part);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;
        let mut stdout = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter().collect::<Vec<_>>());
        Ran {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: self.seen.join("\n") + "\n",
        }
    }
}

impl Drop for Running {
    /// A test that panics must not leave its build behind.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

/// What must be the same before and after: the handlers with their contents, the containers, and the
/// volumes but for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub handlers: BTreeMap<String, String>,
    pub containers: Vec<String>,
    pub volumes: Vec<String>,
}

impl Machine {
    pub fn now() -> Self {
        Self {
            handlers: handlers(),
            containers: docker_lines(&["ps", "--all", "--format", "{{.Names}}"]),
            volumes: docker_lines(&["volume", "ls", "--quiet"])
                .into_iter()
                .filter(|name| name != STORE)
                .collect(),
        }
    }

    /// Asserts that the machine is as it was.
    #[track_caller]
    pub fn is_unchanged(&self) {
        assert_eq!(*self, Self::now(), "the machine is not as it was");
    }

    /// Asserts that the handlers are as they were within three seconds; says how long it took.
    #[track_caller]
    pub fn handlers_return(&self) -> Duration {
        within(
            Duration::from_secs(3),
            "the handlers are as they were",
            || handlers() == self.handlers,
        )
    }
}

/// Waits until `condition` holds; the time that it took.
#[track_caller]
pub fn within(limit: Duration, what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// Every handler in the kernel's table, with its contents.
pub fn handlers() -> BTreeMap<String, String> {
    names(Path::new(BINFMT))
        .into_iter()
        .filter(|name| name != "register" && name != "status")
        // An entry may go between listing and reading.
        .filter_map(|name| {
            fs::read_to_string(Path::new(BINFMT).join(&name))
                .ok()
                .map(|text| (name, text))
        })
        .collect()
}

/// The names of our handlers.
pub fn our_handlers() -> Vec<String> {
    handlers()
        .into_keys()
        .filter(|name| name.starts_with("sdbuild-"))
        .collect()
}

/// The output of the engine's own client, sorted by line.
#[track_caller]
pub fn docker_lines(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = docker(words).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The output of the engine's own client.
#[track_caller]
pub fn docker(words: &[&str]) -> String {
    let ran = ran(Command::new("docker").args(words));
    assert_eq!(ran.code, Some(0), "docker {words:?}: {}", ran.stderr);
    ran.stdout
}

/// Keeps the store volume of all tests in use, so that `clean` lets it be.
pub struct Kept {
    container: String,
    image: String,
}

impl Kept {
    pub fn store() -> Self {
        // Of an image of nothing: one of ours would be kept as well.
        let nothing = tempfile::NamedTempFile::new().unwrap();
        fs::write(nothing.path(), [0; 1024]).unwrap();
        let image = docker(&["import", nothing.path().to_str().unwrap()]);
        let image = image.trim().to_owned();
        let volume = format!("{STORE}:/kept");
        let container = docker(&["create", "--volume", &volume, &image, "/none"]);
        let container = container.trim().to_owned();
        Self { container, image }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        docker(&["rm", &self.container]);
        docker(&["rmi", &self.image]);
    }
}

/// Our containers of one role.
pub fn containers(role: &str) -> Vec<String> {
    let filter = format!("label=dev.sdbuild.role={role}");
    let run = "label=dev.sdbuild.run";
    docker_lines(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        &filter,
        "--filter",
        run,
    ])
}

/// A fresh key pair in the person's home; the private key's path and the public key.
pub fn key(person: &Person) -> (PathBuf, String) {
    let path = person.home.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    (path, public.trim().to_owned())
}

/// The shipped example with a key in place of its placeholder.
pub fn example(key: &str) -> String {
    let text = fs::read_to_string(root().join("sd-card.nix")).unwrap();
    let start = text.find("\"ssh-ed25519 REPLACE-ME").unwrap();
    let end = start + 1 + text[start + 1..].find('"').unwrap() + 1;
    format!("{}\"{key}\"{}", &text[..start], &text[end..])
}

/// A configuration with `body` in it.
pub fn configuration(body: &str) -> String {
    format!(
        "{{ config, pkgs, lib, ... }}: {{\n  \
           imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];\n  \
           system.stateVersion = \"26.05\";\n{body}\n}}\n"
    )
}

/// A configuration whose image is made by the shell text `script` alone: quick.
pub fn product(script: &str) -> String {
    configuration(&format!(
        "  system.build.sdImage = lib.mkForce (pkgs.runCommand \"product\" {{ }} ''\n{script}\n  '');"
    ))
}

/// `script` with something in it that no earlier run of the tests had: the store has not built it yet.
pub fn fresh(script: &str) -> String {
    format!("    : {}\n{script}", nonce())
}

/// Never the same twice, not even where process ids begin anew.
pub fn nonce() -> u128 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_nanos()
}

/// A whole product with an image of a few bytes.
pub const SMALL_IMAGE: &str = "    mkdir -p $out/sd-image $out/nix-support\n    \
    echo small > $out/sd-image/small.img\n    \
    echo \"file sd-image $out/sd-image/small.img\" > $out/nix-support/hydra-build-products";
