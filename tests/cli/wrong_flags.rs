//! Flags and commands of other programs, and what is said of them.

use crate::cli_test::CliTest;
use crate::wrong_arguments::assert_tips;

#[test]
fn packages_belong_in_the_configuration() {
    let line = "packages are written in the configuration, such as sd-card.nix: environment.systemPackages = with pkgs; [ htop ];\n";
    assert_tips(&[
        (&["init", "--packages", "htop"][..], line),
        (&["build", "--packages=htop"], line),
        (&["add", "htop"], line),
        (&["install", "htop"], line),
        (&["install"], "the command is called `sdbuild flash`"),
        (
            &["install", "x.img", "sda"],
            "the command is called `sdbuild flash`",
        ),
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
        (&["boot", "--rm"][..], "boot never changes an image: "),
        (
            &["completions", "--shell"],
            "the shell is an argument of its own: ",
        ),
        (
            &["init", "--keyboard", "de"],
            "the keyboard of the console is an option of the configuration: console.keyMap\n",
        ),
        (
            &["build", "--online"],
            "sdbuild downloads what is missing, unless --offline is given\n",
        ),
        (
            &["build", "--root-password", "x"],
            "the hash of a password belongs in the configuration: ",
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
        (
            &["build", "--arg", "a", "b"],
            "--set gives an option a value",
        ),
        (&["build", "-I", "a=b"], "a configuration is an argument"),
        (&["build", "--keep-going"], "a build ends with the first"),
        (
            &["build", "--update-input", "x"],
            "a build takes what is locked",
        ),
        (&["build", "--locked"], "a build never changes flake.lock"),
        (&["build", "-it"], "sdbuild starts its containers itself"),
        (
            &["build", "--threads", "4"],
            "--cores is the number of cores",
        ),
        (
            &["build", "--jobs", "auto"],
            "sdbuild chooses the number without --jobs\n",
        ),
        (
            &["build", "--no-compress"],
            "did you mean --compress none?\n",
        ),
        (
            &["build", "--module", "x.nix"],
            "further modules are named in",
        ),
        (
            &["build", "--target-host", "pi"],
            "sdbuild makes images; a NixOS",
        ),
        (
            &["build", "--no-offline"],
            "that is not done unless --offline",
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
            "try builds a configuration of its own",
        ),
        (
            &["lock", "--update"],
            "name the inputs to update: sdbuild lock INPUT\n",
        ),
        (
            &["clean", "--older-than", "3d"],
            "--old removes the results",
        ),
        (
            &["clean", "images"],
            "`sdbuild clean --dry-run` lists what would be removed",
        ),
        (&["status", "-a"], "without a flag, status shows everything"),
        (
            &["boards", "--list"],
            "without an argument, all are listed\n",
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
            "a file of an image: sdbuild inspect IMAGE cat PATH\n",
        ),
        (
            &["inspect", "--json=true", "x.img"],
            "--json takes no value\n",
        ),
        (&["boot", "-nographic"], "boot has no screen"),
        (&["boot", "--smp", "4"], "sdbuild chooses the processors"),
        (&["boot", "--kvm"], "KVM is used where it works"),
        (
            &["boot", "--port", "2222:22"],
            "the port of this machine is enough: --port 2222\n",
        ),
        (&["boot", "-i", "key"], "did you mean --login-key?\n"),
        (&["boot", "--exec", "ls"], "did you mean --run?\n"),
        (
            &["boot", "--run", "ls", "-la"],
            "quote the whole command: --run 'ls -la …'\n",
        ),
        (
            &["boot", "--drive", "x.img"],
            "the image is an argument of its own: sdbuild boot x.img\n",
        ),
        (
            &["flash", "x.img", "--verify"],
            "that is done without a flag; --no-verify switches it off\n",
        ),
        (
            &["flash", "x.img", "--skip-verify"],
            "did you mean --no-verify?\n",
        ),
        (&["flash", "x.img", "--eject"], "flash ejects nothing"),
        (
            &["flash", "x.img", "--wifi", "Home"],
            "flash writes an image as it is",
        ),
        (
            &["flash", "x.img", "--dry-run"],
            "without a disk, flash lists the disks",
        ),
    ]);
}

#[test]
fn flags_for_new_configurations_are_answered() {
    assert_tips(&[
        (
            &["init", "--template", "raspberry"][..],
            "a board has a flag of its own: sdbuild init --board NAME; `raspberry` may mean rpi3, rpi4",
        ),
        (
            &["init", "--template", "rpi4"],
            "a board has a flag of its own: sdbuild init --board rpi4\n",
        ),
        (
            &["init", "--template", "docker"],
            "did you mean container?\n",
        ),
        (&["init", "--ci", "gh"], "did you mean github?\n"),
        (&["init", "--ssid", "Home"], "did you mean --wifi?\n"),
        (&["init", "--lang", "de_DE"], "did you mean --locale?\n"),
        (&["init", "--psk", "x"], "sdbuild asks for the passphrase"),
        (&["init", "--force"], "init replaces no file"),
        (
            &["init", "-o", "pi"],
            "the directory is an argument of its own: sdbuild init pi\n",
        ),
        (&["init", "--non-interactive"], "did you mean --yes?\n"),
        (&["init", "--password", "x"], "no password is written"),
    ]);
}

#[test]
fn commands_elsewhere_are_answered() {
    assert_tips(&[
        (
            &["ssh", "pi"][..],
            "a machine that runs is logged in to by `ssh root@NAME`; `sdbuild boot --until-ssh` tries",
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
            "sdbuild makes images; a NixOS",
        ),
        (&["publish", "ami"], "did you mean aws?\n"),
        (&["publish", "rm"], "did you mean remove?\n"),
        (
            &["publish", "--region", "x"],
            "`sdbuild publish aws` takes --region\n",
        ),
        (&["cache", "push"], "did you mean export?\n"),
        (&["stop"], "nothing of sdbuild runs on its own"),
        (&["devices"], "the command is called `sdbuild flash`"),
        (&["completions", "/bin/zsh"], "did you mean zsh?\n"),
    ]);
    for (shell, line) in [
        (
            "/usr/bin/fish",
            "; yours: mkdir -p ~/.config/fish/completions && sdbuild completions fish > ~/.config/fish/completions/sdbuild.fish\n",
        ),
        (
            "/bin/zsh",
            "; yours: mkdir -p ~/.zfunc && sdbuild completions zsh > ~/.zfunc/_sdbuild\n",
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
