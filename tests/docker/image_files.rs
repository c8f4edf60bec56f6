//! What `sdbuild build` writes: the image and the files that describe it, where they go, whose they are, and what they replace.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::*;

#[test]
fn large_image_needs_little_memory() {
    needs!(engine_ready());
    let user = TestUser::new();
    // Data, then a hole of the same size. xz, which is slow, gets a block for each of its workers and some more.
    // zstd:9 needs more memory than the level that `zstd` means.
    for (format, mib) in [("none", 256), ("zstd:9", 256), ("xz", 20)] {
        let size = 2 * mib;
        let make = format!(
            "dd if=/dev/urandom of=$out/sd-image/small.img bs=1M count={mib}; truncate -s {size}M $out/sd-image/small.img"
        );
        let script = SMALL_IMAGE.replace("echo small > $out/sd-image/small.img", &make);
        user.write("sd-card.nix", &product(&script));
        let (image, peak) = timed(&user, format);
        assert!(peak < 200 * 1024, "{format}: sdbuild's own peak memory is {peak} KiB");
        let metadata = fs::metadata(image).unwrap();
        assert!(metadata.blocks() * 512 < 300 << 20, "holes are kept");
        assert!(format != "none" || metadata.len() == 512 << 20);
    }
}

/// Builds with `format`; returns the image and sdbuild's peak memory in KiB.
fn timed(user: &TestUser, format: &str) -> (PathBuf, u64) {
    let build = user.build(&["--force", "--compress", format]);
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--format", "peak %M", "--"]);
    timed.arg(build.get_program()).args(build.get_args());
    timed.env_clear().envs(&user.environment);
    timed.current_dir(user.home.path()).stdin(std::process::Stdio::null());
    let outcome = run(&mut timed).assert_exit_code(0);
    let mut lines = outcome.stderr.lines();
    let peak = lines.find_map(|line| line.strip_prefix("peak "));
    (outcome.image(), peak.unwrap().parse().unwrap())
}

/// Asserts that a terminal without cursor movements and a pipe for both streams have the path of the image once, at the end.
#[track_caller]
fn assert_names_image_once(user: &TestUser, image: &Path) {
    let mut dumb = Screen::start(user.build(&[]).env("TERM", "dumb"), (200, 24));
    dumb.assert_exit_code(0);
    let build = user.build(&[]);
    let mut pipe = Command::new("sh");
    pipe.args(["-c", "exec \"$@\" 2>&1", "sh"]);
    pipe.arg(build.get_program()).args(build.get_args());
    pipe.env_clear().envs(&user.environment);
    let piped = run(pipe.current_dir(user.home.path())).assert_exit_code(0);
    let name = image.file_name().unwrap().to_str().unwrap();
    for text in [String::from_utf8(dumb.all()).unwrap(), piped.stdout] {
        assert_eq!(text.matches(name).count(), 1, "{text}");
        assert_eq!(text.lines().last().unwrap().trim_end(), image.to_str().unwrap());
    }
}

/// Among the events is how much was read of the root file system, which nothing that is downloaded is as large as.
fn assert_reports_the_steps_of_the_image(events: &str) {
    let objects = events.lines().map(serde_json::from_str::<Value>);
    let mut objects = objects.map(Result::unwrap);
    let is_step = |object: &Value| {
        let number = |name: &str| object[name].as_u64().unwrap_or(0);
        object["event"] == "progress" && number("id") > 0 && number("total") > 100_000_000
    };
    assert!(objects.any(|object| is_step(&object) && object["done"] != 0), "{events}");
}

#[test]
fn second_build_replaces_only_an_image_of_this_configuration() {
    needs!(engine_ready());
    let config = "  networking.hostName = \"warm\";\n  sdImage.compressImage = false;";
    let user = TestUser::new();
    let image = user.build_of(&configuration(config), &[]).assert_exit_code(0).image();
    let first = fs::read(&image).unwrap();
    let written = || fs::metadata(&image).unwrap().modified().unwrap();
    let before = written();
    let same = run(&mut user.build(&["--json-events"])).assert_exit_code(0);
    assert!(same.stderr.contains("\"up_to_date\":true"), "{}", same.stderr);
    assert_eq!((same.image(), written()), (image.clone(), before));
    assert_names_image_once(&user, &image);
    let named = run(&mut user.build(&["--hostname", "warm"])).assert_exit_code(0);
    named.assert_stderr_contains(&["up to date"]);
    // A host of another name from the same directory has an image of its own.
    let other = run(&mut user.build(&["--hostname", "other"])).assert_exit_code(0);
    let name = |image: &Path| image.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name(&other.image()).starts_with("nixos-other-sd-card-"));
    assert!(name(&image).starts_with("nixos-warm-sd-card-"));
    assert!(fs::read(&image).unwrap() == first);
    for file in TestUser::with_sidecars(&other.image()) {
        fs::remove_file(user.out().join(file)).unwrap();
    }
    // It takes longer than two looks at what is read.
    let read = fresh("(head -c 40000000 >/dev/null; sleep 3) <$root_fs");
    let changed = format!(
        "{config}\n  environment.etc.new.text = \"new\";\n  sdImage.postBuildCommands = ''\n{read}\n'';"
    );
    let replacing = user.build_of(&configuration(&changed), &["--json-events"]).assert_exit_code(0);
    assert_reports_the_steps_of_the_image(&replacing.stderr);
    assert!(fs::read(&image).unwrap() != first, "it was replaced");
    user.write("sd-card.nix", &configuration(config));
    fs::write(&image, "precious").unwrap();
    run(&mut user.build(&[])).assert_exit_code(2).assert_stderr_contains(&["already", "--force"]);
    assert_eq!(fs::read_to_string(&image).unwrap(), "precious");
    let again = run(&mut user.build(&["--force"])).assert_exit_code(0);
    assert_eq!(again.image(), image);
    assert!(fs::read(&image).unwrap() == first, "the same store gives the same bytes");
    assert_eq!(user.outputs(), TestUser::with_sidecars(&image));
}

#[test]
fn manifest_is_complete_and_reproducible() {
    needs!(engine_ready());
    let user = TestUser::new().with("SOURCE_DATE_EPOCH", "1700000000");
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let words = ["--json", "--force", "--compress", "zstd"];
    let manifest = || {
        let printed = run(&mut user.build(&words)).assert_exit_code(0).stdout;
        let beside = fs::read_to_string(user.out().join("small.img.zst.json")).unwrap();
        assert_eq!(printed, beside);
        let mut json: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert!(json["durations"]["build"].as_f64().unwrap() > 0.0);
        json["durations"].take();
        json
    };
    let (first, image) = (manifest(), fs::read(user.out().join("small.img.zst")).unwrap());
    assert_eq!(first["created"], "2023-11-14T22:13:20Z");
    assert_eq!(first["emulation"]["mode"], "register");
    assert_eq!(first["emulation"]["qemu"]["program_sha256"].as_str().unwrap().len(), 64);
    assert!(first["nix"]["version"].is_string());
    assert_eq!(first["builder"]["definition_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(first["nixpkgs"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(first["configuration"]["file"], "sd-card.nix");
    let derivation = first["result"]["derivation"].as_str().unwrap();
    assert!(derivation.starts_with("/nix/store/") && derivation.ends_with("-product.drv"));
    assert_eq!(first["raw"]["size"], 6);
    let home = user.home.path().to_str().unwrap();
    assert!(!first.to_string().contains(home), "no place on this machine");

    // The output of the last run is in the directory of the configuration, and is not part of it.
    assert_eq!(manifest(), first);
    assert!(fs::read(user.out().join("small.img.zst")).unwrap() == image);
    let inspected = run(&mut user.sdbuild(&["inspect", "--json", "out/small.img.zst"]));
    assert!(!inspected.stderr.contains("manifest"), "{}", inspected.stderr);
}

#[test]
fn image_belongs_to_the_user_who_ran_sudo() {
    needs!(engine_ready(), root_available());
    let user = TestUser::new().with("SUDO_UID", "12345").with("SUDO_GID", "23456");
    let image = user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0).image();
    for name in TestUser::with_sidecars(&image) {
        let metadata = fs::metadata(user.out().join(&name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (12345, 23456), "{name}");
    }
}
