//! How an image boots: the loaders on it, the kernel they start, the system that it runs.

use serde::Serialize;

use super::entry::EntryKind;
use super::error::Error;
use super::extlinux::{self, MenuEntry};
use super::files::FileSystem;
use super::kernel::{self, Kernel};

const EXTLINUX: [&str; 2] = ["/boot/extlinux/extlinux.conf", "/extlinux/extlinux.conf"];
/// The longest configuration that is read.
const LONGEST: usize = 256 * 1024;
/// What the Raspberry Pi's firmware starts by itself.
const PI_KERNELS: [&str; 5] = [
    "kernel8.img",
    "kernel_2712.img",
    "kernel7l.img",
    "kernel7.img",
    "kernel.img",
];

/// A file system with the number of its partition.
#[derive(Debug)]
pub struct Volume {
    /// The partition's number.
    pub number: u32,
    /// What is in it.
    pub fs: FileSystem,
}

/// The kind of a boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    /// U-Boot's menu, as NixOS writes it.
    Extlinux,
    /// The Raspberry Pi's own firmware.
    RaspberryPi,
    /// A program for UEFI.
    Uefi,
}

/// A boot loader on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loader {
    /// Its kind.
    pub kind: LoaderKind,
    /// The partition that it is in.
    pub partition: u32,
    /// The files that tell.
    pub files: Vec<String>,
}

/// The NixOS system, or another, that is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct System {
    /// Its path in the store.
    pub path: Option<String>,
    /// NixOS' version.
    pub nixos: Option<String>,
    /// The machine's name.
    pub host_name: Option<String>,
}

/// How an image boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootReport {
    /// The boot loaders.
    pub loaders: Vec<Loader>,
    /// The kernel.
    pub kernel: Option<Kernel>,
    /// The system.
    pub system: System,
    /// What the loader names and is not there.
    #[serde(skip)]
    pub problems: Vec<String>,
}

impl BootReport {
    /// Looks at all file systems of an image.
    pub fn find(volumes: &[Volume]) -> Result<Self, Error> {
        let mut boot = Self::default();
        for volume in volumes {
            // One that cannot be read must not hide what the others hold.
            match boot.visit(volume, volumes) {
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
                boot.system.host_name = line(volume, "/etc/hostname").unwrap_or_default();
            }
        }
        Ok(boot)
    }

    fn visit(&mut self, volume: &Volume, all: &[Volume]) -> Result<(), Error> {
        for path in EXTLINUX {
            if let Some(text) = volume.fs.start_of(path, LONGEST)? {
                self.loader(LoaderKind::Extlinux, volume, vec![path.to_owned()]);
                if let Some(entry) = extlinux::chosen(&String::from_utf8_lossy(&text)) {
                    self.follow(&entry, (volume, path), all)?;
                }
            }
        }
        if let FileSystem::Fat(_) = volume.fs {
            self.firmware(volume)?;
            self.uefi(volume)?;
        }
        Ok(())
    }

    fn loader(&mut self, kind: LoaderKind, volume: &Volume, files: Vec<String>) {
        let partition = volume.number;
        self.loaders.push(Loader {
            kind,
            partition,
            files,
        });
    }

    /// What an entry of extlinux starts.
    fn follow(
        &mut self,
        entry: &MenuEntry,
        (volume, config): (&Volume, &str),
        all: &[Volume],
    ) -> Result<(), Error> {
        if let Some(path) = entry.linux.as_deref() {
            let path = extlinux::absolute(config, path);
            let kernel = kernel::read(&volume.fs, (volume.number, path.clone()))?;
            self.note(kernel.is_some(), "kernel", (&path, config));
            self.kernel = self.kernel.take().or(kernel);
        }
        if let Some(path) = entry.initrd.as_deref() {
            let path = extlinux::absolute(config, path);
            let found = volume.fs.find(&path)?;
            self.note(found == Some(EntryKind::File), "initrd", (&path, config));
        }
        if let Some(init) = entry.init() {
            self.system(init, all)?;
        }
        Ok(())
    }

    fn note(&mut self, there: bool, what: &str, (path, config): (&str, &str)) {
        if !there {
            let problem = format!("the {what} {path} is missing, which {config} names");
            self.problems.push(problem);
        }
    }

    /// The NixOS system whose `init` the kernel runs.
    fn system(&mut self, init: &str, all: &[Volume]) -> Result<(), Error> {
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
                self.system.nixos = line(volume, &format!("{top}/nixos-version"))?;
                self.system.host_name = line(volume, &format!("{top}/etc/hostname"))?;
                return Ok(());
            }
        }
        if stores > 0 {
            let problem = format!("the system {top} is missing, which the boot loader names");
            self.problems.push(problem);
        }
        Ok(())
    }

    fn firmware(&mut self, volume: &Volume) -> Result<(), Error> {
        let tells = |name: &str| {
            let name = name.to_ascii_lowercase();
            matches!(name.as_str(), "config.txt" | "bootcode.bin")
                || name.starts_with("start") && name.rsplit('.').next() == Some("elf")
        };
        let names = volume.fs.list("/")?.into_iter().map(|entry| entry.name);
        let names: Vec<String> = names.collect();
        let files: Vec<String> = names.iter().filter(|n| tells(n)).cloned().collect();
        if files.is_empty() {
            return Ok(());
        }
        self.loader(LoaderKind::RaspberryPi, volume, files);
        let starts = |kernel: &&str| names.iter().any(|name| name.eq_ignore_ascii_case(kernel));
        if let Some(name) = PI_KERNELS
            .iter()
            .find(|k| starts(k))
            .filter(|_| self.kernel.is_none())
        {
            self.kernel = kernel::read(&volume.fs, (volume.number, format!("/{name}")))?;
        }
        Ok(())
    }

    fn uefi(&mut self, volume: &Volume) -> Result<(), Error> {
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
            self.loader(LoaderKind::Uefi, volume, programs);
        }
        Ok(())
    }
}

/// The first line of a small file.
fn line(volume: &Volume, path: &str) -> Result<Option<String>, Error> {
    let text = volume.fs.start_of(path, 256)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default().trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}
