//! Every condition of a build, once. `doctor` shows all of them; a build stops at those that are bad and
//! warns of the others, before it changes anything.
//!
//! A check is a function of what is known about the machine. It changes nothing, sends no request, and returns
//! `None` when it does not apply. What is not known is never held against a machine: a build is stopped only
//! where it is certain to fail.
//!
//! To add a condition, write such a function and give it a row in [`CHECKS`].

use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde::Serialize;

use crate::clients;
use crate::emulation::{Emulation, KernelVersion, on_one_line};
use crate::inventory;
use crate::nixpkgs::Nixpkgs;
use crate::output::{preflight, try_to_write};
use crate::request::{BuildRequest, SourceChoice};
use crate::source::{NAME_ANOTHER, NixpkgsArchive};
use sdbuild_core::disk_space::{free_space, free_space_for_users};
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::kvm::Kvm;
use sdbuild_core::loopback::is_loopback;
use sdbuild_core::plain_file;
use sdbuild_core::system::{Architecture, System};
use sdbuild_core::text::without_os_errors;
use sdbuild_engine::artifact::{Answer, CHECK_ADDRESS, HttpProbe, MIRROR_PROBE};
use sdbuild_engine::binfmt::{Entry, TABLE_DIR};
use sdbuild_engine::oci::MissingImages;
use sdbuild_engine::{Endpoint, Engine, EngineFacts};

/// What a build does about a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InBuild {
    /// It stops at [`Verdict::Bad`] and warns of [`Verdict::Warning`].
    StopsAndWarns,
    /// It stops at [`Verdict::Bad`]. The step that meets the subject of a warning reports it itself, once it is
    /// certain.
    Stops,
    /// Nothing: one of its steps finds the same problem and reports it, or every build would have to wait for
    /// the answers of servers.
    Nothing,
}

type CheckFn = fn(&Machine<'_>) -> Option<Check>;

/// All checks, in the order in which `doctor` shows them.
const CHECKS: &[(CheckFn, InBuild)] = &[
    // Connecting to the engine is the first step of a plan, and fails with the same words.
    (identity, InBuild::Nothing),
    // `auto` goes on with another mode when the registrar is refused.
    (rights, InBuild::Nothing),
    (architecture, InBuild::Stops),
    (kernel, InBuild::StopsAndWarns),
    // The plan chooses the mode, and fails with the same words.
    (emulation, InBuild::Nothing),
    (memory, InBuild::StopsAndWarns),
    (table, InBuild::Stops),
    (handlers, InBuild::Stops),
    (engine_disk, InBuild::StopsAndWarns),
    (cache_disk, InBuild::StopsAndWarns),
    (output_disk, InBuild::StopsAndWarns),
    // The plan looks at the directory with the same function: a wrong one is a usage error there.
    (output_directory, InBuild::Nothing),
    (state_directory, InBuild::StopsAndWarns),
    (cache_directory, InBuild::StopsAndWarns),
    // The plan reads the files with the same function: one that cannot be read is a usage error there.
    (network_access, InBuild::Nothing),
    (mirrors, InBuild::Nothing),
    (caches, InBuild::Nothing),
    (loopback, InBuild::StopsAndWarns),
    (nixpkgs, InBuild::Nothing),
    (clock, InBuild::Nothing),
    // Without KVM an image boots too, only slower.
    (kvm, InBuild::Nothing),
    // A build removes them.
    (leftovers, InBuild::Nothing),
];

/// Every check that applies to `machine`.
pub(super) fn all(machine: &Machine<'_>) -> Vec<Check> {
    let checks = CHECKS.iter();
    checks.filter_map(|(check, _)| check(machine)).collect()
}

/// The checks at which a build stops, and those of which it warns.
pub(super) fn before_build(machine: &Machine<'_>) -> Vec<Check> {
    let concerns = |(check, in_build): &(CheckFn, InBuild)| {
        let check = (*in_build != InBuild::Nothing).then(|| check(machine))??;
        let reported = match check.verdict {
            Verdict::Good => false,
            Verdict::Warning => *in_build == InBuild::StopsAndWarns,
            Verdict::Bad => true,
        };
        reported.then_some(check)
    };
    CHECKS.iter().filter_map(concerns).collect()
}

/// How a condition of a build is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is met, or nothing is known against it.
    Good,
    /// A build can work, but this may make it fail.
    Warning,
    /// A build is certain to fail.
    Bad,
}

/// A condition of a build and how it is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in one or two words.
    pub topic: &'static str,
    /// Verdict on the condition.
    pub verdict: Verdict,
    /// What was found. A warning or an error of a build has the same text.
    pub text: String,
    /// What to do about it, most likely first; empty when the condition is met.
    pub remedies: Vec<String>,
}

impl Check {
    /// A condition that is met.
    pub fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Good, text)
    }

    pub(crate) fn warning(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Warning, text)
    }

    /// A condition without which a build fails.
    fn bad(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Bad, text)
    }

    /// A bad check with the words of `failure`, with which a step of a build fails as well.
    pub fn failed(topic: &'static str, failure: &Failure) -> Self {
        Self {
            remedies: failure.hints.clone(),
            ..Self::bad(topic, failure.sentence())
        }
    }

    /// The same with something to do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// The failure of a build that stops at this check.
    pub(crate) fn into_failure(self) -> Failure {
        let failure = Failure::environment(self.text);
        self.remedies.into_iter().fold(failure, Failure::hint)
    }

    fn new(topic: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            topic,
            verdict,
            text: without_os_errors(&text.into()).into_owned(),
            remedies: Vec::new(),
        }
    }
}

/// A build's settings and everything known about where it would run. A check that needs something which is
/// not known does not apply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine<'a> {
    /// The settings of the build.
    pub(crate) request: &'a BuildRequest,
    /// Whether derivations are built.
    pub(crate) builds: bool,
    /// Whether an image is written to the output directory.
    pub(crate) writes_image: bool,
    /// The engine; `None` when it does not answer.
    pub(crate) engine: Option<EngineView<'a>>,
    /// How programs of the image run; `None` when no way is possible, or no engine answers.
    pub(crate) emulation: Option<Emulation>,
    /// What the engine and the cache lack of the container images.
    pub(crate) missing: Option<&'a MissingImages>,
    /// Facts that only `doctor` collects.
    pub(crate) doctor: Option<&'a DoctorFacts>,
}

impl Machine<'_> {
    /// Whether programs of the image run under emulation, as far as that is known.
    fn may_emulate(&self) -> bool {
        self.emulation.is_none_or(Emulation::uses_handler)
    }

    /// Whether this machine's kernel is the engine's. `doctor` takes it for that when no engine answers.
    fn is_this_kernel(&self) -> bool {
        let is_doctor = self.doctor.is_some();
        self.engine
            .map_or(is_doctor && cfg!(target_os = "linux"), |engine| {
                engine.is_on_this_kernel
            })
    }
}

/// What the checks judge of an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineView<'a> {
    /// What it reported about itself and its machine.
    pub(crate) facts: &'a EngineFacts,
    /// Address of the engine.
    pub(crate) endpoint: &'a Endpoint,
    /// Whether it runs on this machine's kernel.
    pub(crate) is_on_this_kernel: bool,
}

impl<'a> From<&'a Engine> for EngineView<'a> {
    fn from(engine: &'a Engine) -> Self {
        Self {
            facts: engine.facts(),
            endpoint: engine.endpoint(),
            is_on_this_kernel: engine.is_on_this_kernel(),
        }
    }
}

/// What takes too long for every build to find out.
#[derive(Debug)]
pub(crate) struct DoctorFacts {
    /// Answers of the servers that a build needs.
    pub(crate) answers: Answers,
    /// The archive of nixpkgs that a build needs; `None` for a local directory.
    pub(crate) nixpkgs: Option<NixpkgsArchive>,
    /// Whether `boot` can use KVM.
    pub(crate) kvm: Kvm,
    /// What stale runs left, for instance `2 containers, 1 binfmt_misc entry`, or why that is not known.
    pub(crate) leftovers: Result<String, String>,
    /// Bytes of downloads.
    pub(crate) cache_size: u64,
}

// The engine, its machine, and how it would emulate.

/// The first kernel whose handlers have the flag `F`, without which containers do not see the emulator.
const FIX_BINARY: KernelVersion = KernelVersion::new(4, 8);

fn identity(machine: &Machine<'_>) -> Option<Check> {
    let engine = machine.engine?;
    let (major, minor) = engine.facts.api;
    let (title, endpoint) = (engine.facts.title(), engine.endpoint);
    let text = format!("{title} answers at {endpoint}, API {major}.{minor}");
    Some(Check::good("engine", text))
}

/// Whether containers of the engine may write to the kernel's table of handlers.
fn rights(machine: &Machine<'_>) -> Option<Check> {
    let topic = "rights";
    let facts = machine.engine?.facts;
    // An engine that maps users reports the option by its whole name.
    let maps_users = |option: &String| option.split(',').any(|word| word == "name=userns");
    Some(if facts.rootless {
        let text = "the engine runs rootless and cannot register QEMU in the kernel's binfmt_misc";
        Check::good(topic, text)
    } else if facts.desktop {
        let text = "Docker Desktop may hide its kernel's binfmt_misc from containers: `auto` then uses `private`, or the \
                    QEMU that Docker Desktop has registered";
        Check::good(topic, text)
    } else if facts.security_options.iter().any(maps_users) {
        let text = "the engine maps its containers' users (`userns-remap`): their root may not register QEMU in binfmt_misc";
        Check::warning(topic, text)
            .remedy("give --emulation private (Linux 6.7 or later), which registers QEMU inside the builder only")
            .remedy("or run the engine without `userns-remap`")
    } else {
        Check::good(topic, "the engine runs as root, and this user may use it")
    })
}

/// Whether the engine runs containers of Linux, and there are container images for its machine.
fn architecture(machine: &Machine<'_>) -> Option<Check> {
    let topic = "architecture";
    let facts = machine.engine?.facts;
    // Some engines do not report it.
    if !matches!(facts.os.as_str(), "linux" | "") {
        let text = format!("the engine runs containers of {}, not of Linux", facts.os);
        let remedy = "switch it to Linux containers, or point DOCKER_HOST at another engine";
        return Some(Check::bad(topic, text).remedy(remedy));
    }
    let architecture = &facts.architecture;
    Some(match architecture.supported() {
        Ok(_) => Check::good(topic, format!("the engine's machine is {architecture}")),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Whether the kernel of the engine's machine is new enough for emulation.
fn kernel(machine: &Machine<'_>) -> Option<Check> {
    let topic = "kernel";
    let release = &machine.engine?.facts.kernel;
    let is_old = KernelVersion::of(release).is_some_and(|version| version < FIX_BINARY);
    Some(if is_old && machine.may_emulate() {
        let text = format!(
            "emulation needs Linux {FIX_BINARY} or later, but the engine's kernel is {release}"
        );
        Check::bad(topic, text).remedy("point DOCKER_HOST at an engine on a newer machine")
    } else {
        Check::good(topic, format!("Linux {release}"))
    })
}

/// How programs of the image run.
fn emulation(machine: &Machine<'_>) -> Option<Check> {
    let topic = "emulation";
    let (facts, request) = (machine.engine?.facts, machine.request);
    let (choice, system) = (request.target.emulation, request.target.system);
    let chosen = match Emulation::of_build(request, facts) {
        Ok(chosen) => chosen,
        Err(failure) => return Some(Check::failed(topic, &failure)),
    };
    let text = match chosen {
        Emulation::Builders => format!("none: remote builders build for {system}"),
        Emulation::Register => {
            format!("each build adds QEMU for {system} to the kernel, and removes it at its end")
        }
        Emulation::Private => {
            format!("each build adds QEMU for {system} where only its container sees it")
        }
        Emulation::Host => format!("the kernel has QEMU for {system} already"),
        Emulation::Native => {
            format!("not needed, because the engine's machine runs {system} itself")
        }
    };
    Some(match chosen.last_resort(choice, system, facts) {
        None => Check::good(topic, text),
        Some(failure) => Check {
            remedies: failure.hints.clone(),
            ..Check::warning(topic, format!("{text}: {}", on_one_line(&failure)))
        },
    })
}

/// The evaluation of a NixOS system takes 1.1 GB (measured, see `plan.rs`), and an emulated compiler 1.6 GB.
/// Less is not an error: there may be swap, and a small configuration needs a tenth of it.
const ENOUGH_MEMORY: u64 = 2_700_000_000;

/// Whether the builder has enough memory. An engine that reports none may have any amount.
fn memory(machine: &Machine<'_>) -> Option<Check> {
    let topic = "memory";
    let facts = machine.engine?.facts;
    let has = facts.memory;
    let limit = machine.request.resources.memory.unwrap_or(has);
    let [usable, limit_shown, has_shown] = [limit.min(has), limit, has].map(human_bytes);
    Some(if has == 0 {
        Check::good(topic, "the engine does not report its memory")
    } else if limit.min(has) < ENOUGH_MEMORY {
        let enough = human_bytes(ENOUGH_MEMORY);
        let text =
            format!("the builder has {usable} of memory; a whole NixOS may need {enough} and more");
        Check::warning(topic, text).remedy(
            "give the engine's machine more memory or swap, or raise memory-mib in sdbuild.toml if it is set; or build \
             fewer things at a time: --jobs 1 --cores 1",
        )
    } else if limit > has {
        let text =
            format!("the builder may take {limit_shown}, but the engine's machine has {has_shown}");
        Check::warning(topic, text).remedy("lower memory-mib in sdbuild.toml")
    } else {
        let text = format!("{usable} for the builder, {} cores", facts.cpus);
        Check::good(topic, text)
    })
}

/// Whether the registrar reaches the kernel's table.
fn table(machine: &Machine<'_>) -> Option<Check> {
    if !machine.may_emulate() {
        return None;
    }
    if !machine.is_this_kernel() {
        let text = "the engine has another kernel, so only a build can check its binfmt_misc";
        return Some(Check::good("binfmt_misc", text));
    }
    // A private build has a table of its own.
    (machine.emulation != Some(Emulation::Private)).then(|| table_below(Path::new("/")))
}

/// Files of the kernel that are read here have a few lines.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The table of the machine whose files are below `root`.
fn table_below(root: &Path) -> Check {
    let topic = "binfmt_misc";
    let text = |path: &Path| plain_file::read_text(path, MAX_FILE_BYTES).unwrap_or_default();
    let dir = root.join(TABLE_DIR.trim_start_matches('/'));
    if dir.join("register").exists() {
        if text(&dir.join("status")).trim() == "disabled" {
            let text = "binfmt_misc is disabled, so the kernel cannot start programs with QEMU";
            return Check::bad(topic, text)
                .remedy("let root enable it: `echo 1 | sudo tee /proc/sys/fs/binfmt_misc/status`");
        }
        let text = "QEMU can be added to the kernel, by a container without privileges";
        return Check::good(topic, text);
    }
    let mount = "sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";
    // The directory is there also when the module is not loaded yet: mounting it loads it.
    if dir.exists() || text(&root.join("proc/filesystems")).contains("binfmt_misc") {
        let text = "not mounted; a privileged container mounts it during a build";
        return Check::warning(topic, text).remedy(format!("mount it: `{mount}`"));
    }
    Check::bad(topic, "the kernel has no binfmt_misc, or has not loaded it").remedy(format!(
        "load and mount it: `sudo modprobe binfmt_misc && {mount}`"
    ))
}

/// The handler that a build uses which adds none; that of another run counts too.
fn handlers(machine: &Machine<'_>) -> Option<Check> {
    // Another mount namespace may have the table mounted.
    let is_used = machine.emulation == Some(Emulation::Host) && machine.is_this_kernel();
    if !is_used || !inventory::is_mounted() {
        return None;
    }
    let system = machine.request.target.system;
    // What is in a table that cannot be read is not known.
    let entries = inventory::local_entries().ok()?;
    let check = usable_handlers(&entries, system.architecture());
    let choice = machine.request.target.emulation;
    let facts = machine.engine?.facts;
    Some(match Emulation::Host.last_resort(choice, system, facts) {
        Some(failure) if check.verdict == Verdict::Bad => Check {
            text: format!("{}; {}", on_one_line(&failure), check.text),
            remedies: [failure.hints, check.remedies].concat(),
            ..check
        },
        _ => check,
    })
}

fn usable_handlers(entries: &[Entry], architecture: Architecture) -> Check {
    let topic = "binfmt entries";
    let usable = entries.iter().filter(|entry| entry.runs(architecture));
    let names: Vec<&str> = usable.map(|entry| entry.name.as_str()).collect();
    if names.is_empty() {
        let name = architecture.kernel_name();
        let text =
            format!("binfmt_misc has no entry for {name} programs, and this build needs one");
        return Check::bad(topic, text).remedy(
            "install `qemu-user-static`, or leave --emulation at auto where the engine can have another",
        );
    }
    Check::good(topic, format!("{} will be used", names.join(", ")))
}

// The directories and disks that a build writes to.

/// No image is smaller. The miniature image has 160 MB and a full one some GB, but how small an image compresses is
/// not known before the build.
const SMALLEST_IMAGE: u64 = 1 << 20;
/// A full image that is not compressed takes 3 to 4 GB, by estimate.
const FULL_IMAGE: u64 = 4_000_000_000;
/// Below this an engine cannot even write the few files of a container.
const CONTAINERS: u64 = 16 << 20;
/// Container images, the closure of a full image and the image itself take 10 GB, by estimate.
const FIRST_BUILD: u64 = 12_000_000_000;
/// With a store that has the closure already, only what changed and the image itself are new.
const NEXT_BUILD: u64 = FULL_IMAGE;
/// Packages may unpack to this many times their size: a rough factor, for a warning only.
const UNPACKED: u64 = 5;
/// 120 MB of packages and 60 MB of nixpkgs, unpacked one after the other.
const FIRST_DOWNLOADS: u64 = 400_000_000;

/// What a disk is needed for.
struct Space {
    topic: &'static str,
    /// With fewer bytes a build is certain to fail.
    least: u64,
    /// With fewer bytes a build may fail.
    enough: u64,
    remedy: &'static str,
}

impl Space {
    /// The check of the disk with `dir`, which has `free` bytes; `None` if the file system does not report it.
    fn check(&self, dir: &Path, free: Option<u64>) -> Check {
        let (topic, dir) = (self.topic, dir.display());
        let Some(free) = free else {
            return Check::good(topic, format!("{dir} does not report its free space"));
        };
        let shown = human_bytes(free);
        if free < self.least {
            let least = human_bytes(self.least);
            let text = format!("no space left in {dir}: {shown} free, at least {least} are needed");
            Check::bad(topic, text).remedy(self.remedy)
        } else if free < self.enough {
            let enough = human_bytes(self.enough);
            let text = format!("{shown} free in {dir}: a full image may need {enough}");
            Check::warning(topic, text).remedy(self.remedy)
        } else {
            Check::good(topic, format!("{shown} free in {dir}"))
        }
    }
}

/// The disk with the engine's images and volumes, where it is one of this machine.
fn engine_disk(machine: &Machine<'_>) -> Option<Check> {
    let engine = machine.engine.filter(|engine| engine.is_on_this_kernel)?;
    let dir = Path::new(&engine.facts.root_dir);
    // The builder writes there, which is not root.
    let check = || engine_space(machine.missing).check(dir, free_space_for_users(existing(dir)));
    (machine.builds && dir.is_absolute()).then(check)
}

fn engine_space(missing: Option<&MissingImages>) -> Space {
    // An engine that has the container images has built before.
    let is_first = missing.is_none_or(|missing| !missing.images.is_empty());
    Space {
        topic: "engine's disk",
        least: CONTAINERS,
        enough: if is_first { FIRST_BUILD } else { NEXT_BUILD },
        remedy: "`sdbuild clean` and `docker system df` show what takes space there",
    }
}

/// The disk with the cache of downloads.
#[expect(
    clippy::unnecessary_wraps,
    reason = "all checks have the same signature"
)]
fn cache_disk(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.common.cache_dir;
    Some(cache_space(machine.missing).check(dir, free_space(existing(dir))))
}

fn cache_space(missing: Option<&MissingImages>) -> Space {
    Space {
        topic: "cache's disk",
        least: missing.map_or(0, |missing| missing.to_fetch),
        enough: missing.map_or(FIRST_DOWNLOADS, |missing| {
            missing.to_fetch + UNPACKED * missing.packed
        }),
        remedy: "free some space, or set XDG_CACHE_HOME to a directory on another disk",
    }
}

/// The disk that the image is written to.
fn output_disk(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.output.dir;
    let check = || OUTPUT_SPACE.check(dir, free_space(existing(dir)));
    machine.writes_image.then(check)
}

const OUTPUT_SPACE: Space = Space {
    topic: "output's disk",
    least: SMALLEST_IMAGE,
    enough: FULL_IMAGE,
    remedy: "free some space, or name another directory with --output",
};

/// The directory that the image is written to, when it cannot be used.
fn output_directory(machine: &Machine<'_>) -> Option<Check> {
    let failures = preflight(&machine.request.output.dir);
    let failure = failures.first().filter(|_| machine.writes_image)?;
    Some(Check::failed("output directory", failure))
}

/// The directory with run locks and build logs, when it cannot be written to.
fn state_directory(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.common.state_dir;
    unwritable("state directory", dir, "XDG_STATE_HOME")
}

/// The cache of downloads, when something has to be fetched and it cannot be written to.
fn cache_directory(machine: &Machine<'_>) -> Option<Check> {
    machine
        .missing
        .filter(|missing| !missing.images.is_empty())?;
    let dir = &machine.request.common.cache_dir;
    unwritable("cache directory", dir, "XDG_CACHE_HOME")
}

/// A check for `dir`, or the directory above it where it would be created, unless it can be written to.
fn unwritable(topic: &'static str, dir: &Path, variable: &str) -> Option<Check> {
    let existing = existing(dir);
    let why = try_to_write(existing).err()?;
    let (dir, existing) = (dir.display(), existing.display());
    let text = format!("could not write to the {topic} {dir}: {existing}: {why}");
    let remedy = format!("set {variable} to a directory that you may write to");
    Some(Check::bad(topic, text).remedy(remedy))
}

/// `path`, or the nearest directory above it that exists.
fn existing(path: &Path) -> &Path {
    let existing = path.ancestors().find(|path| path.exists());
    existing.unwrap_or(Path::new("/"))
}

// Mirrors, binary caches and release channels, and this machine's clock by their answers.

/// What helps against an address that leads nowhere in a container.
const REACHABLE: &str = "let it listen on an address that containers can reach, such as 172.17.0.1 (the host in Docker's \
                         network), and use that address";
/// What helps where something is missing and nothing is fetched.
const FETCH_FIRST: &str =
    "build once without `offline` and SDBUILD_OFFLINE; what is fetched is kept";
/// Certificates may be not yet, or no longer, valid for a clock that is this far off.
const CLOCK_BREAKS_TLS: Duration = Duration::from_hours(24);
/// A clock that is synchronized is never this far off.
const CLOCK_IS_OFF: Duration = Duration::from_mins(2);

/// The files of logins and certificate authorities, when one of them cannot be read.
fn network_access(machine: &Machine<'_>) -> Option<Check> {
    let failure = clients::network_access(machine.request).err()?;
    Some(Check::failed("network access", &failure))
}

/// Whether one of the Debian mirrors answers, when the packages of a container image are missing.
fn mirrors(machine: &Machine<'_>) -> Option<Check> {
    let answers = &machine.doctor?.answers;
    let all_held = machine.missing.is_some_and(|missing| missing.packages == 0);
    let offline = machine.request.common.offline;
    Some(check_mirrors(&answers.mirrors, all_held, offline))
}

fn check_mirrors(answers: &[ServerAnswer], all_held: bool, offline: bool) -> Check {
    let topic = "Debian mirrors";
    let (good, bad) = split(answers);
    let why = bad.join("; ");
    match good.first() {
        _ if offline && all_held => {
            Check::good(topic, "not needed: all packages are on this machine")
        }
        _ if offline => {
            let text = "some packages are not on this machine, and nothing is fetched (offline)";
            Check::bad(topic, text).remedy(FETCH_FIRST)
        }
        Some(_) if bad.is_empty() => Check::good(topic, format!("answer: {}", good.join(", "))),
        // Why another one does not reads like an error, where there is none.
        Some(first) => Check::good(topic, format!("{first} answers, and one is enough")),
        None => {
            let check = if all_held {
                let text = format!("none answers ({why}); all packages are on this machine");
                Check::warning(topic, text)
            } else {
                Check::bad(topic, format!("none answers ({why})"))
            };
            check.remedy("point SDBUILD_DEBIAN_MIRROR at a mirror that this machine reaches")
        }
    }
}

/// Whether every binary cache answers.
fn caches(machine: &Machine<'_>) -> Option<Check> {
    Some(check_caches(&machine.doctor?.answers.caches))
}

fn check_caches(answers: &[ServerAnswer]) -> Check {
    let topic = "binary caches";
    let (good, bad) = split(answers);
    if answers.is_empty() {
        let text = "none configured: everything is built on this machine";
        Check::good(topic, text)
    } else if bad.is_empty() {
        Check::good(topic, format!("answer: {}", good.join(", ")))
    } else {
        Check::warning(topic, format!("no answer: {}", bad.join("; ")))
            .remedy("without it, everything is built here, which takes hours, or days under emulation")
            .remedy("name caches that this machine can reach, with --substituters or --extra-substituters")
    }
}

/// The addresses of the servers that answered, and why each of the others did not.
fn split(answers: &[ServerAnswer]) -> (Vec<&str>, Vec<String>) {
    let good = answers.iter().filter(|server| server.answer.is_ok());
    let bad = answers.iter().filter_map(|server| {
        let why = server.answer.as_ref().err()?;
        Some(format!("{}: {why}", server.address))
    });
    let good = good.map(|server| server.address.as_str());
    (good.collect(), bad.collect())
}

/// Whether the builder can reach the binary caches and the proxies that are named: not those on the loopback interface, which
/// in a container is the container's own.
fn loopback(machine: &Machine<'_>) -> Option<Check> {
    let request = machine.request;
    let mut caches = request.caches.substituters.iter();
    let cache = caches.find(|cache| is_loopback(cache));
    let cache = cache.map(|cache| ("binary caches", format!("the binary cache {cache}")));
    let proxy = || {
        let proxies = request.common.proxies.loopback();
        proxies
            .first()
            .map(|one| ("proxy", format!("the proxy {one}")))
    };
    let (topic, what) = cache.or_else(proxy)?;
    let text =
        format!("{what} is only on this machine, and Nix runs in a container that cannot reach it");
    Some(Check::warning(topic, text).remedy(REACHABLE))
}

/// Whether nixpkgs is on this machine, or a server has it.
fn nixpkgs(machine: &Machine<'_>) -> Option<Check> {
    let facts = machine.doctor?;
    let Some(archive) = facts.nixpkgs.as_ref() else {
        return local_nixpkgs(machine.request);
    };
    if machine.request.common.offline && !archive.is_held {
        let name = &archive.name;
        let text = format!("{name} is not on this machine, and nothing is fetched");
        return Some(Check::bad("nixpkgs", text).remedy(FETCH_FIRST));
    }
    Some(check_nixpkgs(archive, facts.answers.nixpkgs.as_ref()))
}

/// Whether the directory that the settings name is a nixpkgs; `None` for a flake, which names its own.
fn local_nixpkgs(request: &BuildRequest) -> Option<Check> {
    let SourceChoice::Config(_) = &request.source.choice else {
        return None;
    };
    let (topic, nixpkgs) = ("nixpkgs", &request.source.nixpkgs);
    let checked = nixpkgs.parse().and_then(|nixpkgs: Nixpkgs| nixpkgs.check());
    Some(match checked {
        Ok(()) => Check::good(topic, format!("{nixpkgs} is on this machine")),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Without an answer a build is certain to fail. A status other than 404 may be the server's answer to HEAD only.
fn check_nixpkgs(archive: &NixpkgsArchive, answer: Option<&ServerAnswer>) -> Check {
    let topic = "nixpkgs";
    let NixpkgsArchive { name, url, .. } = archive;
    let Some(ServerAnswer { answer, .. }) = answer else {
        return Check::good(topic, format!("{name} is on this machine, by sdbuild.lock"));
    };
    let check = match answer {
        Ok(_) => return Check::good(topic, format!("{name} is at {url}")),
        Err(why @ NoAnswer::Status(status)) if *status != 404 => {
            Check::warning(topic, format!("{name} may not be at {url}: {why}"))
        }
        Err(why) => {
            let text =
                format!("{name} is not on this machine, and cannot be fetched from {url}: {why}");
            Check::bad(topic, text)
        }
    };
    check.remedy(CHECK_ADDRESS).remedy(NAME_ANOTHER)
}

/// Whether this machine's clock agrees with the servers'.
fn clock(machine: &Machine<'_>) -> Option<Check> {
    let answers = &machine.doctor?.answers;
    (!machine.request.common.offline).then(|| check_clock(answers))
}

/// By the smallest difference to any server: one of them may be wrong itself.
fn check_clock(answers: &Answers) -> Check {
    let topic = "clock";
    let all = answers.mirrors.iter().chain(&answers.caches);
    let all = all.chain(&answers.nixpkgs);
    let answered = all.filter_map(|server| server.answer.as_ref().ok());
    let differences = answered.filter_map(|answer| Some(difference(answer.date?, answer.received)));
    let check = match differences.min() {
        None => return Check::warning(topic, "not compared: no server reported its time"),
        Some(off) if off > CLOCK_BREAKS_TLS => {
            let hours = off.as_secs() / 3600;
            let text =
                format!("{hours} h off the servers' clocks: their certificates will be rejected");
            Check::bad(topic, text)
        }
        Some(off) if off > CLOCK_IS_OFF => {
            let seconds = off.as_secs();
            Check::warning(topic, format!("{seconds} s off the servers' clocks"))
        }
        Some(_) => return Check::good(topic, "agrees with the servers' clocks"),
    };
    check.remedy("synchronize it: `sudo timedatectl set-ntp true`")
}

fn difference(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|earlier| earlier.duration())
}

/// The file that describes a binary cache.
const CACHE_INFO: &str = "nix-cache-info";

/// Answer of one server.
#[derive(Clone, Debug)]
pub(crate) struct ServerAnswer {
    /// The server's address, as the settings name it.
    address: String,
    /// Its answer, if that is good.
    answer: Result<Answer, NoAnswer>,
}

/// Why a server does not count as one that answers.
#[derive(Clone, Debug, thiserror::Error)]
enum NoAnswer {
    /// It does not have what was asked for, or refuses it.
    #[error("HTTP status {0}")]
    Status(u16),
    /// It cannot be reached, or takes too long.
    #[error("{0}")]
    Unreachable(String),
}

/// What the servers answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    mirrors: Vec<ServerAnswer>,
    caches: Vec<ServerAnswer>,
    /// `None` when no server is asked for nixpkgs.
    nixpkgs: Option<ServerAnswer>,
}

impl Answers {
    /// Sends a request to each server of `request`, and waits for each answer for at most `timeout`. None is asked if nothing is
    /// to be fetched.
    pub(crate) async fn collect(
        request: &BuildRequest,
        nixpkgs: Option<&NixpkgsArchive>,
        timeout: Duration,
    ) -> Self {
        if request.common.offline {
            return Self::default();
        }
        // `network_access` reports a file that cannot be read; the servers may have certificates of known authorities.
        let authorities = clients::authorities(&request.common).unwrap_or_default();
        let probe = HttpProbe::new(timeout, &authorities).map_err(|failure| failure.to_string());
        let has_logins = request.caches.netrc_file.is_some();
        let head = async |url: String| {
            let probe = probe
                .as_ref()
                .map_err(|why| NoAnswer::Unreachable(why.clone()))?;
            let answer = probe.head(&url).await.map_err(NoAnswer::Unreachable)?;
            // The probe does not log in, unlike Nix.
            let asks_for_login = [401, 403].contains(&answer.status) && has_logins;
            if answer.is_success() || asks_for_login {
                Ok(answer)
            } else {
                Err(NoAnswer::Status(answer.status))
            }
        };
        let ask = async |base: &str, path: &str| ServerAnswer {
            address: base.to_owned(),
            answer: head(url_of(base, path)).await,
        };
        let mirrors = request.common.mirrors.iter();
        let mirrors = join_all(mirrors.map(|mirror| ask(mirror, MIRROR_PROBE)));
        let caches = request.caches.substituters.iter();
        let caches = join_all(caches.map(|cache| ask(cache, CACHE_INFO)));
        let nixpkgs = async {
            let address = nixpkgs.filter(|archive| !archive.is_held)?.url.clone();
            let answer = head(address.clone()).await;
            Some(ServerAnswer { address, answer })
        };
        let (mirrors, caches, nixpkgs) = tokio::join!(mirrors, caches, nixpkgs);
        Self {
            mirrors,
            caches,
            nixpkgs,
        }
    }
}

fn url_of(base: &str, path: &str) -> String {
    let (base, query) = base.split_once('?').unwrap_or((base, ""));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{path}{mark}{query}", base.trim_end_matches('/'))
}

// What a boot and earlier runs have to do with it.

/// Whether the kernel helps QEMU to run an image. Without that `boot` works as well, but takes longer.
fn kvm(machine: &Machine<'_>) -> Option<Check> {
    let system = machine.request.target.system;
    Some(kvm_check(system, machine.doctor?.kvm))
}

fn kvm_check(system: System, kvm: Kvm) -> Check {
    let topic = "virtual machine";
    let is_native = system.architecture().kernel_name() == std::env::consts::ARCH;
    let text = match kvm {
        _ if !is_native => {
            "`sdbuild boot` emulates the image, because KVM runs only this machine's own architecture"
        }
        Kvm::Usable => {
            "`sdbuild boot` uses KVM only if QEMU is installed; in a container it emulates"
        }
        Kvm::Missing => "this machine has no KVM, so `sdbuild boot` emulates, which is slower",
        Kvm::Denied => {
            let text =
                "this user may not open /dev/kvm, so `sdbuild boot` emulates, which is slower";
            return Check::warning(topic, text).remedy(
                "add yourself to the group of /dev/kvm, usually `sudo usermod -aG kvm $USER`, and log in again",
            );
        }
    };
    Check::good(topic, text)
}

/// What stale runs left. A handler of an engine on another machine is not visible.
fn leftovers(machine: &Machine<'_>) -> Option<Check> {
    let topic = "leftovers";
    let facts = machine.doctor?;
    Some(match &facts.leftovers {
        Err(why) => Check::warning(topic, why),
        Ok(none) if none.is_empty() => {
            let cache = human_bytes(facts.cache_size);
            let text = format!("none; {cache} of downloads (`sdbuild status` shows the rest)");
            Check::good(topic, text)
        }
        Ok(found) => Check::warning(topic, format!("from earlier runs: {found}"))
            .remedy("the next `sdbuild build` or `sdbuild clean` removes them"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sdbuild_engine::binfmt::parse;

    use super::Verdict::{Bad, Good, Warning};
    use super::*;
    use crate::request::fixture::request;

    /// What `check` finds on a machine with an engine on another kernel that has `facts`, for a build that may take `memory`.
    fn checked<T>(
        facts: &EngineFacts,
        memory: Option<u64>,
        check: impl Fn(&Machine<'_>) -> T,
    ) -> T {
        let mut request = request();
        request.resources.memory = memory;
        let endpoint = Endpoint::Unix("/x".into());
        let (choice, system) = (request.target.emulation, request.target.system);
        check(&Machine {
            request: &request,
            builds: true,
            writes_image: true,
            engine: Some(EngineView {
                facts,
                endpoint: &endpoint,
                is_on_this_kernel: false,
            }),
            emulation: Emulation::choose(choice, system, facts).ok(),
            missing: None,
            doctor: None,
        })
    }

    #[test]
    fn build_stops_and_warns_where_doctor_does() {
        let facts = EngineFacts {
            kernel: "3.10.0-1160.el7".into(),
            os: "windows".into(),
            security_options: vec!["name=userns".into()],
            ..EngineFacts::sound()
        };
        let memory = Some(1 << 30);
        let doctor = checked(&facts, memory, all);
        let build = checked(&facts, memory, before_build);
        let of = |verdict| build.iter().filter(move |check| check.verdict == verdict);
        let bad: Vec<_> = of(Bad).map(|check| check.topic).collect();
        assert_eq!(bad, ["architecture", "kernel"]);
        assert!(of(Warning).any(|check| check.topic == "memory"));
        assert!(build.iter().all(|check| doctor.contains(check)));
        assert!(build.iter().all(|check| !check.remedies.is_empty()));
    }

    #[test]
    fn every_problem_of_an_engine_is_found_and_has_a_remedy() {
        type Change = fn(&mut EngineFacts);
        let sound: Change = |_| ();
        let on_arm: Change =
            |facts| (facts.kernel, facts.architecture) = ("3.10".into(), "aarch64".into());
        let rootless: Change = |facts| (facts.rootless, facts.kernel) = (true, "6.6.12".into());
        let cases: [(CheckFn, Change, Verdict); 16] = [
            (identity, sound, Good),
            (rights, sound, Good),
            (architecture, sound, Good),
            (kernel, sound, Good),
            (emulation, sound, Good),
            (memory, sound, Good),
            (emulation, rootless, Warning),
            (
                emulation,
                |facts| facts.architecture = "riscv64".into(),
                Bad,
            ),
            (
                rights,
                |facts| facts.security_options = vec!["name=userns".into()],
                Warning,
            ),
            (architecture, |facts| facts.os = "windows".into(), Bad),
            (architecture, |facts| facts.os = String::new(), Good),
            (
                architecture,
                |facts| facts.architecture = "riscv64".into(),
                Bad,
            ),
            (kernel, |facts| facts.kernel = "3.10.0-1160.el7".into(), Bad),
            (kernel, |facts| facts.kernel = "4.8".into(), Good),
            (kernel, |facts| facts.kernel = "strange".into(), Good),
            (kernel, on_arm, Good),
        ];
        for (check, change, verdict) in cases {
            let mut facts = EngineFacts::sound();
            change(&mut facts);
            let check = checked(&facts, None, check).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert_eq!(check.remedies.is_empty(), verdict == Good, "{check:?}");
        }
    }

    #[test]
    fn too_little_memory_and_too_high_a_limit_are_warnings() {
        const GB: u64 = 1_000_000_000;
        for (has, limit, verdict) in [
            (2 * GB, None, Warning),
            (16 * GB, Some(GB), Warning),
            (16 * GB, Some(32 * GB), Warning),
            (16 * GB, Some(8 * GB), Good),
            (0, None, Good),
        ] {
            let facts = EngineFacts {
                memory: has,
                ..EngineFacts::sound()
            };
            let check = checked(&facts, limit, memory).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }

    #[test]
    fn table_is_mounted_disabled_unmounted_or_absent() {
        const REGISTER: (&str, &str) = ("proc/sys/fs/binfmt_misc/register", "");
        const STATUS: &str = "proc/sys/fs/binfmt_misc/status";
        const FILE_SYSTEMS: &str = "proc/filesystems";
        for (files, verdict) in [
            (&[REGISTER, (STATUS, "enabled\n")][..], Good),
            (&[REGISTER, (STATUS, "disabled\n")], Bad),
            (
                &[(FILE_SYSTEMS, "nodev\tproc\nnodev\tbinfmt_misc\n")],
                Warning,
            ),
            (&[(FILE_SYSTEMS, "nodev\tproc\n")], Bad),
            (&[], Bad),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(table_below(dir.path()).verdict, verdict, "{files:?}");
        }
    }

    #[test]
    fn a_missing_handler_is_bad() {
        let text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
            magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let other = "enabled\ninterpreter /x\nflags: \noffset 0\nmagic a70d0d0a\n";
        for (name, text, architecture, verdict) in [
            ("qemu-aarch64", text, Architecture::Aarch64, Good),
            ("qemu-aarch64", text, Architecture::X86_64, Bad),
            (
                "sdbuild-aarch64-0123456789ab",
                text,
                Architecture::Aarch64,
                Good,
            ),
            ("python3.11", other, Architecture::Aarch64, Bad),
        ] {
            let check = usable_handlers(&[parse(name, text)], architecture);
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }

    fn missing() -> MissingImages {
        MissingImages {
            images: vec!["sdbuild/builder:0".into()],
            packages: 2,
            to_fetch: 1_000_000,
            packed: 10_000_000,
        }
    }

    #[test]
    fn the_guide_for_newcomers_has_the_same_figures() {
        let guide = include_str!("../../../docs/first-card.md");
        let [docker, image] = [FIRST_BUILD, FULL_IMAGE].map(|bytes| bytes / 1_000_000_000);
        let figures = format!("{docker} GB of free disk for Docker and {image} GB for the image");
        assert!(guide.contains(&figures), "{figures}");
    }

    #[test]
    fn disks_are_judged_by_what_is_needed_there() {
        let (first, next) = (missing(), MissingImages::default());
        for (space, free, verdict) in [
            (OUTPUT_SPACE, 0, Bad),
            (OUTPUT_SPACE, 16 << 20, Warning),
            (OUTPUT_SPACE, FULL_IMAGE, Good),
            (cache_space(Some(&first)), 999_999, Bad),
            (cache_space(Some(&first)), 1_000_000, Warning),
            (cache_space(Some(&first)), 51_000_000, Good),
            // Nothing is fetched.
            (cache_space(Some(&next)), 0, Good),
            (cache_space(None), 0, Warning),
            (cache_space(None), FIRST_DOWNLOADS, Good),
            (engine_space(Some(&next)), CONTAINERS - 1, Bad),
            (engine_space(Some(&first)), NEXT_BUILD, Warning),
            (engine_space(Some(&next)), NEXT_BUILD, Good),
            (engine_space(Some(&first)), FIRST_BUILD, Good),
        ] {
            let check = space.check(Path::new("/somewhere"), Some(free));
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert_eq!(space.check(Path::new("/somewhere"), None).verdict, Good);
        }
    }

    #[test]
    fn missing_directory_is_judged_by_the_one_above_it() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        let state = |dir: &Path| unwritable("state directory", dir, "XDG_STATE_HOME");
        assert_eq!(state(&deep), None);
        assert!(!home.path().join("a").exists(), "nothing was created");
        fs::write(home.path().join("a"), "").unwrap();
        assert_eq!(state(&deep).unwrap().verdict, Bad);
        assert!(free_space(existing(&home.path().join("b"))).is_some());
    }

    fn answer(seconds_behind: u64) -> Answer {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        Answer {
            status: 200,
            date: Some(heard - Duration::from_secs(seconds_behind)),
            received: heard,
        }
    }

    fn server(answer: Result<Answer, NoAnswer>) -> ServerAnswer {
        let address = "http://one.example".to_owned();
        ServerAnswer { address, answer }
    }

    fn unreachable() -> NoAnswer {
        NoAnswer::Unreachable("refused".to_owned())
    }

    #[test]
    fn one_mirror_is_enough_and_none_is_bad_when_fetching() {
        let silent = || server(Err(unreachable()));
        for (answers, all_held, offline, verdict) in [
            (vec![silent(), server(Ok(answer(0)))], false, false, Good),
            (vec![silent()], true, false, Warning),
            (vec![silent()], false, false, Bad),
            (vec![], true, true, Good),
            (vec![], false, true, Bad),
        ] {
            let check = check_mirrors(&answers, all_held, offline);
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
        assert_eq!(check_caches(&[silent()]).verdict, Warning);
        assert_eq!(check_caches(&[]).verdict, Good);
    }

    #[test]
    fn nixpkgs_must_be_here_or_at_a_server() {
        let archive = NixpkgsArchive {
            name: "release 26.05".into(),
            url: "https://c/x".into(),
            is_held: false,
        };
        for (answer, verdict) in [
            (None, Good),
            (Some(Ok(answer(0))), Good),
            (Some(Err(unreachable())), Bad),
            (Some(Err(NoAnswer::Status(404))), Bad),
            (Some(Err(NoAnswer::Status(403))), Warning),
        ] {
            let check = check_nixpkgs(&archive, answer.map(server).as_ref());
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }

    #[test]
    fn clock_is_compared_with_the_closest_server() {
        for (answers, verdict) in [
            (vec![Ok(answer(0))], Good),
            (vec![Ok(answer(600))], Warning),
            (vec![Ok(answer(400_000))], Bad),
            (vec![Ok(answer(400_000)), Ok(answer(1))], Good),
            (vec![Err(unreachable())], Warning),
        ] {
            let check = check_clock(&Answers {
                mirrors: answers.into_iter().map(server).collect(),
                ..Answers::default()
            });
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }

    #[test]
    fn only_a_device_that_may_not_be_opened_is_a_warning() {
        let own = Architecture::by_kernel_name(std::env::consts::ARCH).unwrap();
        let [native, foreign] = [own, own.emulates()].map(|architecture| {
            format!("{}-linux", architecture.kernel_name())
                .parse()
                .unwrap()
        });
        for kvm in [Kvm::Usable, Kvm::Missing, Kvm::Denied] {
            let is_denied = kvm_check(native, kvm).verdict == Warning;
            assert_eq!(is_denied, kvm == Kvm::Denied);
            assert_eq!(kvm_check(foreign, kvm).verdict, Good);
        }
    }
}
