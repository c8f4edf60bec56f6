//! The miniature nixpkgs is part of the program: a file that is new there makes it a new one.

fn main() {
    println!("cargo::rerun-if-changed=tests/mini-nixpkgs");
}
