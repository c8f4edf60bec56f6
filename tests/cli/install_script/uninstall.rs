//! `install.sh --uninstall` after a release was installed.

use super::*;

#[test]
fn uninstall_removes_what_was_installed() {
    let release = Release::new(|_| Reply::File).with("curl");
    let uninstall = || {
        let mut command = release.command("");
        run(command.arg("--uninstall"))
    };
    let nothing = ["there is nothing to remove", "sdbuild was not removed"];
    uninstall().assert_exit_code(1).assert_stderr_contains(&nothing);
    release.install().assert_exit_code(0);
    fs::write(release.at("home/.local/share/man/man1/other.1"), "").unwrap();
    uninstall().assert_exit_code(0).assert_stderr_contains(&[
        "removed ",
        "/home/.local/share/man/man1/sdbuild.1",
        "/home/.local/share/man/man1/sdbuild-build.1",
    ]);
    assert_eq!(release.installed(), ["./.local/share/man/man1/other.1"]);
    // What is left without the program goes too.
    release.install().assert_exit_code(0);
    shell(&release.at("home"), "rm .local/bin/sdbuild");
    uninstall().assert_exit_code(0);
    assert_eq!(release.installed(), ["./.local/share/man/man1/other.1"]);
}

#[test]
fn uninstall_leaves_a_program_that_is_not_sdbuild() {
    let release = Release::new(|_| Reply::File).with("curl");
    release.install().assert_exit_code(0);
    let program = release.at("home/.local/bin/sdbuild");
    fs::write(&program, "#!/bin/sh\necho sdb 1.0\n").unwrap();
    let mut command = release.command("");
    run(command.arg("--uninstall")).assert_exit_code(1).assert_stderr_contains(&[
        "/home/.local/bin/sdbuild does not print the version of sdbuild",
        "sdbuild was not removed",
    ]);
    assert_eq!(release.installed(), INSTALLED);
}
