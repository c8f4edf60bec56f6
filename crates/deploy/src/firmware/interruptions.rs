//! `firmware.sh` is killed at each of its steps.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::*;
use sdbuild_core::shell_word::quoted;

/// In the order of their names, which is not that of the replacement.
const NAMES: [&str; 4] = ["config.txt", "fixup.dat", "overlays/new.dtbo", "start.elf"];
/// Stands for the program of its name: kills the script at the step LAST, in the middle of a copy.
const STEP: &str = r#"#!/bin/sh
read -r step <"$STEPS"
step=$((step + 1))
echo $step >"$STEPS"
[ $step = "$LAST" ] || exec /usr/bin/"${0##*/}" "$@"
[ "${0##*/}" != cp ] || head -c 2 "$1" >"$2"
kill -9 $PPID
"#;

/// A directory that stands for a board, and for the files that it gets.
struct Board {
    dir: tempfile::TempDir,
    firmware: Firmware,
}

impl Board {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for dir in ["bin", "new/overlays", "old"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        for name in ["cp", "mv", "sync"] {
            fs::write(at("bin").join(name), STEP).unwrap();
        }
        for name in ["mount", "umount"] {
            fs::write(at("bin").join(name), "#!/bin/sh\n").unwrap();
        }
        let mut chmod = Command::new("chmod");
        let chmod = chmod.args(["-R", "+x"]).arg(at("bin"));
        assert!(chmod.status().unwrap().success());
        fs::write(at("fstab"), format!("x {} vfat\n", at("old").display())).unwrap();
        let mut firmware = Firmware::new(crate::store_path::fixture::path('1', "firmware"));
        for name in NAMES {
            let text = format!("new {name}");
            fs::write(at("new").join(name), &text).unwrap();
            let hash = Command::new("sha256sum").arg(at("new").join(name)).output();
            let hash = String::from_utf8(hash.unwrap().stdout).unwrap();
            let hash = hash.split(' ').next().unwrap();
            firmware.note("hash", &format!("{hash} {name}")).unwrap();
            firmware
                .note("size", &format!("{} {name}", text.len()))
                .unwrap();
            if !name.contains("new") {
                fs::write(at("old").join(name), format!("old {name}")).unwrap();
            }
        }
        Self { dir, firmware }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the script, and kills it at the step `last`.
    fn run(&self, words: &[String], last: usize) -> Output {
        let path = |name: &str| self.at(name).display().to_string();
        let script = script::FIRMWARE
            .replace(
                "dir=/boot/firmware",
                &format!("dir={}", quoted(&path("old"))),
            )
            .replace("/etc/fstab", &path("fstab"))
            .replace("/nix/var/nix/profiles", &path("old"));
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        fs::write(self.at("steps"), "0\n").unwrap();
        let mut shell = Command::new("sh");
        let bin = format!("{}:/usr/bin:/bin", path("bin"));
        shell.env("PATH", bin).env("STEPS", self.at("steps"));
        shell.env("LAST", last.to_string());
        let shell = shell.args(["-c", &script::input(&script, &words)]);
        shell.output().unwrap()
    }

    fn look(&self) -> FirmwareChange {
        let said = self.run(&self.firmware.to_look(), 0).stdout;
        self.firmware
            .compare(&String::from_utf8(said).unwrap())
            .unwrap()
    }

    /// Kills the replacement at the step `last`.
    fn put(&self, change: &FirmwareChange, last: usize) -> Output {
        let mut words = self.firmware.to_put(change);
        words[1] = self.at("new").display().to_string();
        self.run(&words, last)
    }
}

#[test]
fn a_replacement_that_is_killed_leaves_whole_files_and_the_next_one_completes_it() {
    let mut steps = 0;
    loop {
        steps += 1;
        let board = Board::new();
        let change = board.look();
        let order = change.groups.concat();
        let is_whole = board.put(&change, steps).status.success();
        let is_new = |name: &String| {
            let text = fs::read_to_string(board.at("old").join(name)).unwrap_or_default();
            let old = if name.contains("new") {
                String::new()
            } else {
                format!("old {name}")
            };
            assert!(
                [old, format!("new {name}")].contains(&text),
                "{name} after {steps}: {text}"
            );
            text.starts_with("new")
        };
        let done: Vec<_> = order.iter().map(is_new).collect();
        assert!(
            done.is_sorted_by(|one, next| one >= next),
            "{order:?} after {steps}: {done:?}"
        );

        let change = board.look();
        assert_eq!(
            change.groups.is_empty(),
            done.iter().all(|is_new| *is_new),
            "after {steps}"
        );
        let output = board.put(&change, 0);
        assert!(
            output.stdout.ends_with(b"end\n"),
            "after {steps}: {output:?}"
        );
        assert!(order.iter().all(is_new), "after {steps}");
        let left = fs::read_dir(board.at("old")).unwrap().count();
        let left = left + fs::read_dir(board.at("old/overlays")).unwrap().count();
        assert_eq!(left, NAMES.len() + 1, "after {steps}");
        if is_whole {
            break;
        }
    }
    // A copy and a name for each file, and twice the disk for each group.
    assert_eq!(steps, 4 * 2 + 3 * 2 + 1);
}
