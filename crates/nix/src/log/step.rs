//! The line in which `containers/builder/steps` reports how far a build is. Pure.

use sdbuild_core::nix_event::StepUnit;

/// What the line begins with; the name of the derivation, the unit and two numbers follow.
const STEP: &str = "sdbuild: step: ";

/// Progress that a line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    /// The name of the derivation with its extension: `ext4-fs.img.drv`.
    pub(super) name: &'a str,
    pub(super) unit: StepUnit,
    pub(super) done: u64,
    /// More than 0, and not less than `done`.
    pub(super) expected: u64,
}

/// The report in `line`, if it is one.
pub(super) fn parse(line: &str) -> Option<Step<'_>> {
    let mut words = line.strip_prefix(STEP)?.split(' ');
    let (name, unit) = (words.next()?, words.next()?);
    let unit = match unit {
        "bytes" => StepUnit::Bytes,
        "paths" => StepUnit::Paths,
        _ => return None,
    };
    let mut number = || words.next()?.parse().ok();
    let (done, expected) = (number()?, number()?);
    let is_sound = expected > 0 && done <= expected && words.next().is_none();
    let step = Step {
        name,
        unit,
        done,
        expected,
    };
    is_sound.then_some(step)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[test]
    fn only_complete_reports_of_steps_are_understood() {
        let step = parse("sdbuild: step: ext4-fs.img.drv bytes 5 9").unwrap();
        assert_eq!((step.name, step.unit), ("ext4-fs.img.drv", StepUnit::Bytes));
        assert_eq!((step.done, step.expected), (5, 9));
        for line in [
            "a.drv bytes 5",
            "a.drv bytes 5 9 1",
            "a.drv bytes 9 5",
            "a.drv bytes 0 0",
            "a.drv bytes -1 5",
            "a.drv files 5 9",
            "a.drv",
        ] {
            assert_eq!(parse(&format!("{STEP}{line}")), None, "{line}");
        }
        assert_eq!(parse("a.drv bytes 5 9"), None);
    }

    /// A program of a build that has opened files of it.
    fn program(directory: &Path, commands: &str) -> Child {
        Command::new("sh")
            .args(["-c", &format!("{commands}; exec sleep 60")])
            .current_dir(directory)
            .env("commands", "cp $(cat list-closure-info/store-paths) .")
            .env("list", format!("{}/list-closure-info", directory.display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// As in a build of an image: one is read, one is written, and paths of the store are copied.
    #[test]
    fn what_programs_of_builds_do_is_reported() {
        let builds = tempfile::tempdir().unwrap();
        let build = |name: &str| {
            let path = builds.path().join(format!("nix-build-{name}.drv-0"));
            fs::create_dir(&path).unwrap();
            path
        };
        let image = |path: &Path, written: usize| {
            fs::write(path, vec![1; written]).unwrap();
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(40_000_000).unwrap();
        };
        let (read, written, copied) = (build("a-b.img"), build("fs.img"), build("c.img"));
        image(&read.join("root.img"), 0);
        image(&written.join("fs.img"), 20_000_000);
        image(&copied.join("closed.img"), 0);
        fs::create_dir_all(copied.join("rootImage/nix/store/x")).unwrap();
        fs::create_dir(copied.join("list-closure-info")).unwrap();
        fs::write(copied.join("list-closure-info/store-paths"), "x\ny\nz\n").unwrap();
        let mut programs = [
            program(&read, "exec 5<root.img; head -c 8000000 <&5 >/dev/null"),
            program(&written, "exec 5<>fs.img"),
            program(&copied, ":"),
        ];
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../containers/builder/steps"
        );
        let mut steps = Command::new("sh")
            .arg(script)
            .arg(builds.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(steps.stderr.take().unwrap()).lines();
        // Programs may not have opened their files when they are first looked at.
        let lines: Vec<String> = lines.take(9).map(Result::unwrap).collect();
        for process in programs.iter_mut().chain([&mut steps]) {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        let reports: Vec<Step<'_>> = lines.iter().map(|line| parse(line).unwrap()).collect();
        let last = |name| reports.iter().rfind(|step| step.name == name).unwrap();
        let read = last("a-b.img.drv");
        assert_eq!((read.done, read.expected), (8_000_000, 40_000_000));
        let written = last("fs.img.drv");
        assert!(
            (20_000_000..21_000_000).contains(&written.done),
            "{written:?}"
        );
        let copied = last("c.img.drv");
        assert_eq!(
            (copied.unit, copied.done, copied.expected),
            (StepUnit::Paths, 1, 3)
        );
    }
}
