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
    run(&mut user.sdbuild(&["clean", "--yes"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&[
            "no engine answers",
            "clean can remove only this user's files",
            "removed",
        ]);
    assert!(!object.exists());
}

/// The downloads are removed although the old results cannot be.
#[test]
fn old_results_need_an_engine_and_downloads_beside_them_do_not() {
    let user = user();
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    let object = cache.join("sdbuild/sha256").join("0".repeat(64));
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(&object, "an object").unwrap();
    run(&mut user.sdbuild(&["clean", "--old", "--downloads", "--yes"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&[
            "no engine answers",
            "clean can remove only this user's files",
            "remove old results",
        ]);
    assert!(!object.exists());
}

#[test]
fn how_many_results_are_kept_is_for_old_ones() {
    CliTest::new(&["clean", "--keep", "1"])
        .exit_code(2)
        .stderr("error: --keep belongs to --old\nhint: sdbuild clean --old --keep 1\n")
        .run();
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

#[test]
fn one_store_volume_is_named_as_a_store_and_not_with_downloads() {
    let refused = |words: &[&str], text: &str| {
        let all = [&["clean", "--yes"], words].concat();
        CliTest::new(&all).exit_code(2).stderr(text).run();
    };
    refused(
        &["--store", "postgres"],
        "it must begin with `sdbuild-store`",
    );
    refused(
        &["--store", "sdbuild-store", "--downloads"],
        "cannot be used with",
    );
}
