//! Why a boot failed, from the lines on the console and ssh's last error. The texts are those of U-Boot, QEMU's firmware, Linux, systemd
//! and NixOS' stage 1.

use crate::login::is_refusal;
use sdbuild_core::text::truncate;

/// Characters of a console line that are quoted in a diagnosis.
const MAX_QUOTE_CHARS: usize = 200;

/// What a failed boot left to examine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'a> {
    /// The lines of the console.
    pub(super) lines: &'a [String],
    /// The last error message of ssh.
    pub(super) ssh_error: Option<&'a str>,
}

/// What a failed boot usually means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The problem.
    pub(super) what: String,
    /// The hint for the user.
    pub(super) hint: &'static str,
}

impl Symptom {
    /// The first line that shows this symptom.
    fn find<'a>(&self, lines: &'a [String]) -> Option<&'a String> {
        let shows = |line: &&String| self.texts.iter().any(|text| matches(line, text));
        lines.iter().find(shows)
    }

    /// The diagnosis, with a quote of `line`, which may name a file or a device.
    fn diagnosis(&self, line: &str) -> Diagnosis {
        let what = match line {
            U_BOOT_PROMPT | PI_PROMPT => self.what.to_owned(),
            line => format!("{}: {}", self.what, quote(line)),
        };
        Diagnosis {
            what,
            hint: self.hint,
        }
    }
}

/// A line without the kernel's time stamp or systemd's status in brackets, shortened.
fn quote(line: &str) -> String {
    let line = line.trim();
    let text = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, rest)| rest);
    truncate(text.trim(), MAX_QUOTE_CHARS).into_owned()
}

fn matches(line: &str, text: &str) -> bool {
    match text {
        U_BOOT_PROMPT | PI_PROMPT => line == text,
        // The test image has the same beginning in its message about growing the partition.
        "stage 1: " => line.starts_with(text) && line.ends_with("; a shell follows"),
        text => line.contains(text),
    }
}

/// Whether the boot cannot succeed any more after `line`.
pub(super) fn is_final(line: &str) -> bool {
    FINAL_LINES.iter().any(|text| matches(line, text))
}

/// Whether U-Boot is done after a line, and the kernel runs.
pub(super) fn is_kernel_start(line: &str) -> bool {
    ["Starting kernel ...", "Booting Linux on physical CPU"]
        .iter()
        .any(|text| line.contains(text))
}

/// Whether Linux has twice failed to address a device that was plugged into a USB port (`hub_port_connect` in its
/// drivers/usb/core/hub.c). QEMU's controller of the Raspberry Pi misses transfers when its machine is held up.
pub(super) fn is_usb_failure(line: &str) -> bool {
    line.contains("attempt power cycle") || line.contains("unable to enumerate USB device")
}

/// Whether a line ends with the prompt of a login. A kernel message may follow on the same line.
pub(super) fn is_prompt(line: &str) -> bool {
    line.contains(LOGIN_PROMPT)
}

/// What to do if the serial console of `lines` cannot ask for a login; `None` if it can.
pub(super) fn hint_without_prompt(lines: &[String]) -> Option<&'static str> {
    let mut lines = lines.iter();
    lines
        .any(|line| line.contains(PORT_OF_A_DEVICE))
        .then_some(OTHER_PORT)
}

/// Whether a line says that Linux is done, on a machine that it cannot switch off.
pub(super) fn is_halted(line: &str) -> bool {
    line.contains("reboot: ") && line.contains("System halted")
}

/// Which part of the boot a line shows: its number, which grows, and what happens in it.
pub(super) fn part(line: &str) -> Option<(usize, &'static str)> {
    let number = STAGES.iter().rposition(|stage| stage.is_shown_by(line))?;
    STAGES.get(number).map(|stage| (number, stage.happens))
}

/// What the evidence usually means.
pub(super) fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let lines = evidence.lines;
    let has_failed = lines.iter().any(|line| is_final(line));
    let is_up = evidence.ssh_error.is_some_and(is_refusal)
        || lines.iter().any(|line| line.contains(LOGIN_PROMPT));
    // An earlier symptom did not keep a system from coming up that is up.
    if is_up && !has_failed {
        return diagnose_stage(evidence);
    }
    // Where Linux shows no disk, no name of a root file system can be right.
    let no_disk = NO_DISK.find(lines).filter(|_| lacks_disk(lines));
    if let Some(line) = no_disk {
        return NO_DISK.diagnosis(line);
    }
    SYMPTOMS
        .iter()
        .find_map(|symptom| Some(symptom.diagnosis(symptom.find(lines)?)))
        .unwrap_or_else(|| diagnose_stage(evidence))
}

/// Whether Linux shows its messages, and among them none about a disk.
fn lacks_disk(lines: &[String]) -> bool {
    let shows = |texts: &[&str]| {
        let has = |line: &String| texts.iter().any(|text| line.contains(text));
        lines.iter().any(has)
    };
    shows(&["Linux version "]) && !shows(&DISK_MESSAGES)
}

/// Whether `line` is U-Boot's about the kernel's command line, and that has the serial port of QEMU's ARM machines.
fn names_console(line: &str) -> bool {
    line.starts_with("append: ") && line.contains("console=ttyAMA0")
}

/// How far a boot came that has not failed.
fn diagnose_stage(evidence: &Evidence<'_>) -> Diagnosis {
    if let Some(error) = evidence.ssh_error.filter(|error| is_refusal(error)) {
        return REFUSED_KEY.diagnosis(error);
    }
    let reached = |stage: &&Stage| evidence.lines.iter().any(|line| stage.is_shown_by(line));
    let (what, hint) = match STAGES.iter().rev().find(reached) {
        Some(stage)
            if stage.texts.contains(&KERNEL_STARTED)
                && evidence.lines.iter().any(|line| names_console(line)) =>
        {
            (stage.what, SILENT_KERNEL)
        }
        Some(stage) => (stage.what, stage.hint),
        None if evidence.lines.is_empty() => (
            "the console stayed empty",
            "the firmware may be for another machine; check --firmware and --system",
        ),
        None => (LOOKS_FOR_A_SYSTEM, MORE_TIME),
    };
    let what = what.to_owned();
    Diagnosis { what, hint }
}

impl Stage {
    fn is_shown_by(&self, line: &str) -> bool {
        self.texts.iter().any(|text| line.contains(text))
    }
}

/// A text on the console and what it means.
struct Symptom {
    /// Texts of which a line contains one.
    texts: &'static [&'static str],
    /// The problem that the text indicates.
    what: &'static str,
    /// The hint for the user.
    hint: &'static str,
}

const NO_KERNEL: &str = "the menu in /boot/extlinux and the files in /boot/nixos are from different builds. Build the \
                         image again, and check what populateRootCommands and postBuildCommands do";
/// Linux waits for the root file system, and has shown no disk.
const NO_DISK: Symptom = Symptom {
    texts: &MISSING_ROOT,
    what: "Linux found no disk, so it has no driver for the one with the root file system",
    hint: NO_DRIVER,
};
/// What Linux' drivers say of a disk that they find.
const DISK_MESSAGES: [&str; 7] = [
    "-byte logical blocks",
    "-byte physical blocks",
    "mmcblk",
    "nvme0",
    " sda:",
    " vda:",
    "EXT4-fs (",
];
/// What the first stage says of a root file system that it does not find.
const MISSING_ROOT: [&str; 3] = [
    "Timed out waiting for device",
    "timed out waiting for device",
    "stage 1: no root file system",
];
const NO_ROOT: &str = "`fileSystems.\"/\".device` must name the root file system of the image. Leave it to the module that \
                       makes the image: the label is NIXOS_SD on nixpkgs' SD card, and nixos on its disks";
const NO_DRIVER: &str = "the kernel cannot reach the root file system. Check the INITRD line of the boot menu, \
                         boot.initrd.availableKernelModules (virtio_pci and virtio_blk here) and root=";

/// Symptoms of a failed boot; the first one that is found is the most specific.
const SYMPTOMS: [Symptom; 17] = [
    Symptom {
        texts: &["for failure retrieving kernel"],
        what: "the boot menu names a kernel that is not in the image",
        hint: NO_KERNEL,
    },
    Symptom {
        texts: &[
            "for failure retrieving initrd",
            "for failure retrieving FDT",
        ],
        what: "the boot menu names a file that is not in the image",
        hint: NO_KERNEL,
    },
    Symptom {
        texts: &["Did not find a cmdline Flattened Device Tree"],
        what: "the kernel is too large for this U-Boot and has overwritten the device tree",
        hint: "set boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false, to use the device tree of the firmware \
            partition. Or use a smaller kernel, or a newer U-Boot",
    },
    Symptom {
        texts: &[
            "Wrong Ramdisk Image Format",
            "Ramdisk image is corrupt or invalid",
        ],
        what: "the kernel has overwritten the initrd, or the initrd is damaged",
        hint: "use a smaller kernel, or a newer U-Boot; sdbuild inspect says where they overlap",
    },
    Symptom {
        texts: &["Bad Linux ARM64 Image magic", "Wrong Image Format for"],
        what: "the kernel in the image is not for this machine",
        hint: "set nixpkgs.hostPlatform to aarch64-linux",
    },
    Symptom {
        texts: &[
            "No partition table",
            "No bootable device",
            "Boot failed: not a bootable disk",
        ],
        what: "the firmware found no bootable device",
        hint: "the file is not a disk image, or has no boot loader for this machine (--system)",
    },
    Symptom {
        texts: &["extends beyond EOD", "bad geometry: block count"],
        what: "the image is incomplete: a partition ends beyond its end",
        hint: "copy or build it again, and check that the disk it is stored on is not full",
    },
    Symptom {
        texts: &["Unable to mount root fs", "Cannot open root device"],
        what: "the kernel cannot mount the root file system",
        hint: NO_DRIVER,
    },
    Symptom {
        texts: &[
            "can't execute '/nix/store",
            "stage 2 init script",
            "No working init found",
            "Failed to execute /init",
        ],
        what: "the system that the boot menu names is not in the image",
        hint: "init= in the boot menu must name a system in sdImage.storePaths; build the image again",
    },
    Symptom {
        texts: &MISSING_ROOT,
        what: "a file system that the configuration names is not in the image",
        hint: NO_ROOT,
    },
    Symptom {
        texts: &[
            "stage 1: cannot mount",
            " on /mnt-root/ failed",
            "Failed to mount /sysroot",
        ],
        what: "stage 1 cannot mount the root file system",
        hint: "the root file system is damaged or of another type than `fileSystems.\"/\".fsType`",
    },
    Symptom {
        texts: &[
            "An error occurred in stage 1 of the boot process",
            "stage 1: no init=",
        ],
        what: "stage 1 failed",
        hint: "its last lines show where; boot.shell_on_fail in boot.kernelParams opens a shell there",
    },
    Symptom {
        texts: &[
            "You are in emergency mode",
            "Cannot open access to console, the root account is locked",
            "Give root password for maintenance",
        ],
        what: "the system stopped in emergency mode",
        hint: "a required unit failed, usually a mount (see `FAILED` and `DEPEND` above). Give file systems that may be \
               missing the option `nofail`",
    },
    Symptom {
        texts: &[
            "Out of memory and no killable processes",
            "System is deadlocked on memory",
        ],
        what: "the machine has too little memory",
        hint: "give it more with --memory",
    },
    Symptom {
        texts: &["Kernel panic - not syncing"],
        what: "the kernel panicked",
        hint: "the lines before the panic show why",
    },
    Symptom {
        texts: &[
            "Synchronous Abort",
            "### ERROR ### Please RESET the board ###",
        ],
        what: "the firmware crashed",
        hint: "try another U-Boot with --firmware",
    },
    Symptom {
        texts: &[U_BOOT_PROMPT, PI_PROMPT],
        what: "U-Boot found no boot loader in the image: no extlinux menu, no script, no EFI program",
        hint: "set boot.loader.generic-extlinux-compatible.enable = true and boot.loader.grub.enable = false, \
            or import the sd-image module",
    },
];

/// U-Boot's prompt, shown when all boot methods have failed. It is a line without an end.
const U_BOOT_PROMPT: &str = "=> ";

/// The same of U-Boot for Raspberry Pis.
const PI_PROMPT: &str = "U-Boot> ";

/// The prompt of getty, which kernel messages often follow on the same line.
const LOGIN_PROMPT: &str = " login: ";

/// Linux gives the port to a device that is wired to it, such as a Bluetooth chip: its messages still show there, and no program
/// can open it.
const PORT_OF_A_DEVICE: &str = ": tty port ttyAMA0 registered";

/// The hint when Linux uses the other serial port.
const OTHER_PORT: &str = "Linux uses ttyAMA0 for Bluetooth, so no prompt appears there. Add \
                                     console=ttyS1,115200n8 to boot.kernelParams, or wait for a login over SSH \
                                     (--until-ssh)";

/// Texts after which the boot cannot succeed any more.
const FINAL_LINES: [&str; 10] = [
    U_BOOT_PROMPT,
    PI_PROMPT,
    "No bootable device.",
    "Please RESET the board",
    "Kernel panic - not syncing",
    "stage 1: ",
    "An error occurred in stage 1 of the boot process",
    "You are in emergency mode",
    "Cannot open access to console, the root account is locked",
    "Give root password for maintenance",
];

/// The SSH server answers and refuses the key.
const REFUSED_KEY: Symptom = Symptom {
    texts: &[],
    what: "the machine is up, but its SSH server refuses the key",
    hint: "the account must exist and have the public half of the key in users.users.<name>.openssh.authorizedKeys.keys; \
        `sdbuild boot --until-ssh --login-key FILE --user NAME` tries another key and account",
};

/// What U-Boot writes last.
const KERNEL_STARTED: &str = "Starting kernel ...";

/// The hint when the kernel was started with the console that sdbuild reads, and has not written to it.
const SILENT_KERNEL: &str = "emulation is slow; give it more time with --timeout";

const LOOKS_FOR_A_SYSTEM: &str = "the firmware was still looking for something to start";
const MORE_TIME: &str = "give it more time with --timeout";

/// A part of a boot that its console shows.
struct Stage {
    /// Texts of which a line contains one.
    texts: &'static [&'static str],
    /// What happens then.
    happens: &'static str,
    /// What it means when the time limit ends in this stage.
    what: &'static str,
    /// The hint for the user.
    hint: &'static str,
}

/// The stages of a boot in their order.
const STAGES: [Stage; 7] = [
    Stage {
        texts: &["SeaBIOS (version", "BdsDxe: "],
        happens: "the firmware is looking for a system",
        what: LOOKS_FOR_A_SYSTEM,
        hint: MORE_TIME,
    },
    Stage {
        texts: &["U-Boot 20"],
        happens: "U-Boot is looking for a system",
        what: LOOKS_FOR_A_SYSTEM,
        hint: MORE_TIME,
    },
    Stage {
        texts: &[KERNEL_STARTED],
        happens: "U-Boot has started the kernel",
        what: "the kernel was started and prints nothing",
        hint: "add console=ttyAMA0 (ttyS0 on a PC) to boot.kernelParams; the machine may be up nevertheless",
    },
    Stage {
        texts: &["Linux version ", "Booting Linux on physical CPU"],
        happens: "the kernel starts",
        what: "the kernel starts, but no system came up in time",
        hint: "give it more time with --timeout, and check that the kernel's last `console=` is this machine's \
            (ttyAMA0, or ttyS0 on a PC)",
    },
    Stage {
        texts: &["NixOS Stage 1", "Running in initrd"],
        happens: "stage 1 looks for the root file system",
        what: "stage 1 of the boot is still waiting, usually for the root file system",
        hint: NO_ROOT,
    },
    Stage {
        texts: &["NixOS Stage 2", "Welcome to NixOS"],
        happens: "the system starts",
        what: "the system starts, but it was not ready in time",
        hint: "give it more time with --timeout. Emulation is slow, and the first boot generates the host keys",
    },
    Stage {
        texts: &[LOGIN_PROMPT],
        happens: "the console asks for a login",
        what: "the machine is up (its console asks for a login), but nothing answers on its SSH port",
        hint: "set services.openssh.enable = true, and open its port in the firewall. The login uses the server's first port, or \
            22 if sdbuild cannot read the image's file system",
    },
];

#[cfg(test)]
mod tests;
