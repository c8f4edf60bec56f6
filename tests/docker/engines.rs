//! Rootless Docker, rootless Podman and Podman as root: one person's whole life with each, by what `auto`
//! takes there. The person is an account without any privilege.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

/// What the engine holds of ours.
fn left(service: &Service) -> Vec<String> {
    service.lists(&["ps", "--all", "--quiet"])
}

/// Starts a build that is in the middle of something when this returns, with its builder's name.
fn in_the_middle(service: &Service, person: &Person) -> (Running, String) {
    let script = fresh("    echo in the middle\n    sleep 600");
    person.write("sd-card.nix", &product(&script));
    let mut running = Running::start(&mut service.account().build(person, &["-v"]));
    running.until("in the middle");
    let of = |role: &str| {
        let filter = format!("label=dev.sdbuild.role={role}");
        service.lists(&["ps", "--format", "{{.Names}}", "--filter", &filter])
    };
    let registers = service.make() == Make::RootfulPodman;
    assert_eq!(of("registrar").len(), usize::from(registers));
    (running, of("builder").remove(0))
}

fn builds(service: &Service, person: &Person) -> Ran {
    person.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    let ran = ran(&mut service.account().build(person, &["--force"])).exits(0);
    assert_eq!(std::fs::read_to_string(ran.image()).unwrap(), "small\n");
    assert_eq!(left(service), [""; 0]);
    ran
}

fn a_whole_life_with(make: Make) {
    if !root_is_here() || !engine_is_here() || !tools_are_here(&needed(make)) {
        return;
    }
    let before = Machine::now();
    let service = Service::start(make);
    let person = service.account().person();
    let person = person.with("DOCKER_HOST", service.host());
    let account = service.account();

    let first = builds(&service, &person);
    assert!(!first.stderr.contains("warning: "), "{}", first.stderr);

    let (running, builder) = in_the_middle(&service, &person);
    let status = ran(&mut account.sdbuild(&person, &["status", "--json"])).exits(0);
    assert!(status.stdout.contains(&builder), "{}", status.stdout);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().signal, Some(2));
    assert_eq!(left(&service), [""; 0], "after Ctrl-C");

    let (running, builder) = in_the_middle(&service, &person);
    running.signal(Signal::SIGKILL);
    running.finish();
    within(
        Duration::from_secs(30),
        "its leash ends the builder",
        || service.lists(&["ps", "--quiet"]).is_empty(),
    );
    builds(&service, &person).says(&[&builder]);

    ran(&mut account.sdbuild(&person, &["clean", "--yes"])).exits(0);
    for words in [&["volume", "ls", "--quiet"][..], &["images", "--quiet"]] {
        assert_eq!(service.lists(words), [""; 0], "{words:?}");
    }
    before.is_unchanged();
}

fn needed(make: Make) -> Vec<&'static str> {
    match make {
        Make::RootlessDocker => vec!["dockerd", "rootlesskit", "slirp4netns", "newuidmap"],
        Make::RootlessPodman => vec!["podman", "runc", "slirp4netns", "newuidmap"],
        Make::RootfulPodman => vec!["podman", "runc"],
    }
}

#[test]
fn rootless_docker() {
    a_whole_life_with(Make::RootlessDocker);
}

#[test]
fn rootless_podman() {
    a_whole_life_with(Make::RootlessPodman);
}

#[test]
fn podman_as_root() {
    a_whole_life_with(Make::RootfulPodman);
}
