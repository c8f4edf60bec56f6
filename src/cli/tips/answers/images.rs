//! Flags of QEMU, docker, ssh, dd and Raspberry Pi Imager.

use super::table::Answers;

/// Where a machine gets its settings from, not from `flash`.
const AS_IT_IS: &str = "flash writes an image as it is. Change the configuration, and build again";

/// What is said of them by `boot`.
pub(super) const OF_BOOT: Answers = &[
    (
        &[
            "console",
            "display",
            "graphic",
            "gui",
            "headless",
            "no-graphic",
            "no-gui",
            "nographic",
            "screen",
            "serial",
            "vga",
            "vnc",
        ],
        "boot opens no window; it shows the machine's serial console in the terminal",
    ),
    (
        &["cores", "cpu", "cpus", "processors", "smp"],
        "sdbuild chooses the number of processors; --memory sets the memory",
    ),
    (
        &["bios", "efi", "ovmf", "uefi"],
        "leave it out; sdbuild chooses the firmware, and --firmware FILE names another one",
    ),
    (
        &["hostname", "name"],
        "leave it out; the machine has the name of its configuration, networking.hostName",
    ),
    (
        &["accel", "enable-kvm", "kvm"],
        "leave it out; sdbuild uses KVM where it works, unless you give --no-kvm",
    ),
    (
        &["forward", "hostfwd", "net", "netdev", "nic", "ssh-port"],
        "--port sets the local port that forwards to the machine's SSH: --port 2222",
    ),
    (
        &["cdrom", "disk", "drive", "file", "hda", "image", "input"],
        "give the image without a flag: sdbuild boot {}",
    ),
    (
        &[
            "ephemeral",
            "persist",
            "read-only",
            "rm",
            "ro",
            "save",
            "snapshot",
        ],
        "leave it out; boot never changes the image, and discards what the machine writes",
    ),
    (
        &["background", "d", "daemonize", "detach"],
        "boot runs in the foreground until the machine powers off",
    ),
    (
        &["it", "interactive", "privileged", "tty", "volume"],
        "leave it out; without a flag, boot shows the machine's console",
    ),
    (
        &["passwd", "password"],
        "to log in over SSH with a key: --until-ssh --login-key FILE",
    ),
    (
        &["login", "until"],
        "--until-login waits for the login prompt, and --until-ssh logs in over SSH",
    ),
    (
        &["shell"],
        "leave it out; without a flag, boot shows the machine's console",
    ),
    (
        &["append", "dtb", "initrd", "kernel"],
        "boot starts the kernel of the image. To change it, set boot.kernelPackages in the configuration and build again",
    ),
    (
        &["config", "flake"],
        "boot takes an image; `sdbuild build` makes one from a configuration",
    ),
];

/// What is said of them by `flash`.
pub(super) const OF_FLASH: Answers = &[
    (
        &[
            "devices",
            "drives",
            "l",
            "list",
            "list-devices",
            "list-drives",
        ],
        "`sdbuild flash` without arguments lists the cards",
    ),
    (
        &["expand", "grow", "resize", "size"],
        "flash writes an image as it is. Its file system grows to the size of the card on the first start",
    ),
    (
        &["f", "force"],
        "--yes skips the question, --unmount unmounts the disk first, and --allow-fixed accepts a disk that is not removable",
    ),
    (
        &["cli"],
        "flash works in the terminal: sdbuild flash IMAGE /dev/sdX",
    ),
    (
        &["disable-eject", "eject", "no-eject"],
        "leave it out; flash says when you can take the card out",
    ),
    (
        &["disable-telemetry", "enable-telemetry"],
        "leave it out; flash sends nothing to anybody",
    ),
    (
        &["checksum", "hash", "sha256"],
        "leave it out; flash checks the image against the file IMAGE.sha256 beside it",
    ),
    (
        &["bmap"],
        "leave it out; flash finds the block map IMAGE.bmap beside the image",
    ),
    (
        &["dry-run", "n"],
        "to list the disks without writing: sdbuild flash IMAGE",
    ),
    (
        &["erase", "format", "wipe"],
        "leave it out; the image replaces everything on the disk",
    ),
    (
        &["all"],
        "`sdbuild flash` without arguments lists the disks that it can write to",
    ),
    (
        &["json"],
        "flash has no --json; --json-events writes one JSON object per event",
    ),
    (
        &[
            "cloud-init",
            "cloudinit-networkconfig",
            "cloudinit-userdata",
            "enable-ssh",
            "first-run-script",
            "hostname",
            "key",
            "locale",
            "password",
            "set",
            "ssh",
            "ssh-key",
            "timezone",
            "user",
            "wifi",
            "wifi-passphrase",
            "wifi-password",
        ],
        AS_IT_IS,
    ),
    (
        &["config", "flake"],
        "flash takes an image; `sdbuild build` makes one from a configuration",
    ),
];

/// What is said of them by `inspect`.
pub(super) const OF_INSPECT: Answers = &[
    (
        &[
            "boot-loader",
            "hash",
            "hashes",
            "info",
            "partitions",
            "sha256",
            "size",
        ],
        "to show partitions, boot loader and hashes: sdbuild inspect IMAGE",
    ),
    (&["format"], "did you mean --json?"),
    (
        &["extract", "mount"],
        "inspect cannot mount an image, but it shows single files: sdbuild inspect IMAGE cat PATH",
    ),
    (
        &["config", "flake"],
        "inspect takes an image; `sdbuild build` makes one from a configuration",
    ),
];
