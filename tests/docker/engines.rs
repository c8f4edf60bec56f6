//! Rootless Docker, Podman rootless and as root, and Docker of several releases of Debian: an unprivileged account
//! uses each in every emulation mode that it supports, from the first build to `clean`. `scripts/engines` makes a
//! table of the results and boots the example on each as well, which takes too long for every run.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;

/// The file to which passed steps are written, when `scripts/engines` sets it.
fn table() -> Option<OsString> {
    std::env::var_os("SDBUILD_ENGINES")
}

/// The ids of all containers on the engine.
fn left(service: &EngineService) -> Vec<String> {
    service.docker_lines(&["ps", "--all", "--quiet"])
}

/// One engine, used in one mode.
struct EngineUse<'a> {
    service: &'a EngineService,
    user: TestUser,
    mode: &'static str,
    runs: RunTracker,
    began: Instant,
}

impl<'a> EngineUse<'a> {
    fn of(service: &'a EngineService, mode: &'static str) -> Self {
        let user = service.account().user();
        let user = user.with("DOCKER_HOST", service.host());
        Self { runs: user.track_runs(), user, service, mode, began: Instant::now() }
    }

    /// Writes a row for the table, if one is made: `step` passed.
    fn record_step(&mut self, step: &str) {
        let took = self.began.elapsed().as_secs_f32();
        if let Some(path) = table() {
            let open = OpenOptions::new().create(true).append(true).open(path);
            let version =
                &self.service.docker_lines(&["version", "--format", "{{.Server.Version}}"])[0];
            let (engine, mode) = (self.service.kind().title(), self.mode);
            writeln!(open.unwrap(), "{engine}\t{version}\t{mode}\t{step}\t{took:.1}").unwrap();
        }
        self.began = Instant::now();
    }

    fn build(&self, more: &[&str]) -> Command {
        let wish = ["--emulation", self.mode];
        let account = self.service.account();
        account.build(&self.user, &[&wish[..], more].concat())
    }

    fn registers(&self) -> bool {
        self.mode == "register"
    }

    /// Starts a build and returns while its derivation sleeps; with its builder's name.
    fn in_mid_build(&self) -> (Running, String) {
        let script = fresh("    echo in the middle\n    sleep 600");
        self.user.write("sd-card.nix", &product(&script));
        let mut running = Running::start(&mut self.build(&["-v"]));
        running.wait_for("in the middle");
        let of = |role: &str| {
            let filter = format!("label=dev.sdbuild.role={role}");
            let words = ["ps", "--format", "{{.Names}}", "--filter", &filter];
            self.service.docker_lines(&words)
        };
        assert_eq!(of("registrar").len(), usize::from(self.registers()));
        assert_eq!(self.runs.handlers().len(), usize::from(self.registers()));
        (running, of("builder").remove(0))
    }

    fn builds(&self) -> Outcome {
        self.user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
        let outcome = run(&mut self.build(&["--force"])).assert_exit_code(0);
        assert_eq!(std::fs::read_to_string(outcome.image()).unwrap(), "small\n");
        assert_eq!(left(self.service), [""; 0]);
        outcome
    }

    /// Runs a command in a shell and checks its output and exit code.
    fn runs_a_shell(&self) {
        let account = self.service.account();
        let words = ["shell", "--emulation", self.mode, "--run", "id -u; exit 7"];
        let mut shell = account.sdbuild(&self.user, &words);
        let nixpkgs = account.at("nixpkgs");
        let outcome = run(shell.env("SDBUILD_NIXPKGS", nixpkgs)).assert_exit_code(7);
        assert_eq!(outcome.stdout, "1000\n");
        assert_eq!(left(self.service), [""; 0], "after a shell");
    }

    /// sdbuild's own builder image, which the engine holds after a build.
    fn builder_image(&self) -> String {
        let named = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut images = self.service.docker_lines(&named).into_iter();
        images.find(|name| name.contains("sdbuild/builder:")).unwrap()
    }

    /// Builds in a container that has only the engine's socket, as in the container image of sdbuild. Rootless engines run its
    /// root as the account.
    fn builds_in_a_container(&self) {
        self.user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
        let build = self.build(&["--force"]);
        let account = self.service.account();
        let mut words: Vec<String> =
            ["run", "--detach", "--user", "0", "--volume"].map(str::to_owned).into();
        words.push(format!("{}:/var/run/docker.sock", self.service.socket().display()));
        let (user, at) = (&self.user, |name| account.at(name));
        let (home, state) = (user.home.path().to_owned(), user.state.path().to_owned());
        for path in [home, state, at("cache"), at("nixpkgs"), at("sdbuild")] {
            let path = path.display();
            words.extend(["--volume".to_owned(), format!("{path}:{path}")]);
        }
        let variables = user.environment.iter();
        for (name, value) in variables.filter(|(name, _)| *name != "DOCKER_HOST") {
            words.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        let workdir = user.home.path().to_str().unwrap().to_owned();
        words.extend(["--workdir".to_owned(), workdir, self.builder_image()]);
        let command = [build.get_program()].into_iter().chain(build.get_args());
        words.extend(command.map(|word| word.to_str().unwrap().to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Podman refuses to attach Docker's client to a container that is about to start.
        let container = self.service.docker_lines(&words).remove(0);
        let code = self.service.docker_lines(&["wait", &container]);
        let outcome = self.service.docker(&["logs", &container]);
        assert_eq!(code, ["0"], "{}", outcome.stderr);
        assert_eq!(std::fs::read_to_string(outcome.image()).unwrap(), "small\n");
        self.service.docker(&["rm", &container]).assert_exit_code(0);
        assert_eq!(left(self.service), [""; 0], "after a build in a container");
    }

    /// Builds with a foreign builder image: our own under another name, with a store of its own.
    fn builds_elsewhere(&self) {
        let other = "localhost/elsewhere:1";
        self.service.docker(&["tag", &self.builder_image(), other]).assert_exit_code(0);
        let script = product(&fresh(SMALL_IMAGE));
        self.user.write("sd-card.nix", &script);
        let wish = ["--force", "--builder-image", other];
        run(&mut self.build(&wish)).assert_exit_code(0);
        self.service.docker(&["rmi", other]).assert_exit_code(0);
        assert_eq!(left(self.service), [""; 0]);
    }

    /// Builds the example and boots it in a container of this engine until its owner can log in.
    fn boots_the_example(&self) {
        let account = self.service.account();
        let (private, public) = key(&self.user);
        for path in [&private, &private.with_extension("pub")] {
            account.chown(path);
        }
        self.user.write("sd-card.nix", &example(&public));
        let image = run(&mut self.build(&[])).assert_exit_code(0).image();
        let words = ["boot", "--emulator", "container", "--run", "uname -m"];
        let mut boot = account.sdbuild(&self.user, &words);
        boot.arg("--ssh-key").arg(private).arg(image);
        let there =
            run(&mut self.service.command_in_network(&boot, &self.user)).assert_exit_code(0);
        assert_eq!(there.stdout, "aarch64\n", "{}", there.stderr);
        assert_eq!(left(self.service), [""; 0], "after the boot");
    }

    /// Puts files into both file systems of a copy of an image.
    fn puts_files(&self) {
        let account = self.service.account();
        let script = "truncate -s 40M card.img
            printf 'label: dos\n2048,16384,c\n20480,61440,83\n' | sfdisk -q card.img
            mkfs.vfat --offset 2048 -n FIRMWARE card.img 8192
            mkdir -p top/nix/store
            mkfs.ext4 -qF -d top -E offset=10485760 card.img 30720k";
        let mut make = Command::new("bash");
        run(make.args(["-euc", script]).current_dir(self.user.home.path())).assert_exit_code(0);
        account.chown(&self.user.home.path().join("card.img"));
        account.chown(&self.user.write("file", "new"));
        let copy = self.user.out().join("copy.img");
        let copy = copy.to_str().unwrap();
        let words = ["personalise", "card.img", "-o", copy, "--put", "file:/boot/firmware/a"];
        let words = [&words[..], &["--put", "file:/etc/b"]].concat();
        run(&mut account.sdbuild(&self.user, &words)).assert_exit_code(0);
        for path in ["1:/a", "2:/etc/b"] {
            let cat = ["inspect", copy, "cat", path];
            assert_eq!(run(&mut account.sdbuild(&self.user, &cat)).stdout, "new", "{path}");
        }
        assert_eq!(left(self.service), [""; 0], "after files were put");
    }

    /// Builds, runs a shell, and interrupts and kills builds.
    fn run(&mut self) {
        let first = self.builds();
        // Of the configuration: its image has no SSH server, nobody can log in, and it is a text.
        let of_it =
            ["services.openssh.enable = false", "no key and no password", "it is a text file"];
        let warnings = first.stderr.lines().filter(|line| {
            line.contains("warning: ") && !of_it.iter().any(|part| line.contains(part))
        });
        assert_eq!(warnings.count(), 0, "{}", first.stderr);
        self.record_step("build");
        if table().is_some() {
            self.boots_the_example();
            self.record_step("boot");
        }

        self.runs_a_shell();
        self.record_step("shell");
        self.builds_elsewhere();
        self.record_step("builder image");
        self.puts_files();
        self.record_step("put files");
        if self.service.kind().is_rootless() {
            self.builds_in_a_container();
            self.began = Instant::now();
        }

        let (running, builder) = self.in_mid_build();
        let account = self.service.account();
        let status =
            run(&mut account.sdbuild(&self.user, &["status", "--json"])).assert_exit_code(0);
        assert!(status.stdout.contains(&builder), "{}", status.stdout);
        running.signal(Signal::SIGINT);
        assert_eq!(running.finish().signal, Some(2));
        assert_eq!(left(self.service), [""; 0], "after Ctrl-C");
        self.record_step("Ctrl-C");

        let (running, builder) = self.in_mid_build();
        running.signal(Signal::SIGKILL);
        running.finish();
        wait_until(Duration::from_secs(30), "the watchdog ends the builder", || {
            self.service.docker_lines(&["ps", "--quiet"]).is_empty()
                && self.runs.handlers().is_empty()
        });
        self.builds().assert_stderr_contains(&[&builder]);
        self.record_step("KILL");

        // Its containers and volumes were on that engine; the handlers were in this machine's kernel.
        self.runs.assert_nothing_left();
    }

    /// Removes what this mode and those before it left.
    fn cleans(&mut self) {
        let account = self.service.account();
        run(&mut account.sdbuild(&self.user, &["clean", "--yes", "--all"])).assert_exit_code(0);
        for words in [&["volume", "ls", "--quiet"][..], &["images", "--quiet"]] {
            assert_eq!(self.service.docker_lines(words), [""; 0], "{words:?}");
        }
        self.record_step("clean");
    }
}

fn is_used_from_build_to_clean(kind: EngineKind, modes: &[&'static str]) {
    let can_run = root_available() && engine_ready() && tools_available(&needed(kind));
    if !can_run || !kind.release().is_none_or(debian_release_available) {
        return;
    }
    let service = EngineService::start(kind);
    for (number, mode) in modes.iter().enumerate() {
        let mut engine = EngineUse::of(&service, mode);
        engine.run();
        // Container images need not be assembled and loaded for each mode.
        if number + 1 == modes.len() || table().is_some() {
            engine.cleans();
        }
    }
}

fn needed(kind: EngineKind) -> Vec<&'static str> {
    match kind {
        EngineKind::RootlessDocker => vec!["dockerd", "rootlesskit", "slirp4netns", "newuidmap"],
        EngineKind::RootlessPodman => vec!["podman", "runc", "slirp4netns", "newuidmap"],
        EngineKind::RootfulPodman => vec!["podman", "runc"],
        EngineKind::Docker(_) | EngineKind::ContainerdStore(_) => {
            vec!["dockerd", "ip", "pivot_root", "slirp4netns", "nsenter"]
        }
    }
}

#[test]
fn rootless_docker_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(EngineKind::RootlessDocker, &["auto"]);
}

#[test]
fn rootless_podman_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(EngineKind::RootlessPodman, &["auto"]);
}

#[test]
fn podman_as_root_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(EngineKind::RootfulPodman, &["register", "private"]);
}

#[test]
fn docker_of_this_machine_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(EngineKind::Docker(DebianRelease::Here), &["register", "private"]);
}

#[test]
fn docker_of_trixie_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(
        EngineKind::Docker(DebianRelease::Trixie),
        &["register", "private"],
    );
}

#[test]
fn newest_docker_is_used_from_build_to_clean() {
    is_used_from_build_to_clean(
        EngineKind::Docker(DebianRelease::Newest),
        &["register", "private"],
    );
}

#[test]
fn newest_docker_stores_images_in_containerd() {
    is_used_from_build_to_clean(EngineKind::ContainerdStore(DebianRelease::Newest), &["register"]);
}
