//! The installer that cloud-init configures, and its seed.

use std::fs;

use serde_json::Value;

use crate::support::*;

/// The miniature has no cloud-init: a script reads the seed there. The way of the seed is the real one: what sdbuild checks and
/// writes, the drive of the machine, the label and the files on it.
#[test]
fn an_installer_does_what_its_seed_says() {
    if !engine_available() || !boot_available() {
        return;
    }
    let user = TestUser::new();
    let runs = user.track_runs();
    let (key, public) = key(&user);
    let words = "init --template installer-cloud-init --hostname live --yes --ssh-key";
    let mut init = user.sdbuild(&words.split(' ').collect::<Vec<_>>());
    run(init.arg(key.with_extension("pub"))).assert_exit_code(0);
    let settings = fs::read_to_string(user.home.path().join("sdbuild.toml")).unwrap();
    assert!(
        settings.ends_with("\nformat = \"iso-installer\"\n"),
        "{settings}"
    );
    let built = run(&mut user.build(&["--json"])).assert_exit_code(0);
    let manifest: Value = serde_json::from_str(&built.stdout).unwrap();
    assert_eq!(manifest["format"], "iso-installer");
    let image = user.out().join(manifest["image"]["name"].as_str().unwrap());
    let image = image.to_str().unwrap();

    user.write(
        "broken.yaml",
        "#cloud-config\nusers:\n  - name: ann\n   keys: x\n",
    );
    run(&mut user.sdbuild(&["boot", image, "--seed", "broken.yaml", "--until-ssh"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["broken.yaml: line 4: "]);

    let user_data = format!(
        "#cloud-config\nhostname: kitchen\nusers:\n  - name: ann\n    ssh_authorized_keys:\n      - {public}\n\
         write_files:\n  - path: /etc/of-the-seed\n    content: |\n      written\n      by the seed\n\
         runcmd:\n  - touch /run/was-run\n"
    );
    user.write("user-data.yaml", &user_data);
    let command = "id -un; hostname; cat /etc/of-the-seed; ls /run/was-run";
    let mut boot = user.sdbuild(&["boot", image, "--seed", "user-data.yaml", "--run", command]);
    let ran = run(boot.arg("--login-key").arg(&key)).assert_exit_code(0);
    assert_eq!(
        ran.stdout,
        "ann\nkitchen\nwritten\nby the seed\n/run/was-run\n"
    );
    runs.assert_nothing_left();
}
