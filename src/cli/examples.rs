//! Notes and examples at the end of each command's help, by the command's name. A test parses every example. Notes are not broken
//! into lines: terminals and the manual page have different widths.

/// What the help of a command ends with.
#[derive(Debug)]
pub struct Ending {
    /// The command's name.
    command: &'static str,
    /// Paragraphs, separated by empty lines.
    pub notes: &'static str,
    /// Command lines, each with what it does, or an empty text.
    pub examples: &'static [(&'static str, &'static str)],
}

/// The end of the help of the command `name`.
pub fn ending_of(name: &str) -> Option<&'static Ending> {
    ENDINGS.iter().find(|ending| ending.command == name)
}

#[rustfmt::skip]
static ENDINGS: [Ending; 29] = [
    Ending {
        command: "sdbuild",
        notes: "",
        examples: &[
            ("sdbuild doctor", "check that this machine can build"),
            ("sdbuild init", "write ./sd-card.nix with your SSH keys"),
            ("sdbuild check", "find what must be fixed"),
            ("sdbuild build", "build the image into this directory"),
            ("sdbuild boot --until-ssh", "boot it in QEMU, until your key can log in"),
            ("sudo \"$(command -v sdbuild)\" flash /dev/sdb", "write it to the card"),
        ],
    },
    Ending {
        command: "build",
        notes: "Writes the image and the files that describe it into the directory of --output, and prints the image's path. A first build downloads about 3 GB and takes about 20 minutes, by estimate. After a failure, run it again: what is built is kept.",
        examples: &[
            ("sdbuild build", "build ./sd-card.nix"),
            ("sdbuild build pi --output pi", "build pi/sd-card.nix into pi"),
            ("sdbuild build --nixpkgs ~/nixpkgs --boot-test", ""),
            ("sdbuild build --ssh-key ~/.ssh/id_ed25519.pub --hostname kitchen", ""),
            ("sdbuild build --set 'environment.systemPackages=[ pkgs.vim ]'", ""),
            ("sdbuild build .#pi", "a configuration of the flake here"),
            ("sdbuild build --dry-run", "show what would be done"),
        ],
    },
    Ending {
        command: "boards",
        notes: "",
        examples: &[
            ("sdbuild boards", "list the boards"),
            ("sdbuild boards rock5b", "describe one"),
            ("sdbuild boards --json", ""),
        ],
    },
    Ending {
        command: "formats",
        notes: "",
        examples: &[
            ("sdbuild formats", ""),
            ("sdbuild formats container", "how its image is made, and what to do with it"),
            ("sdbuild formats --json", ""),
        ],
    },
    Ending {
        command: "clean",
        notes: "clean keeps your images and configurations. It removes everything else that no run uses, but only one store volume: sdbuild-store, or the one that SDBUILD_STORE names. --all removes all store volumes. The next build downloads again what was removed. --old removes old build results from the store volume and keeps the rest. Without an engine, clean removes only downloads and logs, and exits with 3. If it could not remove something, it exits with 5.",
        examples: &[
            ("sdbuild clean --old", "keep what the last results need"),
            ("sdbuild clean --old --keep 0 --downloads", "all results, and the downloads"),
            ("sdbuild clean --store sdbuild-store-other", "remove this one alone"),
            ("sdbuild clean --cloud", "remove what killed runs left at AWS"),
            ("sdbuild clean --dry-run", "list what would be removed, with sizes"),
            ("sdbuild clean --yes", "do not ask, for scripts"),
        ],
    },
    Ending {
        command: "boot",
        notes: "Without --until-ssh, --until-login and --run, boot shows the console. It exits with 4 if boot or login fails or times out, else with the command's code.",
        examples: &[
            ("sdbuild boot --until-ssh --login-key ~/.ssh/id_ed25519", "the newest image"),
            ("sdbuild boot card.img", "show the console; Ctrl-A X ends it"),
            ("sdbuild boot card.img --run 'systemctl --failed'", ""),
            ("sdbuild boot installer.iso --seed user-data.yaml --until-ssh", ""),
        ],
    },
    Ending {
        command: "seed",
        notes: "Attach the seed (NoCloud, FAT with the label CIDATA) as a disk or CD to a machine whose system has cloud-init. sdbuild checks the files first. The same files give the same seed. Changed files give a new instance-id, so cloud-init configures the machine again.",
        examples: &[
            ("sdbuild seed --user-data user-data.yaml", "write ./seed.img"),
            ("sdbuild seed --user-data user-data.yaml --hostname kitchen -o kitchen.img", ""),
            ("sdbuild seed --user-data setup.sh --network-config network.yaml", ""),
        ],
    },
    Ending {
        command: "flash",
        notes: "Without a disk, flash lists the disks and writes nothing. On most machines only root may write to a disk, so flash shows other users the command with sudo.",
        examples: &[
            ("sdbuild flash", "list the removable disks"),
            ("sudo \"$(command -v sdbuild)\" flash /dev/sdb", "write the newest image: show what will be lost, ask, write, verify"),
            ("sudo \"$(command -v sdbuild)\" flash card.img /dev/sdb", "write that image"),
            ("sudo \"$(command -v sdbuild)\" flash card.img /dev/sdb --unmount --yes", "for scripts: do not ask"),
        ],
    },
    Ending {
        command: "deploy",
        notes: "deploy uses your own ssh. Exit code 7: a board returned to its old system.",
        examples: &[
            ("sdbuild deploy root@192.168.1.23", "build, show what changes, ask"),
            ("sdbuild deploy --dry-run .#pi root@pi", "show what would change"),
            ("sdbuild deploy .#a=root@a .#b=root@b --yes", "several boards at once"),
            ("sdbuild deploy --boot --reboot root@pi", "take in a new kernel"),
            ("sdbuild deploy --list root@pi", "the systems that the board has"),
            ("sdbuild deploy --rollback root@pi", "return to the system before"),
        ],
    },
    Ending {
        command: "inspect",
        notes: "inspect reads an image without root, mounts nothing and does not change it. /boot is a path in the root file system, 2:/boot on partition 2. It exits with 2 if the image is damaged.",
        examples: &[
            ("sdbuild inspect", "the newest image here"),
            ("sdbuild inspect card.img.zst --json", ""),
            ("sdbuild inspect card.img ls /nix/store", ""),
            ("sdbuild inspect card.img cat 2:/boot/extlinux/extlinux.conf", ""),
        ],
    },
    Ending {
        command: "ls",
        notes: "",
        examples: &[
            ("sdbuild inspect card.img ls", "the root directory of each partition"),
            ("sdbuild inspect card.img ls 2:/boot", ""),
        ],
    },
    Ending {
        command: "cat",
        notes: "",
        examples: &[
            ("sdbuild inspect card.img cat /etc/os-release", ""),
        ],
    },
    Ending {
        command: "init",
        notes: "On a terminal, init asks for what no flag gives. An empty line takes the answer in brackets.",
        examples: &[
            ("sdbuild init", "write ./sd-card.nix"),
            ("sdbuild init pi --hostname kitchen", "pi/sd-card.nix"),
            ("sdbuild init --wifi 'Home network'", ""),
            ("sdbuild init --board rpi5", "for another board"),
            ("sdbuild init --flake --ci github", "a flake, and a workflow that builds it"),
        ],
    },
    Ending {
        command: "check",
        notes: "Each line is a finding. Fix those with ✗: the machine does not boot, or nobody can log in. Those with ! may cause problems. check builds nothing. It exits with 0 if there is no ✗, with 6 if there is one, and with 2 if Nix cannot evaluate the configuration. The first check downloads about 100 MB; later ones take seconds.",
        examples: &[
            ("sdbuild check", ""),
            ("sdbuild check pi --json", "check pi/sd-card.nix"),
        ],
    },
    Ending {
        command: "lock",
        notes: "For a flake, lock writes only flake.lock, which a build uses and never changes. Nix fetches new inputs in the builder, but your own git fetches inputs by SSH. For an sd-card.nix, lock writes only sdbuild.lock, with the newest nixpkgs of its release.",
        examples: &[
            ("sdbuild lock", "with an sd-card.nix: take the newest nixpkgs of its release"),
            ("sdbuild lock --flake .", "add the inputs that ./flake.lock lacks"),
            ("sdbuild lock --flake . nixpkgs", "take the newest commit of this input's branch"),
        ],
    },
    Ending {
        command: "cache",
        notes: "",
        examples: &[
            ("sdbuild cache export ~/cache", ""),
            ("sdbuild cache key", ""),
        ],
    },
    Ending {
        command: "export",
        notes: "The export leaves out what the configured binary caches have. An interrupted export leaves a valid cache; run the same command again to resume.",
        examples: &[
            ("sdbuild cache export ~/cache", "of the newest image here"),
            ("sdbuild cache export https://cache.example.org", ""),
            ("sdbuild cache export ssh-ng://root@pi.lan pi.img.zst", ""),
        ],
    },
    Ending {
        command: "key",
        notes: "",
        examples: &[
            ("sdbuild cache key", "for --extra-trusted-public-keys"),
            ("sdbuild cache key ~/team-key", "make another one, for --key"),
        ],
    },
    Ending {
        command: "publish",
        notes: "",
        examples: &[
            ("sdbuild publish aws", ""),
            ("sdbuild publish list", ""),
            ("sdbuild publish remove ami-0123456789abcdef0", ""),
        ],
    },
    Ending {
        command: "aws",
        notes: "sdbuild sends only blocks that are not empty. To resume an interrupted upload, run the same command again within a day. sdbuild finds your credentials where AWS's own tools find them. It was tested with mocks of AWS only.",
        examples: &[
            ("sdbuild publish aws", "the newest image here"),
            ("sdbuild publish aws server.img.zst --name server-1 --share 123456789012", ""),
            ("sdbuild publish aws --copy-to us-east-1 --copy-to ap-south-1 --yes", ""),
            ("sdbuild publish aws --dry-run", "what would be sent"),
        ],
    },
    Ending {
        command: "list",
        notes: "",
        examples: &[
            ("sdbuild publish list --region us-east-1", ""),
        ],
    },
    Ending {
        command: "remove",
        notes: "Removes only AMIs and snapshots with sdbuild's tag.",
        examples: &[
            ("sdbuild publish remove ami-0123456789abcdef0", ""),
            ("sdbuild publish remove snap-0123456789abcdef0", "of an abandoned upload"),
        ],
    },
    Ending {
        command: "try",
        notes: "The image is a miniature NixOS for virtual machines, with SSH and a new key. sdbuild has its recipe, which uses a few dozen Debian packages. The first run downloads about 120 MB and takes about a minute. At the end, try removes the image. Downloads, container images and the store volume stay for the next build; `sdbuild clean` removes them.",
        examples: &[
            ("sdbuild try", ""),
            ("sdbuild try --output trial", "keep the image, its key and its configuration"),
        ],
    },
    Ending {
        command: "doctor",
        notes: "Each line is a requirement of a build. ✓ means it is met, ! that it may cause problems, and ✗ that you must fix it first. doctor does not change anything on this machine. It exits with 0 if this machine can build, otherwise with 3.",
        examples: &[
            ("sdbuild doctor", ""),
            ("sdbuild doctor -v", "also names what is right and seldom matters"),
            ("sdbuild doctor --on command:./rent", "show the price of a rented machine; rents nothing"),
            ("sdbuild doctor --json", ""),
        ],
    },
    Ending {
        command: "status",
        notes: "Each line has a name, a state, a size and an age (for a directory, the time since its last change). status does not change anything. It measures volumes in a temporary container, because engines do not report their size. If the engine is on another machine, that container also reads the binfmt_misc entries.",
        examples: &[
            ("sdbuild status", ""),
            ("sdbuild status --json", ""),
        ],
    },
    Ending {
        command: "settings",
        notes: "A setting is a value that builds use, such as jobs or nixpkgs. To set one, write a line such as `jobs = 2` into sdbuild.toml beside the configuration, or for all your builds into ~/.config/sdbuild/sdbuild.toml ($XDG_CONFIG_HOME). To unset it, delete the line. settings only shows the values.\n\nA variable of the environment, such as SDBUILD_JOBS, overrides both files, and a flag overrides the variable. settings takes all flags of build too, and shows what they set: `sdbuild help build` lists them.",
        examples: &[
            ("sdbuild settings", "all settings of a build here"),
            ("sdbuild settings jobs", "this one alone"),
            ("sdbuild settings pi", "those of pi/sd-card.nix"),
            ("sdbuild settings pi --json", ""),
        ],
    },
    Ending {
        command: "shell",
        notes: "The shell runs in the same container as a build, with the same user, limits and store. When it ends, sdbuild removes the container, and keeps the store. The shell also reads commands from standard input. sdbuild exits with the shell's code.",
        examples: &[
            ("sdbuild shell", "in the configuration's directory, with nix-build"),
            ("sdbuild shell .#pi", "in the directory of the flake, with nix build"),
            ("sdbuild shell htop-3.4.1", "the environment of the last failed build of this name"),
            ("sdbuild shell --run 'nix-store --verify'", ""),
        ],
    },
    Ending {
        command: "completions",
        notes: "",
        examples: &[
            ("mkdir -p ~/.local/share/bash-completion/completions && sdbuild completions bash > ~/.local/share/bash-completion/completions/sdbuild", ""),
            ("mkdir -p ~/.local/share/fish/vendor_completions.d && sdbuild completions fish > ~/.local/share/fish/vendor_completions.d/sdbuild.fish", ""),
            ("mkdir -p ~/.local/share/zsh/site-functions && sdbuild completions zsh > ~/.local/share/zsh/site-functions/_sdbuild", "with fpath+=(~/.local/share/zsh/site-functions) in ~/.zshrc, before compinit"),
        ],
    },
    Ending {
        command: "man",
        notes: "",
        examples: &[
            ("sdbuild man", "read the page of sdbuild"),
            ("sdbuild man build", "read that of a command"),
            ("sdbuild man --dir ~/.local/share/man/man1", "write all, for man sdbuild-build"),
        ],
    },
];
