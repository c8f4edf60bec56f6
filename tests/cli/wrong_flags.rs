//! Flags and commands of other programs, and what is said of them.

use crate::cli_test::CliTest;
use crate::wrong_arguments::assert_tips;

#[test]
fn lines_of_docker_are_answered() {
    assert_tips(&[
        (
            &["build", "--arch", "riscv64"][..],
            "did you mean --system? It takes aarch64-linux or x86_64-linux\n",
        ),
        (
            &["build", "--platform", "linux/arm64"],
            "did you mean --system aarch64-linux?\n",
        ),
        (&["ls"], "did you mean `sdbuild status` (show what"),
        (&["ps", "-a"], "did you mean `sdbuild status` (show what"),
        (
            &["build", "-f", "a.nix", "."],
            "-f is --force here. Give the file without a flag: sdbuild build a.nix\n",
        ),
        (
            &["check", "--dry-run"],
            "leave it out; check only evaluates, and writes and builds nothing\n",
        ),
        (
            &["publish", "oci", "--push"],
            "`sdbuild publish oci` writes a directory, which skopeo sends to a registry: skopeo copy oci:DIR:latest \
             docker://HOST/NAME\n",
        ),
        (
            &["build", "-j"],
            "`sdbuild build --help` says of it: Derivations to build in parallel\n",
        ),
        (&["check", "--format=json"], "did you mean --json?\n"),
        (&["status", "--format", "json"], "did you mean --json?\n"),
        (
            &["build", "--al"],
            "`sdbuild build --help` lists its flags\n",
        ),
        (
            &["status", "--al"],
            "leave it out; status shows everything, with sizes\n",
        ),
        (
            &["status", "--downl"],
            "`sdbuild clean` takes --downloads\n",
        ),
        (
            &["build", "a.nix", "b.nix"],
            "build takes only one configuration. Run it once for each: sdbuild build a.nix && sdbuild build b.nix\n",
        ),
        (
            &["build", "pi", "card"],
            "build takes only one PATH. Leave out card, or run the command again for it\n",
        ),
    ]);
    CliTest::new(&["build", "--output", "type=local,dest=out"])
        .exit_code(2)
        .stderr("--output takes a directory, not docker's type=…,dest=…")
        .stderr("hint: name the directory alone: --output out\n")
        .run();
}

#[test]
fn lines_of_other_programs_are_answered() {
    assert_tips(&[
        (
            &["--cli", "x.img", "/dev/sdb"][..],
            "that is how Raspberry Pi Imager is called; here: sdbuild flash x.img /dev/sdb\n",
        ),
        (
            &["build", "--target", "aarch64-unknown-linux-gnu"],
            "did you mean --system aarch64-linux?\n",
        ),
        (
            &["settings", "get", "jobs"],
            "settings shows one setting or all: sdbuild settings jobs\n",
        ),
        (
            &["settings", "--unset", "jobs"],
            "`sdbuild settings` only shows settings. To set or unset one, edit its line in sdbuild.toml\n",
        ),
    ]);
    CliTest::new(&["build", "--format", "img"])
        .exit_code(2)
        .stderr(
            "for a plain image take sd-card for a board, or raw-efi for a PC, with --compress none",
        )
        .run();
}

#[test]
fn a_passphrase_is_not_repeated() {
    for (command, told) in [
        ("init", "or reads it from a file: --wifi-password-file FILE"),
        (
            "build",
            "`sdbuild init --wifi NAME` writes one with it, and asks",
        ),
        ("flash", "flash writes an image as it is"),
    ] {
        for words in [
            &["--wifi-password", "hunter22"][..],
            &["--wifi-password=hunter22"],
        ] {
            let words = [&[command], words].concat();
            let refused = CliTest::new(&words).exit_code(2).stderr(told).run();
            assert!(!refused.stderr.contains("hunter22"), "{}", refused.stderr);
        }
    }
}

#[test]
fn packages_belong_in_the_configuration() {
    let line = "add packages to the configuration, such as sd-card.nix: environment.systemPackages = with pkgs; [ htop \
                ];\n";
    assert_tips(&[
        (&["init", "--packages", "htop"][..], line),
        (&["build", "--packages=htop"], line),
        (&["add", "htop"], line),
        (&["install", "htop"], line),
        (&["install"], "did you mean `sdbuild flash`"),
        (&["install", "x.img", "sda"], "did you mean `sdbuild flash`"),
    ]);
}

#[test]
fn a_slip_has_one_wording_everywhere() {
    assert_tips(&[
        (&["build", "--confg", "x"][..], "did you mean --config?\n"),
        (&["buidl"], "did you mean build?\n"),
        (&["publish", "lst"], "did you mean list?\n"),
        (&["init", "--ci", "gitlab-ci"], "did you mean gitlab?\n"),
        (&["init", "--template", "serve"], "did you mean server?\n"),
        (&["flash-card", "x.img"], "did you mean flash?\n"),
    ]);
    // What only has some letters in common, or is the opposite.
    assert_tips(&[
        (
            &["boot", "--rm"][..],
            "leave it out; boot never changes the image",
        ),
        (
            &["completions", "--shell"],
            "give the shell without a flag: ",
        ),
        (
            &["init", "--keyboard", "de"],
            "set the console's keyboard in the configuration, as console.keyMap\n",
        ),
        (
            &["build", "--online"],
            "leave it out; sdbuild downloads what is missing, unless you give --offline\n",
        ),
        (
            &["build", "--root-password", "x"],
            "put the hash of the password into the configuration",
        ),
    ]);
}

#[test]
fn flags_of_builds_elsewhere_are_answered() {
    assert_tips(&[
        (
            &["build", "--option", "cores", "2"][..],
            "did you mean --cores 2?\n",
        ),
        (&["build", "--arg", "a", "b"], "to set a NixOS option"),
        (
            &["build", "-I", "a=b"],
            "give the configuration without a flag",
        ),
        (&["build", "--keep-going"], "a build stops at the first"),
        (
            &["build", "--update-input", "x"],
            "build uses what is locked",
        ),
        (&["build", "--locked"], "build never changes flake.lock"),
        (
            &["build", "-it"],
            "leave it out; sdbuild starts its containers itself",
        ),
        (
            &["build", "--threads", "4"],
            "--jobs sets how many derivations",
        ),
        (
            &["build", "--jobs", "auto"],
            "leave out --jobs, and sdbuild chooses the number\n",
        ),
        (
            &["build", "--no-compress"],
            "did you mean --compress none?\n",
        ),
        (&["build", "--module", "x.nix"], "import other modules in"),
        (
            &["build", "--target-host", "pi"],
            "sdbuild only makes images. To change a running NixOS",
        ),
        (
            &["build", "--no-offline"],
            "leave it out; that is off unless you give --offline",
        ),
        (
            &["build", "--version"],
            "`sdbuild --version` prints the version\n",
        ),
        (&["--build"], "a command has no dashes: sdbuild build\n"),
    ]);
}

#[test]
fn flags_of_small_commands_are_answered() {
    assert_tips(&[
        (
            &["try", "--board", "rpi4"][..],
            "try builds its own configuration",
        ),
        (
            &["lock", "--update"],
            "leave it out; for an sd-card.nix, `sdbuild lock` updates nixpkgs. For a flake, name the inputs: sdbuild lock INPUT\n",
        ),
        (&["clean", "--older-than", "3d"], "--old has no age"),
        (
            &["clean", "images"],
            "`sdbuild clean --dry-run` lists what would be removed",
        ),
        (&["status", "-a"], "leave it out; status shows everything"),
        (
            &["boards", "--list"],
            "leave it out; without an argument, all are listed\n",
        ),
    ]);
}

#[test]
fn flags_for_images_elsewhere_are_answered() {
    assert_tips(&[
        (
            &["inspect", "x.img", "--file", "/etc/x"][..],
            "did you mean sdbuild inspect x.img cat /etc/x?\n",
        ),
        (
            &["inspect", "x.img", "cp", "/etc/x", "."],
            "did you mean sdbuild inspect x.img cat /etc/x?\n",
        ),
        (
            &["inspect", "cat"],
            "to show a file of an image: sdbuild inspect IMAGE cat PATH\n",
        ),
        (
            &["inspect", "--json=true", "x.img"],
            "--json takes no value\n",
        ),
        (&["boot", "-nographic"], "boot opens no window"),
        (
            &["boot", "--smp", "4"],
            "sdbuild chooses the number of processors",
        ),
        (
            &["boot", "--kvm"],
            "leave it out; sdbuild uses KVM where it works",
        ),
        (
            &["boot", "--port", "2222:22"],
            "give only the local port: --port 2222\n",
        ),
        (&["boot", "-i", "key"], "did you mean --login-key?\n"),
        (&["boot", "--exec", "ls"], "did you mean --run?\n"),
        (
            &["boot", "--run", "ls", "-la"],
            "quote the whole command: --run 'ls -la …'\n",
        ),
        (
            &["boot", "--drive", "x.img"],
            "give the image without a flag: sdbuild boot x.img\n",
        ),
    ]);
}

#[test]
fn flags_for_cards_elsewhere_are_answered() {
    assert_tips(&[
        (
            &["flash", "x.img", "--verify"][..],
            "leave it out; that is the default, and --no-verify turns it off\n",
        ),
        (
            &["flash", "x.img", "--skip-verify"],
            "did you mean --no-verify?\n",
        ),
        (
            &["flash", "x.img", "--eject"],
            "leave it out; flash says when you can take the card out",
        ),
        (
            &["flash", "x.img", "--wifi", "Home"],
            "flash writes an image as it is",
        ),
        (
            &["flash", "x.img", "--dry-run"],
            "to list the disks without writing",
        ),
    ]);
}

#[test]
fn flags_for_new_configurations_are_answered() {
    assert_tips(&[
        (
            &["init", "--template", "raspberry"][..],
            "boards have their own flag: sdbuild init --board NAME. `raspberry` may mean rpi3, rpi4",
        ),
        (
            &["init", "--template", "rpi4"],
            "boards have their own flag: sdbuild init --board rpi4\n",
        ),
        (
            &["init", "--template", "docker"],
            "did you mean container?\n",
        ),
        (&["init", "--ci", "gh"], "did you mean github?\n"),
        (&["init", "--ssid", "Home"], "did you mean --wifi?\n"),
        (&["init", "--lang", "de_DE"], "did you mean --locale?\n"),
        (&["init", "--psk", "x"], "sdbuild asks for the passphrase"),
        (&["init", "--force"], "init never replaces a file"),
        (
            &["init", "-o", "pi"],
            "give the directory without a flag: sdbuild init pi\n",
        ),
        (&["init", "--non-interactive"], "did you mean --yes?\n"),
        (&["init", "--password", "x"], "init writes no passwords"),
    ]);
}

#[test]
fn commands_elsewhere_are_answered() {
    assert_tips(&[
        (
            &["ssh", "pi"][..],
            "to log in to a running machine, use `ssh root@NAME`. `sdbuild boot --until-ssh` tests",
        ),
        (
            &["flake", "init"],
            "`sdbuild init --flake` writes a flake\n",
        ),
        (
            &["system", "prune"],
            "`sdbuild clean` removes what sdbuild keeps",
        ),
        (
            &["nixos-rebuild", "switch"],
            "sdbuild only makes images. To change a running NixOS",
        ),
        (&["publish", "ami"], "did you mean aws?\n"),
        (&["publish", "rm"], "did you mean remove?\n"),
        (
            &["publish", "--region", "x"],
            "`sdbuild publish aws` takes --region\n",
        ),
        (&["cache", "push"], "did you mean export?\n"),
        (&["stop"], "sdbuild has no background processes"),
        (&["devices"], "did you mean `sdbuild flash`"),
        (&["completions", "/bin/zsh"], "did you mean zsh?\n"),
    ]);
    for (shell, line) in [
        (
            "/usr/bin/fish",
            "; yours: mkdir -p ~/.local/share/fish/vendor_completions.d && sdbuild completions fish > ~/.local/share/fish/vendor_completions.d/sdbuild.fish\n",
        ),
        (
            "/bin/zsh",
            "; yours: mkdir -p ~/.local/share/zsh/site-functions && sdbuild completions zsh > ~/.local/share/zsh/site-functions/_sdbuild\n",
        ),
        (
            "/bin/dash",
            "; for instance: mkdir -p ~/.local/share/bash-completion/completions && sdbuild completions bash > ~/.local/share/bash-completion/completions/sdbuild\n",
        ),
    ] {
        CliTest::new(&["completions"])
            .env("SHELL", shell)
            .exit_code(2)
            .stderr(&format!("hint: name bash, zsh or fish{line}"))
            .run();
    }
}
