//! Rootless Docker, Podman rootless and as root, and Docker as other releases of Debian have it (this machine's own
//! Docker is what every other test here runs on): one person's whole life with each, in every mode that it has.
//! The person is an account without any privilege. `scripts/engines` makes a table of what ran.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;

/// What the engine holds of ours.
fn left(service: &Service) -> Vec<String> {
    service.lists(&["ps", "--all", "--quiet"])
}

/// One engine with one mode: what was done with it, for the table.
struct Life<'a> {
    service: &'a Service,
    person: Person,
    mode: &'static str,
    began: Instant,
}

impl<'a> Life<'a> {
    fn of(service: &'a Service, mode: &'static str) -> Self {
        let person = service.account().person();
        Self {
            person: person.with("DOCKER_HOST", service.host()),
            service,
            mode,
            began: Instant::now(),
        }
    }

    /// Writes down that `deed` went well, where somebody collects that.
    fn did(&mut self, deed: &str) {
        let took = self.began.elapsed().as_secs_f32();
        if let Some(path) = std::env::var_os("SDBUILD_ENGINES") {
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
        account.build(&self.person, &[&wish[..], more].concat())
    }

    fn registers(&self) -> bool {
        self.mode == "register"
    }

    /// Starts a build that is in the middle of something when this returns, with its builder's name.
    fn in_the_middle(&self) -> (Running, String) {
        let script = fresh("    echo in the middle\n    sleep 600");
        self.person.write("sd-card.nix", &product(&script));
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
        self.person
            .write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
        let ran = ran(&mut self.build(&["--force"])).exits(0);
        assert_eq!(std::fs::read_to_string(ran.image()).unwrap(), "small\n");
        assert_eq!(left(self.service), [""; 0]);
        ran
    }

    fn run(mut self) {
        let first = self.builds();
        assert!(!first.stderr.contains("warning: "), "{}", first.stderr);
        self.did("build");

        let (running, builder) = self.in_the_middle();
        let account = self.service.account();
        let status = ran(&mut account.sdbuild(&self.person, &["status", "--json"])).exits(0);
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

        ran(&mut account.sdbuild(&self.person, &["clean", "--yes"])).exits(0);
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
        Make::Docker(_) | Make::ContainerdStore(_) => vec!["ip", "pivot_root", "slirp4netns"],
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
fn docker_of_trixie() {
    a_whole_life_with(Make::Docker(Suite::Trixie), &["register", "private"]);
}

#[test]
fn docker_of_sid() {
    a_whole_life_with(Make::Docker(Suite::Sid), &["register", "private"]);
}

#[test]
fn docker_of_sid_with_the_image_store_of_containerd() {
    a_whole_life_with(Make::ContainerdStore(Suite::Sid), &["register"]);
}
