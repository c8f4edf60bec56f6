//! What a boot lacks is said before anything is done.

use crate::support::*;
use crate::{GOOD, user};

#[test]
fn what_a_boot_test_needs_is_looked_for_before_the_build() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    ran(&mut user.build(&["--boot-test", "--ssh-key", "no-such-key"]))
        .exits(2)
        .says(&["no-such-key"]);
    user.write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    ran(&mut user.build(&["--ssh-key", "key"])).exits(2).says(&[
        "key is no public SSH key",
        ".pub",
        "--boot-test",
    ]);
    ran(&mut user.build(&["--set", "time.timeZone"]))
        .exits(2)
        .says(&["not of the form OPTION=VALUE"]);
}

#[test]
fn a_boot_says_at_once_what_it_lacks() {
    let user = user().with("PATH", "/nowhere");
    let words = ["boot", "none.img", "--until-ssh", "--ssh-key", "none"];
    let here = [
        "none.img",
        "ssh is not on this machine",
        "none: No such file",
    ];
    ran(&mut user.sdbuild(&words)).exits(2).says(&here);
    let qemu = [
        "qemu-system-aarch64 is not on this machine",
        "hint: install it: qemu-system-arm",
    ];
    ran(user.sdbuild(&words).args(["--emulator", "host"]))
        .exits(2)
        .says(&here)
        .says(&qemu);
    // Neither a QEMU of its own nor an engine that would have one.
    user.write("some.img", "x");
    ran(&mut user.sdbuild(&["boot", "some.img"]))
        .exits(3)
        .says(&qemu)
        .says(&["boot in a container: ", "no engine answers"]);
    let container = ["boot", "some.img", "--emulator", "container"];
    let failed = ran(&mut user.sdbuild(&container)).exits(3);
    assert!(!failed.stderr.contains("qemu-system"), "{}", failed.stderr);
}

#[test]
fn a_boot_with_flags_that_do_not_fit() {
    let user = user();
    let cases = [
        (&["--timeout", "9"][..], "--until-ssh"),
        (&["--until-ssh", "--timeout", "0"], "'--timeout <"),
    ];
    for (words, wanted) in cases {
        ran(user.sdbuild(&["boot", "some.img"]).args(words))
            .exits(2)
            .says(&[wanted]);
    }
    let help = ran(&mut user.sdbuild(&["--help"])).exits(0).stdout;
    assert!(
        help.contains("boot") && !help.contains("exec-with-parent"),
        "{help}"
    );
}
