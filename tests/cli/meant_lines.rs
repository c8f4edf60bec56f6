//! Mistakes for which the line is named that does what was meant.

use crate::cli_test::CliTest;
use crate::support::*;
use crate::user;
use crate::wrong_arguments::assert_tips;

#[test]
fn of_several_images_the_newest_one_is_proposed() {
    let test = |words: &[&str]| {
        let test = CliTest::new(words).exit_code(2);
        // Only the second one was made by a build, which wrote a manifest.
        let test = test
            .file("nixos-b.img.zst", "b")
            .file("nixos-b.img.zst.json", "{}");
        test.file("nixos-a.img.zst", "a").run().stderr
    };
    let images = ["nixos-a.img.zst", "nixos-b.img.zst"];
    for (words, tips) in [
        (
            &["boot", images[0], images[1], "--until-login"][..],
            &[
                "hint: boot takes one image, and there are 2: nixos-a.img.zst, nixos-b.img.zst\n",
                "hint: the newest one: sdbuild boot nixos-b.img.zst --until-login\n",
            ][..],
        ),
        (
            &["flash", images[0], images[1], "/dev/sdx"],
            &["hint: the newest one: sdbuild flash nixos-b.img.zst /dev/sdx\n"],
        ),
        (
            &["flash", images[0], images[1]],
            &[
                "error: flash takes one image, then the disk, and nixos-b.img.zst is an image too\n",
                "hint: the newest one: sdbuild flash nixos-b.img.zst\n",
            ],
        ),
        (
            &["flash", images[1], "nixos-b.img.zst.json"],
            &[
                "nixos-b.img.zst.json is a file beside an image\n",
                "hint: give only the image: sdbuild flash nixos-b.img.zst\n",
            ],
        ),
    ] {
        let told = test(words);
        assert!(tips.iter().all(|tip| told.contains(tip)), "{told}");
    }
}

#[test]
fn a_host_name_means_its_newest_image() {
    let first = "nixos-kitchen-sd-card-26.05-aarch64-linux.img";
    let second = "nixos-kitchen-sd-card-26.11-aarch64-linux.img";
    let test = |words: &[&str]| {
        // Only the second one was made by a build, which wrote a manifest.
        let test = CliTest::new(words).file(first, "a").file(second, "b");
        let test = test.file(&format!("{second}.json"), "{}");
        let test = test.file("nixos-pi-sd-card-26.05-aarch64-linux.img", "c");
        let test = test.file("nixos-sdy-sd-card-26.05-aarch64-linux.img", "d");
        test.exit_code(2).run().stderr
    };
    for words in [["inspect", "kitchen"], ["boot", "nixos-kitchen"]] {
        let told = test(&words);
        let taken = format!("the newest image of kitchen: {second}\n");
        assert!(told.contains(&taken), "{told}");
    }
    let told = test(&["boot", "nixos-"]);
    assert!(told.contains("nixos- may mean several images\n"), "{told}");
    assert!(
        told.contains("hint: name one: ") && told.contains(first),
        "{told}"
    );
    let told = test(&["flash", "kitchen", "/dev/sdx"]);
    let taken = format!("the newest image of kitchen: {second}\n");
    assert!(told.contains(&taken), "{told}");
    // A disk is not written by half a name, nor by what may be another disk.
    for word in ["kitch", "nixos-kitchen", "sdy"] {
        let told = test(&["flash", word, "/dev/sdx"]);
        assert!(told.contains("there is no such file"), "{told}");
        assert!(!told.contains("the newest image of"), "{told}");
    }
}

#[test]
fn a_file_is_no_target_of_flash() {
    for target in ["copy", "copy.img"] {
        let words = ["flash", "nixos-a.img", target, "--raw"];
        let test = CliTest::new(&words).exit_code(2);
        let test = test
            .file("nixos-a.img", &"a".repeat(4096))
            .file("copy", "b");
        let told = test.run().stderr;
        let copy = "hint: flash writes only to disks. `cp` copies an image to a file";
        assert!(told.contains(copy), "{told}");
        assert!(!told.contains("image too"), "{told}");
    }
}

#[test]
fn flags_before_the_command_keep_the_line() {
    assert_tips(&[
        (
            &["-v", "boot", "--board", "rpi4", "--memory", "512", "a.img"][..],
            "an emulated board has a fixed amount of memory, so leave out --memory: sdbuild boot -v --board rpi4 a.img\n",
        ),
        (
            &["-v", "flash", "--device", "/dev/sdb", "a.img"],
            "give the image first, then the disk: sdbuild flash a.img /dev/sdb -v\n",
        ),
        (
            &["-q", "try", "pi.nix"],
            "try builds its own configuration; to build yours: sdbuild build pi.nix",
        ),
    ]);
}

#[test]
fn what_was_meant_is_a_line_to_copy() {
    assert_tips(&[
        (
            &["build", "--no-color"][..],
            "without colours: `NO_COLOR=1 sdbuild build`",
        ),
        (
            &["--color", "never", "check", "pi"],
            "without colours: `NO_COLOR=1 sdbuild check pi`",
        ),
        (
            &["build", "--compress", "lz4"],
            "for the fastest compression",
        ),
        (&["build", "--compress", "bz2"], "for the smallest file"),
        (
            &["check", "a.nix", "b.nix"],
            "check takes only one configuration. Run it once for each: sdbuild check a.nix && sdbuild check b.nix\n",
        ),
        (
            &["flash", "--of", "/dev/sdX"],
            "give the image first, then the disk: sdbuild flash IMAGE /dev/sdX\n",
        ),
        (
            &["try", "pi.nix"],
            "try builds its own configuration; to build yours: sdbuild build pi.nix\n",
        ),
        (
            &["boot", "--board", "rpi4", "--memory", "512", "a.img"],
            "an emulated board has a fixed amount of memory, so leave out --memory: sdbuild boot --board rpi4 a.img\n",
        ),
        (
            &["build", "--nixpkgs", "github.com/NixOS/nixpkgs"],
            "give the release: --nixpkgs 26.05\n",
        ),
        (&["boards", "zz"], "`sdbuild boards` describes them\n"),
        (
            &["build", "--board", "pi"],
            "`pi` may mean rpi3, rpi4, rpi02, rpi5\n",
        ),
    ]);
    for on in ["ssh://pi@board", "pi@board"] {
        CliTest::new(&["build", "--on", on])
            .exit_code(2)
            .stderr("with `DOCKER_HOST=ssh://pi@board sdbuild build`, or its Nix with --builders")
            .run();
    }
}

#[test]
fn a_flake_is_named_beside_other_configurations() {
    let flake = "{ outputs = { nixpkgs, ... }: { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { }; }; }";
    CliTest::new(&[])
        .config()
        .file("flake.nix", flake)
        .stdout("There is also a flake, which `sdbuild build flake.nix` builds instead.")
        .run();
    // A directory with the name of the configuration has no sd-card.nix.
    CliTest::new(&["build", "pi"])
        .file("flake.nix", flake)
        .file("pi/hardware.nix", "{ }")
        .exit_code(2)
        .stderr("hint: write the configuration pi of a flake after a `#`: sdbuild build .#pi\n")
        .run();
    for written in [".pi", ".:pi", ".@pi"] {
        CliTest::new(&["build", written])
            .file("flake.nix", flake)
            .exit_code(2)
            .stderr("hint: write the configuration pi of a flake after a `#`: sdbuild build .#pi\n")
            .run();
    }
}

#[test]
fn paths_are_shown_without_parent_directories() {
    let user = user();
    let home = user.write("x", "").parent().unwrap().to_owned();
    std::fs::create_dir(home.join("pi")).unwrap();
    let told = run(&mut user.sdbuild(&["build", "--ssh-key", "pi/../none"]));
    let told = told.assert_exit_code(2).stderr;
    let key = format!("read the SSH key {}: ", home.join("none").display());
    assert!(told.contains(&key), "{told}");
}

#[test]
fn a_command_of_another_program_has_its_name_here() {
    const OF_SDBUILD: &str = "sdbuild does not update itself. Run the command that installed it again; in a clone, first \
                              run `git pull`\n";
    let lock = "did you mean `sdbuild lock` (";
    let told = CliTest::new(&["upgrade"]).exit_code(2).stderr(lock);
    told.stderr(&format!("hint: {OF_SDBUILD}")).run();
    assert_tips(&[
        (&["self-update"][..], OF_SDBUILD),
        (&["burn"], "did you mean `sdbuild flash` (write an image"),
        (&["run"], "did you mean `sdbuild boot` (boot an image"),
        (
            &["list"],
            "did you mean `sdbuild status` (show what sdbuild keeps",
        ),
    ]);
}
