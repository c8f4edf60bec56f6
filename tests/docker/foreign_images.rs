//! `--builder-image`: another image that has Nix, pulled when the engine lacks it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// A registry on this machine, from Debian's package; it ends with the value.
struct Registry {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Registry {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let settings = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            dir.path().join("data").display()
        );
        fs::write(&settings, text).unwrap();
        let unpacked = root().join("target/tools/usr/bin/docker-registry");
        let program = if unpacked.exists() { unpacked } else { "docker-registry".into() };
        let child = Command::new(program)
            .arg("serve")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the container registry that scripts/setup --test unpacks");
        let registry = Self { child, dir, port };
        wait_until(Duration::from_secs(20), "the registry listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(self.dir.path().exists());
    }
}

/// A foreign image in `registry` and nowhere else: our own builder's files, changed by root's `script`,
/// without our labels.
fn foreign(registry: &Registry, name: &str, (script, changes): (&str, &[&str])) -> String {
    let reference = format!("127.0.0.1:{}/{name}:1", registry.port);
    let own = builder_image().unwrap();
    let container = format!("test-foreign-{}", registry.port);
    docker(&["run", "--name", &container, "--user", "0", &own, "/bin/sh", "-c", script]);
    let file = registry.dir.path().join("image.tar");
    let file = file.to_str().unwrap();
    docker(&["export", "--output", file, &container]);
    docker(&["rm", &container]);
    let mut words = vec!["import"];
    for change in changes {
        words.extend(["--change", change]);
    }
    docker(&[&words[..], &[file, &reference]].concat());
    docker(&["push", "--quiet", &reference]);
    docker(&["rmi", &reference]);
    reference
}

/// Builds with the foreign image; it is pulled, and its store volume is its own.
fn builds_with(user: &TestUser, runs: &RunTracker, reference: &str) -> Outcome {
    let outcome = run(&mut user.build(&["--force", "--builder-image", reference]));
    let own = runs.volumes();
    for volume in &own {
        remove_volume(volume);
    }
    docker(&["rmi", reference]);
    assert_eq!(own.len(), 1, "{own:?}\n{}", outcome.stderr);
    outcome.assert_exit_code(0).assert_stderr_contains(&["Builder image: done"])
}

#[test]
fn foreign_builder_image_is_pulled_and_has_its_own_store() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &product_of_the_builder_alone(SMALL_IMAGE));
    // Makes sure that our own builder is loaded: it plays the foreign images.
    run(&mut user.build(&[])).assert_exit_code(0);
    let registry = Registry::start();

    let unprivileged = ["ENV PATH=/usr/bin:/bin", "USER 1000:1000"];
    builds_with(&user, &runs, &foreign(&registry, "user", ("true", &unprivileged)));
    runs.assert_nothing_left();

    // As the official image is: Nix itself in `/nix`, which is root's. It fetches packages and builds with them.
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let script = "mkdir -p /nix/profile/bin && cp -P /usr/bin/nix* /nix/profile/bin && \
                  rm /usr/bin/nix* && chown -R 0:0 /nix";
    let root = ["ENV PATH=/nix/profile/bin:/usr/bin:/bin"];
    builds_with(&user, &runs, &foreign(&registry, "root", (script, &root)))
        .assert_stderr_contains(&["runs as root: all its capabilities are dropped"]);
    runs.assert_nothing_left();

    let none = format!("127.0.0.1:{}/none:1", registry.port);
    run(&mut user.build(&["--force", "--builder-image", &none]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["/none:1"]);
    runs.assert_nothing_left();
}
