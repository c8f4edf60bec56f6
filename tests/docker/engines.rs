//! Rootless Docker, Podman rootless and as root, and Docker as several releases of Debian have it: one user's whole
//! life with each, in every mode that it has. The user is an account without any privilege. `scripts/engines` makes
//! a table of what ran, and has the example booted on each as well, which takes too long for every day.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;

/// Where somebody collects what went well.
fn table() -> Option<OsString> {
    std::env::var_os("SDBUILD_ENGINES")
}

/// What the engine holds of ours.
fn left(service: &Service) -> Vec<String> {
    service.lists(&["ps", "--all", "--quiet"])
}

/// One engine with one mode: what was done with it, for the table.
struct Life<'a> {
    service: &'a Service,
    user: User,
    mode: &'static str,
    began: Instant,
}

impl<'a> Life<'a> {
    fn of(service: &'a Service, mode: &'static str) -> Self {
        let user = service.account().user();
        Self {
            user: user.with("DOCKER_HOST", service.host()),
            service,
            mode,
            began: Instant::now(),
        }
    }

    /// Writes down that `deed` went well, where somebody collects that.
    fn did(&mut self, deed: &str) {
        let took = self.began.elapsed().as_secs_f32();
        if let Some(path) = table() {
            let open = OpenOptions::new().create(true).append(true).open(path);
            let version = &self
                .service
                .lists(&["version", "--format", "{{.Server.Version}}"])[0];
            let (engine, mode) = (self.service.make().title(), self.mode);
            writeln!(
                open.unwrap(),
                "{engine}\t{version}\t{mode}\t{deed}\t{took:.1}"
            )
            .unwrap();
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

    /// Starts a build that is in the middle of something when this returns, with its builder's name.
    fn in_the_middle(&self) -> (Running, String) {
        let script = fresh("    echo in the middle\n    sleep 600");
        self.user.write("sd-card.nix", &product(&script));
        let mut running = Running::start(&mut self.build(&["-v"]));
        running.until("in the middle");
        let of = |role: &str| {
            let filter = format!("label=dev.sdbuild.role={role}");
            let words = ["ps", "--format", "{{.Names}}", "--filter", &filter];
            self.service.lists(&words)
        };
        assert_eq!(of("registrar").len(), usize::from(self.registers()));
        assert_eq!(our_handlers().len(), usize::from(self.registers()));
        (running, of("builder").remove(0))
    }

    fn builds(&self) -> Ran {
        self.user
            .write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
        let ran = ran(&mut self.build(&["--force"])).exits(0);
        assert_eq!(std::fs::read_to_string(ran.image()).unwrap(), "small\n");
        assert_eq!(left(self.service), [""; 0]);
        ran
    }

    /// A shell in the builder, with its exit code.
    fn has_a_shell(&self) {
        let account = self.service.account();
        let words = ["shell", "--emulation", self.mode, "--run", "id -u; exit 7"];
        let mut shell = account.sdbuild(&self.user, &words);
        let nixpkgs = account.at("nixpkgs");
        let ran = ran(shell.env("SDBUILD_NIXPKGS", nixpkgs)).exits(7);
        assert_eq!(ran.stdout, "1000\n");
        assert_eq!(left(self.service), [""; 0], "after a shell");
    }

    /// A build in an image that is not ours: our own under another name, and with a store of its own.
    fn builds_elsewhere(&self) {
        let named = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let images = self.service.lists(&named);
        let ours = images.iter().find(|name| name.contains("sdbuild/builder:"));
        let other = "localhost/elsewhere:1";
        self.service.docker(&["tag", ours.unwrap(), other]).exits(0);
        let script = product(&fresh(SMALL_IMAGE));
        self.user.write("sd-card.nix", &script);
        let wish = ["--force", "--builder-image", other];
        ran(&mut self.build(&wish)).exits(0);
        self.service.docker(&["rmi", other]).exits(0);
        assert_eq!(left(self.service), [""; 0]);
    }

    /// The example, booted in a container of this engine until its owner is let in.
    fn boots_the_example(&self) {
        let account = self.service.account();
        let (private, public) = key(&self.user);
        for path in [&private, &private.with_extension("pub")] {
            account.own(path);
        }
        self.user.write("sd-card.nix", &example(&public));
        let image = ran(&mut self.build(&[])).exits(0).image();
        let words = ["boot", "--emulator", "container", "--run", "uname -m"];
        let mut boot = account.sdbuild(&self.user, &words);
        boot.arg("--ssh-key").arg(private).arg(image);
        let there = ran(&mut self.service.beside(&boot, &self.user)).exits(0);
        assert_eq!(there.stdout, "aarch64\n", "{}", there.stderr);
        assert_eq!(left(self.service), [""; 0], "after the boot");
    }

    fn run(mut self) {
        let first = self.builds();
        assert!(!first.stderr.contains("warning: "), "{}", first.stderr);
        self.did("build");
        if table().is_some() {
            self.boots_the_example();
            self.did("boot");
        }

        self.has_a_shell();
        self.did("shell");
        self.builds_elsewhere();
        self.did("builder image");

        let (running, builder) = self.in_the_middle();
        let account = self.service.account();
        let status = ran(&mut account.sdbuild(&self.user, &["status", "--json"])).exits(0);
        assert!(status.stdout.contains(&builder), "{}", status.stdout);
        running.signal(Signal::SIGINT);
        assert_eq!(running.finish().signal, Some(2));
        assert_eq!(left(self.service), [""; 0], "after Ctrl-C");
        self.did("Ctrl-C");

        let (running, builder) = self.in_the_middle();
        running.signal(Signal::SIGKILL);
        running.finish();
        within(
            Duration::from_secs(30),
            "its leash ends the builder",
            || self.service.lists(&["ps", "--quiet"]).is_empty() && our_handlers().is_empty(),
        );
        self.builds().says(&[&builder]);
        self.did("KILL");

        ran(&mut account.sdbuild(&self.user, &["clean", "--yes"])).exits(0);
        for words in [&["volume", "ls", "--quiet"][..], &["images", "--quiet"]] {
            assert_eq!(self.service.lists(words), [""; 0], "{words:?}");
        }
        self.did("clean");
    }
}

fn a_whole_life_with(make: Make, modes: &[&'static str]) {
    let can_run = root_is_here() && engine_is_here() && tools_are_here(&needed(make));
    if !can_run || !make.suite().is_none_or(suite_is_here) {
        return;
    }
    let before = Machine::now();
    let service = Service::start(make);
    for mode in modes {
        Life::of(&service, mode).run();
    }
    before.is_unchanged();
}

fn needed(make: Make) -> Vec<&'static str> {
    match make {
        Make::RootlessDocker => vec!["dockerd", "rootlesskit", "slirp4netns", "newuidmap"],
        Make::RootlessPodman => vec!["podman", "runc", "slirp4netns", "newuidmap"],
        Make::RootfulPodman => vec!["podman", "runc"],
        Make::Docker(_) | Make::ContainerdStore(_) => {
            vec!["dockerd", "ip", "pivot_root", "slirp4netns", "nsenter"]
        }
    }
}

#[test]
fn rootless_docker() {
    a_whole_life_with(Make::RootlessDocker, &["auto"]);
}

#[test]
fn rootless_podman() {
    a_whole_life_with(Make::RootlessPodman, &["auto"]);
}

#[test]
fn podman_as_root() {
    a_whole_life_with(Make::RootfulPodman, &["register", "private"]);
}

#[test]
fn docker_of_this_machine() {
    a_whole_life_with(Make::Docker(Suite::Here), &["register", "private"]);
}

#[test]
fn docker_of_trixie() {
    a_whole_life_with(Make::Docker(Suite::Trixie), &["register", "private"]);
}

#[test]
fn the_newest_docker() {
    a_whole_life_with(Make::Docker(Suite::Newest), &["register", "private"]);
}

#[test]
fn the_newest_docker_with_the_image_store_of_containerd() {
    a_whole_life_with(Make::ContainerdStore(Suite::Newest), &["register"]);
}
