//! Native glue and emulation give the same image, reproducibly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::tree::{ROOT_AT, Tree, superblock, tree};
use super::{built, emulated, ready, said_inside, system};
use crate::dry_run::counts_what_is_emulated;
use crate::support::*;

fn build(user: &TestUser, glue: &str) -> (PathBuf, BTreeSet<String>) {
    let done = run(&mut user.build(&["--force", "--glue", glue])).assert_exit_code(0);
    let done = done.assert_stderr_contains(&["to build: "]);
    let emulated = (glue == "emulated").then_some("of these are built under emulation");
    let done = done.assert_stderr_contains(emulated.as_slice());
    let image = user.home.path().join(format!("{glue}.img"));
    fs::rename(done.image(), &image).unwrap();
    (image, built(user).into_iter().collect())
}

/// Asserts that two images have the same content except for store hashes.
fn are_the_same(slow: &Path, fast: &Path) {
    let (slow_tree, fast_tree) = (tree(slow), tree(fast));
    let paths = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&slow_tree), paths(&fast_tree));
    assert!(slow_tree.len() > 300, "{} files", slow_tree.len());
    for (path, seen) in &slow_tree {
        assert!(fast_tree[path] == *seen, "{path} differs");
    }
    assert_eq!(superblock(slow), superblock(fast));
    let labelled = superblock(fast);
    assert!(labelled.iter().any(|line| line.contains("NIXOS_SD")));
    // Partition table, gap and firmware partition, byte by byte.
    let head = |image: &Path| fs::read(image).unwrap()[..ROOT_AT].to_vec();
    assert!(head(slow) == head(fast), "the firmware partition differs");
}

/// Asserts that of the derivations that only the native build has none is emulated, not even the system.
fn are_native(quickly: &BTreeSet<String>, slowly: &BTreeSet<String>) {
    assert!(emulated(slowly).len() >= 7, "{slowly:?}");
    let left: BTreeSet<_> = quickly.difference(slowly).cloned().collect();
    assert!(left.len() >= 7, "{left:?}");
    // It is the same for every configuration.
    let left = emulated(&left).into_iter();
    let left: Vec<_> = left.filter(|drv| !drv.ends_with("-sdbuild-machine.drv")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What one system is as an image, made both ways.
struct BothWays {
    emulated: PathBuf,
    native: PathBuf,
    /// The derivations of the native build.
    native_derivations: BTreeSet<String>,
}

/// Builds the system `name` with `body`, which no store has, under emulation and natively. Asserts that the images are the same,
/// that hardly anything is emulated for the native one, and that a dry run counts that.
fn native_is_like_emulated(user: &TestUser, name: &str, body: &str) -> BothWays {
    user.write("sd-card.nix", &system(name, body));
    let (slow, slowly) = build(user, "emulated");
    let (fast, quickly) = build(user, "native");
    are_the_same(&slow, &fast);
    are_native(&quickly, &slowly);

    // The store has the packages of either way.
    user.write("sd-card.nix", &system(&format!("new-{}", nonce()), body));
    counts_what_is_emulated(user);
    BothWays { emulated: slow, native: fast, native_derivations: quickly }
}

/// nixpkgs' own card, which sdbuild builds then.
#[test]
fn the_card_of_a_configuration_without_an_image_is_the_same() {
    needs!(engine_ready());
    let user = TestUser::new();
    let import = "<nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>";
    let own = "  image.modules.sd-card = { lib, ... }: { environment.etc.of-the-card.text = lib.mkForce \"card\"; };";
    let text = system(&format!("without-{}", nonce()), own);
    user.write("sd-card.nix", &text.replace(import, ""));
    let (slow, slowly) = build(&user, "emulated");
    let (fast, quickly) = build(&user, "native");
    are_the_same(&slow, &fast);
    are_native(&quickly, &slowly);
}

/// As all images before NixOS 25.11 are made.
#[test]
fn separate_file_system_image_is_the_same() {
    needs!(engine_ready());
    let user = TestUser::new();
    let reads = "  sdImage.postBuildCommands = \"test -s ${config.sdImage.rootFilesystemImage}\";";
    let name = format!("by-itself-{}", nonce());
    let alone: BTreeSet<_> = native_is_like_emulated(&user, &name, reads)
        .native_derivations
        .into_iter()
        .filter(|drv| drv.ends_with("-ext4-fs.img.drv"))
        .collect();
    assert_eq!((alone.len(), emulated(&alone).len()), (1, 0));
    let linked = r#"grep -cF 'cp -RpP $(linked ' "$1""#;
    let alone = alone.first().unwrap();
    assert_eq!(said_inside(STORE, linked, &[alone.as_str()]), "1");
}

#[test]
fn another_store_gives_the_same_bytes() {
    needs!(engine_ready());
    let volume = StoreVolume::new();
    let here = TestUser::new();
    // What is not the system's own comes out of a cache, as for every user.
    let cache = BinaryCache::of_packages(&system("cached", ""));
    let there = TestUser::new()
        .with("SDBUILD_STORE", &volume.0)
        .with("SDBUILD_SUBSTITUTERS", CacheServer::good(&cache.dir).url())
        .with("SDBUILD_TRUSTED_PUBLIC_KEYS", &cache.key);
    // An earlier run of this test left its systems in the shared store.
    let unbuilt = format!("  environment.etc.run.text = \"{}\";\n", nonce());
    let same = |glue: &str, name: &str, image: &Path| {
        there.write("sd-card.nix", &system(name, &unbuilt));
        let same = fs::read(build(&there, glue).0).unwrap() == fs::read(image).unwrap();
        assert!(same, "{glue}, {name}: the images differ");
    };
    let again = native_is_like_emulated(&here, "again", &unbuilt);
    let inside = |commands: &str| said_inside(&volume.0, commands, &[]);
    let kept =
        "find $(ls -dt /nix/var/nix/gcroots/sdbuild/*/* | head -n 1) -name '*-nixos-system-*'";
    same("native", "again", &again.native);
    assert_ne!(inside(kept), "", "the system is kept");
    // What is built under emulation refers to its system.
    same("emulated", "again", &again.emulated);
    assert_eq!(inside(kept), "");
    // The image was made from hard links to the store's files: they are unchanged and have one link again.
    let unlike = r"find /nix/store -type f \( -perm /222 -o -links +1 \) | head -n 3";
    assert_eq!(inside(unlike), "");
    inside("nix-store --verify --check-contents");
    // Files that are hard links in the store are separate files in the image.
    inside("nix-store --optimise");
    let linked = inside("find /nix/store -type f -links +2 | wc -l");
    assert!(linked.parse::<u32>().unwrap() > 10, "{linked}");
    here.write("sd-card.nix", &system("once-more", &unbuilt));
    same("native", "once-more", &build(&here, "native").0);
    // The next build finds everything again, even after a garbage collection.
    inside("nix-store --gc");
    let kept = inside("ls -d /nix/store/*-nixos-system-once-more-*.mini");
    assert_eq!(kept.lines().count(), 1, "{kept}");
}

/// Builds the file system's tools and makes and resizes a file system twice, at different times.
const MAKE_TWICE: &str = r#"
export NIX_CONFIG='build-users-group =
sandbox = false
substituters ='
tools='(import /glue/tools.nix { inherit (native) lib; inherit native; })'
uuid=44444444-4444-4444-8888-888888888888
programs=$(nix-build --no-out-link -E "let native = import /nixpkgs { }; in $tools.e2fsprogs \"$uuid\"")
mkdir -p /tmp/files/a /tmp/files/b
# The access times of the directories go into the image. They change with the first reading only (relatime).
sleep 0.1
find /tmp/files >/dev/null
for name in one other; do
  truncate -s 8M /tmp/$name
  "$programs/bin/mkfs.ext4" -q -U $uuid -d /tmp/files /tmp/$name
  "$programs/bin/resize2fs" /tmp/$name 16M >/dev/null
  sleep 1.1
  sha256sum </tmp/$name
done
"#;

#[test]
fn file_system_does_not_depend_on_the_time() {
    needs!(engine_ready());
    ready();
    let sums = said_inside(STORE, MAKE_TWICE, &[]);
    let sums: Vec<&str> = sums.lines().collect();
    assert_eq!(sums.len(), 2, "{sums:?}");
    assert_eq!(sums[0], sums[1]);
}
