//! `clean` without an engine.

use std::fs;

use crate::cli_test::CliTest;
use crate::support::run;
use crate::user;

#[test]
fn downloads_are_removed_without_an_engine() {
    let user = user();
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    let object = cache.join("sdbuild/sha256").join("0".repeat(64));
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(&object, "an object").unwrap();
    let listed = run(&mut user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(3);
    assert!(listed.stdout.contains("downloads"), "{}", listed.stdout);
    assert!(object.exists(), "a dry run");
    run(&mut user.sdbuild(&["clean", "--yes"])).assert_exit_code(3).assert_stderr_contains(&[
        "no engine answers",
        "clean can remove only this user's files",
        "removed",
    ]);
    assert!(!object.exists());
}

#[test]
fn nobody_to_ask_is_an_error() {
    let user = user();
    let cache = user.state.path().join("cache");
    let object = cache.join("sdbuild/sha256").join("0".repeat(64));
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(&object, "an object").unwrap();
    CliTest::new(&["clean"])
        .env("XDG_CACHE_HOME", cache.to_str().unwrap())
        .exit_code(2)
        .stderr("nobody answered the question on a terminal")
        .stderr("--yes")
        .run();
    assert!(object.exists());
}
