//! `settings` shows each value and where it comes from.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

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
    let shown = run(&mut user.sdbuild(&["settings", "--json", "--output", "out"]));
    let all = shown.assert_exit_code(0).json()["settings"].as_array().unwrap().clone();
    let (home, own) = (user.home.path(), config.join("sdbuild.toml"));
    let project = home.join("sdbuild.toml");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (key, value, from, name) in [
        ("config", json!(home.join("sd-card.nix")), "default", None),
        ("nixpkgs", json!(config.join("tree")), "user", Some(text(&own))),
        ("system", json!("aarch64-linux"), "project", Some(text(&project))),
        ("emulation", json!("host"), "project", Some(text(&project))),
        ("glue", json!("native"), "environment", Some("SDBUILD_GLUE".to_owned())),
        ("builder-image", Value::Null, "default", None),
        ("output", json!(user.out()), "flag", None),
        ("force", json!(false), "project", Some(text(&project))),
        ("substituters", json!([]), "environment", Some("SDBUILD_SUBSTITUTERS".to_owned())),
        ("cores", json!(2), "environment", Some("SDBUILD_CORES".to_owned())),
        ("jobs", json!(3), "user", Some(text(&own))),
        ("store", json!("sdbuild-store"), "default", None),
        ("extra-trusted-public-keys", json!([]), "default", None),
    ] {
        let setting = all.iter().find(|setting| setting["key"] == key).unwrap();
        assert_eq!(setting["value"], value, "{setting}");
        assert_eq!(setting["origin"]["from"], from, "{setting}");
        assert_eq!(setting["origin"]["name"].as_str(), name.as_deref(), "{setting}");
    }
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
