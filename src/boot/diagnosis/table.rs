//! The texts on a console and what they usually mean, as data.

/// A text on the console and what it means.
pub(super) struct Symptom {
    /// Any of these in a line.
    pub(super) texts: &'static [&'static str],
    pub(super) what: &'static str,
    pub(super) hint: &'static str,
    /// Whether the line itself says more: which file, which device.
    pub(super) quote: bool,
}

const NO_KERNEL: &str = "the menu in /boot/extlinux and the files in /boot/nixos are not of one build: \
    build the image again, and look at what populateRootCommands and postBuildCommands do";
const NO_ROOT: &str = "`fileSystems.\"/\"` and the image's own label have to agree: leave both to the sd-image module, or \
    set sdImage.rootVolumeLabel";
const NO_DRIVER: &str = "the kernel came up without what finds the root: the menu's INITRD line, \
    boot.initrd.availableKernelModules (virtio_pci and virtio_blk here), and root= have to be right";

/// What fails; the first that is found tells most.
pub(super) const SYMPTOMS: [Symptom; 15] = [
    Symptom {
        texts: &["for failure retrieving kernel"],
        what: "the boot menu names a kernel that is not in the image",
        hint: NO_KERNEL,
        quote: false,
    },
    Symptom {
        texts: &[
            "for failure retrieving initrd",
            "for failure retrieving FDT",
        ],
        what: "the boot menu names a file that is not in the image",
        hint: NO_KERNEL,
        quote: true,
    },
    Symptom {
        texts: &["Bad Linux ARM64 Image magic", "Wrong Image Format for"],
        what: "the kernel in the image is none for this machine",
        hint: "see that nixpkgs.hostPlatform is aarch64-linux",
        quote: true,
    },
    Symptom {
        texts: &[
            "No partition table",
            "No bootable device",
            "Boot failed: not a bootable disk",
        ],
        what: "the firmware found nothing on the disk that it could start: no bootable device",
        hint: "this is no image of a disk, or it has no boot loader for this machine: see --system",
        quote: false,
    },
    Symptom {
        texts: &["extends beyond EOD", "bad geometry: block count"],
        what: "the image is not whole: a partition goes beyond its end",
        hint: "copy or build it again, and see that the disk that it lies on is not full",
        quote: true,
    },
    Symptom {
        texts: &["Unable to mount root fs", "Cannot open root device"],
        what: "the kernel cannot mount the root file system",
        hint: NO_DRIVER,
        quote: true,
    },
    Symptom {
        texts: &[
            "can't execute '/nix/store",
            "stage 2 init script",
            "No working init found",
            "Failed to execute /init",
        ],
        what: "the system that the boot menu names is not in the image",
        hint: "the menu's init= has to name a system in sdImage.storePaths: build the image again",
        quote: true,
    },
    Symptom {
        texts: &[
            "Timed out waiting for device",
            "stage 1: no root file system",
        ],
        what: "a file system that the configuration names is not in the image",
        hint: NO_ROOT,
        quote: true,
    },
    Symptom {
        texts: &[
            "stage 1: cannot mount",
            " on /mnt-root/ failed",
            "Failed to mount /sysroot",
        ],
        what: "stage 1 cannot mount the root file system",
        hint: "the root file system is damaged or of another type than `fileSystems.\"/\".fsType` says",
        quote: true,
    },
    Symptom {
        texts: &[
            "An error occurred in stage 1 of the boot process",
            "stage 1: no init=",
        ],
        what: "stage 1 failed",
        hint: "its last lines say where; boot.shell_on_fail in boot.kernelParams gives a shell there",
        quote: false,
    },
    Symptom {
        texts: &[
            "You are in emergency mode",
            "Cannot open access to console, the root account is locked",
            "Give root password for maintenance",
        ],
        what: "the system stopped in emergency mode",
        hint: "a unit that it cannot do without failed, mostly a mount: see `FAILED` and `DEPEND` above, and give \
            file systems that may be missing the option `nofail`",
        quote: false,
    },
    Symptom {
        texts: &[
            "Out of memory and no killable processes",
            "System is deadlocked on memory",
        ],
        what: "the machine's memory is not enough",
        hint: "give it more with --memory",
        quote: false,
    },
    Symptom {
        texts: &["Kernel panic - not syncing"],
        what: "the kernel panicked",
        hint: "the lines before the panic say why",
        quote: true,
    },
    Symptom {
        texts: &[
            "Synchronous Abort",
            "### ERROR ### Please RESET the board ###",
        ],
        what: "the firmware crashed",
        hint: "try another U-Boot with --firmware",
        quote: false,
    },
    Symptom {
        texts: &[U_BOOT],
        what: "U-Boot found no boot loader in the image: no extlinux menu, no script, no EFI program",
        hint: "set boot.loader.generic-extlinux-compatible.enable = true and boot.loader.grub.enable = false, \
            or import the sd-image module",
        quote: false,
    },
];

/// U-Boot's prompt: whatever it tried has failed. Not followed by a line's end.
pub(super) const U_BOOT: &str = "=> ";

/// getty's prompt, which often has something else after it.
pub(super) const LOGIN: &str = " login: ";

/// After one of these nothing comes any more, however long one waits.
pub(super) const ENDS: [&str; 9] = [
    U_BOOT,
    "No bootable device.",
    "Please RESET the board",
    "Kernel panic - not syncing",
    "stage 1: ",
    "An error occurred in stage 1 of the boot process",
    "You are in emergency mode",
    "Cannot open access to console, the root account is locked",
    "Give root password for maintenance",
];

/// ssh was let talk to the server.
pub(super) const REFUSED: Symptom = Symptom {
    texts: &[],
    what: "the machine is up, but its SSH server refuses the key",
    hint: "see that users.users.<name>.openssh.authorizedKeys.keys has the public half of the key, and name key and \
        user with --ssh-key and --user",
    quote: true,
};

/// What the farthest line that was reached means when the time is up; the farthest first.
pub(super) const STAGES: [Symptom; 5] = [
    Symptom {
        texts: &[LOGIN],
        what: "the machine is up (its console asks for a login), but nothing answers on its SSH port",
        hint: "set services.openssh.enable = true; a firewall of your own has to leave port 22 open",
        quote: false,
    },
    Symptom {
        texts: &["NixOS Stage 2", "Welcome to NixOS"],
        what: "the system starts, but it was not ready in time",
        hint: "give it more time with --timeout: emulation is slow, and the first boot makes the host's keys",
        quote: false,
    },
    Symptom {
        texts: &["NixOS Stage 1", "Running in initrd"],
        what: "stage 1 still waits, mostly for the root file system",
        hint: NO_ROOT,
        quote: false,
    },
    Symptom {
        texts: &["Linux version ", "Booting Linux on physical CPU"],
        what: "the kernel starts, but no system came up in time",
        hint: "give it more time with --timeout, and see that the kernel's last `console=` is this machine's \
            (ttyAMA0, or ttyS0 on a PC)",
        quote: false,
    },
    Symptom {
        texts: &["Starting kernel ..."],
        what: "the kernel was started and says nothing",
        hint: "add console=ttyAMA0 (ttyS0 on a PC) to boot.kernelParams; the machine may be up all the same",
        quote: false,
    },
];

/// Not a line came.
pub(super) const SILENCE: Symptom = Symptom {
    texts: &[],
    what: "the console stayed empty",
    hint: "the firmware may be one for another machine: see --firmware and --system",
    quote: false,
};

/// Lines came, but none that is known.
pub(super) const FIRMWARE: Symptom = Symptom {
    texts: &[],
    what: "the firmware was still looking for something to start",
    hint: "give it more time with --timeout",
    quote: false,
};
