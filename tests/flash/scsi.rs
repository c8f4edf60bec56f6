//! The command on a disk that can be removed, where the kernel has one to play with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::card::{MIB, loops_are_here, said, tells};
use crate::{image, run};

/// The kernel's own make-believe disks, which can be removable; gone with the value.
struct Scsi;

impl Scsi {
    /// `None`, said aloud, where the kernel has none: no package brings them.
    fn new() -> Option<Self> {
        let loads = loops_are_here()
            && !Path::new("/sys/bus/pseudo/drivers/scsi_debug").exists()
            && crate::find("modprobe").is_some_and(|modprobe| {
                let words = ["scsi_debug", "dev_size_mb=64", "removable=1"];
                let status = Command::new(modprobe).args(words).status();
                status.is_ok_and(|status| status.success())
            });
        if !loads {
            eprintln!("SKIPPED: this kernel has no scsi_debug, or it is in use");
        }
        loads.then(|| Self)
    }

    fn name() -> Option<String> {
        let link = |name: &String| {
            let target = fs::read_link(format!("/sys/class/block/{name}"));
            target.is_ok_and(|target| target.to_string_lossy().contains("/pseudo_"))
        };
        let names = fs::read_dir("/sys/class/block").unwrap().flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.find(link)
    }
}

impl Drop for Scsi {
    fn drop(&mut self) {
        run("modprobe --remove scsi_debug", Path::new("/"));
    }
}

#[test]
fn a_removable_disk_is_listed_and_taken_as_it_is() {
    let Some(_scsi) = Scsi::new() else {
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() && Instant::now() < deadline {
        found = Scsi::name();
    }
    let node = format!("/dev/{}", found.unwrap());
    let dir = tempfile::tempdir().unwrap();
    image(&dir.path().join("a.img"), 24 * MIB, 6, &[(0, 9 << 20)]);
    let sdbuild = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        let command = command.arg("flash").arg("a.img").args(words);
        said(command.current_dir(dir.path()).stdin(Stdio::null()))
    };
    let (code, text) = sdbuild(&[]);
    assert_eq!(code, Some(0), "{text}");
    tells(&text, &[&node]);
    let (code, text) = sdbuild(&[&node, "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    run(
        &format!("cmp --bytes {} a.img {node}", 24 * MIB),
        dir.path(),
    );
}
