//! Paths that NixOS makes when it starts, and paths that the image does not have.

use std::fs;

use super::{ext4, inspect};
use crate::user;

#[test]
fn a_file_in_etc_is_that_of_the_system() {
    const SYSTEM: &str = "nix/store/a-nixos-system";
    let user = user();
    let Some(()) = ext4(&user, |tree| {
        for directory in ["boot/extlinux", "nix/store/a-nixos-system/etc/ssh"] {
            fs::create_dir_all(tree.join(directory)).unwrap();
        }
        let menu = "LABEL a\n  LINUX ../Image\n  APPEND init=/nix/store/a-nixos-system/init\n";
        fs::write(tree.join("boot/extlinux/extlinux.conf"), menu).unwrap();
        fs::write(tree.join(SYSTEM).join("etc/hostname"), "berry\n").unwrap();
    }) else {
        return;
    };
    let shown = inspect(&user, &["a.img", "cat", "/etc/hostname"]).assert_exit_code(0);
    assert_eq!(shown.stdout, "berry\n");
    let listed = inspect(&user, &["a.img", "ls", "/etc"]).assert_exit_code(0);
    assert!(listed.stdout.contains("hostname"), "{}", listed.stdout);
    for words in [
        ["cat", "/etc/none"],
        ["ls", "/boot/none"],
        ["cat", "7:/boot"],
    ] {
        inspect(&user, &[&["a.img"][..], &words].concat()).assert_exit_code(2);
    }
}
