//! The steps of `examples/ci/github.yml` on this machine, with a store of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::support::*;

/// A runner of the service, whose store is removed when the value is dropped.
struct Runner {
    user: TestUser,
    store: String,
}

impl Runner {
    fn new() -> Self {
        let user = TestUser::new();
        let bin = user.state.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_sdbuild"), bin.join("sdbuild")).unwrap();
        // The tests run as root.
        write_program(bin.join("sudo"), "#!/bin/sh\nexec \"$@\"\n");
        let path = format!("{}:{}", bin.display(), user.environment["PATH"]);
        let store = format!("sdbuild-store-{}", nonce());
        let user = user
            .with("PATH", path)
            .with("SDBUILD_STORE", store.clone())
            .with("SDBUILD_NIXPKGS", mini_nixpkgs().to_str().unwrap());
        Self { user, store }
    }

    /// Runs the step of the workflow with that name, as the service does.
    fn step(&self, name: &str) -> Outcome {
        let mut shell = Command::new("bash");
        shell.args(["-eo", "pipefail", "-c", &Ci::step(name)]);
        shell.env_clear().envs(&self.user.environment);
        run(shell.current_dir(self.user.home.path())).assert_exit_code(0)
    }

    fn image(&self) -> PathBuf {
        self.user.home.path().join("images/small.img")
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        remove_volume(&self.store);
    }
}

#[test]
fn github_workflow_builds_and_keeps_its_store() {
    needs!(engine_ready(), root_available());
    let runner = Runner::new();
    // Another one at each build.
    let random = SMALL_IMAGE.replace("echo small", "head -c 16 /dev/urandom");
    assert_ne!(random, SMALL_IMAGE);
    runner.user.write("sd-card.nix", &product(&fresh(&random)));
    runner.step("Build the image");
    let another = random.replace("-c 16", "-c 17");
    assert_ne!(another, random);
    runner.user.write("sd-card.nix", &product(&fresh(&another)));
    runner.step("Build the image");
    let last = fs::read(runner.image()).unwrap();
    assert_eq!(last.len(), 17);
    let kept = runner.step("Keep the store");
    assert!(kept.stdout.contains("1 old result"), "{}", kept.stdout);
    // The next run has a new machine.
    remove_volume(&runner.store);
    fs::remove_dir_all(runner.user.home.path().join("images")).unwrap();
    runner.step("Restore the store");
    let kept = runner.user.home.path().join("store.tar.zst");
    assert!(!kept.exists());
    runner.step("Build the image");
    assert_eq!(fs::read(runner.image()).unwrap(), last, "it was built again");
}
