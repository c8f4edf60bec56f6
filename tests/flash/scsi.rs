//! The command on a removable disk, which the kernel's `scsi_debug` emulates.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::card::{MIB, assert_contains, has_loop_devices, run_output, write_table};
use crate::tools::report_skip;
use crate::{image, run};

/// The loaded kernel module `scsi_debug` with a removable disk; it is unloaded on drop.
struct ScsiDebug;

impl ScsiDebug {
    /// `None`, with a message, where the kernel has no such module.
    fn new() -> Option<Self> {
        let loads = has_loop_devices()
            && !Path::new("/sys/bus/pseudo/drivers/scsi_debug").exists()
            && crate::find("modprobe").is_some_and(|modprobe| {
                let words = ["scsi_debug", "dev_size_mb=64", "removable=1"];
                let status = Command::new(modprobe).args(words).status();
                status.is_ok_and(|status| status.success())
            });
        if !loads {
            report_skip("this kernel has no scsi_debug, or it is in use");
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

impl Drop for ScsiDebug {
    fn drop(&mut self) {
        run("modprobe --remove scsi_debug", Path::new("/"));
    }
}

#[test]
fn removable_disk_is_listed_and_written_without_flags() {
    let Some(_scsi) = ScsiDebug::new() else { return };
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() && Instant::now() < deadline {
        found = ScsiDebug::name();
    }
    let node = format!("/dev/{}", found.unwrap());
    let dir = tempfile::tempdir().unwrap();
    image(&dir.path().join("a.img"), 24 * MIB, 6, &[(0, 9 << 20)]);
    write_table(&dir.path().join("a.img"));
    let sdbuild = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        let command = command.arg("flash").arg("a.img").args(words);
        run_output(command.current_dir(dir.path()).stdin(Stdio::null()))
    };
    let (code, text) = sdbuild(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert_contains(&text, &[&node]);
    let (code, text) = sdbuild(&[&node, "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    run(&format!("cmp --bytes {} a.img {node}", 24 * MIB), dir.path());
}
