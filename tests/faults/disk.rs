//! Full disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;

/// A product of incompressible bytes, larger than the small disks.
fn big() -> String {
    product(&SMALL_IMAGE.replace(
        "echo small > $out/sd-image/small.img",
        "dd if=/dev/urandom of=$out/sd-image/small.img bs=1M count=64",
    ))
}

#[test]
fn full_output_directory_is_reported() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &big());
    let small = SmallDisk::mount(&user.out(), "16m");
    run(&mut user.build(&[])).assert_exit_code(3).assert_stderr_contains(&["out", "o space left"]);
    assert!(user.outputs().is_empty(), "{:?}", user.outputs());
    drop(small);
    // The product is still in the store: with space the image is written at once.
    let image = run(&mut user.build(&[])).assert_exit_code(0).image();
    assert_eq!(std::fs::metadata(image).unwrap().len(), 67_108_864);
    runs.assert_nothing_left();
}

/// `command` where no file can be larger than 64 MiB: the kernel answers as for a file that is too large for its file system
/// (`EFBIG`). A real one, ext2 with blocks of 1 KiB, allows 16 GiB, which Nix hashes for a minute.
fn with_short_files(user: &TestUser, command: &Command) -> Command {
    let mut limited = Command::new("env");
    limited.args(["--ignore-signal=XFSZ", "prlimit", "--fsize=67108864"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.env_clear().envs(&user.environment);
    limited.current_dir(user.home.path());
    limited
}

#[test]
fn image_too_large_for_the_file_system_is_refused_at_once() {
    needs!(engine_ready(), tools_available(&["prlimit"]));
    let user = TestUser::new();
    let text = SMALL_IMAGE.replace("echo small >", "truncate -s 65M");
    user.write("sd-card.nix", &product(&text));
    run(&mut with_short_files(&user, &user.build(&[])))
        .assert_exit_code(3)
        .assert_stderr_contains(&["out", "does not support files that large (FAT ends at 4 GiB)"]);
    assert!(user.outputs().is_empty(), "{:?}", user.outputs());
    // A small image is written as to any other file system.
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let image = run(&mut with_short_files(&user, &user.build(&[]))).assert_exit_code(0).image();
    assert_eq!(fs::read_to_string(&image).unwrap(), "small\n");
    assert_eq!(user.outputs(), TestUser::with_sidecars(&image));
}

/// Creates a store volume whose files are in `dir`. It is a bind mount, because a volume of type tmpfs is emptied
/// between two uses.
pub fn create_store_volume(name: &str, dir: &Path) {
    let device = format!("device={}", dir.display());
    let label = ["--label", "dev.sdbuild.role=store"];
    let bind = ["--opt", "type=none", "--opt", "o=bind", "--opt", &device];
    docker(&[&["volume", "create"], &label[..], &bind, &[name]].concat());
}

#[test]
fn full_store_volume_is_reported() {
    needs!(engine_ready());
    let user = TestUser::new().with("SDBUILD_STORE", "sdbuild-store-small");
    let runs = user.track_runs();
    let small = SmallDisk::mount(&user.home.path().join("store"), "60m");
    create_store_volume("sdbuild-store-small", small.path());
    let outcome = user.build_of(&big(), &[]);
    remove_volume("sdbuild-store-small");
    outcome.assert_exit_code(3).assert_stderr_contains(&["o space left", "sdbuild-store-small"]);
    assert!(user.outputs().is_empty());
    runs.assert_nothing_left();
}

#[test]
fn full_cache_directory_is_reported() {
    needs!(engine_ready());
    // The first has too few bytes, which is checked beforehand; the second has enough bytes but too few inodes, which
    // is not.
    for (size, message) in [("8m", "are needed"), ("2g,nr_inodes=12", "download ")] {
        full_cache(size, message);
    }
}

fn full_cache(size: &str, message: &str) {
    let user = TestUser::new();
    let cache = user.home.path().join("cache");
    let small = SmallDisk::mount(&cache, size);
    let locks = other_definition(&user);
    let user = user
        .with("XDG_CACHE_HOME", cache.to_str().unwrap())
        .with("SDBUILD_LOCKS", locks.to_str().unwrap());
    let runs = user.track_runs();
    user.build_of(&big(), &[]).assert_exit_code(3).assert_stderr_contains(&[
        "cache",
        "o space left",
        message,
    ]);
    runs.assert_no_objects();
    drop(small);
}

/// Equivalent locks with another digest, so that no loaded image can be used.
fn other_definition(user: &TestUser) -> PathBuf {
    let dir = user.home.path().join("locks");
    let from =
        std::env::var_os("SDBUILD_LOCKS").map_or_else(|| root().join("containers"), PathBuf::from);
    for name in ["registrar", "builder"] {
        for architecture in ["amd64", "arm64"] {
            let file = format!("{name}/{architecture}.lock.json");
            let text = std::fs::read_to_string(from.join(&file)).unwrap();
            user.write(&format!("locks/{file}"), &format!("{text}\n "));
        }
    }
    dir
}
