//! The directory of the image.

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn output_directory_is_not_writable() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "out", "ermission denied"])
        .assert_stderr_contains(&["hint: name another directory with --output"]);
}

#[test]
fn output_directory_is_on_a_read_only_disk() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    let build = user.build(&[]);
    // In a mount namespace of its own: the mount goes with the process.
    let mut mounted = std::process::Command::new("unshare");
    mounted.args(["--mount", "--propagation", "private", "sh", "-c"]);
    mounted.arg("mount -t tmpfs -o ro,size=64k none \"$0\" && exec \"$@\"");
    mounted.arg(user.out());
    mounted.arg(build.get_program()).args(build.get_args());
    mounted.env_clear().envs(&user.environment);
    run(mounted.current_dir(user.home.path()))
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "Read-only file system"])
        .assert_stderr_contains(&["hint: name another directory with --output"]);
}

#[test]
fn output_directory_is_a_file() {
    CliTest::new(&["build", "--output", "file"])
        .config()
        .file("file", "")
        .exit_code(2)
        .stderr("file")
        .stderr("not a directory")
        .run();
}

/// Whoever mistypes a path learns of it before the build.
#[test]
fn output_directory_with_new_ones_above_it_is_told() {
    let told = " exists; a build creates all missing directories in ";
    CliTest::new(&["build", "--output", "new/deep"])
        .config()
        .exit_code(3)
        .stderr(told)
        .run();
    let usual = CliTest::new(&["build", "--output", "new"]);
    let usual = usual.config().exit_code(3).run();
    assert!(!usual.stderr.contains(told), "{}", usual.stderr);
}
