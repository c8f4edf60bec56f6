//! What must hold after every fault. Other runs may be under way on this machine: only objects that carry the id of a run
//! of this seed are checked, and objects that are not sdbuild's at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::fault_kinds::Fault;
use super::fixture::Fixture;
use super::live_run::{End, LiveRun};
use super::run::Run;
use super::setup::{PRECIOUS, foreign_handlers};
use super::workload::is_whole;
use crate::support::*;

type Violations = Vec<String>;

/// The violations right after the end of the run.
pub fn after_the_fault(run: &Run<'_>) -> Violations {
    let fault = run.setup.kind.fault;
    let mut found = handlers_of_others(run);
    if fault.agent_removes_handler() {
        found.extend(no_handler_of(&run.ids));
    }
    let orderly = !fault.is_swept_by_the_next_run() && !run.killed;
    if orderly {
        found.extend(objects_of(&run.ids).iter().map(|name| format!("{name} is left")));
        found.extend(new_volumes(run));
        found.extend(no_run_lock(&run.live));
    }
    found.extend(new_networks(run));
    let dir = OutputDir {
        out: &run.setup.user.out(),
        image: run.setup.image,
        seed: run.setup.seed,
        succeeded: run.end == Some(End::Code(0)),
        replaces: run.setup.replaces,
        orderly,
    };
    found.extend(dir.check());
    found.extend(remaining_processes(run));
    found.extend(foreign_container(run));
    found
}

/// The violations after the next build: by then every invariant holds, whatever the fault was.
pub fn after_the_next_build(run: &Run<'_>, fixture: &mut Fixture, succeeded: bool) -> Violations {
    let mut found = handlers_of_others(run);
    found.extend(no_handler_of(&run.ids));
    // A killed companion is swept by another run of its own user, or by `clean`.
    let companions: BTreeSet<String> =
        run.others.iter().flat_map(|(_, live)| live.runs()).collect();
    let ids: BTreeSet<String> = run.ids.difference(&companions).cloned().collect();
    found
        .extend(objects_of(&ids).iter().map(|name| format!("{name} is left after the next build")));
    found.extend(new_volumes(run));
    found.extend(new_networks(run));
    found.extend(no_run_lock(&run.live));
    found.extend(foreign_container(run));
    if succeeded {
        let dir = OutputDir {
            out: &run.setup.user.out(),
            image: run.setup.image,
            seed: run.setup.seed,
            succeeded: true,
            replaces: false,
            orderly: true,
        };
        found.extend(dir.check());
        found.extend(whole_cache(run, fixture));
    }
    if run.setup.kind.fault.needs_own_engine() {
        let lasting = run.setup.kind.fault == Fault::LastingEngine;
        let left = fixture.engine(lasting).docker(&["ps", "--all", "--format", "{{.Names}}"]);
        found.extend(left.stdout.lines().map(|name| format!("{name} is left in the engine")));
    }
    found
}

fn handlers_of_others(run: &Run<'_>) -> Violations {
    let own = run.foreign_handler.clone().unwrap_or_default();
    let now = foreign_handlers(&own);
    let mut found = Violations::new();
    for (name, text) in &run.foreign_handlers {
        if now.get(name) != Some(text) {
            found.push(format!("handler {name} has changed"));
        }
    }
    if !own.is_empty() && !now.contains_key(&own) {
        found.push(format!("the foreign handler {own} is gone"));
    }
    found
}

fn of_ours(name: &str, ids: &BTreeSet<String>) -> bool {
    ids.iter().any(|id| name.contains(id.as_str()))
}

fn no_handler_of(ids: &BTreeSet<String>) -> Violations {
    let start = Instant::now();
    loop {
        let all = our_handlers().into_iter();
        let left: Vec<String> = all.filter(|name| of_ours(name, ids)).collect();
        if left.is_empty() || start.elapsed() > Duration::from_secs(3) {
            let left = left.into_iter();
            return left.map(|name| format!("handler {name} is left after 3 s")).collect();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Handlers, containers and volumes that carry one of `ids`.
pub fn objects_of(ids: &BTreeSet<String>) -> Vec<String> {
    let containers = docker_lines(&["ps", "--all", "--format", "{{.Names}}"]);
    let volumes = docker_lines(&["volume", "ls", "--quiet"]);
    let all = our_handlers().into_iter().chain(containers).chain(volumes);
    all.filter(|name| of_ours(name, ids)).collect()
}

/// Anonymous volumes that no container uses.
pub fn anonymous_volumes() -> BTreeSet<String> {
    let dangling = docker_lines(&["volume", "ls", "--quiet", "--filter", "dangling=true"]);
    dangling.into_iter().filter(|name| name.len() == 64).collect()
}

fn new_volumes(run: &Run<'_>) -> Violations {
    let now = anonymous_volumes();
    let new = now.difference(&run.anonymous);
    new.map(|name| format!("volume {name} is left")).collect()
}

/// The engine's networks: a run neither makes nor removes any.
pub fn networks() -> Vec<String> {
    docker_lines(&["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"])
}

fn new_networks(run: &Run<'_>) -> Violations {
    let now = networks();
    let same = now == run.networks;
    (!same)
        .then(|| format!("the networks were {:?} and are {now:?}", run.networks))
        .into_iter()
        .collect()
}

/// How a line of `clean` with a handler begins.
const ENTRY: &str = "binfmt_misc entry ";

/// All containers and handlers of sdbuild on the machine, as `clean` names them.
pub fn all_objects() -> BTreeSet<String> {
    let ours = "label=dev.sdbuild.run";
    let containers = docker_lines(&["ps", "--all", "--format", "{{.Names}}", "--filter", ours]);
    let containers = containers.into_iter().map(|name| format!("container {name}"));
    let handlers = our_handlers().into_iter();
    containers.chain(handlers.map(|name| format!("{ENTRY}{name}"))).collect()
}

/// The containers and handlers that `clean` lists.
pub fn listed(stdout: &str) -> BTreeSet<String> {
    let containers_and_handlers = stdout.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let line = words.join(" ");
        (line.starts_with("container ") || line.starts_with(ENTRY)).then_some(line)
    });
    containers_and_handlers.collect()
}

fn no_run_lock(live: &LiveRun) -> Violations {
    let runs = live.state().join(".local/state/sdbuild/runs");
    let left = fs::read_dir(runs).into_iter().flatten().flatten();
    left.map(|entry| format!("run lock {} is left", entry.file_name().to_string_lossy())).collect()
}

/// The output directory of a run, and what is expected in it.
pub struct OutputDir<'a> {
    pub out: &'a Path,
    /// The image's file name.
    pub image: &'a str,
    /// The seed that determines the image's bytes.
    pub seed: u64,
    /// Whether the image must exist.
    pub succeeded: bool,
    /// Whether a file of that name existed before, and may be replaced.
    pub replaces: bool,
    /// Whether nothing was killed, so that nothing may be unfinished.
    pub orderly: bool,
}

impl OutputDir<'_> {
    /// The violations: the directory must hold the whole image with its sidecars, or what it held before.
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        let read = |name: &str| fs::read_to_string(self.out.join(name)).unwrap_or_default();
        // The directories of companions have no other image.
        if self.out.join("other.img").exists() && read("other.img") != PRECIOUS {
            found.push("another image has changed".to_owned());
        }
        let image = self.out.join(self.image);
        let old = self.replaces && read(self.image) == PRECIOUS;
        let new = image.exists() && !old;
        if new && !is_whole(&image, self.seed) {
            found.push("the image is not whole".to_owned());
        }
        if self.succeeded && !new {
            found.push("it succeeded without an image".to_owned());
        }
        if self.replaces && !image.exists() {
            found.push("the image that was there before is gone".to_owned());
        }
        found.extend(self.sidecars(new, old));
        if self.orderly {
            found.extend(self.no_temporary_file());
        }
        found
    }

    /// The image has all its sidecars, and its checksum is right; without the image there are none. A kill may leave sidecars
    /// for the next build to remove, or a new image without some of its own; never a sidecar beside an image that it does
    /// not belong to.
    fn sidecars(&self, new: bool, old: bool) -> Violations {
        let wanted = TestUser::with_sidecars(Path::new(self.image)).into_iter();
        let (there, lacking): (Vec<_>, Vec<_>) =
            wanted.filter(|name| name != self.image).partition(|name| self.out.join(name).exists());
        if !new {
            // The file from before has none.
            let without = there.iter().filter(|_| self.orderly || old);
            return without.map(|name| format!("{name} is there without its image")).collect();
        }
        let half_done = self.replaces && !self.orderly;
        let lacking = lacking.iter().filter(|_| !half_done);
        let mut found: Violations =
            lacking.map(|name| format!("the image is there without {name}")).collect();
        let sum = format!("{}.sha256", self.image);
        let confirmed = run(Command::new("sha256sum")
            .args(["--check", "--strict", &sum])
            .current_dir(self.out));
        if confirmed.code != Some(0) && self.out.join(&sum).exists() {
            found.push(format!("{sum} does not confirm the image"));
        }
        found
    }

    fn no_temporary_file(&self) -> Violations {
        let mut known = TestUser::with_sidecars(Path::new(self.image));
        known.extend(["other.img", "ballast.img"].map(str::to_owned));
        let others = file_names(self.out).into_iter();
        others
            .filter(|name| !known.contains(name))
            .map(|name| format!("{name} is in the output directory"))
            .collect()
    }
}

fn remaining_processes(run: &Run<'_>) -> Violations {
    let left = run.live.processes().into_iter();
    let mut found: Violations = left.map(|pid| format!("process {pid} is left")).collect();
    let cache = run.setup.cache();
    if cache.exists() && File::open(cache).unwrap().try_lock().is_err() {
        found.push("the cache is locked".to_owned());
    }
    found
}

fn foreign_container(run: &Run<'_>) -> Violations {
    let Some((name, _)) = &run.foreign_container else {
        return Violations::new();
    };
    let there = crate::support::run(Command::new("docker").args(["inspect", name])).code == Some(0);
    (!there).then(|| format!("the foreign container {name} is gone")).into_iter().collect()
}

/// Every object in the cache has the hash that is its name, and the container images have the same layers as before.
fn whole_cache(run: &Run<'_>, fixture: &Fixture) -> Violations {
    if !matches!(
        run.setup.kind.fault,
        Fault::CacheDamaged | Fault::CacheFull | Fault::TwoFillACache
    ) {
        return Violations::new();
    }
    let mut found = Violations::new();
    let objects = run.setup.cache().join("sha256");
    for name in file_names(&objects).iter().filter(|name| name.len() == 64) {
        let sum = crate::support::run(Command::new("sha256sum").arg(objects.join(name)));
        if !sum.stdout.starts_with(name.as_str()) {
            found.push(format!("object {name} in the cache is damaged"));
        }
    }
    let layers = |dir: &Path| -> BTreeSet<String> {
        let notes = file_names(dir).into_iter();
        notes.map(|name| fs::read_to_string(dir.join(name)).unwrap()).collect()
    };
    let usual = layers(&fixture.cache().join("sdbuild/notes"));
    if !layers(&run.setup.cache().join("notes")).is_subset(&usual) {
        found.push("the container images have other layers than usual".to_owned());
    }
    found
}

/// The violations that Nix itself finds in the store that all runs share.
pub fn store() -> Violations {
    // A fault removed the image and the next build failed to make it again: that is a violation already.
    if builder_image().is_none() {
        return Violations::new();
    }
    let verify = in_builder(STORE, &[], "nix-store --verify", &[]);
    let bad = verify.code != Some(0) || verify.stderr.contains("disappeared");
    bad.then(|| format!("nix-store --verify: {}", verify.stderr)).into_iter().collect()
}
