//! `settings` tells each value and where it comes from.

use std::fs;

use crate::person;
use crate::support::*;

#[test]
fn every_layer_is_named() {
    let person = person()
        .with("SDBUILD_CORES", "2")
        .with("SDBUILD_GLUE", "native");
    let config = person.state.path().join(".config/sdbuild");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("sdbuild.toml"),
        "jobs = 3\nsystem = \"x86_64-linux\"\nnixpkgs = \"./tree\"\n",
    )
    .unwrap();
    person.write(
        "sdbuild.toml",
        "system = \"aarch64-linux\"\nforce = false\nemulation = \"host\"\n",
    );
    let told = ran(&mut person.sdbuild(&["settings", "--output", "out"]))
        .exits(0)
        .stdout;
    let project = person.home.path().join("sdbuild.toml");
    let (project, user) = (project.display(), config.join("sdbuild.toml"));
    let user = user.display();
    let (home, tree) = (person.home.path().display(), config.join("./tree"));
    for line in [
        format!("config               {home}/sd-card.nix  (default)"),
        format!("nixpkgs              {}  ({user})", tree.display()),
        format!("system               aarch64-linux  ({project})"),
        format!("emulation            host  ({project})"),
        "glue                 native  (environment, SDBUILD_GLUE)".to_owned(),
        "builder-image        -  (default)".to_owned(),
        format!("output               {home}/out  (flag)"),
        format!("force                false  ({project})"),
        "substituters         none  (environment, SDBUILD_SUBSTITUTERS)".to_owned(),
        "cores                2  (environment, SDBUILD_CORES)".to_owned(),
        format!("jobs                 3  ({user})"),
        "store                sdbuild-store  (default)".to_owned(),
        "dry-run              false  (default)".to_owned(),
    ] {
        assert!(told.lines().any(|l| l == line), "{line}\nis not in\n{told}");
    }
    let told = ran(&mut person.sdbuild(&["settings", "--json"]))
        .exits(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    let all = json["settings"].as_array().unwrap();
    let cores = all.iter().find(|s| s["key"] == "cores").unwrap();
    assert_eq!(cores["value"], 2);
    assert_eq!(cores["origin"]["from"], "environment");
    assert_eq!(cores["origin"]["name"], "SDBUILD_CORES");
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion_in_both_files() {
    let person = person();
    person.write("sdbuild.toml", "\n outptu = 'x'\n");
    ran(&mut person.build(&[])).exits(2).says(&[
        "`outptu` is no setting",
        "sdbuild.toml",
        "hint: did you mean `output`?",
    ]);
    let person = crate::person().with("XDG_CONFIG_HOME", person.state.path().to_str().unwrap());
    let config = person.environment["XDG_CONFIG_HOME"].clone() + "/sdbuild";
    fs::create_dir_all(&config).unwrap();
    fs::write(config.clone() + "/sdbuild.toml", "core = 1").unwrap();
    ran(&mut person.sdbuild(&["settings"])).exits(2).says(&[
        "`core` is no setting",
        &config,
        "hint: did you mean `cores`?",
    ]);
}

#[test]
fn a_value_of_the_wrong_kind_is_the_persons_mistake() {
    for (text, word) in [
        ("cores = 'many'", "cores"),
        ("emulation = 'magic'", "magic"),
        ("glue = 'fast'", "fast"),
        ("jobs = 0", "jobs"),
        ("system = 'z80-linux'", "z80"),
    ] {
        let person = person();
        person.write("sdbuild.toml", text);
        ran(&mut person.sdbuild(&["settings"]))
            .exits(2)
            .says(&[word]);
    }
}

#[test]
fn somebody_elses_home_has_no_settings_for_us() {
    if !root_is_here() {
        return;
    }
    let person = person();
    person.write("sd-card.nix", crate::GOOD);
    let closed = person.state.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let person = person.with("XDG_CONFIG_HOME", closed.to_str().unwrap());
    let told = crate::as_nobody(&person, &[]);
    assert!(!told.stderr.contains("sdbuild.toml"), "{}", told.stderr);
    told.says(&["no engine answers"]);
}
