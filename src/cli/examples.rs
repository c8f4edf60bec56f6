//! The examples at the end of each command's help. A test parses every one of them. Prose before them has
//! no line breaks of its own: terminals and the manual page differ in width.

pub(super) const BUILD: &str = "\
Examples:
  sdbuild build                               ./sd-card.nix becomes an image in this directory
  sdbuild build --config pi/sd-card.nix --output pi   the image goes into that directory too
  sdbuild build --nixpkgs ~/nixpkgs --jobs 2
  sdbuild build --ssh-key ~/.ssh/id_ed25519.pub --hostname kitchen
  sdbuild build --set time.timeZone=Europe/Berlin --set 'environment.systemPackages=[ pkgs.vim ]'
  sdbuild build --dry-run                     what would be done, fetched and built";

pub(super) const CLEAN: &str = "\
Exit code 2 when you do not agree, 5 when something could not be removed.

Examples:
  sdbuild clean --dry-run                     what would go, and what it takes
  sdbuild clean --yes                         for scripts";

pub(super) const BOOT: &str = "\
Exit code 4 when the image does not boot, lets nobody in, or the command took longer than --timeout; else the \
command's own.

Examples:
  sdbuild boot card.img                       shows its console; Ctrl-A X ends it
  sdbuild boot card.img --until-ssh --ssh-key ~/.ssh/id_ed25519
  sdbuild boot card.img --run 'systemctl --failed'
  sdbuild boot card.img --until-ssh --timeout 600 --memory 2048";

pub(super) const FLASH: &str = "\
Examples:
  sdbuild flash card.img                      lists the removable disks
  sdbuild flash card.img /dev/sdb             shows what will be lost, asks, writes, reads back";

pub(super) const INSPECT: &str = "\
Examples:
  sdbuild inspect card.img.zst --json
  sdbuild inspect card.img ls /nix/store
  sdbuild inspect card.img cat 2:/boot/extlinux/extlinux.conf";

pub(super) const LS: &str = "\
Examples:
  sdbuild inspect card.img ls /";

pub(super) const CAT: &str = "\
Examples:
  sdbuild inspect card.img cat /etc/os-release";

pub(super) const INIT: &str = "\
Examples:
  sdbuild init                                ./sd-card.nix with your public keys in it
  sdbuild init pi --hostname kitchen          pi/sd-card.nix
  sdbuild init --github octocat --wifi 'Home network'";

pub(super) const CHECK: &str = "\
Every line is something in the configuration: ✗ keeps the machine from booting or everybody out of it, ! may \
become trouble. Nothing is built. Exit code 0 without a ✗, 6 with one, 2 when Nix cannot evaluate it.

Examples:
  sdbuild check
  sdbuild check --config pi/sd-card.nix --json";

pub(super) const TRY: &str = "\
The image is a miniature NixOS with SSH, for virtual machines, made of some dozen Debian packages that sdbuild \
brings the recipe for; its key is made for it. What is written goes again, but for what every build keeps: the \
packages in the cache and the store volume (`sdbuild clean` removes both).

Examples:
  sdbuild try
  sdbuild try --output trial                  and keep the image, its key and its configuration";

pub(super) const DOCTOR: &str = "\
Every line is a condition of a build: ✓ is met, ! may become trouble, ✗ must be changed first. \
Nothing on this machine is changed. Exit code 0 when a build can work, else 3.

Examples:
  sdbuild doctor
  sdbuild doctor --json";

pub(super) const STATUS: &str = "\
Nothing is changed. The size of a volume, which engines do not tell, is counted by a container of \
sdbuild's that is gone again; the kernel's table of an engine elsewhere is read the same way.

Examples:
  sdbuild status
  sdbuild status --json";

pub(super) const SETTINGS: &str = "\
A flag wins over the environment, the environment over sdbuild.toml beside the configuration, that \
over $XDG_CONFIG_HOME/sdbuild/sdbuild.toml (~/.config), and that over the default.

Examples:
  sdbuild settings
  sdbuild settings --config pi/sd-card.nix --json";

pub(super) const SHELL: &str = "\
It is the container that a build has: the same user, the same limits, the same store. Everything but the \
store is gone when it ends. Commands may come on standard input as well. Exit code: the shell's.

Examples:
  sdbuild shell                               nix-build and the configuration are there
  sdbuild shell htop-3.4.1                    the environment of the build that failed last under this name
  sdbuild shell --run 'nix-store --verify'";

pub(super) const COMPLETIONS: &str = "\
Examples:
  sdbuild completions bash > ~/.local/share/bash-completion/completions/sdbuild
  sdbuild completions zsh > ~/.zfunc/_sdbuild
  sdbuild completions fish > ~/.config/fish/completions/sdbuild.fish";

pub(super) const MAN: &str = "\
Examples:
  sdbuild man > sdbuild.1
  sdbuild man | man -l -";
