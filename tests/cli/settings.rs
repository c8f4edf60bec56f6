//! `settings` shows each value and where it comes from.

use std::fs;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, user};

#[test]
fn every_source_is_named() {
    let mut user = user().with("SDBUILD_CORES", "2").with("SDBUILD_GLUE", "native");
    user.environment.remove("SDBUILD_STORE");
    let config = user.state.path().join(".config/sdbuild");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("sdbuild.toml"),
        "jobs = 3\nsystem = \"x86_64-linux\"\nnixpkgs = \"./tree\"\n",
    )
    .unwrap();
    user.write("sdbuild.toml", "system = \"aarch64-linux\"\nforce = false\nemulation = \"host\"\n");
    let shown = run(&mut user.sdbuild(&["settings", "--output", "out"])).assert_exit_code(0).stdout;
    let project = user.home.path().join("sdbuild.toml");
    let (project, own) = (project.display(), config.join("sdbuild.toml"));
    let own = own.display();
    let (home, tree) = (user.home.path().display(), config.join("tree"));
    assert!(
        shown.starts_with("SETTING                   VALUE  (where it comes from)\n"),
        "{shown}"
    );
    for line in [
        format!("config                    {home}/sd-card.nix  (default)"),
        format!("nixpkgs                   {}  ({own})", tree.display()),
        format!("system                    aarch64-linux  ({project})"),
        format!("emulation                 host  ({project})"),
        "glue                      native  (environment, SDBUILD_GLUE)".to_owned(),
        "builder-image             not set  (default)".to_owned(),
        format!("output                    {home}/out  (flag)"),
        format!("force                     false  ({project})"),
        "substituters              none  (environment, SDBUILD_SUBSTITUTERS)".to_owned(),
        "cores                     2  (environment, SDBUILD_CORES)".to_owned(),
        format!("jobs                      3  ({own})"),
        "store                     sdbuild-store  (default)".to_owned(),
        "dry-run                   false  (default)".to_owned(),
        "extra-trusted-public-keys none  (default)".to_owned(),
    ] {
        assert!(shown.lines().any(|l| l == line), "{line}\nis not in\n{shown}");
    }
    let (given, defaults) = shown.split_once("\n\n").unwrap();
    assert!(!given.contains("(default)"), "{given}");
    assert!(defaults.lines().all(|line| line.ends_with("(default)")));
    let shown = run(&mut user.sdbuild(&["settings", "--json"])).assert_exit_code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let all = json["settings"].as_array().unwrap();
    let cores = all.iter().find(|s| s["key"] == "cores").unwrap();
    assert_eq!(cores["value"], 2);
    assert_eq!(cores["origin"]["from"], "environment");
    assert_eq!(cores["origin"]["name"], "SDBUILD_CORES");
}

#[test]
fn unreadable_settings_directory_is_ignored() {
    needs!(root_available());
    let user = user();
    user.write("sd-card.nix", crate::GOOD);
    let closed = user.state.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let user = user.with("XDG_CONFIG_HOME", closed.to_str().unwrap());
    let outcome = crate::as_nobody(&user, &[]);
    assert!(!outcome.stderr.contains("sdbuild.toml"), "{}", outcome.stderr);
    outcome.assert_stderr_contains(&["no engine answers"]);
}

#[test]
fn a_directory_means_the_configuration_in_it() {
    for args in [
        &["settings", "pi"][..],
        &["settings", "pi/sd-card.nix"],
        &["settings", "--config", "pi"],
        &["settings", "--config", "./pi/"],
    ] {
        let outcome = CliTest::new(args).file("pi/sd-card.nix", GOOD).run();
        let mut lines = outcome.stdout.lines();
        let line = lines.find(|line| line.starts_with("config ")).unwrap();
        assert!(line.contains("/pi/sd-card.nix  (flag"), "{line}");
    }
    CliTest::new(&["build", "pi"])
        .file("pi/sd-card.nix", GOOD)
        .exit_code(3)
        .stderr("no engine answers")
        .run();
    CliTest::new(&["check", "nowhere"]).exit_code(2).stderr("nowhere: No such file").run();
    CliTest::new(&["build", "a", "--config", "b"]).exit_code(2).stderr("cannot be used with").run();
}

#[test]
fn a_flake_without_a_module_file_is_taken() {
    let taken = "there is no sd-card.nix, so sdbuild uses the flake.nix in this directory";
    CliTest::new(&["build"])
        .file("flake.nix", "{ }")
        .exit_code(3)
        .stderr(taken)
        .stderr("no engine answers")
        .run();
    let named = CliTest::new(&["build", "."]).file("flake.nix", "{ }");
    let named = named.exit_code(3).run();
    assert!(!named.stderr.contains(taken), "{}", named.stderr);
    let both = CliTest::new(&["build"]).file("flake.nix", "{ }").config();
    let both = both.exit_code(3).run();
    assert!(!both.stderr.contains(taken), "{}", both.stderr);
    CliTest::new(&["build", ".#pi"])
        .exit_code(2)
        .stderr("there is no flake.nix in")
        .stderr("sdbuild init --flake")
        .run();
    CliTest::new(&["build", ".#pi", "--nixpkgs", "26.05"])
        .file("flake.nix", "{ }")
        .exit_code(2)
        .stderr("--override-input nixpkgs REF")
        .run();
    CliTest::new(&["lock", "--flake", "github:owner/repository"])
        .exit_code(2)
        .stderr("cannot be written from here")
        .run();
}
