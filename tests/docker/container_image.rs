//! `--format container`: an image for container engines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::*;

/// An image that a test loaded, and the container that it started of it.
struct Loaded {
    name: String,
}

impl Loaded {
    fn load(archive: &Path, name: &str) -> Self {
        let loaded = docker(&["load", "--input", archive.to_str().unwrap()]);
        assert_eq!(loaded.trim(), format!("Loaded image: {name}:latest"));
        Self { name: name.to_owned() }
    }

    fn property(&self, template: &str) -> String {
        let shown = docker(&["image", "inspect", "--format", template, &self.name]);
        shown.trim().to_owned()
    }

    /// Starts a container without any right that Docker does not give by default, and returns the port that leads to its SSH.
    fn start(&self) -> String {
        let name = ["--name", &self.name];
        let words = ["run", "--detach", "--publish", "127.0.0.1::22"];
        docker(&[&words, &name[..], &[&self.name]].concat());
        let address = docker(&["port", &self.name, "22"]);
        let port = address.trim().rsplit_once(':').unwrap().1;
        port.to_owned()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        run(Command::new("docker").args(["rm", "--force", &self.name]));
        run(Command::new("docker").args(["rmi", &self.name]));
    }
}

/// What `command` prints in the container behind `port`, whose SSH server may be starting.
fn over_ssh(port: &str, key: &Path, command: &str) -> String {
    let started = Instant::now();
    loop {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .arg("-i")
            .arg(key)
            .args(["-p", port, "root@127.0.0.1", command]);
        let ran = run(&mut ssh);
        if ran.code == Some(0) {
            return ran.stdout;
        }
        assert!(started.elapsed() < Duration::from_secs(90), "{}", ran.stderr);
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn build(user: &TestUser, words: &[&str]) -> PathBuf {
    let built = run(user.build(&["--force", "box"]).args(words)).assert_exit_code(0);
    built.image()
}

fn what_is_for_machines_is_refused(user: &TestUser, archive: &Path) {
    for words in [&["inspect"][..], &["boot", "--until-ssh"]] {
        run(user.sdbuild(words).arg(archive))
            .assert_exit_code(2)
            .assert_stderr_contains(&["image for container engines: docker load --input"]);
    }
}

/// The engine's own architecture, so that the engine can start it.
#[test]
fn a_container_is_loaded_and_answers_over_ssh() {
    needs!(engine_ready());
    let mini = mini_nixpkgs();
    let user = TestUser::new().with("SDBUILD_NIXPKGS", mini.to_str().unwrap());
    let key = key(&user).0;
    let host = format!("Box-{}", nonce());
    let words =
        ["init", "--template", "container", "--hostname", &host, "--system", "aarch64-linux"];
    let mut init = user.sdbuild(&words);
    run(init.args(["box", "--ssh-key"]).arg(key.with_extension("pub"))).assert_exit_code(0);
    let written = user.read("box/sd-card.nix");
    let end = "  system.stateVersion";
    // More than a path needs for a layer of its own.
    let written = written.replacen(end, &format!("  mini.payloadMiB = 20;\n{end}"), 1);
    let name = format!("nixos-{}", host.to_lowercase());

    user.write("box/sd-card.nix", &written);
    let arm64 = build(&user, &[]);
    let loaded = Loaded::load(&arm64, &name);
    assert_eq!(loaded.property("{{.Architecture}}"), "arm64");
    drop(loaded);

    let pc = written.replacen("\"aarch64-linux\"", "\"x86_64-linux\"", 1);
    user.write("box/sd-card.nix", &pc);
    let archive = build(&user, &["--system", "x86_64-linux"]);
    let end = format!("nixos-{host}-26.05.mini-x86_64-linux.oci.tar");
    assert!(archive.ends_with(&end), "{archive:?}");
    let loaded = Loaded::load(&archive, &name);
    let about = loaded.property("{{.Architecture}} {{.Config.StopSignal}} {{len .RootFS.Layers}}");
    // The payload, all other store paths, and what is outside the store.
    assert_eq!(about, "amd64 SIGRTMIN+3 3");
    let port = loaded.start();
    let command = "id -un; cat /run/systemd/container; ls /nix-path-registration || ls -d /tmp";
    assert_eq!(over_ssh(&port, &key, command), "root\ndocker\n/tmp\n");
    // Programs of the system are found.
    assert_eq!(docker(&["exec", &loaded.name, "uname", "-m"]), "x86_64\n");

    what_is_for_machines_is_refused(&user, &archive);
}
