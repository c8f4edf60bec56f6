//! What the runs build: a few seconds of emulated work, and an image that takes a while to copy out.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::support::*;

/// The image's name.
pub const IMAGE: &str = "faults.img";
/// The same, compressed.
pub const COMPRESSED: &str = "faults.img.zst";
/// How many times the image repeats the same block.
const BLOCKS: usize = 64;
const BLOCK: usize = 1 << 20;

/// What kind of work a build does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Emulated programs, in the miniature nixpkgs.
    Emulated,
    /// Some seconds more than in the run that the phases were measured in, so that the fault does not come too late.
    Held,
    /// Half a minute of emulated programs.
    Long,
    /// Uses much memory.
    Memory,
    /// Starts many processes.
    Processes,
    /// Without emulated programs and without anything from the network, for an empty store.
    Offline,
}

/// A configuration whose image depends on `seed` alone, as a derivation that no store has built yet.
pub fn configuration(job: Workload, seed: u64) -> String {
    match job {
        Workload::Offline => offline(seed),
        Workload::Emulated => emulated(seed, ""),
        Workload::Held => emulated(seed, "    for i in $(seq 24); do date; sleep 0.25; done\n"),
        Workload::Long => emulated(seed, "    for i in $(seq 100); do date; sleep 0.25; done\n"),
        Workload::Memory => {
            emulated(seed, "    head -c 600000000 /dev/zero | tail -c 590000000 | wc -c\n")
        }
        Workload::Processes => emulated(
            seed,
            "    for i in $(seq 40); do sleep 6 & done; sleep 5; for i in $(seq 20); do date; done; wait\n",
        ),
    }
}

fn emulated(seed: u64, more: &str) -> String {
    let script = format!(
        "    echo begins\n    for i in $(seq 8); do date; sleep 0.1; done\n{more}    \
         mkdir -p $out/sd-image $out/nix-support\n    \
         {{ yes faults-{seed} || true; }} | head -c {BLOCK} > block\n    \
         for i in 1 2 3 4 5 6; do cat block block > twice; mv twice block; done\n    \
         cp block $out/sd-image/{IMAGE}\n    \
         echo \"file sd-image $out/sd-image/{IMAGE}\" > $out/nix-support/hydra-build-products"
    );
    product(&fresh(&script))
}

fn offline(seed: u64) -> String {
    let script = format!(
        ": {}; /bin/sleep 2; /bin/mkdir -p $out/sd-image $out/nix-support; \
         /bin/yes faults-{seed} | /bin/head -c {BLOCK} > block; \
         for i in 1 2 3 4 5 6; do /bin/cat block block > twice && /bin/mv twice block || exit 1; done; \
         /bin/cp block $out/sd-image/{IMAGE} || exit 1; \
         echo \"file sd-image $out/sd-image/{IMAGE}\" > $out/nix-support/hydra-build-products",
        nonce()
    );
    format!(
        "{{ lib, ... }}: {{ system.build.sdImage = lib.mkForce (derivation {{ name = \"offline\"; \
         system = \"aarch64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" ''{script}'' ]; }}); \
         imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ]; \
         system.stateVersion = \"26.05\"; }}"
    )
}

/// Whether `path` is the whole image of `seed`, raw or compressed as its name says.
pub fn is_whole(path: &Path, seed: u64) -> bool {
    let word = format!("faults-{seed}\n");
    let wanted: Vec<u8> = word.bytes().cycle().take(BLOCK).collect();
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut image: Box<dyn Read> = if path.extension().is_some_and(|e| e == "zst") {
        Box::new(zstd::Decoder::new(file).unwrap())
    } else {
        Box::new(BufReader::new(file))
    };
    let mut block = vec![0; BLOCK];
    (0..BLOCKS).all(|_| image.read_exact(&mut block).is_ok() && block == wanted)
        && image.read(&mut block).is_ok_and(|more| more == 0)
}
