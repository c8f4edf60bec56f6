//! The rules about file systems. Pure.

use std::borrow::Cow;

use super::facts::{ConfigFacts, FileSystemFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, OptionPath, member};
use sdbuild_core::nix_string::nix_string;

/// The UUID that nixpkgs gives the root file system of an image (`nixos/lib/make-ext4-fs.nix`).
const DEFAULT_ROOT_UUID: &str = "44444444-4444-4444-8888-888888888888";
/// The number of the card's partition table where the configuration sets none (`sdImage.firmwarePartitionID`).
const DEFAULT_DISK_ID: &str = "2178694e";
/// The label of the root file system where the configuration sets none.
const DEFAULT_ROOT_LABEL: &str = "NIXOS_SD";
/// What the names of disks begin with that are no MMC of the board.
const OTHER_DISKS: [&str; 3] = ["/dev/sd", "/dev/nvme", "/dev/vd"];
/// The directory of the names that udev takes from file systems and partitions.
const BY_NAME: &str = "/dev/disk/by-";

/// What is wrong with the file systems.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let root = [no_root(facts), other_root(facts), root_type(facts)];
    let needed = needed_disks(facts).map(needed_disk);
    root.into_iter().flatten().chain(needed).collect()
}

fn root_option(name: &str) -> OptionPath {
    member("fileSystems", "/", name)
}

/// The path of the image's root file system, as source text of Nix.
fn image_root(facts: &ConfigFacts) -> String {
    let label = facts.sd.root_label.as_deref();
    nix_string(&format!(
        "{BY_NAME}label/{}",
        label.unwrap_or(DEFAULT_ROOT_LABEL)
    ))
}

fn root_device(facts: &ConfigFacts) -> &str {
    let root = facts.root.as_ref();
    let device = root.and_then(|root| root.device.as_deref());
    device.unwrap_or_default()
}

fn no_root(facts: &ConfigFacts) -> Option<Finding> {
    let option = member("fileSystems", "/", "");
    let finding = Finding::of_option(
        "no-root",
        Error,
        option.clone(),
        " is not set",
        "the boot finds no root file system",
    );
    (facts.card && facts.root.is_none()).then(|| {
        let value = format!("{{ device = {}; fsType = \"ext4\"; }}", image_root(facts));
        finding.fix([Change::set(option, value)])
    })
}

/// The root has the label or the UUID of another file system than that of nixpkgs' image.
fn other_root(facts: &ConfigFacts) -> Option<Finding> {
    let device = path_of(root_device(facts));
    let name = device.strip_prefix(BY_NAME)?;
    let is_of_file_system = name.starts_with("label/") || name.starts_with("uuid/");
    let card = Card::of(facts).filter(|_| is_of_file_system)?;
    let option = root_option("device");
    let finding = Finding::of_value(
        "other-root",
        Error,
        option.clone(),
        nix_string(root_device(facts)),
        "the image's root file system has another name, so the boot waits for a disk that does not exist",
    );
    let change = Change::set(option, format!("lib.mkForce {}", image_root(facts)));
    let is_other = !card.root.iter().any(|own| *own == device);
    is_other.then(|| finding.fix([change]))
}

/// The root is that of the image, with another type.
fn root_type(facts: &ConfigFacts) -> Option<Finding> {
    let card = Card::of(facts)?;
    let kind = facts.root.as_ref()?.fs_type.as_deref()?;
    let is_other = card.has_root(&path_of(root_device(facts))) && !["ext4", "auto"].contains(&kind);
    let option = root_option("fsType");
    let finding = Finding::of_value(
        "root-type",
        Error,
        option.clone(),
        nix_string(kind),
        "the image's root file system is ext4, so the boot cannot mount it",
    );
    is_other.then(|| finding.fix([Change::set(option, "lib.mkForce \"ext4\"")]))
}

fn needed_disk(disk: &FileSystemFacts) -> Finding {
    let option = member("fileSystems", &disk.path, "");
    let device = disk.device.as_deref().unwrap_or_default();
    let change = Change::add(
        member("fileSystems", &disk.path, "options"),
        [nix_string("nofail")],
    );
    let finding = Finding::of_option(
        "needed-disk",
        Warning,
        option,
        format!(" ({device}) without nofail"),
        "without that disk the machine stops in emergency mode, without network and SSH",
    );
    finding.fix([change])
}

/// The file systems on other disks than the card, without which systemd stops in emergency mode.
fn needed_disks(facts: &ConfigFacts) -> impl Iterator<Item = &FileSystemFacts> {
    let card = Card::of(facts);
    let root = path_of(root_device(facts));
    let is_other = move |device: &str| {
        let device = path_of(device);
        let is_disk = |start: &&str| device.starts_with(*start);
        let is_disk = device.starts_with(BY_NAME) || OTHER_DISKS.iter().any(is_disk);
        let is_on_card = |card: &Card<'_>| card.has(&device) || device == root;
        is_disk && card.as_ref().is_some_and(|card| !is_on_card(card))
    };
    let needed = facts.file_systems.iter().filter(|disk| disk.is_needed);
    needed.filter(move |disk| disk.device.as_deref().is_some_and(&is_other))
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
            let name = |kind: &str, name: &str| format!("{BY_NAME}{kind}/{name}");
            [name("label", label), name("uuid", uuid)]
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
        let mut named = self.root.iter().chain(&self.firmware);
        let partition = device.strip_prefix(BY_NAME);
        let partition = partition.and_then(|name| name.strip_prefix("partuuid/"));
        named.any(|own| own == device) || partition.is_some_and(|name| name.starts_with(self.id))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{assert_found, found};

    #[test]
    fn the_root_file_system_is_that_of_the_image() {
        let on = |device: &str| ("/root/device", json!(device));
        assert_found(&[
            ("no-root", "fileSystems.\"/\"", &[("/root", Value::Null)]),
            (
                "root-type",
                "fileSystems.\"/\".fsType",
                &[("/root/fs_type", json!("btrfs"))],
            ),
        ]);
        for device in [
            "/dev/disk/by-label/nixos",
            "/dev/disk/by-label/nixos_sd",
            "LABEL=nixos",
            "/dev/disk/by-uuid/0af0e371-4b1e-4b5c-8c1e-0d6a32e2b2b1",
        ] {
            assert_found(&[("other-root", "fileSystems.\"/\".device", &[on(device)])]);
            // Of another image nothing is known.
            let other = ("/sd/root_label", Value::Null);
            assert_eq!(found(&[on(device), other]), [""; 0]);
            assert_eq!(found(&[on(device), ("/card", json!(false))]), [""; 0]);
        }
        for device in [
            "LABEL=NIXOS_SD",
            "/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888",
            "/dev/disk/by-partuuid/2178694e-02",
            "/dev/mmcblk1p2",
            "/dev/mapper/root",
            "none",
        ] {
            assert_eq!(found(&[on(device)]), [""; 0], "{device}");
        }
        // The root file system of another disk has the type that it has.
        for device in [
            "none",
            "/dev/mapper/root",
            "/dev/disk/by-partuuid/2178694e-03",
        ] {
            let other = [on(device), ("/root/fs_type", json!("btrfs"))];
            assert_eq!(found(&other), [""; 0], "{device}");
        }
        let stick = [on("LABEL=NIXOS_SD"), ("/sd/root_label", json!("STICK"))];
        let finding = super::super::tests::only(&stick);
        let line = "fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/STICK\";";
        assert_eq!(finding.lines(None), [line]);
    }

    #[test]
    fn disks_that_may_be_missing_have_nofail() {
        let disk = |path: &str, device: &str| {
            let disk = json!([{ "path": path, "device": device, "is_needed": true }]);
            ("/file_systems", disk)
        };
        for device in ["/dev/disk/by-label/DATA", "/dev/sda1", "LABEL=DATA"] {
            let option = "fileSystems.\"/data\"";
            assert_found(&[("needed-disk", option, &[disk("/data", device)])]);
        }
        for unknown in ["/sd/root_label", "/sd/firmware_label"] {
            let changes = [disk("/boot", "LABEL=BOOT"), (unknown, Value::Null)];
            assert_eq!(found(&changes), [""; 0], "another image");
        }
        for (path, device) in [
            ("/", "/dev/disk/by-label/NIXOS_SD"),
            (
                "/data",
                "/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888",
            ),
            ("/boot/firmware", "/dev/disk/by-label/FIRMWARE"),
            ("/boot/firmware", "/dev/disk/by-uuid/2178-694E"),
            ("/boot", "/dev/disk/by-partuuid/2178694e-01"),
            ("/boot", "/dev/mmcblk0p1"),
            ("/home", "/dev/vg/home"),
            ("/tmp", "tmpfs"),
            ("/srv", "nas:/srv"),
        ] {
            assert_eq!(found(&[disk(path, device)]), [""; 0], "{path} {device}");
        }
    }
}
