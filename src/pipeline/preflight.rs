//! Facts about this machine and the engine's, looked at before anything is changed. What is certain to
//! fail is a problem; what may fail is a warning.

use std::fmt::Display;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use crate::common::disk_space::free_space;
use crate::common::failure::{Class, Failure};
use crate::common::human_bytes::human_bytes;
use crate::engine::{Engine, EngineFacts};
use crate::oci::MissingImages;
use crate::pipeline::binfmt_table;
use crate::pipeline::emulation::Emulation;
use crate::settings;

/// No image is smaller.
const SMALLEST_IMAGE: u64 = 1 << 20;
/// Where it is time to say something: an image of all NixOS may need more, the miniature one needs a tenth.
const USUAL_IMAGE: u64 = 1_500_000_000;
/// Two small files, the run's sign of life and its log, in blocks of any file system.
const STATE: u64 = 64 << 10;
/// What packages may unpack to: a rough factor, for a warning only.
const UNPACKED: u64 = 5;
/// The first kernel whose handlers know the flag `F`, without which no container sees the emulator.
pub(super) const FIX_BINARY: (u32, u32) = (4, 8);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Preflight {
    /// What is certain to fail.
    pub(super) problems: Vec<Failure>,
    /// What may.
    pub(super) warnings: Vec<String>,
}

impl Preflight {
    /// What was found, or nothing and a problem.
    pub(super) fn keep<T>(&mut self, found: Result<T, Failure>) -> Option<T> {
        found.map_err(|failure| self.problems.push(failure)).ok()
    }

    fn problem(&mut self, message: impl Display, hint: impl Display) {
        let failure = Failure::environment(message).hint(hint);
        self.problems.push(failure);
    }

    /// Looks at the directory that the image is written to.
    pub(super) fn look_at_output(&mut self, settings: &settings::Build) {
        self.output(&settings.output, free_space(&settings.output));
    }

    /// Looks at the other directories that a run writes to. `lacking` is known once an engine answered.
    pub(super) fn look_here(
        &mut self,
        settings: &settings::Build,
        lacking: Option<&MissingImages>,
    ) {
        let (state, cache) = (&settings.common.state_dir, &settings.common.cache_dir);
        self.writable(("state", state), "XDG_STATE_HOME");
        self.state(state, free_space(existing(state)));
        if let Some(lacking) = lacking.filter(|lacking| !lacking.images.is_empty()) {
            self.writable(("cache", cache), "XDG_CACHE_HOME");
            self.cache((cache, free_space(existing(cache))), lacking);
        }
    }

    /// Looks at the engine's machine.
    pub(super) fn look_there(
        &mut self,
        engine: &Engine,
        emulation: Emulation,
        settings: &settings::Build,
    ) {
        let facts = engine.facts();
        let table_is_off = engine.is_on_this_kernel() && binfmt_table::is_switched_off();
        self.engine(facts, emulation, table_is_off);
        let too_much = |memory: &u64| facts.memory > 0 && *memory > facts.memory;
        if let Some(memory) = settings.memory.filter(too_much) {
            let (limit, has) = (human_bytes(memory), human_bytes(facts.memory));
            let text = format!("the builder may take {limit}, but the engine's machine has {has}");
            self.warnings.push(text);
        }
    }

    fn output(&mut self, dir: &Path, free: Option<u64>) {
        let (Some(free), shown) = (free, dir.display()) else {
            return;
        };
        if free < SMALLEST_IMAGE {
            self.problem(
                format!(
                    "no space left in the output directory {shown}: {} free",
                    human_bytes(free)
                ),
                "free some space, or name another directory with --output",
            );
        } else if free < USUAL_IMAGE {
            let free = human_bytes(free);
            self.warnings.push(format!(
                "{free} free in the output directory {shown}: an image of NixOS may need more"
            ));
        }
    }

    fn writable(&mut self, (what, dir): (&str, &Path), variable: &str) {
        let there = existing(dir);
        let hint = format!("set {variable} to a directory that you may write to");
        let why = match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) if there.is_dir() => return,
            Ok(()) => "not a directory",
            Err(error) => error.desc(),
        };
        let (dir, there) = (dir.display(), there.display());
        self.problem(
            format!("write to the {what} directory {dir}: {there}: {why}"),
            hint,
        );
    }

    fn state(&mut self, dir: &Path, free: Option<u64>) {
        if let Some(free) = free.filter(|free| *free < STATE) {
            let (dir, free) = (dir.display(), human_bytes(free));
            self.problem(
                format!("no space left in the state directory {dir}: {free} free"),
                "free some space, or set XDG_STATE_HOME to a directory on another disk",
            );
        }
    }

    fn cache(&mut self, (dir, free): (&Path, Option<u64>), lacking: &MissingImages) {
        let (Some(free), shown) = (free, dir.display()) else {
            return;
        };
        let fetched = human_bytes(lacking.to_fetch);
        if free < lacking.to_fetch {
            self.problem(
                format!(
                    "no space left in the cache directory {shown} for the {fetched} that have to be \
                     fetched: {} free",
                    human_bytes(free)
                ),
                "free some space, or set XDG_CACHE_HOME to a directory on another disk",
            );
        } else if free < lacking.to_fetch + UNPACKED * lacking.packed {
            self.warnings.push(format!(
                "{} free in the cache directory {shown}: that may be too little to assemble \
                 container images",
                human_bytes(free)
            ));
        }
    }

    fn engine(&mut self, facts: &EngineFacts, emulation: Emulation, table_is_off: bool) {
        if !matches!(facts.os.as_str(), "linux" | "") {
            let os = &facts.os;
            self.problem(
                format!("the engine runs containers of {os}, not of Linux"),
                "switch it to Linux containers, or point DOCKER_HOST at another engine",
            );
        }
        if emulation != Emulation::Register {
            return;
        }
        if version(&facts.kernel).is_some_and(|version| version < FIX_BINARY) {
            let (kernel, (major, minor)) = (&facts.kernel, FIX_BINARY);
            self.problem(
                format!(
                    "the engine's kernel is {kernel}, emulation needs {major}.{minor} or later"
                ),
                "point DOCKER_HOST at an engine on a newer machine",
            );
        }
        if table_is_off {
            self.problem(
                "the kernel's table of handlers is switched off",
                "let root switch it on: `echo 1 | sudo tee /proc/sys/fs/binfmt_misc/status`",
            );
        }
    }
}

/// `path`, or the nearest directory above it that is there.
pub(super) fn existing(path: &Path) -> &Path {
    let there = path.ancestors().find(|path| path.exists());
    there.unwrap_or(Path::new("/"))
}

/// `6.18.0-9-generic` → (6, 18).
pub(super) fn version(kernel: &str) -> Option<(u32, u32)> {
    let mut numbers = kernel.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// One failure out of many: the first one leads, because it decides the exit code; an interruption goes
/// before all others.
pub(super) fn all(mut problems: Vec<Failure>) -> Failure {
    let interrupted = |problem: &Failure| problem.class == Class::Interrupted;
    if let Some(at) = problems.iter().position(interrupted) {
        return problems.swap_remove(at);
    }
    let mut problems = problems.into_iter().flat_map(|mut problem| {
        let also = std::mem::take(&mut problem.others);
        std::iter::once(problem).chain(also)
    });
    let unknown = || Failure::message(Class::Internal, "a check failed without a reason");
    let first = problems.next().unwrap_or_else(unknown);
    Failure {
        others: problems.collect(),
        ..first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "/somewhere";

    fn said(look: impl FnOnce(&mut Preflight)) -> (Vec<String>, Vec<String>) {
        let mut found = Preflight::default();
        look(&mut found);
        assert!(
            found
                .problems
                .iter()
                .all(|p| p.class == Class::Environment && !p.hints.is_empty())
        );
        (
            found.problems.iter().map(ToString::to_string).collect(),
            found.warnings,
        )
    }

    #[test]
    fn an_output_dir_without_room_is_a_problem_and_one_with_little_a_warning() {
        let output = |free| said(|found| found.output(Path::new(HERE), free));
        let (problems, warnings) = output(Some(0));
        assert_eq!(
            problems,
            ["no space left in the output directory /somewhere: 0 B free"]
        );
        assert!(warnings.is_empty());
        let (problems, warnings) = output(Some(16 << 20));
        assert!(problems.is_empty());
        assert_eq!(
            warnings,
            ["17 MB free in the output directory /somewhere: an image of NixOS may need more"]
        );
        assert_eq!(output(Some(USUAL_IMAGE)), (vec![], vec![]));
        assert_eq!(output(None), (vec![], vec![]), "unknown is no problem");
    }

    #[test]
    fn the_cache_must_hold_what_is_fetched_and_should_hold_what_is_assembled() {
        let lacking = MissingImages {
            images: vec!["sdbuild/builder:0".into()],
            packages: 2,
            to_fetch: 1_000_000,
            packed: 10_000_000,
        };
        let cache = |free| said(|found| found.cache((Path::new(HERE), Some(free)), &lacking));
        let (problems, _) = cache(999_999);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("/somewhere for the 1.0 MB that have to be fetched"));
        let (problems, warnings) = cache(1_000_000);
        assert_eq!((problems.len(), warnings.len()), (0, 1));
        assert_eq!(cache(51_000_000), (vec![], vec![]));
    }

    #[test]
    fn dirs_that_are_not_there_yet_are_judged_by_those_above_them() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        let state = |dir: &Path| said(|found| found.writable(("state", dir), "XDG_STATE_HOME"));
        assert_eq!(state(&deep), (vec![], vec![]));
        assert!(!home.path().join("a").exists(), "looking makes nothing");
        std::fs::write(home.path().join("a"), "").unwrap();
        let (problems, _) = state(&deep);
        assert_eq!(problems.len(), 1);
        assert!(free_space(existing(home.path())).is_some());
        let full = said(|found| found.state(Path::new(HERE), Some(4096)));
        assert_eq!(
            full.0,
            ["no space left in the state directory /somewhere: 4.1 kB free"]
        );
    }

    fn engine(kernel: &str, os: &str) -> EngineFacts {
        EngineFacts {
            os: os.into(),
            kernel: kernel.into(),
            ..EngineFacts::sound()
        }
    }

    #[test]
    fn an_engine_that_cannot_emulate_is_told_with_all_its_reasons() {
        let there = |kernel, os, emulation, off| {
            said(|found| found.engine(&engine(kernel, os), emulation, off)).0
        };
        let old = there("3.10.0-1160.el7", "windows", Emulation::Register, true);
        assert_eq!(old.len(), 3, "{old:?}");
        assert!(old[1].contains("3.10.0-1160.el7, emulation needs 4.8"));
        assert!(there("4.8", "linux", Emulation::Register, false).is_empty());
        assert!(there("strange", "", Emulation::Register, false).is_empty());
        assert!(there("3.10", "linux", Emulation::Native, true).is_empty());
    }

    #[test]
    fn what_a_problem_has_with_it_is_told_too() {
        let mut rootless = Failure::environment("rootless");
        rootless.others.push(Failure::environment("old kernel"));
        let failure = all(vec![Failure::usage("one"), rootless]);
        let also: Vec<String> = failure.others.iter().map(ToString::to_string).collect();
        assert_eq!(also, ["rootless", "old kernel"]);
    }

    #[test]
    fn an_interruption_goes_before_what_was_found_by_then() {
        let problems = || vec![Failure::usage("one"), Failure::environment("two")];
        let failure = all(problems());
        assert_eq!((failure.class, failure.others.len()), (Class::Usage, 1));
        let failure = all(problems()
            .into_iter()
            .chain([Failure::interrupted()])
            .collect());
        assert_eq!(
            (failure.class, failure.others.len()),
            (Class::Interrupted, 0)
        );
    }
}
