//! What `sdbuild publish aws` checks before it sends anything, and what it tells as JSON.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use serde_json::json;

use crate::aws_double::{AwsDouble, BLOCK, STATE};
use crate::publish::{publish, publisher};

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
        publish(&user, &["--dry-run"]).assert_exit_code(2).assert_stderr_contains(parts);
    };
    let disk = File::options().write(true).open(&path).unwrap();
    let size = disk.metadata().unwrap().len();
    let list = path.with_extension("img.sha256");
    let hash = sha256(&path);
    fs::write(&list, format!("{hash}  nixos-kit-aarch64-linux.img\n")).unwrap();
    publish(&user, &["--dry-run"]).assert_exit_code(0);
    disk.write_all_at(b"x", 9 * BLOCK as u64).unwrap();
    refused(&["does not have the hash", "nixos-kit-aarch64-linux.img.sha256"]);
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
fn an_image_that_aws_failed_to_make_is_not_published() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let words = ["--copy-to", "us-east-1", "--no-wait"];
    let image = publish(&user, &words).assert_exit_code(0).stdout;
    let copy = double.state().images.keys().find(|id| **id != image.trim()).unwrap().clone();
    for (id, region) in [(copy.as_str(), "us-east-1"), (image.trim(), "eu-central-1")] {
        let fail = |state: &str| {
            let mut double = double.state();
            let image = double.images.get_mut(id).unwrap();
            image.insert(STATE.into(), state.into());
        };
        // AWS lists a disabled one only if it is asked for those.
        for state in ["failed", "disabled"] {
            fail(state);
            publish(&user, &words).assert_exit_code(3).assert_stderr_contains(&[
                &format!("its state is {state}"),
                &format!("sdbuild publish remove {id} --region {region}"),
            ]);
        }
        fail("available");
    }
    publish(&user, &words).assert_exit_code(0);
}
