//! Flags of QEMU, docker, ssh, dd and Raspberry Pi Imager.

use super::table::Answers;

/// Where a machine gets its settings from, not from `flash`.
const AS_IT_IS: &str = "flash writes an image as it is: what a machine gets is in the configuration that `sdbuild build` makes it of";

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
        "boot has no screen: it shows the serial console of the machine in the terminal",
    ),
    (
        &["cores", "cpu", "cpus", "processors", "smp"],
        "sdbuild chooses the processors of the machine; --memory is its memory in MiB",
    ),
    (
        &["accel", "enable-kvm", "kvm"],
        "KVM is used where it works, unless --no-kvm is given",
    ),
    (
        &["forward", "hostfwd", "net", "netdev", "nic", "ssh-port"],
        "--port is the port of this machine that leads to SSH on the machine: --port 2222",
    ),
    (
        &["cdrom", "disk", "drive", "file", "hda", "image", "input"],
        "the image is an argument of its own: sdbuild boot {}",
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
        "boot never changes an image: what the machine writes is gone when it ends",
    ),
    (
        &["background", "d", "daemonize", "detach"],
        "boot runs in the foreground, until the machine is switched off",
    ),
    (
        &["it", "interactive", "privileged", "tty", "volume"],
        "without a flag, boot shows the console of the machine",
    ),
    (
        &["passwd", "password"],
        "sdbuild logs in by SSH with a key: --until-ssh --login-key FILE",
    ),
    (
        &["login", "until"],
        "--until-login waits for the login prompt, --until-ssh logs in by SSH",
    ),
    (
        &["shell"],
        "without a flag, boot shows the console of the machine",
    ),
    (
        &["append", "dtb", "initrd", "kernel"],
        "boot starts the kernel that the image has: what it is comes from the configuration that `sdbuild build` makes the image of",
    ),
    (
        &["config", "flake"],
        "boot takes an image, which `sdbuild build` makes of a configuration",
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
        "`sdbuild flash` alone lists the cards",
    ),
    (
        &["expand", "grow", "resize", "size"],
        "flash writes an image as it is: on the first start its file system grows to the size of the card",
    ),
    (
        &["f", "force"],
        "--yes asks nothing, --unmount unmounts the disk first, --allow-fixed accepts a disk that is not removable",
    ),
    (
        &["cli"],
        "flash has no window: sdbuild flash IMAGE /dev/sdX",
    ),
    (
        &["disable-eject", "eject", "no-eject"],
        "flash ejects nothing: at the end it says that you can take the card out",
    ),
    (
        &["checksum", "hash", "sha256"],
        "flash compares the image with the hash in the file beside it, IMAGE.sha256",
    ),
    (
        &["bmap"],
        "flash finds the block map beside the image, IMAGE.bmap",
    ),
    (
        &["dry-run", "n"],
        "without a disk, flash lists the disks and writes nothing: sdbuild flash IMAGE",
    ),
    (
        &["erase", "format", "wipe"],
        "the disk need not be erased: the image replaces what is on it",
    ),
    (
        &["all"],
        "`sdbuild flash` alone lists the disks that an image can be written to",
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
        ],
        AS_IT_IS,
    ),
    (
        &["config", "flake"],
        "flash takes an image, which `sdbuild build` makes of a configuration",
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
        "without a flag, inspect shows partitions, boot loader and hashes: sdbuild inspect IMAGE",
    ),
    (&["format"], "did you mean --json?"),
    (
        &["extract", "mount"],
        "inspect mounts nothing, and shows single files: sdbuild inspect IMAGE cat PATH",
    ),
    (
        &["config", "flake"],
        "inspect takes an image, which `sdbuild build` makes of a configuration",
    ),
];
