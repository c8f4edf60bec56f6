//! Configurations, and the key that goes into one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TestUser, root};

/// Makes a key pair in the user's home; returns the path of the private key, and the public key.
pub fn key(user: &TestUser) -> (PathBuf, String) {
    key_in(user.home.path())
}

/// The same in the directory `dir`.
pub fn key_in(dir: &Path) -> (PathBuf, String) {
    let path = dir.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    (path, public.trim().to_owned())
}

/// The shipped example with a key in place of its placeholder.
pub fn example(key: &str) -> String {
    let text = fs::read_to_string(root().join("sd-card.nix")).unwrap();
    let start = text.find("\"ssh-ed25519 REPLACE-ME").unwrap();
    let end = start + 1 + text[start + 1..].find('"').unwrap() + 1;
    format!("{}\"{key}\"{}", &text[..start], &text[end..])
}

/// A configuration with `body` in it.
pub fn configuration(body: &str) -> String {
    format!(
        "{{ config, pkgs, lib, ... }}: {{\n  \
           imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];\n  \
           system.stateVersion = \"26.05\";\n{body}\n}}\n"
    )
}

/// A configuration whose image is made by the shell text `script` alone, which is quick.
pub fn product(script: &str) -> String {
    configuration(&format!(
        "  system.build.sdImage = lib.mkForce (pkgs.runCommand \"product\" {{ }} ''\n{script}\n  '');"
    ))
}

/// The same, made by the builder's own programs, for its architecture: a store without any packages needs none.
pub fn product_of_the_builder_alone(script: &str) -> String {
    configuration(&format!(
        "  system.build.sdImage = lib.mkForce (derivation {{ name = \"product\"; system = \"{}-linux\"; \
         builder = \"/bin/sh\"; args = [ \"-c\" ''\n    export PATH=/usr/bin:/bin\n{script}\n  '' ]; }});",
        std::env::consts::ARCH
    ))
}

/// `script` with a nonce, so that the store has not built it yet and no other test builds the same.
pub fn fresh(script: &str) -> String {
    format!("    : {}\n{script}", nonce())
}

/// A number that is never the same twice, not even when process ids start again.
pub fn nonce() -> u128 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_nanos()
}

/// A script that makes a valid product with an image of a few bytes.
pub const SMALL_IMAGE: &str = "    mkdir -p $out/sd-image $out/nix-support\n    \
    echo small > $out/sd-image/small.img\n    \
    echo \"file sd-image $out/sd-image/small.img\" > $out/nix-support/hydra-build-products";
