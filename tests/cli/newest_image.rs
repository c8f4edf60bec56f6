//! The image that a command takes when none is named, or the name of a host.

use crate::cli_test::CliTest;

#[test]
fn a_host_name_means_its_newest_image() {
    let first = "nixos-kitchen-sd-card-26.05-aarch64-linux.img";
    let second = "nixos-kitchen-sd-card-26.11-aarch64-linux.img";
    let test = |words: &[&str]| {
        // Only the second one was made by a build, which wrote a manifest.
        let test = CliTest::new(words).file(first, "a").file(second, "b");
        let test = test.file(&format!("{second}.json"), "{}");
        let test = test.file("nixos-sdy-sd-card-26.05-aarch64-linux.img", "d");
        test.exit_code(2).run().stderr
    };
    let newest = format!("the newest image of kitchen: {second}");
    for words in
        [&["inspect", "kitchen"][..], &["boot", "kitchen"], &["flash", "kitchen", "/dev/sdx"]]
    {
        let stderr = test(words);
        assert!(stderr.contains(&newest), "{stderr}");
    }
    // A disk is not written by half a name, nor by what may be another disk.
    for word in ["kitch", "sdy"] {
        let stderr = test(&["flash", word, "/dev/sdx"]);
        assert!(!stderr.contains("the newest image of"), "{stderr}");
    }
}

/// A copy with the secrets of one board does not get onto another card, also if it has the name of an image of that host.
#[test]
fn a_personalised_copy_is_taken_only_by_its_name() {
    let built = "nixos-kitchen-sd-card-26.05-aarch64-linux.img";
    let copy = "nixos-kitchen-sd-card-26.11-aarch64-linux.img";
    let put = r#"{ "put": [ { "path": "/etc/ssh/ssh_host_ed25519_key" } ] }"#;
    for words in [&["inspect"][..], &["flash", "/dev/sdx"], &["flash", "kitchen", "/dev/sdx"]] {
        let test = CliTest::new(words).file(built, "a").file(copy, "b");
        let test = test.file(&format!("{copy}.json"), put);
        let stderr = test.exit_code(2).run().stderr;
        assert!(stderr.contains(built) && !stderr.contains(copy), "{stderr}");
    }
}
