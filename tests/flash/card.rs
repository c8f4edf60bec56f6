//! A card to write to: a loop device, which tests create as root.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{have, image, run};

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
        let node = run("losetup --find --show --partscan card", dir.path());
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
        let data = [
            (0, 9000),
            (3 * MIB, 5 << 20),
            (9 * MIB + 4096, 1),
            (23 * MIB, 1 << 20),
        ];
        image(&path, 24 * MIB, 5, &data);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x55, 0xaa], 510).unwrap();
        // Zeros that are not a hole.
        file.write_all_at(&vec![0; 4 << 20], 12 * MIB).unwrap();
        fs::read(path).unwrap()
    }
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
    assert!(
        here || !ci,
        "in CI every test must run: loop devices need root"
    );
    if !here {
        eprintln!("SKIPPED: loop devices need root and /dev/loop-control");
    }
    here && have(&["losetup", "umount", "mount"])
}

/// Runs a command; returns the exit code and the output.
pub(crate) fn run_output(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Asserts that the text contains all of `parts`.
#[track_caller]
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
