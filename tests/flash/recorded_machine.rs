//! Machines of others, as their recorded files describe them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sdbuild_core::failure::Failure;
use sdbuild_image::flash::{Allowed, DiskInventory, SysRoot};
use sdbuild_image::flash::{check, whole_disk};

use crate::root;

/// A machine as `tests/flash/trees/<name>.txt` describes it. A tilde stands for a space.
pub struct Machine {
    pub dir: tempfile::TempDir,
}

impl Machine {
    pub fn new(name: &str) -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        let text =
            fs::read_to_string(root().join(format!("tests/flash/trees/{name}.txt"))).unwrap();
        let (devices, tables) = text.split_once("\nmounts\n").unwrap();
        let (mounts, swaps) = tables.split_once("swaps\n").unwrap();
        machine.write("proc/self/mountinfo", mounts);
        machine.write("proc/swaps", &format!("Filename Type Size Used Priority\n{swaps}"));
        let mut disk = String::new();
        for line in devices.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "disk" => {
                    disk = format!("sys/{}", words[3]);
                    machine.device(&disk, &words[1..3], &words[4..]);
                }
                "virtual" => {
                    let place = format!("sys/devices/virtual/block/{}", words[1]);
                    machine.device(&place, &words[1..3], &words[3..]);
                }
                "part" => {
                    let number = words[1].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
                    machine.write(&format!("{disk}/{}/partition", words[1]), number);
                    machine.device(&format!("{disk}/{}", words[1]), &words[1..3], &words[3..]);
                }
                "udev" => {
                    let number = fs::read_to_string(
                        machine.at(&format!("sys/class/block/{}/dev", words[1])),
                    );
                    let lines = format!("E:{}\n", words[2..].join("\nE:"));
                    machine.write(&format!("run/udev/data/b{}", number.unwrap()), &lines);
                }
                "slave" => {
                    machine
                        .write(&format!("sys/class/block/{}/slaves/{}/x", words[1], words[2]), "");
                    machine
                        .write(&format!("sys/class/block/{}/holders/{}/x", words[2], words[1]), "");
                }
                "btrfs" => {
                    for name in &words[2..] {
                        machine.write(&format!("sys/fs/btrfs/{}/devices/{name}/x", words[1]), "");
                    }
                }
                other => panic!("{other}"),
            }
        }
        machine
    }

    pub fn at(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn device(&self, place: &str, names: &[&str], files: &[&str]) {
        let [name, number] = names else { panic!("{names:?}") };
        self.write(&format!("{place}/dev"), number);
        for (file, value) in files.iter().map(|word| word.split_once('=').unwrap()) {
            let file = if file == "sectors" { "size" } else { file };
            self.write(&format!("{place}/{file}"), &value.replace('~', " "));
        }
        for link in [format!("class/block/{name}"), format!("dev/block/{number}")] {
            let link = self.at("sys").join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(Path::new("../../..").join(place), link).unwrap();
        }
        self.write(&format!("dev/{name}"), "");
    }

    pub fn root(&self) -> SysRoot {
        SysRoot::at(self.dir.path())
    }

    pub fn take(&self) -> Result<DiskInventory, Failure> {
        DiskInventory::take(&self.root(), Path::new("/srv/images/a.img"))
    }

    pub fn inventory(&self) -> DiskInventory {
        self.take().unwrap()
    }

    pub fn listed(&self) -> Vec<String> {
        self.inventory().candidates().map(|disk| disk.name.clone()).collect()
    }

    /// Why the device is refused for an image of 1 MB; empty when it is not.
    pub fn refusal(&self, number: &str, allowed: Allowed) -> String {
        let text = |failure: Failure| failure.to_string();
        let disk = whole_disk(&self.inventory(), &self.root(), number);
        let checked = disk.and_then(|disk| check(&disk, allowed, 1_000_000));
        checked.err().map(text).unwrap_or_default()
    }
}
