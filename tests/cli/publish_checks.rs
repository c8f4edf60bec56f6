//! What `sdbuild publish aws` checks before it sends anything, and what it tells as JSON.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::aws_double::{AwsDouble, BLOCK, STATE};
use crate::publish::{publish, publisher};
use crate::support::*;

fn sha256(path: &std::path::Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

#[test]
fn an_incomplete_or_damaged_disk_is_refused() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    let refused = |parts: &[&str]| {
        publish(&user, &["--dry-run"])
            .assert_exit_code(2)
            .assert_stderr_contains(parts);
    };
    let disk = File::options().write(true).open(&path).unwrap();
    let size = disk.metadata().unwrap().len();
    let list = path.with_extension("img.sha256");
    let hash = sha256(&path);
    fs::write(&list, format!("{hash}  nixos-kit-aarch64-linux.img\n")).unwrap();
    publish(&user, &["--dry-run"]).assert_exit_code(0);
    disk.write_all_at(b"x", 9 * BLOCK as u64).unwrap();
    refused(&[
        "does not have the hash",
        "nixos-kit-aarch64-linux.img.sha256",
    ]);
    fs::remove_file(&list).unwrap();
    // The manifest is that of the disk before.
    let (image, manifest) = (json!({ "size": size, "sha256": hash }), "img.json");
    let text = json!({ "version": 1, "system": "x86_64-linux", "image": image, "raw": image });
    fs::write(path.with_extension(manifest), text.to_string()).unwrap();
    refused(&["belongs to another image: sha256, raw.sha256 differ"]);
    disk.write_all_at(b"\0", 9 * BLOCK as u64).unwrap();
    // The system that it states comes before the one in the name.
    let dry = publish(&user, &["--dry-run"]).assert_exit_code(0);
    assert!(dry.stderr.contains("(x86_64)"), "{}", dry.stderr);
    fs::remove_file(path.with_extension(manifest)).unwrap();
    disk.set_len(size / 2).unwrap();
    refused(&["its last partition ends at byte", "it is incomplete"]);
    assert_eq!(double.state().calls, [""; 0]);
}

#[test]
fn the_hash_of_a_compressed_file_is_compared() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    assert!(Command::new("gzip").arg(&path).status().unwrap().success());
    let (packed, list) = (
        path.with_extension("img.gz"),
        path.with_extension("img.gz.sha256"),
    );
    let line = |hash: &str| format!("{hash}  nixos-kit-aarch64-linux.img.gz\n");
    fs::write(&list, line(&sha256(&packed))).unwrap();
    publish(&user, &["--dry-run"]).assert_exit_code(0);
    fs::write(&list, line(&"ab".repeat(32))).unwrap();
    publish(&user, &["--dry-run"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["does not have the hash"]);
}

#[test]
fn regions_of_copies_are_checked_before_anything_is_sent() {
    let double = AwsDouble::start();
    let (user, path) = publisher(&double);
    for (words, said) in [
        (
            &["--copy-to", "us/east"][..],
            "`us/east` is not an AWS region",
        ),
        (&["--copy-to", "eu-central-1"], "is published there already"),
        (
            &["--copy-to", "us-east-1", "--copy-to", "us-east-1"],
            "us-east-1 is given twice",
        ),
    ] {
        publish(&user, words)
            .assert_exit_code(2)
            .assert_stderr_contains(&[said]);
    }
    assert_eq!(double.state().calls, [""; 0]);
    // Another disk has the name there.
    publish(&user, &["--region", "us-east-1"]).assert_exit_code(0);
    let disk = File::options().write(true).open(&path).unwrap();
    disk.write_all_at(b"x", 9 * BLOCK as u64).unwrap();
    publish(&user, &["--copy-to", "us-east-1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["has a different image called", "--region us-east-1"]);
    assert_eq!(double.state().count("StartSnapshot"), 1);
}

#[test]
fn an_image_that_aws_failed_to_make_is_not_published() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let words = ["--copy-to", "us-east-1", "--no-wait"];
    let image = publish(&user, &words).assert_exit_code(0).stdout;
    let copy = double
        .state()
        .images
        .keys()
        .find(|id| **id != image.trim())
        .unwrap()
        .clone();
    for (id, region) in [(copy.as_str(), "us-east-1"), (image.trim(), "eu-central-1")] {
        let fail = |state: &str| {
            let mut double = double.state();
            let image = double.images.get_mut(id).unwrap();
            image.insert(STATE.into(), state.into());
        };
        // AWS lists a disabled one only if it is asked for those.
        for state in ["failed", "disabled"] {
            fail(state);
            publish(&user, &words)
                .assert_exit_code(3)
                .assert_stderr_contains(&[
                    &format!("its state is {state}"),
                    &format!("sdbuild publish remove {id} --region {region}"),
                ]);
        }
        fail("available");
    }
    publish(&user, &words).assert_exit_code(0);
}

#[test]
fn json_has_a_version_and_names() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let words = ["--copy-to", "us-east-1", "--json"];
    let published = json(&publish(&user, &words).assert_exit_code(0).stdout);
    assert_eq!(published["version"], 1);
    assert_eq!(published["copies"][0]["region"], "us-east-1");
    assert!(
        published["copies"][0]["image"]
            .as_str()
            .unwrap()
            .starts_with("ami-")
    );
    let listed = run(&mut user.sdbuild(&["publish", "list", "--json"])).assert_exit_code(0);
    let listed = json(&listed.stdout);
    assert_eq!(listed["version"], 1);
    let tag = &listed["images"][0]["tags"][0];
    assert_eq!(
        tag,
        &json!({ "key": "Name", "value": "nixos-kit-aarch64-linux" })
    );
}

#[test]
fn calls_that_are_repeated_are_reported() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let list = || {
        run(&mut user.sdbuild(&["publish", "list"]))
            .assert_exit_code(0)
            .stderr
    };
    double.state().faults.unavailable = 1;
    assert!(!list().contains("try"), "once is nothing");
    double.state().faults.unavailable = 3;
    let told = list();
    let said = "ec2.eu-central-1 answers ServiceUnavailable, try 4 of 10";
    assert!(told.contains(said), "{told}");
    double.state().faults.cut = 1;
    let told = list();
    assert!(told.contains("no answer from ec2.eu-central-1 ("), "{told}");
    assert!(told.contains(", try 2 of 10"), "{told}");
}
