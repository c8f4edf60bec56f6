//! The image that a command takes when none is named, or the name of a host.

use std::fs;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::user;

#[test]
fn a_host_name_means_its_newest_image() {
    let first = "nixos-kitchen-sd-card-26.05-aarch64-linux.img";
    let second = "nixos-kitchen-sd-card-26.11-aarch64-linux.img";
    let test = |words: &[&str]| {
        // Only the second one was made by a build, which wrote a manifest.
        let test = CliTest::new(words).file(first, "a").file(second, "b");
        let test = test.file(&format!("{second}.json"), "{}");
        let test = test.file("nixos-sdy-sd-card-26.05-aarch64-linux.img", "d");
        test.exit_code(2).run().stderr
    };
    let newest = format!("the newest image of kitchen: {second}");
    for words in [
        &["inspect", "kitchen"][..],
        &["boot", "kitchen"],
        &["flash", "kitchen", "/dev/sdx"],
    ] {
        let stderr = test(words);
        assert!(stderr.contains(&newest), "{stderr}");
    }
    // A disk is not written by half a name, nor by what may be another disk.
    for word in ["kitch", "sdy"] {
        let stderr = test(&["flash", word, "/dev/sdx"]);
        assert!(!stderr.contains("the newest image of"), "{stderr}");
    }
}

#[test]
fn an_image_that_is_older_than_its_configuration_is_reported() {
    let user = user();
    user.write_unbootable("a.img", 1 << 20);
    let report = run(&mut user.sdbuild(&["inspect", "--json"])).assert_exit_code(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let file = serde_json::json!({ "size": 1 << 20, "sha256": report["sha256"] });
    let manifest = serde_json::json!({ "version": 1, "image": file, "raw": file });
    let manifest = user.write("a.img.json", &manifest.to_string());
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let manifest = fs::File::open(manifest).unwrap();
    manifest.set_modified(long_ago).unwrap();
    user.write("sd-card.nix", "{ }");
    let alone = run(&mut user.sdbuild(&[])).assert_exit_code(0);
    let text = alone.stdout.replace('\n', " ");
    assert!(text.contains("sd-card.nix is newer"), "{text}");
    run(&mut user.sdbuild(&["inspect"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["the newest image: a.img; sd-card.nix is newer"]);
}
