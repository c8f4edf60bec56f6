//! How an image boots: its boot loaders, the menus of extlinux, GRUB and systemd-boot, its kernel and its NixOS system. No crate reads these menus;
//! `bootspec` reads NixOS's own description of a generation, which is not on the boot partition.

use std::collections::BTreeSet;

use serde::Serialize;

use super::bytes::{has_magic, slice, u16_at};
use super::card::{Card, RootFault, mounts_in};
use super::cpio::archived_names;
use super::error::Error;
use super::files::{EntryKind, FileSystem};
use super::iso::ElToritoEntry;
use sdbuild_core::system::System;

/// The menu of GRUB on nixpkgs' ISO images.
const GRUB: &str = "/EFI/BOOT/grub.cfg";
/// What nixpkgs calls the version on its ISO images.
const ISO_VERSION: &str = "/version.txt";
/// Where U-Boot looks for a menu on a partition, in its order (`boot_prefixes`).
const EXTLINUX: [&str; 2] = ["/extlinux/extlinux.conf", "/boot/extlinux/extlinux.conf"];
/// What UEFI starts from a disk on which nothing is installed, by its specification, on 64-bit ARM and on a PC.
pub(super) const UEFI_ARM: &str = "/EFI/BOOT/BOOTAA64.EFI";
pub(super) const UEFI_PC: &str = "/EFI/BOOT/BOOTX64.EFI";
/// Bytes of a boot loader's configuration that are read.
pub(super) const MAX_CONFIG_BYTES: usize = 256 * 1024;
/// The kernels that the Raspberry Pi's firmware starts without a configuration, 64-bit ones first.
const PI_KERNELS: [&str; 5] = [
    "kernel8.img",
    "kernel_2712.img",
    "kernel7l.img",
    "kernel7.img",
    "kernel.img",
];

/// A file system and the number of its partition.
#[derive(Debug)]
pub struct Volume {
    /// The number of the partition.
    pub number: u32,
    /// The file system.
    pub fs: FileSystem,
}

/// The kind of a boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    /// The extlinux menu, which U-Boot reads.
    Extlinux,
    /// The Raspberry Pi's firmware.
    RaspberryPi,
    /// A UEFI program.
    Uefi,
}

/// A boot loader on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loader {
    /// The kind.
    pub kind: LoaderKind,
    /// The number of its partition.
    pub partition: u32,
    /// The files by which it was recognized.
    pub files: Vec<String>,
}

/// The system that is started, NixOS or another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootedSystem {
    /// The path in the Nix store.
    pub path: Option<String>,
    /// The version of NixOS.
    pub nixos: Option<String>,
    /// The host name.
    pub host_name: Option<String>,
}

/// What the boot menu starts by default. Paths are absolute, on the menu's partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootMenu {
    /// The number of the partition.
    pub partition: u32,
    /// The menu itself.
    pub config: String,
    /// The kernel.
    pub kernel: Option<String>,
    /// The initial RAM disk.
    pub initrd: Option<String>,
    /// One device tree for any board.
    pub device_tree: Option<String>,
    /// The directory with the device trees of all boards.
    pub device_trees: Option<String>,
}

/// Boot loaders, menu, kernel and system of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootReport {
    /// The boot loaders.
    pub loaders: Vec<Loader>,
    /// What firmware starts from a CD.
    pub el_torito: Vec<ElToritoEntry>,
    /// The extlinux menu, or GRUB's on an ISO image.
    pub menu: Option<BootMenu>,
    /// The kernel.
    pub kernel: Option<Kernel>,
    /// The system.
    pub system: BootedSystem,
    /// Files that the boot menu names and that are missing, and what else keeps the system of the menu from starting.
    #[serde(skip)]
    pub menu_problems: Vec<String>,
    /// The drivers that are in the kernel or the initrd of that system, with `_` in their names; `None` if that is not known.
    #[serde(skip)]
    pub drivers: Option<BTreeSet<String>>,
    /// File systems that cannot be read, and a system that is missing.
    #[serde(skip)]
    pub problems: Vec<String>,
}

impl BootReport {
    /// Examines all file systems of an image.
    pub fn find(volumes: &[Volume]) -> Result<Self, Error> {
        let mut boot = Self::default();
        for volume in volumes {
            // A file system that cannot be read does not hide what is on the others.
            match boot.examine(volume, volumes) {
                Err(Error::Damaged(what)) => {
                    let problem = format!("partition {}: {what}", volume.number);
                    boot.problems.push(problem);
                }
                Err(e) if e.is_fatal() => return Err(e),
                Ok(()) | Err(_) => {}
            }
        }
        for volume in volumes {
            if boot.system.host_name.is_none() {
                boot.system.host_name = first_line(volume, "/etc/hostname").ok().flatten();
            }
        }
        Ok(boot)
    }

    /// Adds what keeps the system of the menu from starting although all its files are there, on a disk with the partitions of `card`.
    pub(super) fn add_system_start(
        &mut self,
        volumes: &[Volume],
        card: &Card,
    ) -> Result<(), Error> {
        let Some(menu) = self.menu.as_ref().filter(|menu| menu.config != GRUB) else {
            return Ok(());
        };
        let Some(top) = &self.system.path else {
            return Ok(());
        };
        let system = first_with(volumes, top)?;
        let menu_volume = volumes
            .iter()
            .find(|volume| volume.number == menu.partition);
        let (Some(system), Some(menu_volume)) = (system, menu_volume) else {
            return Ok(());
        };
        let table = system
            .fs
            .start_of(&format!("{top}/etc/fstab"), MAX_CONFIG_BYTES)?;
        let table = table.unwrap_or_default();
        self.menu_problems
            .extend(root_problem(&String::from_utf8_lossy(&table), card));
        let initrd = match &menu.initrd {
            Some(path) => initrd_drivers(&menu_volume.fs, path)?,
            None => Some(BTreeSet::new()),
        };
        self.drivers = match (built_in_drivers(&system.fs, top)?, initrd) {
            (Some(built_in), Some(initrd)) => Some(built_in.union(&initrd).cloned().collect()),
            _ => None,
        };
        let has_disk =
            |drivers: &BTreeSet<String>| DISK_DRIVERS.iter().any(|name| drivers.contains(*name));
        if self
            .drivers
            .as_ref()
            .is_some_and(|drivers| !has_disk(drivers))
        {
            let problem = "neither the kernel nor the initrd has a driver for cards, USB disks or virtual disks, so Linux finds no \
                           root file system: see \
                           boot.initrd.availableKernelModules";
            self.menu_problems.push(problem.to_owned());
        }
        Ok(())
    }

    /// The systems that the kernel and UEFI programs are for, as far as that is known.
    pub fn systems(&self) -> BTreeSet<System> {
        let of_kernel = match self.kernel.as_ref().map(|kernel| kernel.format) {
            Some(KernelFormat::Arm64) => Some(System::Aarch64Linux),
            Some(KernelFormat::X86) => Some(System::X8664Linux),
            Some(KernelFormat::Gzip | KernelFormat::Efi | KernelFormat::Unknown) | None => None,
        };
        let of_arm = self.has_program(UEFI_ARM).then_some(System::Aarch64Linux);
        let of_pc = self.has_program(UEFI_PC).then_some(System::X8664Linux);
        [of_kernel, of_arm, of_pc].into_iter().flatten().collect()
    }

    /// Whether UEFI finds the program of that path.
    pub(super) fn has_program(&self, path: &str) -> bool {
        let mut files = self.loaders.iter().flat_map(|loader| &loader.files);
        files.any(|file| file.eq_ignore_ascii_case(path))
    }

    /// Adds the boot loaders of one file system.
    fn examine(&mut self, volume: &Volume, all: &[Volume]) -> Result<(), Error> {
        for path in EXTLINUX {
            if let Some(text) = volume.fs.start_of(path, MAX_CONFIG_BYTES)? {
                self.add_loader(LoaderKind::Extlinux, volume, vec![path.to_owned()]);
                let entry = default_extlinux_entry(&String::from_utf8_lossy(&text));
                // U-Boot starts by the first menu that it finds.
                if let Some(entry) = entry.filter(|_| self.menu.is_none()) {
                    self.follow(&entry, volume, path, all)?;
                }
            }
        }
        if let FileSystem::Fat(_) = volume.fs {
            self.add_firmware(volume)?;
            self.add_uefi(volume)?;
            if self.system.path.is_none()
                && let Some(init) = default_systemd_boot_init(&volume.fs)?
            {
                self.add_system(&init, all)?;
            }
        }
        if let FileSystem::Iso(iso) = &volume.fs {
            self.el_torito = iso.boot_entries()?;
            self.add_uefi(volume)?;
            if self.menu.is_none()
                && let Some(text) = volume.fs.start_of(GRUB, MAX_CONFIG_BYTES)?
                && let Some(entry) = default_grub_entry(&String::from_utf8_lossy(&text))
            {
                self.follow(&entry, volume, GRUB, all)?;
                self.system.nixos = first_line(volume, ISO_VERSION)?;
            }
        }
        Ok(())
    }

    fn add_loader(&mut self, kind: LoaderKind, volume: &Volume, files: Vec<String>) {
        let partition = volume.number;
        self.loaders.push(Loader {
            kind,
            partition,
            files,
        });
    }

    /// Adds what an entry of the extlinux menu `config` starts.
    fn follow(
        &mut self,
        entry: &MenuEntry,
        volume: &Volume,
        config: &str,
        all: &[Volume],
    ) -> Result<(), Error> {
        let menu = menu(entry, volume.number, config);
        if let Some(path) = menu.kernel.clone() {
            let kernel = read_kernel(&volume.fs, volume.number, path.clone())?;
            self.check_exists(kernel.is_some(), "kernel", &path, config);
            self.kernel = self.kernel.take().or(kernel);
        }
        let files = [("initrd", &menu.initrd), ("device tree", &menu.device_tree)];
        for (what, path) in files {
            if let Some(path) = path {
                let found = volume.fs.find(path)?;
                self.check_exists(found == Some(EntryKind::File), what, path, config);
            }
        }
        self.menu = Some(menu);
        if let Some(init) = entry.init() {
            self.add_system(init, all)?;
        }
        Ok(())
    }

    fn check_exists(&mut self, exists: bool, what: &str, path: &str, config: &str) {
        if !exists {
            let problem = format!("{config} names the {what} {path}, which is missing");
            self.menu_problems.push(problem);
        }
    }

    /// Adds the NixOS system whose `init` the kernel runs.
    fn add_system(&mut self, init: &str, all: &[Volume]) -> Result<(), Error> {
        let Some(top) = init.strip_suffix("/init") else {
            return Ok(());
        };
        self.system.path = Some(top.to_owned());
        let mut stores = 0;
        for volume in all {
            if volume.fs.find("/nix/store")?.is_none() {
                continue;
            }
            stores += 1;
            if volume.fs.find(top)? == Some(EntryKind::Directory) {
                self.system.nixos = first_line(volume, &format!("{top}/nixos-version"))?;
                self.system.host_name = first_line(volume, &format!("{top}/etc/hostname"))?;
                return Ok(());
            }
        }
        if stores > 0 {
            let problem = format!("the boot loader names the system {top}, which is missing");
            self.problems.push(problem);
        }
        Ok(())
    }

    /// Adds the Raspberry Pi's firmware and the kernel that it starts.
    fn add_firmware(&mut self, volume: &Volume) -> Result<(), Error> {
        let is_firmware = |name: &str| {
            let name = name.to_ascii_lowercase();
            matches!(name.as_str(), "config.txt" | "bootcode.bin")
                || name.starts_with("start") && name.rsplit('.').next() == Some("elf")
        };
        let names = volume.fs.list("/")?.into_iter().map(|entry| entry.name);
        let names: Vec<String> = names.collect();
        let files: Vec<String> = names
            .iter()
            .filter(|name| is_firmware(name))
            .cloned()
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        self.add_loader(LoaderKind::RaspberryPi, volume, files);
        let starts = |kernel: &&str| names.iter().any(|name| name.eq_ignore_ascii_case(kernel));
        if let Some(name) = PI_KERNELS
            .iter()
            .find(|k| starts(k))
            .filter(|_| self.kernel.is_none())
        {
            self.kernel = read_kernel(&volume.fs, volume.number, format!("/{name}"))?;
        }
        Ok(())
    }

    /// Adds the UEFI programs.
    fn add_uefi(&mut self, volume: &Volume) -> Result<(), Error> {
        const DIR: &str = "/EFI/BOOT";
        if volume.fs.find(DIR)? != Some(EntryKind::Directory) {
            return Ok(());
        }
        let entries = volume.fs.list(DIR)?.into_iter();
        let programs: Vec<String> = entries
            .filter(|entry| entry.name.to_ascii_lowercase().ends_with(".efi"))
            .map(|entry| format!("{DIR}/{}", entry.name))
            .collect();
        if !programs.is_empty() {
            self.add_loader(LoaderKind::Uefi, volume, programs);
        }
        Ok(())
    }
}

/// Drivers of Linux that make a disk of what an image is written to. Few boards start from `NVMe` disks, and none from them alone.
const DISK_DRIVERS: [&str; 5] = [
    "mmc_block",
    "sd_mod",
    "usb_storage",
    "virtio_blk",
    "virtio_scsi",
];
/// Bytes of an initrd that are read, compressed.
const MAX_INITRD_BYTES: u64 = 256 << 20;
/// Bytes of the names of the drivers in a kernel.
const MAX_NAMES_BYTES: usize = 1 << 20;

/// The first of `volumes` with the directory `path`.
fn first_with<'a>(volumes: &'a [Volume], path: &str) -> Result<Option<&'a Volume>, Error> {
    for volume in volumes {
        if volume.fs.find(path)? == Some(EntryKind::Directory) {
            return Ok(Some(volume));
        }
    }
    Ok(None)
}

/// Why no partition of `card` has the root file system in `table`, an `fstab(5)`.
fn root_problem(table: &str, card: &Card) -> Option<String> {
    let mounts = mounts_in(table);
    let root = mounts.iter().find(|mount| mount.path == "/")?;
    match card.root_fault(&mounts)? {
        RootFault::Elsewhere => Some(format!(
            "the system's root file system, {}, is on no partition of the image: see fileSystems.\"/\".device",
            root.device
        )),
        RootFault::NoStore => Some(
            "the system's root file system is in memory, and nothing mounts the partition with the store".to_owned(),
        ),
        RootFault::NamedDisk => None,
    }
}

/// The drivers that are built into the kernel of the system `top`; `None` if there is no list of them.
fn built_in_drivers(fs: &FileSystem, top: &str) -> Result<Option<BTreeSet<String>>, Error> {
    let dir = format!("{top}/kernel-modules/lib/modules");
    if fs.find(&dir)? != Some(EntryKind::Directory) {
        return Ok(None);
    }
    for version in fs.list(&dir)? {
        let list = format!("{dir}/{}/modules.builtin", version.name);
        if let Some(text) = fs.start_of(&list, MAX_NAMES_BYTES)? {
            let text = String::from_utf8_lossy(&text);
            return Ok(Some(text.lines().filter_map(driver_name).collect()));
        }
    }
    Ok(None)
}

/// The drivers in the initrd at `path`; `None` if it cannot be read.
fn initrd_drivers(fs: &FileSystem, path: &str) -> Result<Option<BTreeSet<String>>, Error> {
    let names = fs.with_reader(path, MAX_INITRD_BYTES, |initrd| archived_names(initrd).ok())?;
    let drivers = |names: Vec<String>| names.iter().filter_map(|name| driver_name(name)).collect();
    Ok(names.flatten().map(drivers))
}

/// The name of the driver in the file `path`: `a/sdhci-iproc.ko.xz` has `sdhci_iproc`.
fn driver_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (name, packed) = file.split_once(".ko")?;
    ["", ".gz", ".xz", ".zst"]
        .contains(&packed)
        .then(|| name.replace('-', "_"))
}

fn menu(entry: &MenuEntry, partition: u32, config: &str) -> BootMenu {
    let absolute = |path: &Option<String>| {
        let path = path.as_deref()?;
        Some(absolute_path(config, path))
    };
    BootMenu {
        partition,
        config: config.to_owned(),
        kernel: absolute(&entry.linux),
        initrd: absolute(&entry.initrd),
        device_tree: absolute(&entry.fdt),
        device_trees: absolute(&entry.fdtdir),
    }
}

/// The first line of a small file; `None` when it is empty or missing.
fn first_line(volume: &Volume, path: &str) -> Result<Option<String>, Error> {
    let text = volume.fs.start_of(path, 256)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default().trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// Characters of the longest version: Linux limits release names to 64.
const MAX_VERSION_BYTES: usize = 64;
/// The format of a kernel's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelFormat {
    /// A kernel for 64-bit ARM.
    Arm64,
    /// A kernel for x86 PCs.
    X86,
    /// A compressed kernel.
    Gzip,
    /// A UEFI program.
    Efi,
    /// Another one.
    Unknown,
}

impl KernelFormat {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86",
            Self::Gzip => "gzip",
            Self::Efi => "efi",
            Self::Unknown => "unknown",
        }
    }
}

/// A kernel on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The number of its partition.
    pub partition: u32,
    /// The path of the file.
    pub path: String,
    /// The format.
    pub format: KernelFormat,
    /// The version in the header of an x86 kernel, else in its name.
    pub version: Option<String>,
}

/// The kernel at `path`; `None` when there is no such file.
fn read_kernel(fs: &FileSystem, partition: u32, path: String) -> Result<Option<Kernel>, Error> {
    let Some(start) = fs.start_of(&path, 64 * 1024)? else {
        return Ok(None);
    };
    let format = detect_format(&start);
    let stated = match format {
        KernelFormat::X86 => x86_version(&start),
        KernelFormat::Arm64 | KernelFormat::Gzip | KernelFormat::Efi | KernelFormat::Unknown => {
            None
        }
    };
    Ok(Some(Kernel {
        partition,
        version: stated.or_else(|| version_in_name(&path)),
        path,
        format,
    }))
}

fn detect_format(start: &[u8]) -> KernelFormat {
    if has_magic(start, 0x38, b"ARM\x64") {
        KernelFormat::Arm64
    } else if has_magic(start, 0x202, b"HdrS") {
        KernelFormat::X86
    } else if has_magic(start, 0, &[0x1f, 0x8b]) {
        KernelFormat::Gzip
    } else if has_magic(start, 0, b"MZ") {
        KernelFormat::Efi
    } else {
        KernelFormat::Unknown
    }
}

/// The version in an x86 kernel's header.
fn x86_version(start: &[u8]) -> Option<String> {
    leading_version(slice(
        start,
        usize::from(u16_at(start, 0x20e)) + 0x200,
        usize::MAX,
    ))
}

/// The version at the start of `text`.
fn leading_version(text: &[u8]) -> Option<String> {
    let word: Vec<u8> = text
        .iter()
        .copied()
        .take(MAX_VERSION_BYTES)
        .take_while(|b| b.is_ascii_alphanumeric() || b"._-+".contains(b))
        .collect();
    let begins = word.first().is_some_and(u8::is_ascii_digit);
    String::from_utf8(word).ok().filter(|_| begins)
}

/// The version in a file name like those of NixOS: `…-linux-6.12.34-Image`, `vmlinuz-6.1.0-18-arm64`.
fn version_in_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (_, rest) = ["linux-", "vmlinuz-", "Image-"]
        .iter()
        .find_map(|word| name.rsplit_once(word))?;
    let rest = ["-Image", "-bzImage", "-zImage"]
        .iter()
        .find_map(|end| rest.strip_suffix(end))
        .unwrap_or(rest);
    leading_version(rest.as_bytes())
}

/// An entry of the menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct MenuEntry {
    pub(super) label: String,
    linux: Option<String>,
    pub(super) initrd: Option<String>,
    /// One device tree for any board.
    fdt: Option<String>,
    /// The directory with the device trees of all boards.
    fdtdir: Option<String>,
    pub(super) append: String,
}

impl MenuEntry {
    /// The program that the kernel runs first, from its command line.
    fn init(&self) -> Option<&str> {
        let mut words = self.append.split_whitespace();
        words.find_map(|word| word.strip_prefix("init="))
    }
}

/// The entry that is booted without a choice of the user: the default one, else the first.
fn default_extlinux_entry(text: &str) -> Option<MenuEntry> {
    let (mut default, mut entries) = (None, Vec::<MenuEntry>::new());
    for line in text.lines() {
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim().to_owned();
        match (word.to_ascii_lowercase().as_str(), entries.last_mut()) {
            ("default", _) => default = Some(rest),
            ("label", _) => entries.push(MenuEntry {
                label: rest,
                ..MenuEntry::default()
            }),
            ("linux" | "kernel", Some(entry)) => entry.linux = Some(rest),
            ("initrd", Some(entry)) => entry.initrd = Some(rest),
            ("fdt" | "devicetree", Some(entry)) => entry.fdt = Some(rest),
            ("fdtdir" | "devicetreedir", Some(entry)) => entry.fdtdir = Some(rest),
            ("append", Some(entry)) => entry.append = rest,
            _ => {}
        }
    }
    let index = entries
        .iter()
        .position(|entry| Some(&entry.label) == default.as_ref())
        .unwrap_or(0);
    (index < entries.len()).then(|| entries.swap_remove(index))
}

/// The absolute path of `path`, which is relative to the configuration file `config`.
fn absolute_path(config: &str, path: &str) -> String {
    let dir = config.rsplit_once('/').map_or("", |(dir, _)| dir);
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{dir}/{path}")
    };
    let mut components = Vec::new();
    for component in whole.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    format!("/{}", components.join("/"))
}

/// The entry that is booted without a choice of the user, which is the first.
fn default_grub_entry(text: &str) -> Option<MenuEntry> {
    let mut lines = text.lines().map(str::trim);
    let title = lines.find_map(|line| line.strip_prefix("menuentry "))?;
    let mut entry = MenuEntry {
        label: title.split('\'').nth(1).unwrap_or(title).trim().to_owned(),
        ..MenuEntry::default()
    };
    for line in lines.take_while(|line| *line != "}") {
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let mut words = rest.split_whitespace();
        match word {
            "linux" => {
                entry.linux = words.next().map(str::to_owned);
                let is_variable = |word: &&str| word.starts_with("${") && word.ends_with('}');
                let words: Vec<&str> = words.filter(|word| !is_variable(word)).collect();
                entry.append = words.join(" ");
            }
            "initrd" => entry.initrd = words.next().map(str::to_owned),
            _ => {}
        }
    }
    entry.linux.is_some().then_some(entry)
}

/// The menu, and the directory of its entries.
const MENU: &str = "/loader/loader.conf";
const ENTRIES: &str = "/loader/entries";
/// Bytes that are read of each file.
const MAX_ENTRY_BYTES: usize = 64 << 10;

/// The program that the kernel of the default entry runs; `None` without a menu, and where no name or only a pattern says which of
/// several entries is the default one.
fn default_systemd_boot_init(esp: &FileSystem) -> Result<Option<String>, Error> {
    if esp.find(ENTRIES)?.is_none() {
        return Ok(None);
    }
    let entries = esp.list(ENTRIES)?.into_iter().map(|entry| entry.name);
    let is_entry = |name: &String| {
        name.rsplit_once('.')
            .is_some_and(|(_, kind)| kind == "conf")
    };
    let entries: Vec<String> = entries.filter(is_entry).collect();
    let menu = esp_text(esp, MENU)?;
    let default = entry_values(&menu, "default").last();
    let is_default = |name: &&String| default.is_some_and(|default| is_entry_of(name, default));
    let name = match entries.as_slice() {
        [only] => Some(only),
        all => all.iter().find(is_default),
    };
    let Some(name) = name else {
        return Ok(None);
    };
    let entry = esp_text(esp, &format!("{ENTRIES}/{name}"))?;
    Ok(init_of(&entry))
}

/// Whether the file `name` is the entry `wanted`: the tries that are left and that failed are in its name, as in `nixos+2-1.conf`.
fn is_entry_of(name: &str, wanted: &str) -> bool {
    let without_tries = |name: &str| {
        let stem = name.strip_suffix(".conf")?;
        let (stem, tries) = stem.rsplit_once('+')?;
        let is_tries = tries.chars().all(|c| c.is_ascii_digit() || c == '-');
        is_tries.then(|| format!("{stem}.conf"))
    };
    name == wanted || without_tries(name).as_deref() == Some(wanted)
}

/// The program that the kernel of an `entry` runs: the last that its lines of options name, as the kernel takes it.
fn init_of(entry: &str) -> Option<String> {
    let words = entry_values(entry, "options").flat_map(str::split_whitespace);
    let inits = words.filter_map(|word| word.strip_prefix("init="));
    inits.last().map(str::to_owned)
}

fn esp_text(esp: &FileSystem, path: &str) -> Result<String, Error> {
    let bytes = esp.start_of(path, MAX_ENTRY_BYTES)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What follows `key` on the lines of `esp_text` that begin with it.
fn entry_values<'a>(esp_text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let pairs = esp_text
        .lines()
        .filter_map(|line| line.trim().split_once([' ', '\t']));
    pairs
        .filter(move |(name, _)| *name == key)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    mod kernel {
        use super::super::*;

        #[test]
        fn version_is_found_in_the_name() {
            let of = |path| version_in_name(path).unwrap_or_default();
            assert_eq!(of("/boot/nixos/abc-linux-6.12.34-Image"), "6.12.34");
            assert_eq!(of("/boot/nixos/abc-linux-rpi-6.1.1-Image"), "");
            assert_eq!(of("/boot/vmlinuz-6.1.0-18-arm64"), "6.1.0-18-arm64");
            assert_eq!(of("/boot/kernel8.img"), "");
        }
    }

    mod extlinux {
        use super::super::*;

        const NIXOS: &str = "# Generated\n\nDEFAULT nixos-default\nMENU TITLE ----\nTIMEOUT 10\n\
        LABEL old\n  LINUX ../nixos/old-Image\n\
        LABEL nixos-default\n  MENU LABEL NixOS\n  LINUX ../nixos/new-Image\n\
        \tinitrd ../nixos/new-initrd\n  FDTDIR ../nixos/dtbs\n  APPEND init=/nix/store/x-nixos-system-a-1/init loglevel=4\n";

        #[test]
        fn default_entry_is_found() {
            let entry = default_extlinux_entry(NIXOS).unwrap();
            assert_eq!(entry.linux.as_deref(), Some("../nixos/new-Image"));
            assert_eq!(entry.initrd.as_deref(), Some("../nixos/new-initrd"));
            assert_eq!(entry.fdtdir.as_deref(), Some("../nixos/dtbs"));
            assert_eq!(entry.init(), Some("/nix/store/x-nixos-system-a-1/init"));
            let first =
                default_extlinux_entry(&NIXOS.replace("DEFAULT nixos-default", "")).unwrap();
            assert_eq!(first.label, "old");
            assert_eq!(default_extlinux_entry("TIMEOUT 10"), None);
        }

        #[test]
        fn paths_are_relative_to_the_configuration() {
            let at = "/boot/extlinux/extlinux.conf";
            assert_eq!(absolute_path(at, "../nixos/k"), "/boot/nixos/k");
            assert_eq!(absolute_path(at, "/k"), "/k");
            assert_eq!(absolute_path(at, "../../../../k"), "/k");
        }

        proptest::proptest! {
            #[test]
            fn any_text_is_accepted(text in "(?s).{0,300}") {
                if let Some(entry) = default_extlinux_entry(&text) {
                    absolute_path("/a/b", &entry.linux.unwrap_or_default());
                }
            }
        }
    }

    mod grub {
        use super::super::*;

        #[test]
        fn the_first_entry_of_nixpkgs_menu_is_booted() {
            let text = "set timeout=10\nsearch --set=root --file /EFI/nixos-installer-image\n\
            menuentry 'NixOS 26.05 Installer'  --class installer {\n  # Fallback\n  \
            linux /boot//nix/store/k/Image ${isoboot} init=/nix/store/s/init root=LABEL=nixos\n  initrd /boot//nix/store/i/initrd\n}\n\
            menuentry 'other' {\n  linux /x\n}\n";
            let entry = default_grub_entry(text).unwrap();
            assert_eq!(entry.label, "NixOS 26.05 Installer");
            assert_eq!(entry.linux.as_deref(), Some("/boot//nix/store/k/Image"));
            assert_eq!(entry.initrd.as_deref(), Some("/boot//nix/store/i/initrd"));
            assert_eq!(entry.append, "init=/nix/store/s/init root=LABEL=nixos");
            assert_eq!(entry.init(), Some("/nix/store/s/init"));
            assert_eq!(
                default_grub_entry("menuentry 'Shutdown' {\n  halt\n}\n"),
                None
            );
        }
    }

    mod systemd_boot {
        use super::super::*;

        #[test]
        fn init_is_on_any_line_of_options() {
            let entry = "title\tNixOS\noptions\troot=LABEL=x\tquiet\noptions  init=/nix/store/a/init x=init=no\n";
            assert_eq!(init_of(entry).as_deref(), Some("/nix/store/a/init"));
            assert_eq!(init_of("# options init=/no\ntitle x\n"), None);
        }

        #[test]
        fn tries_are_not_part_of_an_entrys_name() {
            let wanted = "nixos-generation-1.conf";
            for name in [
                wanted,
                "nixos-generation-1+3.conf",
                "nixos-generation-1+2-1.conf",
            ] {
                assert!(is_entry_of(name, wanted), "{name}");
            }
            for name in ["nixos-generation-2.conf", "nixos-generation-1+x.conf"] {
                assert!(!is_entry_of(name, wanted), "{name}");
            }
        }
    }
}
