//! Disks fill up.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;

/// A file system in memory with little room; it goes with the value.
pub struct Small(PathBuf);

impl Small {
    /// Of `size`, or by what else the file system's options say.
    pub fn mount(folder: &Path, size: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "small"])
            .arg(folder)
            .status();
        assert!(mounted.unwrap().success());
        Self(folder.to_owned())
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

/// A product of incompressible bytes, larger than the small disks.
fn big() -> String {
    product(&SMALL_IMAGE.replace(
        "echo small > $out/sd-image/small.img",
        "head -c 67108864 /dev/urandom > $out/sd-image/small.img",
    ))
}

#[test]
fn a_full_output_folder() {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let person = Person::new();
    person.write("sd-card.nix", &big());
    let small = Small::mount(&person.out(), "16m");
    ran(&mut person.build(&[]))
        .exits(3)
        .says(&["out", "o space left"]);
    assert!(person.outputs().is_empty(), "{:?}", person.outputs());
    drop(small);
    // Nothing was lost: with room the image is there at once.
    let image = ran(&mut person.build(&[])).exits(0).image();
    assert_eq!(std::fs::metadata(image).unwrap().len(), 67_108_864);
    before.is_unchanged();
}

#[test]
fn a_full_store_volume() {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let person = Person::new().with("SDBUILD_STORE", "sdbuild-store-small");
    // A bind, not a volume of type tmpfs: that one forgets everything between two uses.
    let small = Small::mount(&person.home.path().join("store"), "60m");
    let device = format!("device={}", small.0.display());
    let label = "dev.sdbuild.role=store";
    let name = "sdbuild-store-small";
    docker(&[
        "volume",
        "create",
        "--label",
        label,
        "--opt",
        "type=none",
        "--opt",
        "o=bind",
        "--opt",
        &device,
        name,
    ]);
    person.write("sd-card.nix", &big());
    let ran = ran(&mut person.build(&[]));
    docker(&["volume", "rm", "sdbuild-store-small"]);
    ran.exits(3).says(&["o space left", "sdbuild-store-small"]);
    assert!(person.outputs().is_empty());
    before.is_unchanged();
}

#[test]
fn a_full_cache_folder() {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    // The first has too few bytes, which is seen beforehand; the second has bytes for all, and room for a
    // few files only, which is not.
    for (size, said) in [
        ("8m", "have to be fetched"),
        ("2g,nr_inodes=12", "download "),
    ] {
        full_cache(size, said);
    }
    before.is_unchanged();
}

fn full_cache(size: &str, said: &str) {
    let person = Person::new();
    let cache = person.home.path().join("cache");
    let small = Small::mount(&cache, size);
    let locks = other_definition(&person);
    let person = person
        .with("XDG_CACHE_HOME", cache.to_str().unwrap())
        .with("SDBUILD_LOCKS", locks.to_str().unwrap());
    person.write("sd-card.nix", &big());
    ran(&mut person.build(&[]))
        .exits(3)
        .says(&["cache", "o space left", said]);
    drop(small);
}

/// Locks that mean the same and have another digest, so that nothing already loaded will do.
fn other_definition(person: &Person) -> PathBuf {
    let folder = person.home.path().join("locks");
    let from =
        std::env::var_os("SDBUILD_LOCKS").map_or_else(|| root().join("containers"), PathBuf::from);
    for name in ["registrar", "builder"] {
        for architecture in ["amd64", "arm64"] {
            let file = format!("{name}/{architecture}.lock.json");
            let text = std::fs::read_to_string(from.join(&file)).unwrap();
            person.write(&format!("locks/{file}"), &format!("{text}\n "));
        }
    }
    folder
}
