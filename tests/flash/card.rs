//! A card to write to: a loop device, which tests create as root.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tools::report_skip;
use crate::{have, image, run, try_run};

pub(crate) const MIB: u64 = 1 << 20;

/// A loop device on a file of random bytes, as a used card has them.
pub(crate) struct Card {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) node: String,
    mounted: Vec<PathBuf>,
}

impl Card {
    /// `None`, with a message, where loop devices cannot be created.
    pub(crate) fn new(size: u64) -> Option<Self> {
        Self::in_dir(tempfile::tempdir().unwrap(), size, Vec::new())
    }

    /// The same in a directory that may have the file already; `mounted` is unmounted at the end.
    pub(crate) fn in_dir(dir: tempfile::TempDir, size: u64, mounted: Vec<PathBuf>) -> Option<Self> {
        if !has_loop_devices() {
            return None;
        }
        let file = dir.path().join("card");
        if !file.exists() {
            image(&file, size, 99, &[(0, usize::try_from(size).unwrap())]);
        }
        let node = {
            let _one_at_a_time = lock_loop_devices();
            run("losetup --find --show --partscan card", dir.path())
        };
        let node = node.trim().to_owned();
        Some(Self { dir, node, mounted })
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.at("card")).unwrap()
    }

    /// `sdbuild flash NAME` for an image in the directory.
    pub(crate) fn flash(&self, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        command.arg("flash").arg(name).arg(&self.node).args(more);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs it with the flags that a loop device needs; returns the exit code and the output.
    pub(crate) fn run_flash(&self, name: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut command = self.flash(name, &["--allow-fixed", "--yes"]);
        run_output(command.args(more))
    }

    /// Creates an image of 24 MiB with data in some places; returns its bytes.
    pub(crate) fn image(&self, name: &str) -> Vec<u8> {
        let path = self.at(name);
        let data = [(0, 9000), (3 * MIB, 5 << 20), (9 * MIB + 4096, 1), (23 * MIB, 1 << 20)];
        image(&path, 24 * MIB, 5, &data);
        write_table(&path);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        // Zeros that are not a hole.
        file.write_all_at(&vec![0; 4 << 20], 12 * MIB).unwrap();
        fs::read(path).unwrap()
    }

    /// Puts the file `name` in the place of the card, as if another card was inserted.
    pub(crate) fn replace(&self, name: &str) {
        // No other test may find the device free in between.
        let _one_at_a_time = lock_loop_devices();
        run(&format!("losetup --detach {}", self.node), self.dir.path());
        // The kernel detaches it when the last one that examines the device, such as udev, has closed it.
        let deadline = Instant::now() + Duration::from_secs(20);
        let attach = format!("losetup --partscan {} {name}", self.node);
        while !try_run(&attach, self.dir.path()).status.success() {
            assert!(Instant::now() < deadline, "{} stays in use", self.node);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A lock that all tests hold while they look for a free loop device. `losetup --find` of one would else take the device that
/// another one has detached for a moment.
fn lock_loop_devices() -> fs::File {
    let path = std::env::temp_dir().join("sdbuild-tests-loop-devices.lock");
    let file = fs::File::options().append(true).create(true).open(path);
    let file = file.unwrap();
    file.lock().unwrap();
    file
}

/// Writes a boot record with one partition.
pub(crate) fn write_table(path: &Path) {
    let mut table = [0; 66];
    table[4] = 0x83;
    table[8..12].copy_from_slice(&2048_u32.to_le_bytes());
    table[12..16].copy_from_slice(&4096_u32.to_le_bytes());
    table[64..].copy_from_slice(&[0x55, 0xaa]);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&table, 446).unwrap();
}

impl Drop for Card {
    fn drop(&mut self) {
        run(&format!("losetup --detach {}", self.node), self.dir.path());
        for point in &self.mounted {
            run(&format!("umount {}", point.display()), Path::new("/"));
        }
    }
}

/// Whether loop devices can be created.
pub(crate) fn has_loop_devices() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    let here = root && Path::new("/dev/loop-control").exists();
    let ci = std::env::var_os("CI").is_some();
    assert!(here || !ci, "in CI every test must run: loop devices need root");
    if !here {
        report_skip("loop devices need root and /dev/loop-control");
    }
    here && have(&["losetup", "umount", "mount"])
}

/// Runs a command; returns the exit code and the output.
pub(crate) fn run_output(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Asserts that the text contains all of `parts`.
#[track_caller]
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
