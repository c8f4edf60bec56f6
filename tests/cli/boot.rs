//! What is missing for a boot is reported before anything is done.

use crate::support::*;
use crate::{GOOD, user};

#[test]
fn requirements_of_a_boot_test_are_checked_first() {
    let user = user();
    user.build_of(GOOD, &["--boot-test", "--ssh-key", "no-such-key"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no-such-key"]);
    user.write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    run(&mut user.build(&["--ssh-key", "key"])).assert_exit_code(2).assert_stderr_contains(&[
        "key is not a public SSH key",
        ".pub",
        "--boot-test",
    ]);
    user.write("key.pub", "ssh-ed25519 AAAA me@here\n");
    let named = "hint: name the public key beside it: --ssh-key key.pub\n";
    for words in [&["build", "--ssh-key", "key"][..], &["init", "x", "--ssh-key", "key"]] {
        run(&mut user.sdbuild(words))
            .assert_exit_code(2)
            .assert_stderr_contains(&["key is not a public SSH key", named]);
    }
}

#[test]
fn newest_image_is_taken_when_none_is_named() {
    let user = user();
    for words in [&["boot"][..], &["flash"], &["inspect"]] {
        run(&mut user.sdbuild(words))
            .assert_exit_code(2)
            .assert_stderr_contains(&["there is no image in", "sdbuild build"]);
    }
    user.write_unbootable("some.img", 1 << 20);
    for words in [["boot", "none.img"], ["inspect", "none.img"]] {
        let hint = "hint: without any argument, the newest image here is taken";
        run(&mut user.sdbuild(&words))
            .assert_exit_code(2)
            .assert_stderr_contains(&[" none.img: there is no such file", hint]);
    }
    run(&mut user.sdbuild(&["inspect"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["the newest image: some.img"]);
}

/// Its firmware found nothing to start, and waited.
#[test]
fn incomplete_image_is_neither_booted_nor_flashed() {
    let user = user();
    let mut image = vec![0; 2 << 20];
    // An MBR with one partition of 8 MiB behind the first: status, type 0x83, first sector and number of sectors.
    image[446 + 4] = 0x83;
    image[446 + 8..446 + 12].copy_from_slice(&2048u32.to_le_bytes());
    image[446 + 12..446 + 16].copy_from_slice(&16384u32.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(user.home.path().join("half.img"), image).unwrap();
    for words in [&["boot", "half.img", "--emulator", "container"][..], &["flash", "half.img"]] {
        run(&mut user.sdbuild(words))
            .assert_exit_code(2)
            .assert_stderr_contains(&["its last partition ends at byte", "it is incomplete"]);
    }
}

/// A program in QEMU's place notes its arguments.
#[test]
fn kvm_is_used_where_it_can_be_unless_the_user_forbids_it() {
    let user = user();
    user.write_unbootable("pc.img", 1 << 20);
    let log = user.home.path().join("arguments");
    let text = format!("#!/bin/sh\necho \"$*\" >'{}'\nexit 1\n", log.display());
    let qemu = user.write_program("bin/qemu-system-x86_64", &text);
    let path = format!("{}:/usr/bin:/bin", qemu.parent().unwrap().display());
    let user = user.with("PATH", path);
    let uses_kvm = |more: &[&str]| {
        let words = [
            &["boot", "pc.img", "--system", "x86_64-linux", "--until-login"],
            &["--emulator", "host"][..],
            more,
        ]
        .concat();
        run(&mut user.sdbuild(&words)).assert_exit_code(3);
        let arguments = std::fs::read_to_string(&log).unwrap();
        arguments.contains("-accel kvm")
    };
    let device = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    let can = cfg!(target_arch = "x86_64") && device.is_ok();
    assert_eq!(uses_kvm(&[]), can);
    assert!(!uses_kvm(&["--no-kvm"]));
}
