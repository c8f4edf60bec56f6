//! The rules about file systems. Pure.

use super::facts::{ConfigFacts, FileSystemFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, OptionPath, member, path};
use sdbuild_core::nix_string::nix_string;
use sdbuild_image::card::{BY_NAME, Card, CardPartition, Location, Mount, RootFault, path_of};

/// The UUID that nixpkgs gives the root file system of an image (`nixos/lib/make-ext4-fs.nix`).
const DEFAULT_ROOT_UUID: &str = "44444444-4444-4444-8888-888888888888";
/// The number of the card's partition table where the configuration sets none (`sdImage.firmwarePartitionID`).
const DEFAULT_DISK_ID: &str = "2178694e";
/// The label of the root file system where the configuration sets none.
const DEFAULT_ROOT_LABEL: &str = "NIXOS_SD";
/// What the names of disks begin with that are no MMC of the board.
const OTHER_DISKS: [&str; 3] = ["/dev/sd", "/dev/nvme", "/dev/vd"];
/// The number of the partition with the root file system.
const ROOT: u32 = 2;

/// What is wrong with the file systems.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let root = [no_root(facts), other_root(facts), other_root_type(facts)];
    let needed = needed_disks(facts).map(needed_disk);
    root.into_iter().flatten().chain(needed).collect()
}

fn root_option(name: &str) -> OptionPath {
    member("fileSystems", "/", name)
}

/// The path of the image's root file system, as source text of Nix.
fn image_root(facts: &ConfigFacts) -> String {
    let partitions = card(facts).map(|card| card.partitions);
    let root = partitions
        .into_iter()
        .flatten()
        .find(|one| one.number == ROOT);
    let label = root.and_then(|root| root.label);
    nix_string(&format!(
        "{BY_NAME}label/{}",
        label.as_deref().unwrap_or(DEFAULT_ROOT_LABEL)
    ))
}

fn root_device(facts: &ConfigFacts) -> &str {
    let root = facts.root.as_ref();
    let device = root.and_then(|root| root.device.as_deref());
    device.unwrap_or_default()
}

fn root_type(facts: &ConfigFacts) -> &str {
    let root = facts.root.as_ref();
    let kind = root.and_then(|root| root.fs_type.as_deref());
    kind.unwrap_or("auto")
}

/// The type of the image's own root file system.
fn image_root_type(facts: &ConfigFacts) -> &str {
    facts.sd.root_type.as_deref().unwrap_or("ext4")
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
        let kind = nix_string(image_root_type(facts));
        let value = format!("{{ device = {}; fsType = {kind}; }}", image_root(facts));
        finding.fix([Change::set(option, value)])
    })
}

/// The root is not the image's.
fn other_root(facts: &ConfigFacts) -> Option<Finding> {
    let (severity, why) = match root_fault(facts)? {
        RootFault::NoStore => return Some(no_store(facts)),
        RootFault::Elsewhere => (
            Error,
            "the image's root file system has another name, so the boot waits for a disk that does not exist",
        ),
        RootFault::NamedDisk => (
            Warning,
            "the image starts only from this one disk, and only if it is written onto it",
        ),
    };
    let option = root_option("device");
    let value = nix_string(root_device(facts));
    let finding = Finding::of_value("other-root", severity, option.clone(), value, why);
    let device = Change::set(option, format!("lib.mkForce {}", image_root(facts)));
    let kind = nix_string(image_root_type(facts));
    let kind = Change::set(root_option("fsType"), format!("lib.mkForce {kind}"));
    let has_type = [image_root_type(facts), "auto"].contains(&root_type(facts));
    Some(finding.fix([device]).fix((!has_type).then_some(kind)))
}

fn no_store(facts: &ConfigFacts) -> Finding {
    let why = "the store is in the image's root file system, which is mounted nowhere, so the boot finds no system";
    let value = nix_string(root_type(facts));
    let finding = Finding::of_value("other-root", Error, root_option("fsType"), value, why);
    let (device, kind) = (image_root(facts), nix_string(image_root_type(facts)));
    let card = format!("{{ device = {device}; fsType = {kind}; neededForBoot = true; }}");
    let store = "{ device = \"/card/nix\"; fsType = \"none\"; options = [ \"bind\" ]; neededForBoot = true; }";
    let registration = Change::set(
        path("sdImage.nixPathRegistrationFile"),
        "\"/card/nix-path-registration\"",
    );
    let mounts = [
        Change::set(member("fileSystems", "/card", ""), card),
        Change::set(member("fileSystems", "/nix", ""), store),
    ];
    finding.fix(mounts).fix(facts.card.then_some(registration))
}

fn root_fault(facts: &ConfigFacts) -> Option<RootFault> {
    let mut mounts = vec![Mount {
        path: "/",
        device: root_device(facts),
        fs_type: root_type(facts),
    }];
    mounts.extend(facts.file_systems.iter().map(|fs| Mount {
        path: &fs.path,
        device: fs.device.as_deref().unwrap_or_default(),
        fs_type: fs.fs_type.as_deref().unwrap_or_default(),
    }));
    facts.root.as_ref()?;
    card(facts)?.root_fault(&mounts)
}

/// The root is that of the image, with another type.
fn other_root_type(facts: &ConfigFacts) -> Option<Finding> {
    let kind = root_type(facts);
    let own = image_root_type(facts);
    facts.root.as_ref()?;
    let location = card(facts)?.location(root_device(facts), kind);
    let is_other = location == Location::Card(ROOT) && ![own, "auto"].contains(&kind);
    let option = root_option("fsType");
    let why = format!("the image's root file system is {own}, so the boot cannot mount it");
    let finding = Finding::of_value("root-type", Error, option.clone(), nix_string(kind), why);
    let change = Change::set(option, format!("lib.mkForce {}", nix_string(own)));
    is_other.then(|| finding.fix([change]))
}

fn needed_disk(disk: &FileSystemFacts) -> Finding {
    let option = member("fileSystems", &disk.path, "");
    let device = disk.device.as_deref().unwrap_or_default();
    let change = Change::add(
        member("fileSystems", &disk.path, "options"),
        [nix_string("nofail")],
    );
    let (with, why) = match (disk.is_early, disk.needed_for_boot) {
        (true, true) => (
            " with neededForBoot",
            "without that disk the first stage of the boot stops, also with nofail, without network and SSH. Without \
             neededForBoot, nofail lets the machine start",
        ),
        (true, false) => (
            " in the first stage of the boot",
            "without that disk the boot stops there, also with nofail, without network and SSH. With \
             boot.initrd.systemd.enable = true; nofail lets the machine start",
        ),
        (false, _) => (
            " without nofail",
            "without that disk the machine stops in emergency mode, without network and SSH",
        ),
    };
    let detail = format!(" ({device}){with}");
    let finding = Finding::of_option("needed-disk", Warning, option, detail, why);
    finding.fix((!disk.is_early).then_some(change))
}

/// The file systems on other disks than the card, without which the start stops.
fn needed_disks(facts: &ConfigFacts) -> impl Iterator<Item = &FileSystemFacts> {
    let card = card(facts);
    let root = path_of(root_device(facts));
    let is_other = move |device: &str| {
        let device = path_of(device);
        let is_by_name = device.starts_with(BY_NAME);
        // A disk has such names itself.
        let is_disk =
            is_by_name || facts.card && OTHER_DISKS.iter().any(|start| device.starts_with(start));
        let card = card.as_ref().filter(|_| is_disk && device != root);
        card.is_some_and(|card| match card.location(&device, "auto") {
            Location::Card(_) => false,
            Location::Unknown => !is_by_name,
            Location::NamedDisk | Location::Memory | Location::Elsewhere => true,
        })
    };
    let needed = facts.file_systems.iter().filter(|disk| disk.is_needed);
    needed.filter(move |disk| disk.device.as_deref().is_some_and(&is_other))
}

/// The card with nixpkgs' image, or a disk; `None` if the image is another one, of which nothing is known.
fn card(facts: &ConfigFacts) -> Option<Card> {
    let sd = &facts.sd;
    if let Some(partitions) = facts.disk.clone() {
        return Some(Card {
            partitions,
            ..Card::default()
        });
    }
    let root_label = sd.root_label.clone().filter(|_| facts.card)?;
    let id = sd.disk_id.as_deref().unwrap_or(DEFAULT_DISK_ID);
    let id = id.strip_prefix("0x").unwrap_or(id);
    let (high, low) = id.split_at_checked(4).unwrap_or_default();
    let uuid = sd.root_uuid.as_deref().unwrap_or(DEFAULT_ROOT_UUID);
    let partition = |number, label: String, uuid: String, fs_type: &str| CardPartition {
        number,
        label: Some(label),
        uuid: Some(uuid),
        fs_type: Some(fs_type.to_owned()),
        part_label: None,
    };
    let fat = format!("{high}-{low}").to_uppercase();
    let firmware = partition(1, sd.firmware_label.clone()?, fat, "vfat");
    let root = partition(ROOT, root_label, uuid.to_owned(), image_root_type(facts));
    Some(Card {
        id: Some(id.to_owned()),
        partitions: vec![firmware, root],
        has_unknown: false,
    })
}
