//! Flakes: what is uploaded, locked and evaluated. Everything comes from local git repositories over the miniature nixpkgs,
//! and what needs no server runs in a builder without a network.

mod images;
mod init;
mod inputs;
mod login;
mod named;
mod offline;
mod private;
mod several;

use serde_json::{Value, json};

use crate::support::*;

/// A user whose flakes are locked, evaluated and built without any network: the engine has what that takes.
fn without_a_network() -> TestUser {
    let user = TestUser::new();
    user.write("sd-card.nix", &configuration(""));
    let mini = mini_nixpkgs();
    let words = ["shell", "--nixpkgs", mini.to_str().unwrap(), "--run", ":"];
    run(&mut user.sdbuild(&words)).assert_exit_code(0);
    std::fs::remove_file(user.home.path().join("sd-card.nix")).unwrap();
    user.with("SDBUILD_OFFLINE", "true")
}

fn check(user: &TestUser, words: &[&str]) -> Outcome {
    run(user.sdbuild(&["check", "--json"]).args(words))
}

/// The texts of the configuration's own warnings: a configuration tells by them what it knows about itself.
fn told(checked: &Outcome) -> String {
    let report = checked.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let warnings = findings.filter(|finding| finding["id"] == "warning");
    warnings.map(ToString::to_string).collect()
}

#[track_caller]
fn assert_tells(checked: &Outcome, parts: &[&str]) {
    let told = told(checked);
    for part in parts {
        assert!(told.contains(part), "{part}\n{told}\n{}", checked.stderr);
    }
}

fn lock(user: &TestUser, words: &[&str]) -> Outcome {
    run(user.sdbuild(&["lock"]).args(words))
}

#[test]
fn a_flake_is_evaluated_as_git_sees_it() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    let module = flake_module(
        "warnings = [ \"revision ${self.rev or \"none\"}\" \"library ${inputs.library.word}\" ];",
    )
    .replace("imports = [ (modulesPath", "imports = [ ../common.nix (modulesPath");
    let outputs = flake_configuration("pi", &module);
    let text = flake_text("../nixpkgs", &outputs);
    let text = text.replace("  outputs", "  inputs.library.url = \"path:../library\";\n  outputs");
    let common = "{ warnings = [ \"common one\" ]; }";
    let repository = FlakeRepository::new(
        &user,
        "my pi",
        &[
            ("pi/flake.nix", &text),
            ("common.nix", common),
            ("library/flake.nix", "{ outputs = _: { word = \"two\"; }; }"),
        ],
    );
    let flake = ["--flake", "my pi/pi"];
    // A missing lock.
    check(&user, &flake).assert_exit_code(2).assert_stderr_contains(&[
        "there is no flake.lock, which a build needs for the inputs library, nixpkgs",
        "hint: `sdbuild lock --flake 'my pi/pi'` writes one",
    ]);
    lock(&user, &flake)
        .assert_exit_code(0)
        .assert_stderr_contains(&["library added, nixpkgs added"]);
    lock(&user, &flake).assert_exit_code(0).assert_stderr_contains(&["nothing has changed"]);
    let head = repository.commit();
    let clean = check(&user, &flake).assert_exit_code(6);
    assert_tells(&clean, &[&format!("revision {head}"), "common one", "library two"]);
    assert!(!clean.stderr.contains("Internet"), "{}", clean.stderr);

    repository.write("common.nix", "{ imports = [ ./new.nix ]; }");
    repository.write("new.nix", "{ warnings = [ \"new three\" ]; }");
    let untracked = check(&user, &flake).assert_exit_code(2);
    let named = untracked.stderr.find("so it lacks new.nix.").unwrap();
    let failed = untracked.stderr.find("error:").unwrap();
    assert!(named < failed, "{}", untracked.stderr);
    untracked.assert_stderr_contains(&["git add new.nix"]);
    repository.git(&["add", "-N", "new.nix"]);
    let dirty = check(&user, &flake).assert_exit_code(6);
    assert_tells(&dirty, &["revision none", "new three"]);

    // An input that the lock has with another URL.
    let moved = text.replace("path:../library", "path:../nixpkgs");
    repository.write("pi/flake.nix", &moved);
    check(&user, &flake).assert_exit_code(2).assert_stderr_contains(&[
        "the input library is path:../nixpkgs in flake.nix, and path:../library in flake.lock",
        "`sdbuild lock --flake 'my pi/pi'` updates it",
    ]);
    // The whole error names the user's file.
    repository.write("pi/flake.nix", &text);
    repository.write("common.nix", "{ networking.hotsName = 1; }");
    check(&user, &flake)
        .assert_exit_code(2)
        .assert_stderr_contains(&["networking.hotsName", "my pi/common.nix"]);
    runs.assert_nothing_left();
}

#[test]
fn files_of_submodules_are_part_of_a_flake() {
    needs!(engine_ready());
    let user = without_a_network();
    let library = FlakeRepository::new(
        &user,
        "library",
        &[("lib.nix", "{ warnings = [ \"from the submodule\" ]; }")],
    );
    library.git(&["rm", "-rq", "--cached", "nixpkgs"]);
    std::fs::remove_dir_all(library.path("nixpkgs")).unwrap();
    library.commit();
    let module = flake_module("warnings = [ \"revision ${self.rev or \"none\"}\" ];");
    let outputs = flake_configuration("pi", &format!("./vendor/lib.nix {module}"));
    let repository =
        FlakeRepository::new(&user, "pi", &[("flake.nix", &flake_text("./nixpkgs", &outputs))]);
    let url = library.path("").display().to_string();
    repository.git(&["submodule", "--quiet", "add", &url, "vendor"]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let head = repository.commit();
    let checked = check(&user, &["--flake", "git+file:pi?submodules=1"]).assert_exit_code(6);
    assert_tells(&checked, &["from the submodule", &format!("revision {head}")]);
}

#[test]
fn an_input_that_nothing_uses_is_not_fetched_after_an_error() {
    needs!(engine_ready());
    let user = without_a_network();
    let module = flake_module("networking.hostName = throw \"my own error\";");
    let outputs = flake_configuration("pi", &module);
    let text = flake_text("./nixpkgs", &outputs);
    let inputs = |more: &str| text.replacen("inputs", &format!("{more}inputs"), 1);
    FlakeRepository::new(&user, "pi", &[("flake.nix", &inputs(""))]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let original = json!({ "type": "github", "owner": "nobody", "repo": "private" });
    let mut locked = original.clone();
    locked["rev"] = "0123456789012345678901234567890123456789".into();
    locked["narHash"] = format!("sha256-{}=", "A".repeat(43)).into();
    let file = user.home.path().join("pi/flake.lock");
    let mut lock: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    lock["nodes"]["private"] = json!({ "locked": locked, "original": original });
    lock["nodes"]["root"]["inputs"]["private"] = "private".into();
    user.write("pi/flake.lock", &lock.to_string());
    user.write("pi/flake.nix", &inputs("inputs.private.url = \"github:nobody/private\";\n  "));
    check(&user, &["--flake", "pi"]).assert_exit_code(2).assert_stderr_contains(&["my own error"]);
}

#[test]
fn a_flake_builds_what_the_module_builds() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    // The store gets the packages by the module: in pure evaluation the mirror of the tests is not known.
    let body =
        format!("networking.hostName = \"twin\"; environment.etc.nonce.text = \"{}\";", nonce());
    let module = flake_module(&body);
    let built = user.build_of(&module, &[]).assert_exit_code(0);
    let by_module = built.manifest();
    let outputs = flake_configuration("twin", &module);
    let repository =
        FlakeRepository::new(&user, "pi", &[("flake.nix", &flake_text("./nixpkgs", &outputs))]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let head = repository.commit();
    let mut command = user.sdbuild(&["build", "--offline", "--force", "--output"]);
    command.arg(user.out()).current_dir(repository.path(""));
    let built = run(&mut command).assert_exit_code(0).assert_stderr_contains(&[
        "there is no sd-card.nix, so sdbuild uses the flake.nix in this directory",
    ]);
    let by_flake = built.manifest();
    // The derivations differ, by the address of the mirror in those of the packages.
    let path = "store_path";
    assert_eq!(by_flake["result"][path], by_module["result"][path]);
    let choice = &by_flake["choice"];
    assert_eq!(choice["attribute"], "config.system.build.sdImage");
    assert_eq!(choice["chosen_by"], "image-module");
    assert_eq!(choice, &by_module["choice"]);
    assert_eq!(by_flake["nixpkgs"], Value::Null);
    let configuration = &by_flake["configuration"];
    assert_eq!(configuration["file"], ".");
    assert_eq!(configuration["flake"]["revision"], head.as_str());
    let hash = configuration["flake"]["nar_hash"].as_str().unwrap();
    assert!(hash.starts_with("sha256-"), "{configuration}");
    assert_eq!(configuration["flake"]["lock_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(by_module["configuration"]["flake"], Value::Null);
    let home = user.home.path().to_str().unwrap();
    assert!(!by_flake.to_string().contains(home), "{by_flake}");
    // The only configuration is the same with and without its name.
    let build_named = |words: &[&str]| {
        let mut named = user.sdbuild(&["build", "--offline", "--output"]);
        run(named.arg(user.out()).args(words)).assert_exit_code(0)
    };
    let image = build_named(&["pi#twin", "--force"]).image();
    for flake in ["pi", "pi#nixosConfigurations.twin"] {
        assert_eq!(build_named(&[flake]).image(), image);
    }
    runs.assert_nothing_left();
}
