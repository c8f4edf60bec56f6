//! sdbuild in a container that has only the engine's socket of its host: the job of `examples/ci/gitlab.yml`, line by
//! line.

use std::path::Path;
use std::process::Command;

use crate::support::*;

/// A container that is not started yet; it and the job's store are removed when the value is dropped.
struct Job {
    container: String,
    store: String,
}

impl Job {
    /// A container with the job's variables, and without sdbuild.
    fn new(store: String, variables: &[(String, String)], script: &str) -> Self {
        let image = builder_image().unwrap();
        let mut words = vec!["create", "--user", "0", "--workdir", "/job"];
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for variable in &variables {
            words.extend(["--env", variable]);
        }
        words.extend(["--volume", "/var/run/docker.sock:/var/run/docker.sock"]);
        words.extend([&image, "/bin/bash", "-exc", script]);
        let container = docker(&words).trim().to_owned();
        Self { container, store }
    }

    fn copy_in(&self, from: &Path, to: &str) {
        docker(&["cp", from.to_str().unwrap(), &format!("{}:{to}", self.container)]);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.container]);
        // The volume is missing when the job failed early.
        remove_volume(&self.store);
    }
}

#[test]
fn ci_example_runs_in_a_container_with_the_engine_socket() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    // Loads our container images: one of them stands for the job's.
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    let before = Machine::snapshot();

    let scripts = Ci::GitLab.scripts();
    // The program is copied in below.
    let install = Ci::GitLab.installation();
    let script = scripts.iter().filter(|script| **script != install);
    let script: Vec<&str> = script.map(String::as_str).collect();
    let store = format!("sdbuild-store-{}", nonce());
    let mut variables = Ci::GitLab.variables();
    for (name, value) in &mut variables {
        if name == "SDBUILD_STORE" {
            assert_eq!(value, "sdbuild-store-$CI_PROJECT_ID");
            value.clone_from(&store);
        }
    }
    // No network but the mirrors.
    for (name, value) in [
        ("SDBUILD_NIXPKGS", "/nixpkgs"),
        ("SDBUILD_SUBSTITUTERS", ""),
        ("SDBUILD_COMPRESS", "none"),
        ("HOME", "/root"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    if let Some(mirror) = user.environment.get("SDBUILD_DEBIAN_MIRROR") {
        variables.push(("SDBUILD_DEBIAN_MIRROR".to_owned(), mirror.clone()));
    }
    let job = Job::new(store, &variables, &script.join("\n"));
    job.copy_in(Path::new(env!("CARGO_BIN_EXE_sdbuild")), "/usr/bin/sdbuild");
    job.copy_in(&mini_nixpkgs(), "/nixpkgs");
    // The list of reachable mirrors, as a job's Debian image has it.
    let apt = user.state.path().join("apt");
    std::fs::create_dir(&apt).unwrap();
    for sources in ["/etc/apt/sources.list", "/etc/apt/sources.list.d"] {
        // A machine has one or both of them.
        run(Command::new("cp").args(["-r", sources]).arg(&apt));
    }
    job.copy_in(&apt, "/etc/apt");
    // Downloads of earlier jobs.
    let cache = Path::new(&user.environment["XDG_CACHE_HOME"]).join(".");
    job.copy_in(&cache, "/root/.cache");
    job.copy_in(&user.home.path().join("sd-card.nix"), "/job/sd-card.nix");
    let outcome =
        run(Command::new("docker").args(["start", "--attach", &job.container])).assert_exit_code(0);
    assert_eq!(outcome.stdout.lines().last(), Some("/job/images/small.img"), "{}", outcome.stderr);
    docker(&[
        "cp",
        &format!("{}:/job/images/small.img", job.container),
        user.out().to_str().unwrap(),
    ]);
    let image = std::fs::read_to_string(user.out().join("small.img"));
    assert_eq!(image.unwrap(), "small\n");
    drop(job);
    before.assert_unchanged();
}
