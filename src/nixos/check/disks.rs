//! The rules about file systems. Pure.

use std::borrow::Cow;

use super::Severity;
use super::facts::{ConfigFacts, FileSystemFacts};
use super::rule::Rule;

/// Size of a firmware partition in MiB that has room for the firmware of nixpkgs' image (nearly 30 MiB).
const MIN_FIRMWARE_MIB: u64 = 30;

/// The UUID that nixpkgs gives the root file system of an image (`nixos/lib/make-ext4-fs.nix`).
const DEFAULT_ROOT_UUID: &str = "44444444-4444-4444-8888-888888888888";

/// The number of the card's partition table where the configuration sets none (`sdImage.firmwarePartitionID`).
const DEFAULT_DISK_ID: &str = "2178694e";

/// What the names of disks begin with that the kernel gives in the order in which it finds them. The numbers of MMC hosts are fixed on
/// most boards.
const NUMBERED: [&str; 3] = ["/dev/sd", "/dev/nvme", "/dev/vd"];

/// The directory of the names that udev takes from file systems and partitions.
const BY_NAME: &str = "/dev/disk/by-";

pub(super) const RULES: [Rule; 9] = [
    Rule {
        id: "no-root",
        severity: Severity::Error,
        is: |facts, _| {
            (facts.card && facts.root.is_none()).then(|| "fileSystems.\"/\" is not set".into())
        },
        why: "the boot finds no root file system",
        add: &[
            "fileSystems.\"/\" = { device = \"/dev/disk/by-label/{root label}\"; fsType = \"ext4\"; };",
        ],
    },
    Rule {
        id: "other-root",
        severity: Severity::Error,
        is: |facts, _| is_other_root(facts).then(|| root_setting(facts)),
        why: "the image's root file system has another name, so the boot waits for a disk that does not exist",
        add: &["fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/{root label}\";"],
    },
    Rule {
        id: "root-type",
        severity: Severity::Error,
        is: |facts, _| {
            let other = other_root_type(facts)?;
            Some(format!("fileSystems.\"/\".fsType = \"{other}\""))
        },
        why: "the image's root file system is ext4, so the boot cannot mount it",
        add: &["fileSystems.\"/\".fsType = lib.mkForce \"ext4\";"],
    },
    Rule {
        id: "numbered-root",
        severity: Severity::Warning,
        is: |facts, _| {
            let is_numbered = Card::of(facts).is_some() && is_numbered(root_device(facts));
            is_numbered.then(|| root_setting(facts))
        },
        why: "the kernel numbers disks in the order in which it finds them, so the machine may not start from another \
              slot or beside another disk",
        add: &["fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/{root label}\";"],
    },
    Rule {
        id: "other-store",
        severity: Severity::Error,
        is: |facts, _| {
            let disk = other_store(facts)?;
            let device = disk.device.as_deref().unwrap_or_default();
            Some(format!("fileSystems.\"{}\" ({device})", disk.path))
        },
        why: "it hides the Nix store of the image, which has all programs, so the machine does not start. Start it \
              without this line and copy the store to that disk first",
        add: &[],
    },
    Rule {
        id: "needed-disk",
        severity: Severity::Warning,
        is: |facts, _| {
            let disks = needed_disks(facts).map(|disk| {
                let device = disk.device.as_deref().unwrap_or_default();
                format!("fileSystems.\"{}\" ({device}) without nofail", disk.path)
            });
            let disks: Vec<String> = disks.collect();
            (!disks.is_empty()).then(|| disks.join(", "))
        },
        why: "without that disk the machine stops in emergency mode, without network and SSH",
        add: &["fileSystems.{needed disk}.options = [ \"nofail\" ];"],
    },
    Rule {
        id: "mount-point",
        severity: Severity::Warning,
        is: |facts, _| {
            let mut paths = facts.file_systems.iter().map(|disk| disk.path.as_str());
            let relative = paths.find(|path| is_relative(path))?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
            let is_plain = relative.starts_with(is_name) && relative.chars().all(is_name);
            let meant = is_plain.then(|| format!(" (did you mean \"/{relative}\"?)"));
            let of_home = relative.strip_prefix("~/");
            let of_home = of_home.map(|path| format!(" (did you mean \"/home/NAME/{path}\"?)"));
            let meant = meant.or(of_home).unwrap_or_default();
            Some(format!("fileSystems.\"{relative}\"{meant}"))
        },
        why: "systemd mounts only at paths that begin with a slash, such as \"/data\", and ignores this one",
        add: &[],
    },
    Rule {
        id: "small-root",
        severity: Severity::Warning,
        is: |facts, _| {
            let grows = facts.root.as_ref().is_some_and(|root| root.grows);
            (facts.sd.grows == Some(false) && !grows).then(|| "sdImage.expandOnBoot = false".into())
        },
        why: "the root file system keeps the size that it has in the image, even on a larger card",
        add: &["sdImage.expandOnBoot = true;"],
    },
    Rule {
        id: "small-firmware",
        severity: Severity::Warning,
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

/// Whether systemd cannot mount at `path`.
fn is_relative(path: &str) -> bool {
    // What is written in place of a path that swap does not have.
    !path.starts_with('/') && !["none", "swap"].contains(&path)
}

fn is_numbered(device: &str) -> bool {
    NUMBERED.iter().any(|name| device.starts_with(name))
}

/// The names in `/dev` of the partitions of nixpkgs' SD card image.
struct Card<'a> {
    /// Of its root file system: by label and by UUID.
    root: [String; 2],
    /// Of its firmware partition: by label and by UUID.
    firmware: [String; 2],
    /// The number of its partition table.
    id: &'a str,
}

impl<'a> Card<'a> {
    /// `None` if the image is another one, of which nothing is known.
    fn of(facts: &'a ConfigFacts) -> Option<Self> {
        let sd = &facts.sd;
        let root = sd.root_label.as_deref().filter(|_| facts.card)?;
        let firmware = sd.firmware_label.as_deref()?;
        let id = sd.disk_id.as_deref().unwrap_or(DEFAULT_DISK_ID);
        let id = id.strip_prefix("0x").unwrap_or(id);
        let uuid = sd.root_uuid.as_deref().unwrap_or(DEFAULT_ROOT_UUID);
        let (high, low) = id.split_at_checked(4).unwrap_or_default();
        let fat = format!("{high}-{low}").to_uppercase();
        let names = |label: &str, uuid: &str| {
            [
                format!("{BY_NAME}label/{label}"),
                format!("{BY_NAME}uuid/{uuid}"),
            ]
        };
        Some(Self {
            root: names(root, uuid),
            firmware: names(firmware, &fat),
            id,
        })
    }

    fn has_root(&self, device: &str) -> bool {
        let partition = format!("{BY_NAME}partuuid/{}-02", self.id);
        device == partition || self.root.iter().any(|own| own == device)
    }

    fn has(&self, device: &str) -> bool {
        let named = self
            .root
            .iter()
            .chain(&self.firmware)
            .any(|own| own == device);
        let partition = device
            .strip_prefix(BY_NAME)
            .and_then(|name| name.strip_prefix("partuuid/"));
        named || partition.is_some_and(|name| name.starts_with(self.id))
    }
}

/// The path of a device that is given as in `fstab(5)`, such as `LABEL=NIXOS_SD`.
fn path_of(device: &str) -> Cow<'_, str> {
    let path = |kind: &str, name: &str| Cow::Owned(format!("{BY_NAME}{kind}/{name}"));
    match device.split_once('=') {
        Some(("LABEL", name)) => path("label", name),
        Some(("UUID", name)) => path("uuid", name),
        Some(("PARTUUID", name)) => path("partuuid", name),
        Some(("PARTLABEL", name)) => path("partlabel", name),
        Some(_) | None => Cow::Borrowed(device),
    }
}

/// Whether `fileSystems."/"` has the label or the UUID of another file system than that of nixpkgs' image.
fn is_other_root(facts: &ConfigFacts) -> bool {
    let device = path_of(root_device(facts));
    let name = device.strip_prefix(BY_NAME);
    let is_of_file_system =
        name.is_some_and(|name| name.starts_with("label/") || name.starts_with("uuid/"));
    let card = Card::of(facts).filter(|_| is_of_file_system);
    card.is_some_and(|card| !card.root.iter().any(|own| *own == device))
}

/// The type of `fileSystems."/"`, if that is the image's and has another one.
fn other_root_type(facts: &ConfigFacts) -> Option<&str> {
    let card = Card::of(facts)?;
    let of_image = card.has_root(&path_of(root_device(facts)));
    let kind = facts.root.as_ref()?.fs_type.as_deref()?;
    (of_image && !["ext4", "auto"].contains(&kind)).then_some(kind)
}

/// The file systems on other disks than the card, without which systemd stops in emergency mode.
fn needed_disks(facts: &ConfigFacts) -> impl Iterator<Item = &FileSystemFacts> {
    let card = Card::of(facts);
    let is_other = move |device: &str| {
        let device = path_of(device);
        let is_disk = device.starts_with(BY_NAME) || is_numbered(&device);
        is_disk
            && card
                .as_ref()
                .is_some_and(|card| !is_on_card(facts, card, &device))
    };
    let needed = facts.file_systems.iter().filter(|disk| disk.is_needed);
    needed.filter(move |disk| disk.device.as_deref().is_some_and(&is_other))
}

/// The file system on another disk than the card that is mounted over the Nix store.
fn other_store(facts: &ConfigFacts) -> Option<&FileSystemFacts> {
    let card = Card::of(facts)?;
    let is_store = |disk: &&FileSystemFacts| ["/nix", "/nix/store"].contains(&disk.path.as_str());
    let mut stores = facts.file_systems.iter().filter(is_store);
    stores.find(|disk| {
        let device = path_of(disk.device.as_deref().unwrap_or_default());
        device.starts_with("/dev/") && !is_on_card(facts, &card, &device)
    })
}

/// Whether `device` is a partition of the card, by a name of it or as that of the root file system.
fn is_on_card(facts: &ConfigFacts, card: &Card<'_>, device: &str) -> bool {
    card.has(device) || device == path_of(root_device(facts))
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
            "/dev/disk/by-label/nixos_sd",
            "LABEL=nixos",
            "/dev/disk/by-uuid/0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1",
        ] {
            assert_eq!(found(&[on(device)]), ["other-root"], "{device}");
            // Of another image nothing is known.
            let other = ("/sd/root_label", Value::Null);
            assert_eq!(found(&[on(device), other]), [""; 0]);
            assert_eq!(found(&[on(device), ("/card", json!(false))]), [""; 0]);
        }
        for device in ["/dev/sda2", "/dev/nvme0n1p2"] {
            assert_eq!(found(&[on(device)]), ["numbered-root"], "{device}");
        }
        for device in [
            "/dev/disk/by-label/NIXOS_SD",
            "LABEL=NIXOS_SD",
            "/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888",
            "/dev/disk/by-partuuid/2178694e-02",
            "/dev/mmcblk1p2",
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
    fn nothing_is_mounted_over_the_store_of_the_image() {
        let at = |path: &str, device: &str| {
            let disk = json!([{ "path": path, "device": device, "is_needed": false }]);
            found(&[("/file_systems", disk)])
        };
        for (path, device) in [("/nix", "/dev/sda1"), ("/nix/store", "LABEL=ssd")] {
            assert_eq!(at(path, device), ["other-store"], "{path} {device}");
        }
        let disk = json!([{ "path": "/nix", "device": "/dev/mmcblk0p2", "is_needed": false }]);
        let same = [
            ("/root/device", json!("/dev/mmcblk0p2")),
            ("/file_systems", disk),
        ];
        assert_eq!(found(&same), [""; 0], "the card itself");
        for (path, device) in [
            ("/nix", "LABEL=NIXOS_SD"),
            ("/nix", "/persist/nix"),
            ("/nix/var", "/dev/sda1"),
        ] {
            assert_eq!(at(path, device), [""; 0], "{path} {device}");
        }
    }

    #[test]
    fn disks_that_may_be_missing_have_nofail() {
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
        for unknown in ["/sd/root_label", "/sd/firmware_label"] {
            let changes = [disk("/boot", "LABEL=BOOT"), (unknown, Value::Null)];
            assert_eq!(found(&changes), [""; 0], "another image");
        }
        for (path, device) in [
            ("/", "/dev/disk/by-label/NIXOS_SD"),
            ("/home", "LABEL=NIXOS_SD"),
            (
                "/data",
                "/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888",
            ),
            ("/boot/firmware", "/dev/disk/by-label/FIRMWARE"),
            ("/boot/firmware", "/dev/disk/by-uuid/2178-694E"),
            ("/boot", "/dev/disk/by-partuuid/2178694e-01"),
            ("/boot", "/dev/mmcblk0p1"),
            ("/swap", "/dev/zram0"),
            ("/home", "/dev/vg/home"),
            ("/tmp", "tmpfs"),
            ("/srv", "nas:/srv"),
        ] {
            assert_eq!(found(&[disk(path, device)]), [""; 0], "{path} {device}");
        }
    }
}
