//! `sdbuild formats`, and what `--format` refuses before anything is done.

use crate::GOOD;
use crate::support::run;
use crate::user;

#[test]
fn formats_are_listed_with_what_each_is_for() {
    let list = run(&mut user().sdbuild(&["formats"])).assert_exit_code(0);
    assert!(list.stdout.starts_with("sd-card "), "{}", list.stdout);
    assert!(list.stdout.contains("\nnixpkgs:VARIANT "), "{}", list.stdout);
    let json = run(&mut user().sdbuild(&["formats", "--json"])).assert_exit_code(0);
    let json = json.json();
    assert_eq!(json["version"], 1);
    let first = &json["formats"][0];
    assert_eq!((&first["name"], &first["boots"]), (&"sd-card".into(), &true.into()));
}

/// Before the build, which can take hours.
#[test]
fn what_a_format_cannot_have_is_refused() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let refused = |flag: &str, text: &str| {
        run(&mut user.build(&["--format", "nixpkgs:lxc", flag]))
            .assert_exit_code(2)
            .assert_stderr_contains(&[text]);
    };
    refused("--boot-test", "--boot-test: sdbuild cannot boot the format nixpkgs:lxc");
    refused("--rpi-imager", "Raspberry Pi Imager writes disk images");
}

#[test]
fn an_archive_is_not_compressed_again() {
    let compression = |format: &str| {
        let user = user();
        let mut settings = user.sdbuild(&["settings", "--format", format]);
        let shown = run(settings.env_remove("SDBUILD_COMPRESS"));
        let shown = shown.assert_exit_code(0).stdout;
        let mut lines = shown.lines().filter(|line| line.starts_with("compress "));
        lines.next().unwrap().to_owned()
    };
    assert!(compression("sd-card").contains(" zstd "));
    assert!(compression("nixpkgs:lxc").contains(" none "));
    // Docker before 23.0 does not load zstd.
    assert!(compression("container").contains(" gzip "));
}
