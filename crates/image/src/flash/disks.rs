//! The disks of a machine, and which of them it depends on, by the files in which the kernel and udev describe it. The crate `procfs-core` reads
//! mountinfo too, but only if all of it is UTF-8, which a mount point need not be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::is_gone;

/// The unit of sizes in sysfs in bytes, whatever the logical blocks of the disk are.
const SYSFS_SECTOR_BYTES: u64 = 512;

/// The kind of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// A disk or card, removable or built in.
    Disk,
    /// A file behind a loop device.
    Loop,
    /// Not a target for an image: a mapping, an array, memory, an optical drive.
    Other,
}

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `sdb`, `mmcblk0`.
    pub name: String,
    /// The kind of device.
    pub kind: DiskKind,
    /// The length in bytes; 0 for a reader without a card.
    pub size: u64,
    /// The kernel's sequence number, which is new for every disk and medium. Since Linux 5.15.
    pub sequence: Option<u64>,
    /// Vendor and model; empty when the disk reports none.
    pub model: String,
    /// How it is connected: `usb`, `sd`, `mmc`, `nvme`, `sata`, …
    pub bus: &'static str,
    /// Whether the medium is removable.
    pub removable: bool,
    /// Whether it is write-protected, for instance by a card's lock switch.
    pub read_only: bool,
    /// The disk itself, then its partitions by number.
    pub parts: Vec<Part>,
    /// What this machine uses it for; a disk with an entry is never written to.
    pub system: Vec<String>,
    /// Mappings and arrays that use it.
    pub holders: Vec<String>,
}

/// A disk as a whole or one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The kernel's name: `sdb1`.
    pub name: String,
    /// The number in the partition table; 0 for the disk itself.
    pub number: u64,
    /// The length in bytes.
    pub size: u64,
    /// The type of the file system, if udev knows it.
    pub kind: Option<String>,
    /// The label of the file system, if udev knows it.
    pub label: Option<String>,
    /// Mount points.
    pub mounted: Vec<PathBuf>,
}

impl Disk {
    /// The device node.
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name.replace('!', "/"))
    }

    /// Mount points of the disk and its partitions.
    pub fn mounted(&self) -> impl Iterator<Item = &PathBuf> {
        self.parts.iter().flat_map(|part| &part.mounted)
    }

    /// Whether the list of disks shows it. Disks on USB that report a fixed medium are shown too, because
    /// they can be unplugged; writing to them still needs `--allow-fixed`.
    pub fn is_candidate(&self) -> bool {
        let portable = self.removable || self.bus == "usb";
        self.kind == DiskKind::Disk && portable && self.size > 0 && self.system.is_empty()
    }
}

/// Reads the disk with the kernel's name `name`.
pub(super) fn read_disk(root: &SysRoot, name: String) -> Disk {
    let dir = block_dir(&name);
    let device_path = root.device_path(&name);
    // A missing file means that the disk does not have the attribute.
    let text = |file: &str| root.text(&format!("{dir}/{file}")).unwrap_or_default();
    let bus = bus(&device_path, &text("device/type"));
    let names = [
        text("device/vendor"),
        text("device/model"),
        text("device/name"),
    ];
    // A PCI number is not a name; the vendor of all ATA disks is "ATA".
    let names = names
        .into_iter()
        .filter(|word| !word.is_empty() && word != "ATA" && !word.starts_with("0x"));
    let mut parts = vec![read_part(root, &name)];
    // Subdirectories that are not partitions have the number 0.
    let inside = root.names(&dir).into_iter();
    let inside = inside.map(|inner| read_part(root, &inner));
    parts.extend(inside.filter(|part| part.number > 0));
    parts.sort_by_key(|part| part.number);
    let holders = |part: &Part| root.names(&format!("{}/holders", block_dir(&part.name)));
    let holders: BTreeSet<_> = parts.iter().flat_map(holders).collect();
    Disk {
        kind: kind(&name, &device_path),
        size: parts.first().map_or(0, |whole| whole.size),
        model: names.collect::<Vec<_>>().join(" "),
        removable: text("removable") == "1" || bus == "sd",
        read_only: text("ro") == "1",
        sequence: root.number(&format!("{dir}/diskseq")),
        holders: holders
            .into_iter()
            .map(|holder| holder_name(root, &holder))
            .collect(),
        system: Vec::new(),
        parts,
        bus,
        name,
    }
}

/// The name of a mapping or array, with the device mapper's name: `dm-0 (luks-home)`.
fn holder_name(root: &SysRoot, holder: &str) -> String {
    match root.text(&format!("{}/dm/name", block_dir(holder))) {
        Some(name) => format!("{holder} ({name})"),
        None => holder.to_owned(),
    }
}

fn read_part(root: &SysRoot, name: &str) -> Part {
    let dir = block_dir(name);
    let sectors = root.number(&format!("{dir}/size"));
    Part {
        name: name.to_owned(),
        number: root.number(&format!("{dir}/partition")).unwrap_or(0),
        size: sectors.unwrap_or(0).saturating_mul(SYSFS_SECTOR_BYTES),
        kind: root.udev(name, "ID_FS_TYPE"),
        label: root.udev(name, "ID_FS_LABEL"),
        mounted: Vec::new(),
    }
}

fn kind(name: &str, device_path: &str) -> DiskKind {
    // The boot partitions of eMMC and its replay-protected memory look like disks.
    let emmc = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let other = ["sr", "fd", "dm-", "md", "nbd", "ram", "zram", "zd"];
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    };
    if numbered("loop") {
        DiskKind::Loop
    } else if emmc
        || other.iter().any(|prefix| numbered(prefix))
        || device_path.contains("virtual/block/")
    {
        DiskKind::Other
    } else {
        DiskKind::Disk
    }
}

/// The bus in the device's path in sysfs; `mmc_type` distinguishes SD cards from eMMC.
fn bus(device_path: &str, mmc_type: &str) -> &'static str {
    let on = |word: &str| device_path.split('/').any(|part| part.starts_with(word));
    match mmc_type {
        "SD" if on("mmc") => "sd",
        "MMC" if on("mmc") => "mmc",
        _ if on("usb") => "usb",
        _ if on("nvme") => "nvme",
        _ if on("ata") => "sata",
        _ if on("virtio") => "virtio",
        _ if on("loop") => "loop",
        _ => "other",
    }
}

/// Directories of the system: mounts at or below them belong to it.
const SYSTEM_DIRS: [&str; 5] = ["/boot", "/efi", "/etc", "/nix", "/usr"];
/// Mount points of the system; mounts below them may be the user's.
const SYSTEM_POINTS: [&str; 4] = ["/", "/home", "/root", "/var"];

/// Directories for temporary mounts. Mounts elsewhere from a disk that is not removable count as the
/// system's: `/srv`, `/var/lib/docker` or `/home/me` on a disk of its own.
const TEMPORARY_DIRS: [&str; 4] = ["/mnt", "/media", "/run/media", "/tmp"];

/// All disks of a machine.
#[derive(Clone, Debug)]
pub struct DiskInventory {
    disks: BTreeMap<String, Disk>,
    /// The disk of each partition.
    partitions: BTreeMap<String, String>,
    out_of_reach: bool,
}

/// The device with some number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLookup<'a> {
    /// A whole disk.
    Disk(&'a Disk),
    /// A partition of this disk.
    Partition(&'a Disk),
    /// A device that sysfs does not have.
    Unknown,
}

/// Whether the root directory is that of a container of Docker or Podman.
fn is_container(root: &SysRoot) -> bool {
    [".dockerenv", "run/.containerenv"]
        .iter()
        .any(|mark| root.path(mark).exists())
}

impl DiskInventory {
    /// The disks of the machine at `root`. `image` is the absolute path of the image, without symbolic
    /// links: its disk is in use.
    ///
    /// # Errors
    ///
    /// It cannot be read what is mounted or swapped to: a disk that looks unused may be in use.
    pub fn take(root: &SysRoot, image: &Path) -> Result<Self, Failure> {
        let (mut disks, mut partitions) = (BTreeMap::new(), BTreeMap::new());
        for name in root.names("sys/class/block") {
            if let Some(disk) = parent_disk(root, &name) {
                partitions.insert(name, disk);
            } else if root
                .text(&format!("{}/hidden", block_dir(&name)))
                .as_deref()
                != Some("1")
            {
                disks.insert(name.clone(), read_disk(root, name));
            }
        }
        let mut inventory = Self {
            disks,
            partitions,
            out_of_reach: false,
        };
        let mounts = Mounts::read(root)?;
        inventory.add_mounts(root, &mounts);
        for in_use in uses(root, &mounts, image)? {
            inventory.add_use(root, &mounts, &in_use);
        }
        // A container's sysfs has the disks of its machine, but its /dev only those that it was given.
        let reached = |disk: &Disk| root.path(&disk.node()).exists();
        inventory.out_of_reach = is_container(root) && !inventory.candidates().any(reached);
        Ok(inventory)
    }

    /// Whether this is a container that was given none of its machine's disks.
    pub fn is_out_of_reach(&self) -> bool {
        self.out_of_reach
    }

    /// The disks that an image may be flashed to, by name.
    pub fn candidates(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values().filter(|disk| disk.is_candidate())
    }

    /// The device with that number (`8:16`).
    pub fn find(&self, root: &SysRoot, number: &str) -> DeviceLookup<'_> {
        let Some(name) = root.device_name(number) else {
            return DeviceLookup::Unknown;
        };
        if let Some(disk) = self.disks.get(&name) {
            return DeviceLookup::Disk(disk);
        }
        let disk = self
            .partitions
            .get(&name)
            .and_then(|disk| self.disks.get(disk));
        disk.map_or(DeviceLookup::Unknown, DeviceLookup::Partition)
    }

    /// Adds the mount points of disks and partitions.
    fn add_mounts(&mut self, root: &SysRoot, mounts: &Mounts) {
        for mount in &mounts.0 {
            for name in mounts.backing_devices(mount, root).names {
                let disk = self.partitions.get(&name).unwrap_or(&name).clone();
                let parts = self.disks.get_mut(&disk).map(|disk| &mut disk.parts);
                if let Some(part) = parts.into_iter().flatten().find(|part| part.name == name) {
                    part.mounted.push(mount.point.clone());
                }
            }
        }
    }

    /// Adds `in_use` to the disks that it depends on.
    fn add_use(&mut self, root: &SysRoot, mounts: &Mounts, in_use: &InUse) {
        let InUse { what, devices, .. } = in_use;
        let disks = Dependencies { root, mounts }.of(&devices.names);
        for disk in self.disks.values_mut() {
            let text = if disks.contains(&disk.name) {
                what.to_owned()
            } else if devices.unknown && !disk.removable && disk.kind == DiskKind::Disk {
                format!("perhaps {what} (on which disk is unknown)")
            } else {
                continue;
            };
            if !disk.system.contains(&text) && (in_use.is_certain || adds_information(disk, what)) {
                disk.system.push(text);
            }
        }
    }
}

/// Something that this machine uses.
struct InUse {
    what: String,
    /// The block devices that it is on.
    devices: BackingDevices,
    /// Whether the machine needs it wherever it is; otherwise only if its disk is not removable.
    is_certain: bool,
}

/// Whether an uncertain use counts and is not covered by a known one: a container engine mounts a hundred
/// directories below its own.
fn adds_information(disk: &Disk, what: &str) -> bool {
    let is_other = |known: &String| known.starts_with('/') && !Path::new(what).starts_with(known);
    !disk.removable && disk.system.iter().all(is_other)
}

/// What this machine uses, certain uses first.
fn uses(root: &SysRoot, mounts: &Mounts, image: &Path) -> Result<Vec<InUse>, Failure> {
    let is_system = |point: &Path| {
        SYSTEM_DIRS.iter().any(|dir| point.starts_with(dir))
            || SYSTEM_POINTS.iter().any(|known| point == Path::new(known))
    };
    let is_temporary = |point: &Path| TEMPORARY_DIRS.iter().any(|dir| point.starts_with(dir));
    let (system, others): (Vec<_>, Vec<_>) = mounts.0.iter().partition(|m| is_system(&m.point));
    let certain = |what: String, devices| InUse {
        what,
        devices,
        is_certain: true,
    };
    let mounted = |m: &Mount| {
        certain(
            m.point.display().to_string(),
            mounts.backing_devices(m, root),
        )
    };
    let swaps = swaps(root)?.into_iter().map(|path| {
        let devices = match root.name_of_node(&path) {
            Some(name) => BackingDevices {
                names: vec![name],
                unknown: false,
            },
            None => mounts.backing_devices_of_path(Path::new(&path), root),
        };
        certain("swap".to_owned(), devices)
    });
    let image = certain(
        "the image to write".to_owned(),
        mounts.backing_devices_of_path(image, root),
    );
    let others = others
        .into_iter()
        .filter(|mount| !is_temporary(&mount.point));
    let others = others.map(|mount| InUse {
        is_certain: false,
        ..mounted(mount)
    });
    let system = system.into_iter().map(mounted);
    Ok(system.chain(swaps).chain([image]).chain(others).collect())
}

/// The disk of a partition; `None` for a device that is not a partition.
fn parent_disk(root: &SysRoot, name: &str) -> Option<String> {
    root.number(&format!("{}/partition", block_dir(name)))?;
    let path = root.device_path(name);
    let disk = Path::new(&path).parent()?.file_name()?.to_str()?;
    Some(disk.to_owned())
}

/// Follows block devices down to the disks that they depend on.
struct Dependencies<'a> {
    root: &'a SysRoot,
    mounts: &'a Mounts,
}

impl Dependencies<'_> {
    /// The devices `names` and all devices that they depend on.
    fn of(&self, names: &[String]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut pending = names.to_vec();
        while let Some(name) = pending.pop() {
            if seen.insert(name.clone()) {
                pending.extend(self.direct(&name));
            }
        }
        seen
    }

    fn direct(&self, name: &str) -> Vec<String> {
        let dir = block_dir(name);
        let mut devices = self.root.names(&format!("{dir}/slaves"));
        devices.extend(parent_disk(self.root, name));
        if let Some(file) = self.root.text(&format!("{dir}/loop/backing_file")) {
            let file = Path::new(&file);
            let backing = self.mounts.backing_devices_of_path(file, self.root);
            devices.extend(backing.names);
        }
        // The mount table names one of the disks of a btrfs file system.
        for pool in self.root.names("sys/fs/btrfs") {
            let members = self.root.names(&format!("sys/fs/btrfs/{pool}/devices"));
            if members.iter().any(|member| member == name) {
                devices.extend(members);
            }
        }
        devices
    }
}

/// How many overlays on each other are followed; the kernel allows two.
const MAX_OVERLAY_DEPTH: u32 = 8;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The device number: `8:1`, or one of its own (`0:42`) for a file system without a single device.
    number: String,
    /// The mount point.
    pub(super) point: PathBuf,
    /// `ext4`, `zfs`, `overlay`, …
    kind: String,
    source: String,
    options: String,
}

/// The block devices that a mount is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct BackingDevices {
    /// Names of partitions, disks and mappings.
    pub(super) names: Vec<String>,
    /// Whether there are others, which cannot be named.
    pub(super) unknown: bool,
}

/// All mounts, in the order of mounting.
#[derive(Clone, Debug)]
struct Mounts(pub(super) Vec<Mount>);

impl Mounts {
    /// The mounts in this process's namespace. An error when they cannot be read: each disk may be mounted then.
    pub(super) fn read(root: &SysRoot) -> Result<Self, Failure> {
        let text = root.read("proc/self/mountinfo");
        let text = text.or_environment("read what is mounted from /proc/self/mountinfo")?;
        Ok(Self(text.lines().filter_map(parse_mount).collect()))
    }

    /// The mount of a path, which is absolute and without symbolic links.
    fn of_path(&self, path: &Path) -> Option<&Mount> {
        let holds = |mount: &&Mount| path.starts_with(&mount.point);
        // Of two mounts at one point the later one hides the earlier one.
        self.0
            .iter()
            .filter(holds)
            .max_by_key(|mount| mount.point.as_os_str().len())
    }

    /// The devices that `path` is on.
    fn backing_devices_of_path(&self, path: &Path, root: &SysRoot) -> BackingDevices {
        match self.of_path(path) {
            Some(mount) => self.backing_devices(mount, root),
            None => BackingDevices {
                unknown: true,
                ..BackingDevices::default()
            },
        }
    }

    /// The devices that `mount` is on.
    fn backing_devices(&self, mount: &Mount, root: &SysRoot) -> BackingDevices {
        self.backing_devices_to_depth(mount, root, MAX_OVERLAY_DEPTH)
    }

    fn backing_devices_to_depth(
        &self,
        mount: &Mount,
        root: &SysRoot,
        depth: u32,
    ) -> BackingDevices {
        let mut found = BackingDevices::default();
        if let Some(name) = root.device_name(&mount.number) {
            found.names.push(name);
        } else if mount.kind == "zfs" {
            found.names = zfs_members(root);
        } else if mount.kind == "overlay" {
            return self.overlay_devices(mount, root, depth);
        } else if mount.source.starts_with("/dev/") && mount.source != "/dev/fuse" {
            // bcachefs names all of its devices, separated by colons.
            let names = mount.source.split(':').map(|node| root.name_of_node(node));
            let names: Option<Vec<_>> = names.collect();
            found.names = names.unwrap_or_default();
        } else {
            // tmpfs, FUSE, a network file system, a directory shared with a virtual machine: no local disk.
            return found;
        }
        found.unknown = found.names.is_empty();
        found
    }

    /// The devices of an overlay's directories. In a container those are not visible.
    fn overlay_devices(&self, mount: &Mount, root: &SysRoot, depth: u32) -> BackingDevices {
        let mut found = BackingDevices::default();
        let dirs = mount.options.split(',').filter_map(|option| {
            ["lowerdir=", "upperdir=", "lowerdir+="]
                .iter()
                .find_map(|word| option.strip_prefix(word))
        });
        for dir in dirs.flat_map(|dirs| dirs.split(':')) {
            let lower = self.of_path(Path::new(dir));
            match lower.filter(|lower| depth > 0 && lower.point != mount.point) {
                Some(lower) => {
                    let more = self.backing_devices_to_depth(lower, root, depth.saturating_sub(1));
                    found.names.extend(more.names);
                    found.unknown |= more.unknown;
                }
                None => found.unknown = true,
            }
        }
        found.unknown |= found.names.is_empty();
        found
    }
}

/// All devices of all ZFS pools: which pool is on which device is not known.
fn zfs_members(root: &SysRoot) -> Vec<String> {
    let member = |name: &String| root.udev(name, "ID_FS_TYPE").as_deref() == Some("zfs_member");
    let names = root.names("sys/class/block").into_iter();
    names.filter(member).collect()
}

/// The paths of swap partitions and files. An error when they cannot be read: each disk may be swapped to then.
fn swaps(root: &SysRoot) -> Result<Vec<String>, Failure> {
    let text = root.read("proc/swaps");
    if is_gone(&text) {
        // A kernel without swap has no such file.
        return Ok(Vec::new());
    }
    let text = text.or_environment("read what is swapped to from /proc/swaps")?;
    let path = |line: &str| line.split_whitespace().next().map(unescape);
    Ok(text.lines().skip(1).filter_map(path).collect())
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let mut right = right.split(' ');
    let number = left.next()?.to_owned();
    Some(Mount {
        number,
        point: PathBuf::from(unescape(left.nth(1)?)),
        kind: right.next()?.to_owned(),
        source: unescape(right.next()?),
        options: right.next().map(unescape).unwrap_or_default(),
    })
}

/// Decodes the octal escapes of space, tab, newline and backslash (`\040`).
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some((code, rest)) = code.zip(part.get(3..)) {
            out.push(char::from(code));
            out.push_str(rest);
        } else {
            out.push('\\');
            out.push_str(part);
        }
    }
    out
}

/// Bytes of the largest file that is read: mountinfo of a machine with thousands of containers has a few MB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The root directory of the files.
#[derive(Clone, Debug)]
pub struct SysRoot {
    root: PathBuf,
}

impl SysRoot {
    /// The machine that sdbuild runs on.
    pub fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// The machine whose files are below `root`.
    pub fn at(root: &Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// `path` below the root; it may begin with a slash.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The content of a file without surrounding white space; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let bytes = plain_file::read(&self.path(path), MAX_FILE_BYTES)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// What [`Self::read`] returns, if that is no error: most attributes exist for some devices only.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The sorted names in a directory; none when it does not exist.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).into_iter().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    /// Whether there is a block device with that name.
    fn is_block(&self, name: &str) -> bool {
        !name.is_empty() && !name.contains('/') && self.path(&block_dir(name)).exists()
    }

    /// The name of the block device with that number (`8:1`).
    fn device_name(&self, number: &str) -> Option<String> {
        let found = fs::canonicalize(self.path(&format!("sys/dev/block/{number}"))).ok()?;
        Some(found.file_name()?.to_str()?.to_owned())
    }

    /// The device's path in sysfs, which begins with its bus and controller; empty for an unknown one.
    fn device_path(&self, name: &str) -> String {
        let found = fs::canonicalize(self.path(&block_dir(name))).unwrap_or_default();
        let root = fs::canonicalize(&self.root).unwrap_or_default();
        let below = found.strip_prefix(root).unwrap_or(&found);
        below.to_string_lossy().into_owned()
    }

    /// The name of the block device behind a node: `/dev/sda1`, `/dev/mapper/root`, `/dev/disk/by-…`.
    fn name_of_node(&self, node: &str) -> Option<String> {
        let name = node.strip_prefix("/dev/")?;
        let linked = fs::canonicalize(self.path(node)).ok();
        let linked = linked.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mapped = || {
            let wanted = name.strip_prefix("mapper/")?;
            let is = |dm: &String| {
                self.text(&format!("{}/dm/name", block_dir(dm))).as_deref() == Some(wanted)
            };
            self.names("sys/class/block").into_iter().find(is)
        };
        // The kernel writes a slash in a name as an exclamation mark.
        [linked, Some(name.replace('/', "!"))]
            .into_iter()
            .flatten()
            .find(|name| self.is_block(name))
            .or_else(mapped)
    }

    /// A property of a device in udev's database, which every user may read.
    pub(super) fn udev(&self, name: &str, key: &str) -> Option<String> {
        let number = self.text(&format!("{}/dev", block_dir(name)))?;
        let text = self.text(&format!("run/udev/data/b{number}"))?;
        let value = |line: &str| {
            Some(
                line.strip_prefix("E:")?
                    .strip_prefix(key)?
                    .strip_prefix('=')?
                    .to_owned(),
            )
        };
        text.lines()
            .find_map(value)
            .filter(|value| !value.is_empty())
    }
}

/// The directory of a block device in sysfs.
fn block_dir(name: &str) -> String {
    format!("sys/class/block/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_line_is_parsed() {
        let line = "36 35 98:0 /sub /mnt\\0402\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let found = parse_mount(line).unwrap();
        assert_eq!(found.number, "98:0");
        assert_eq!(found.point, Path::new("/mnt 2\\"));
        assert_eq!(
            (found.kind.as_str(), found.source.as_str()),
            ("ext3", "/dev/root")
        );
        assert_eq!(parse_mount("nonsense"), None);
        assert_eq!(unescape("a\\9zz\\"), "a\\9zz\\");
    }
}
