//! What `ls` and `cat` say of a path that the image does not have.

use std::fs;

use super::{ext4, inspect};
use crate::user;

#[test]
fn what_is_there_is_named_for_a_path_that_is_not() {
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
    for (words, hint) in [
        (
            ["cat", "/etc/hostname"],
            "cat /nix/store/a-nixos-system/etc/hostname",
        ),
        (["cat", "/etc/ssh"], "ls /nix/store/a-nixos-system/etc/ssh"),
        (["ls", "/etc/none/x"], "ls /nix/store/a-nixos-system/etc"),
        (["cat", "/boot/extlinux/none"], "ls /boot/extlinux"),
        (["ls", "/boot/none"], "ls /boot"),
        (["cat", "etcetera"], "ls /"),
    ] {
        let hint = format!("`sdbuild inspect a.img {hint}`");
        inspect(&user, &[&["a.img"][..], &words].concat())
            .assert_exit_code(2)
            .assert_stderr_contains(&[hint.as_str()]);
    }
    // It is told as before where there is no file of that number either.
    let refused = inspect(&user, &["a.img", "cat", "7:/boot"]).assert_exit_code(2);
    assert!(!refused.stderr.contains("hint: "), "{}", refused.stderr);
}
