//! Everything that sdbuild writes outside the memory of a run: what it is, which command makes it, and what removes it. `status` and
//! `clean` find the files on this machine by these rows, and docs/what-stays.md has them as a table.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::output::unfinished;
use crate::removal::Item;
use crate::request::Common;
use crate::run_lock::{RunLocks, RunState};
use crate::{check_memory, last_times, logs, nixpkgs};
use sdbuild_core::failure::{Failure, Leftover, OrFail as _};
use sdbuild_core::scratch_dir;
use sdbuild_core::shell_word::quoted;
use sdbuild_engine::RunId;
use sdbuild_engine::artifact::Cache;

/// One kind of object. The texts are Markdown.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the texts are those of the page")
)]
struct Row {
    what: &'static str,
    made_by: &'static str,
    until: &'static str,
    /// How to find it if it is files of this user on this machine that `clean` removes.
    files: Option<Files>,
}

/// Files of one kind.
#[derive(Clone, Copy, Debug)]
enum Files {
    /// Downloads, and notes about them.
    Downloads,
    /// The logs of builds.
    Logs,
    /// The file that this function finds in the state directory, which only saves time.
    Memory(fn(&Path) -> PathBuf),
    /// Directories of killed processes whose names have this prefix: in the cache directory.
    InCache(&'static str),
    /// The same in the directory for temporary files.
    Temporary(&'static str),
    /// Hidden files of killed processes in the output directories.
    Unfinished,
}

const fn row(
    what: &'static str,
    made_by: &'static str,
    until: &'static str,
    files: Option<Files>,
) -> Row {
    Row {
        what,
        made_by,
        until,
        files,
    }
}

const END_OR_NEXT: &str =
    "the end of the command. After `kill -9`: the next one of the kind, or `sdbuild clean`";
const CLEAN: &str = "`sdbuild clean`";
const FORGET: &str = "you remove it";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("one entry in the kernel's table, `sdbuild-aarch64-<run>` (`sdbuild-x86_64-<run>` on an AArch64 machine); none with `--emulation private`", "`build`", "the end of the run. If the registrar was killed: the next `build` or `clean`", None),
    row("the kernel module `binfmt_misc`, if nothing had loaded it before", "`build`", "the machine restarts", None),
    row("containers `sdbuild-registrar-<run>`, `sdbuild-probe-<run>`, `sdbuild-builder-<run>`", "`build`", "the end of the run. After `kill -9` they stop within seconds, and the next `build` or `clean` removes them", None),
    row("a container `sdbuild-emulator-<run>` with an unpacked copy of the image", "`boot` with QEMU in a container", "the end of the run, also by `kill -9`. If that interrupted the copy: the next `boot`, `build` or `clean`", None),
    row("a container `sdbuild-card-<run>`, whose files are in memory", "`personalise`, `flash --put`", "the end of the run. After `kill -9` it stops within seconds, and the next command that starts containers, or `clean`, removes it", None),
    row("container images `sdbuild/registrar` (20 MB), `sdbuild/builder` (115 MB), `sdbuild/emulator` (115 MB) and `sdbuild/card` (10 MB)", "`build`; `boot`; `personalise`, `flash --put`", CLEAN, None),
    row("the store volume `sdbuild-store`, or `sdbuild-store-<image>` with `--builder-image`", "`build`", "`sdbuild clean --old` removes what the last results do not need. `sdbuild clean` removes the volume that your settings name; `--store NAME` or `--all` removes others", None),
    row("the container image of `--builder-image`, if the engine had to download it", "`build`", "`docker rmi IMAGE`. sdbuild removes nothing without its label", None),
    row("downloads in `~/.cache/sdbuild` (under `sudo`: in root's home)", "every command that needs them", "`sdbuild clean --downloads`, `sdbuild clean`", Some(Files::Downloads)),
    row("directories `.tmp-…` there: checkouts of git, trial builds", "`build` of a flake; `try`; `init`", END_OR_NEXT, Some(Files::InCache(scratch_dir::CACHE))),
    row("the last 20 logs, in `logs` in `~/.local/state/sdbuild`", "`build`, `check`", CLEAN, Some(Files::Logs)),
    row("earlier durations, in `builds.json` there", "`build`, `boot`", CLEAN, Some(Files::Memory(last_times::file))),
    row("hashes of checkouts of nixpkgs, in `tree-hashes.json` there", "`build`, `check`", CLEAN, Some(Files::Memory(nixpkgs::hashes_file))),
    row("earlier evaluations, in `checks.json` there", "`build`, `check`", CLEAN, Some(Files::Memory(check_memory::file))),
    row("which runs go on, in `runs` there", "every command that starts containers", "the end of the run. After `kill -9`: the next `build` or `clean` that finds nothing else of it", None),
    row("your answers about the [binary caches of flakes](flakes.md#binary-caches-that-a-flake-names), in `flake-caches.toml` there", "`build`, `check`", FORGET, None),
    row("which system was deployed to which board, in `deployments` there", "`deploy`", FORGET, None),
    row("the key of a board that you accepted, in `~/.ssh/known_hosts`", "your `ssh`, for `deploy` and engines over SSH", "`ssh-keygen -R HOST`", None),
    row("a directory `sdbuild-deploy-…` with sockets of `ssh` in the directory for temporary files", "`deploy`", END_OR_NEXT, Some(Files::Temporary(scratch_dir::DEPLOY))),
    row("on a board, files `….sdbuild-new` in the firmware partition, which is then mounted at `/boot/firmware`", "`deploy --firmware`", "the end of the command. If the board lost its power: the next `deploy --firmware`", None),
    row("a directory `sdbuild-ssh-…` with sockets of `ssh` there", "every command with an engine over SSH", END_OR_NEXT, Some(Files::Temporary(scratch_dir::TUNNEL))),
    row("hidden files `.sdbuild-…` in the output directory, until the image is complete", "`build`, `personalise`", "the end of the run. After `kill -9`: the next `build` into that directory, or `sdbuild clean` in it", Some(Files::Unfinished)),
    row("the public host key of a board, in `FILE.known_hosts` beside the copy", "`personalise --host-key`", "never: it is yours", None),
    row("the image with its sidecars, and `sdbuild.lock` beside the configuration", "`build`, `personalise`, `lock`", "never: they are yours", None),
    row("a QEMU process, a port on 127.0.0.1, an unnamed file below `~/.cache/sdbuild`", "`boot`", "sdbuild ends, also by `kill -9`", None),
    row("a [rented machine](machines.md), a process `sdbuild hold-machine`, and a record in `~/.local/state/sdbuild/machines`", "`--on`", "the end of the run, or seconds after `kill -9`. What could not be given back: the next `build` or `clean`", None),
    row("at AWS a machine with its volume and a security group, tagged `sdbuild:run`, and a login key beside the record", "`--on aws`", "the same. The machine also ends [by itself](machines.md#what-limits-the-cost) 15 minutes after its last contact with sdbuild. `clean --cloud` removes the rest", None),
    row("the snapshot of an unfinished upload at AWS, and its record in `snapshots` in the state directory", "`publish aws`", "the next run of the same command completes it. When AWS has discarded it, `sdbuild clean` removes the record; `clean --cloud` removes a snapshot that is older than three days", None),
    row("an image at AWS with its snapshot", "`publish aws`", "`sdbuild publish remove`", None),
];

/// Files of one row that are there.
#[derive(Debug)]
pub(super) struct LocalFiles {
    files: Files,
    pub(super) path: PathBuf,
    pub(super) size: Result<u64, Failure>,
}

impl LocalFiles {
    /// All that this user has on this machine, as far as `clean` removes it. Logs of the runs in `live` are not counted, and
    /// unfinished files are looked for in `outputs`.
    pub(super) fn find(
        settings: &Common,
        outputs: &[PathBuf],
        live: &BTreeSet<RunId>,
    ) -> Vec<Self> {
        let files = ROWS.iter().filter_map(|row| row.files);
        files
            .flat_map(|files| files.find(settings, outputs, live))
            .collect()
    }

    /// What kind of object it is; `None` for what users need not know.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.files {
            Files::Downloads => Some("downloads"),
            Files::Logs => Some("logs"),
            Files::Memory(_) => None,
            Files::InCache(_) | Files::Temporary(_) | Files::Unfinished => Some("leftover"),
        }
    }

    fn remove(&self, live: &BTreeSet<RunId>, with_notes: bool) -> Result<(), (PathBuf, String)> {
        let path = &self.path;
        let failed = |error: &dyn std::fmt::Display| (path.clone(), error.to_string());
        match self.files {
            Files::Downloads if !live.is_empty() => Ok(()),
            Files::Downloads if with_notes => {
                Cache::remove_all(path).map(drop).map_err(|e| failed(&e))
            }
            Files::Downloads => Cache::remove_objects(path)
                .map(drop)
                .map_err(|e| failed(&e)),
            Files::Logs => {
                logs::remove_all(path, live).map_err(|(path, error)| (path, error.to_string()))
            }
            Files::Memory(_) => {
                fs::remove_file(path).ok();
                Ok(())
            }
            Files::InCache(_) | Files::Temporary(_) => {
                fs::remove_dir_all(path).map_err(|e| failed(&e))
            }
            Files::Unfinished => fs::remove_file(path).map_err(|e| failed(&e)),
        }
    }
}

impl Files {
    fn find(
        self,
        settings: &Common,
        outputs: &[PathBuf],
        live: &BTreeSet<RunId>,
    ) -> Vec<LocalFiles> {
        let Common {
            cache_dir,
            state_dir,
            ..
        } = settings;
        let found = |path: PathBuf, size| LocalFiles {
            files: self,
            path,
            size,
        };
        let measured = |path: PathBuf| {
            let size = Ok(disk_usage(&path));
            found(path, size)
        };
        let stale = match self {
            Self::Downloads => {
                let size = Cache::usage(cache_dir).or_environment("read the cache directory");
                return vec![found(cache_dir.clone(), size)];
            }
            Self::Logs => {
                let (dir, size) = logs::usage(state_dir, live);
                return vec![found(dir, Ok(size))];
            }
            Self::Memory(file) => vec![file(state_dir)],
            Self::InCache(prefix) => scratch_dir::stale(cache_dir, prefix),
            Self::Temporary(prefix) => scratch_dir::stale(&tempfile::env::temp_dir(), prefix),
            Self::Unfinished => {
                let outputs: BTreeSet<&PathBuf> = outputs.iter().collect();
                outputs
                    .into_iter()
                    .flat_map(|dir| unfinished(dir))
                    .collect()
            }
        };
        stale.into_iter().map(measured).collect()
    }
}

/// The bytes that `path` and what is in it take on the disk.
fn disk_usage(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return 0;
    };
    let entries = meta.is_dir().then(|| fs::read_dir(path).ok()).flatten();
    let below = entries.into_iter().flatten().flatten();
    let below: u64 = below.map(|entry| disk_usage(&entry.path())).sum();
    meta.blocks() * 512 + below
}

/// Files of this user that can be removed. Planning removes nothing.
#[derive(Debug)]
pub struct FileRemoval {
    files: Vec<LocalFiles>,
    downloads_alone: bool,
    /// A live run may be about to use any download.
    live_runs: BTreeSet<RunId>,
}

impl FileRemoval {
    /// Measures them; unfinished ones are looked for in `outputs`. The runs of this user that are live on any engine keep what
    /// they use.
    pub fn plan(settings: &Common, outputs: &[PathBuf]) -> Result<Self, Failure> {
        Self::beside(settings, outputs, BTreeSet::new())
    }

    /// The same; what the runs in `live_runs`, also of other users of an engine, use is kept too.
    pub(super) fn beside(
        settings: &Common,
        outputs: &[PathBuf],
        mut live_runs: BTreeSet<RunId>,
    ) -> Result<Self, Failure> {
        // One cache and one directory of logs serve the runs on all engines.
        let runs = RunLocks::all_engines(&settings.state_dir).into_iter();
        let live = runs.filter(|run| run.state == RunState::Live);
        live_runs.extend(live.map(|run| run.run));
        let files = LocalFiles::find(settings, outputs, &live_runs).into_iter();
        let measured = files.map(|found| {
            let size = Ok(found.size?);
            Ok(LocalFiles { size, ..found })
        });
        Ok(Self {
            files: measured.collect::<Result<_, Failure>>()?,
            downloads_alone: false,
            live_runs,
        })
    }

    /// What was downloaded, and nothing else.
    pub fn downloads(settings: &Common) -> Result<Self, Failure> {
        let mut plan = Self::plan(settings, &[])?;
        plan.files
            .retain(|found| matches!(found.files, Files::Downloads));
        plan.downloads_alone = true;
        Ok(plan)
    }

    /// Live runs: what they use, or may be about to use, is not removed.
    pub fn live(&self) -> &BTreeSet<RunId> {
        &self.live_runs
    }

    /// Everything that [`FileRemoval::carry_out`] removes, in its order.
    pub fn items(&self) -> Vec<Item> {
        let item = |found: &LocalFiles| {
            let size = found.size.as_ref().ok().copied();
            let is_there = match found.files {
                Files::Downloads => size > Some(0) && self.live_runs.is_empty(),
                Files::Logs => size > Some(0),
                Files::Memory(_) | Files::InCache(_) | Files::Temporary(_) | Files::Unfinished => {
                    true
                }
            };
            let kind = found.kind().filter(|_| is_there)?;
            let name = found.path.display().to_string();
            Some(Item { kind, name, size })
        };
        self.files.iter().filter_map(item).collect()
    }

    /// Removes every item and returns what could not be removed. Notes are removed even if they are all there is.
    pub fn carry_out(&self) -> Vec<Leftover> {
        let remove =
            |found: &LocalFiles| found.remove(&self.live_runs, !self.downloads_alone).err();
        let failed = self.files.iter().filter_map(remove);
        let leftover = |(path, why): (PathBuf, String)| {
            let what = path.display().to_string();
            let remedy = format!("rm -r -- {}", quoted(&what));
            Leftover { what, why, remedy }
        };
        failed.map(leftover).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::request::fixture::common;
    use sdbuild_engine::Endpoint;

    /// `clean` with one engine removed the log of a build on another one while it was written.
    #[test]
    fn runs_on_other_engines_keep_downloads_and_logs() {
        let home = tempfile::tempdir().unwrap();
        let settings = common(home.path());
        let run: RunId = "0123456789ab".parse().unwrap();
        let elsewhere = RunLocks::new(&settings.state_dir, &Endpoint::Unix("/other".into()));
        let run_lock = elsewhere.acquire(&run).unwrap();
        let log = logs::file(&settings.state_dir, &run).unwrap();
        fs::write(&log, "building").unwrap();
        let object = settings.cache_dir.join("sha256").join("0".repeat(64));
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(&object, "an object").unwrap();
        let of_runs = |item: &Item| item.kind != "leftover";
        let removal = || {
            let mut removal = FileRemoval::plan(&settings, &[]).unwrap();
            removal
                .files
                .retain(|found| !matches!(found.files, Files::Temporary(_)));
            removal
        };
        assert!(!removal().items().iter().any(of_runs));
        assert_eq!(removal().live(), &BTreeSet::from([run]));
        assert_eq!(removal().carry_out(), []);
        assert!(log.exists() && object.exists());

        run_lock.release();
        assert_eq!(removal().items().len(), 2);
        assert_eq!(removal().carry_out(), []);
        assert!(!log.exists() && !object.exists());
    }

    #[test]
    fn what_killed_processes_left_is_removed_and_what_live_ones_use_is_not() {
        let home = tempfile::tempdir().unwrap();
        let settings = common(home.path());
        let output = home.path().join("output");
        let live = scratch_dir::ScratchDir::create(&settings.cache_dir).unwrap();
        let killed = settings.cache_dir.join(".tmp-killed");
        let part = output.join(".sdbuild-aaaaaaaaaaaa.part");
        for dir in [&killed, &output] {
            fs::create_dir(dir).unwrap();
        }
        for file in [&killed.join("image"), &part] {
            fs::write(file, vec![1; 20_000]).unwrap();
        }
        for dir in [live.path(), &killed] {
            let then = SystemTime::now() - Duration::from_mins(2);
            fs::File::open(dir).unwrap().set_modified(then).unwrap();
        }
        let mut removal = FileRemoval::plan(&settings, &[output.clone(), output]).unwrap();
        removal
            .files
            .retain(|found| found.path.starts_with(home.path()));
        let items = removal.items().into_iter();
        let found: Vec<_> = items
            .map(|item| {
                (
                    item.kind,
                    PathBuf::from(item.name),
                    item.size > Some(16_000),
                )
            })
            .collect();
        let leftover = |path: &PathBuf| ("leftover", path.clone(), true);
        assert_eq!(found, [leftover(&killed), leftover(&part)]);
        assert_eq!(removal.carry_out(), []);
        assert!(!killed.exists() && !part.exists() && live.path().exists());
    }

    const BEGIN: &str = "<!-- The table of crates/build/src/ledger.rs begins: SDBUILD_RENEW=1 scripts/test --quick what_stays writes it. -->\n";
    const END: &str = "<!-- The table ends. -->\n";

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever renews the page says so in the environment"
    )]
    fn the_page_of_what_stays_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/what-stays.md");
        let text = fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let rows = ROWS.iter().map(|row| {
            let Row {
                what,
                made_by,
                until,
                ..
            } = row;
            format!("| {what} | {made_by} | {until} |\n")
        });
        let table: String = rows.collect();
        let head = "| what | made by | until |\n| --- | --- | --- |\n";
        let renewed = format!("{before}{BEGIN}\n{head}{table}\n{END}{after}");
        if std::env::var_os("SDBUILD_RENEW").is_some() {
            fs::write(path, &renewed).unwrap();
        }
        assert!(
            text == renewed,
            "docs/what-stays.md differs: renew it with SDBUILD_RENEW=1"
        );
    }
}
