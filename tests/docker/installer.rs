//! The installer that cloud-init configures, and its seed.

use crate::support::*;

/// JSON, a flow of YAML, is user-data as well. The name of the host is that of the user-data.
fn user_data(public: &str) -> String {
    let users = format!(
        r#"[{{"name": "ann", "groups": ["wheel"], "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": ["{public}"]}}]"#
    );
    format!(
        "#cloud-config\n{{\"hostname\": \"kitchen\", \"users\": {users},\n\
         runcmd: [\"cp /etc/sudoers.d/90-cloud-init-users /run/sudo\", [sh, -c, 'chmod 644 \"$1\"', sh, /run/sudo]],\n\
         packages: [htop]}}\n"
    )
}

/// A script, and a template that writes a file.
const VENDOR_DATA: &str = "#cloud-config-archive
- |
  #!/bin/sh
  echo of a script >/run/script
- |
  ## template: jinja
  #cloud-config
  write_files:
    - path: /etc/of-the-seed
      content: |
        on {{ v1.local_hostname }}
";

/// The first address is the one that QEMU forwards to.
const NETWORK: &str = "version: 2
ethernets:
  eth0:
    addresses: [10.0.2.15/24, 192.0.2.7/24]
    routes: [{to: 0.0.0.0/0, via: 10.0.2.2}]
    nameservers: {addresses: [10.0.2.3]}
";

/// The miniature's cloud-init is Debian's: it reads the seed, and says that nothing went wrong. The machine has the architecture of
/// the engine, because Python starts slowly on an emulated one; `scripts/formats` boots both.
#[test]
fn an_installer_does_what_its_seed_says() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (key, public) = key(&user);
    let words = "init --template installer-cloud-init --hostname live --yes --ssh-key";
    let mut init = user.sdbuild(&words.split(' ').collect::<Vec<_>>());
    run(init.arg(key.with_extension("pub"))).assert_exit_code(0);
    let settings = user.read("sdbuild.toml");
    assert!(settings.ends_with("\nformat = \"iso-installer\"\n"), "{settings}");
    let nixpkgs = mini_nixpkgs();
    let words = ["check", "--nixpkgs", nixpkgs.to_str().unwrap()];
    let checked = run(&mut user.sdbuild(&words)).assert_exit_code(0);
    assert!(!checked.stdout.contains('✗'), "{}", checked.stdout);
    let written = user.read("sd-card.nix");
    let native = format!("{}-linux", std::env::consts::ARCH);
    let written = written.replace("aarch64-linux", &native);
    let more = "  boot.loader.timeout = 0;\n  system.stateVersion";
    let built = user
        .build_of(
            &written.replacen("  system.stateVersion", more, 1),
            &["--json", "--system", &native],
        )
        .assert_exit_code(0);
    let manifest = built.json();
    assert_eq!(manifest["format"], "iso-installer");
    let image = user.out().join(manifest["image"]["name"].as_str().unwrap());
    let image = image.to_str().unwrap();

    user.write("user-data", &user_data(public.trim()));
    user.write("vendor-data", VENDOR_DATA);
    user.write("network-config", NETWORK);
    let words =
        "seed --user-data user-data --vendor-data vendor-data --network-config network-config";
    run(&mut user.sdbuild(&words.split(' ').collect::<Vec<_>>()))
        .assert_exit_code(0)
        .assert_stderr_contains(&["cloud-init ignores `packages`"]);

    let command = "cloud-init status --wait >/dev/null; echo $?; id -un; id -nG; hostname; tail -n 1 /run/sudo; \
        cat /etc/of-the-seed /run/script; ip -o -4 addr show dev eth0 | awk '{ print $4 }'; cat /etc/resolv.conf";
    let words = ["boot", image, "--seed", "seed.img", "--timeout", "420", "--run", command];
    let mut boot = user.sdbuild(&words);
    let ran = run(boot.arg("--login-key").arg(&key)).assert_exit_code(0);
    assert_eq!(
        ran.stdout,
        "0\nann\nann wheel\nkitchen\nann ALL=(ALL) NOPASSWD:ALL\non kitchen\nof a script\n\
         10.0.2.15/24\n192.0.2.7/24\nnameserver 10.0.2.3\n"
    );
    runs.assert_nothing_left();
}
