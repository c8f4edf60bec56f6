//! The rules about file systems. Pure.

use super::Severity;
use super::facts::{ConfigFacts, FileSystemFacts};
use super::rule::Rule;

/// Size of a firmware partition in MiB that has room for the firmware of nixpkgs' image (nearly 30 MiB).
const MIN_FIRMWARE_MIB: u64 = 30;

/// The UUID that nixpkgs gives the root file system of an image (`nixos/lib/make-ext4-fs.nix`).
const DEFAULT_ROOT_UUID: &str = "44444444-4444-4444-8888-888888888888";

/// What the names of disks begin with that the kernel numbers in the order in which it finds them.
const NUMBERED: [&str; 4] = ["/dev/sd", "/dev/nvme", "/dev/mmcblk", "/dev/vd"];

pub(super) const RULES: [Rule; 6] = [
    Rule {
        id: "no-root",
        severity: Severity::Trap,
        is: |facts, _| {
            (facts.card && facts.root.is_none()).then(|| "fileSystems.\"/\" is not set".into())
        },
        why: "the first stage of the boot finds no root file system",
        add: &[
            "fileSystems.\"/\" = { device = \"/dev/disk/by-label/NIXOS_SD\"; fsType = \"ext4\"; };",
        ],
    },
    Rule {
        id: "other-root",
        severity: Severity::Trap,
        is: |facts, _| is_other_root(facts).then(|| root_setting(facts)),
        why: "the image's root file system has another name, so the first stage of the boot waits for a disk that does not exist",
        add: &["fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/{root label}\";"],
    },
    Rule {
        id: "numbered-root",
        severity: Severity::Note,
        is: |facts, _| {
            let is_numbered = NUMBERED
                .iter()
                .any(|name| root_device(facts).starts_with(name));
            (facts.card && facts.sd.root_label.is_some() && is_numbered)
                .then(|| root_setting(facts))
        },
        why: "the kernel numbers disks in the order in which it finds them: from another slot or beside another disk the machine does not boot",
        add: &["fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/{root label}\";"],
    },
    Rule {
        id: "needed-disk",
        severity: Severity::Note,
        is: |facts, _| {
            let disks = needed_disks(facts).map(|disk| {
                let device = disk.device.as_deref().unwrap_or_default();
                format!("fileSystems.\"{}\" ({device}) without nofail", disk.path)
            });
            let disks: Vec<String> = disks.collect();
            (!disks.is_empty()).then(|| disks.join(", "))
        },
        why: "without that disk the machine stops in emergency mode: no network, no SSH",
        add: &["fileSystems.\"{needed disk}\".options = [ \"nofail\" ];"],
    },
    Rule {
        id: "small-root",
        severity: Severity::Note,
        is: |facts, _| {
            let grows = facts.root.as_ref().is_some_and(|root| root.grows);
            (facts.sd.grows == Some(false) && !grows).then(|| "sdImage.expandOnBoot = false".into())
        },
        why: "the root file system keeps the size that it has in the image, however large the card is",
        add: &["sdImage.expandOnBoot = true;"],
    },
    Rule {
        id: "small-firmware",
        severity: Severity::Note,
        is: |facts, _| {
            let size = facts
                .sd
                .firmware_mib
                .filter(|mib| *mib < MIN_FIRMWARE_MIB)?;
            Some(format!("sdImage.firmwareSize = {size}"))
        },
        why: "the firmware of nixpkgs' image for Raspberry Pis does not fit",
        add: &["sdImage.firmwareSize = 30;"],
    },
];

/// The label of the root file system in the image.
pub(super) fn root_label(facts: &ConfigFacts) -> &str {
    facts.sd.root_label.as_deref().unwrap_or("NIXOS_SD")
}

fn root_device(facts: &ConfigFacts) -> &str {
    let root = facts.root.as_ref();
    root.and_then(|root| root.device.as_deref())
        .unwrap_or_default()
}

fn root_setting(facts: &ConfigFacts) -> String {
    format!("fileSystems.\"/\".device = \"{}\"", root_device(facts))
}

/// Whether `fileSystems."/"` has the label or the UUID of another file system than that of nixpkgs' image.
fn is_other_root(facts: &ConfigFacts) -> bool {
    let Some(label) = facts.sd.root_label.as_deref().filter(|_| facts.card) else {
        return false;
    };
    let device = root_device(facts);
    let uuid = facts.sd.root_uuid.as_deref().unwrap_or(DEFAULT_ROOT_UUID);
    let is_other = |directory: &str, own: &str| {
        let name = device.strip_prefix(directory);
        name.is_some_and(|name| !name.eq_ignore_ascii_case(own))
    };
    is_other("/dev/disk/by-label/", label) || is_other("/dev/disk/by-uuid/", uuid)
}

/// The file systems on other disks than the card, without which the machine does not start.
fn needed_disks(facts: &ConfigFacts) -> impl Iterator<Item = &FileSystemFacts> {
    let own = [
        root_label(facts),
        facts.sd.firmware_label.as_deref().unwrap_or("FIRMWARE"),
    ];
    let own = own.map(|label| format!("/dev/disk/by-label/{label}"));
    let is_other = move |device: &str| {
        device.starts_with("/dev/")
            && !device.starts_with("/dev/mmcblk")
            && device != root_device(facts)
            && !own.iter().any(|own| own == device)
    };
    let disks = facts.file_systems.iter().filter(|_| facts.card);
    disks.filter(move |disk| disk.is_needed && disk.device.as_deref().is_some_and(&is_other))
}

/// Where the first of [`needed_disks`] is mounted.
pub(super) fn needed_disk(facts: &ConfigFacts) -> Option<&str> {
    needed_disks(facts).next().map(|disk| disk.path.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::{found, with};

    /// The first finding in the good facts with `changes`, with the lines to add.
    fn told(changes: &[(&str, Value)]) -> (String, Vec<String>) {
        let found = findings(&with(changes), "aarch64-linux", None);
        let first = found.into_iter().next().unwrap();
        (first.is, first.add)
    }

    #[test]
    fn the_root_file_system_is_that_of_the_image() {
        let on = |device: &str| ("/root/device", json!(device));
        for device in [
            "/dev/disk/by-label/nixos",
            "/dev/disk/by-uuid/0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1",
        ] {
            assert_eq!(found(&[on(device)]), ["other-root"], "{device}");
            // Of an own image nothing is known.
            assert_eq!(
                found(&[on(device), ("/sd/root_label", Value::Null)]),
                [""; 0]
            );
            assert_eq!(found(&[on(device), ("/card", json!(false))]), [""; 0]);
        }
        for device in ["/dev/sda2", "/dev/mmcblk1p2", "/dev/nvme0n1p2"] {
            assert_eq!(found(&[on(device)]), ["numbered-root"], "{device}");
        }
        for device in [
            "/dev/disk/by-label/NIXOS_SD",
            "/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888",
            "/dev/disk/by-partuuid/2178694e-02",
            "/dev/mapper/root",
            "none",
        ] {
            assert_eq!(found(&[on(device)]), [""; 0], "{device}");
        }
        let labelled = [
            on("/dev/disk/by-label/NIXOS_SD"),
            ("/sd/root_label", json!("STICK")),
        ];
        let line = "fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/STICK\";";
        let (setting, lines) = told(&labelled);
        assert_eq!(
            setting,
            "fileSystems.\"/\".device = \"/dev/disk/by-label/NIXOS_SD\""
        );
        assert_eq!(lines, [line]);
    }

    #[test]
    fn a_disk_that_may_be_missing_does_not_keep_the_machine_from_starting() {
        let disk = |path: &str, device: &str| {
            let disk = json!([{ "path": path, "device": device, "is_needed": true }]);
            ("/file_systems", disk)
        };
        let (setting, lines) = told(&[disk("/data", "/dev/disk/by-label/DATA")]);
        assert_eq!(
            setting,
            "fileSystems.\"/data\" (/dev/disk/by-label/DATA) without nofail"
        );
        assert_eq!(lines, ["fileSystems.\"/data\".options = [ \"nofail\" ];"]);
        assert_eq!(found(&[disk("/data", "/dev/sda1")]), ["needed-disk"]);
        for (path, device) in [
            ("/", "/dev/disk/by-label/NIXOS_SD"),
            ("/home", "/dev/disk/by-label/NIXOS_SD"),
            ("/boot/firmware", "/dev/disk/by-label/FIRMWARE"),
            ("/boot", "/dev/mmcblk0p1"),
            ("/tmp", "tmpfs"),
            ("/srv", "nas:/srv"),
        ] {
            assert_eq!(found(&[disk(path, device)]), [""; 0], "{path} {device}");
        }
    }
}
