//! How an image boots: its boot loaders, its kernel and its NixOS system.

use std::collections::BTreeSet;

use serde::Serialize;

use super::entry::EntryKind;
use super::error::Error;
use super::extlinux;
use super::extlinux::MenuEntry;
use super::files::FileSystem;
use super::grub;
use super::iso::ElToritoEntry;
use super::kernel;
use super::kernel::{Kernel, KernelFormat};
use super::systemd_boot;
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
const MAX_CONFIG_BYTES: usize = 256 * 1024;
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
    /// Files that the boot menu names and that are missing.
    #[serde(skip)]
    pub menu_problems: Vec<String>,
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
                let entry = extlinux::default_entry(&String::from_utf8_lossy(&text));
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
                && let Some(init) = systemd_boot::default_init(&volume.fs)?
            {
                self.add_system(&init, all)?;
            }
        }
        if let FileSystem::Iso(iso) = &volume.fs {
            self.el_torito = iso.boot_entries()?;
            self.add_uefi(volume)?;
            if self.menu.is_none()
                && let Some(text) = volume.fs.start_of(GRUB, MAX_CONFIG_BYTES)?
                && let Some(entry) = grub::default_entry(&String::from_utf8_lossy(&text))
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
            let kernel = kernel::read(&volume.fs, volume.number, path.clone())?;
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
            self.kernel = kernel::read(&volume.fs, volume.number, format!("/{name}"))?;
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

fn menu(entry: &MenuEntry, partition: u32, config: &str) -> BootMenu {
    let absolute = |path: &Option<String>| {
        let path = path.as_deref()?;
        Some(extlinux::absolute_path(config, path))
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
