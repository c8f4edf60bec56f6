//! Every condition of a build, once. `doctor` shows all of them; a build stops at those that are bad and
//! warns of the others, before it changes anything.
//!
//! A check is a function of what is known about the machine. It changes nothing, sends no request, and returns
//! `None` when it does not apply. What is not known is never held against a machine: a build is stopped only
//! where it is certain to fail.
//!
//! To add a condition, write such a function in the file of its subject and give it a row in [`CHECKS`].

mod disk;
mod engine;
mod network;

use serde::Serialize;

use crate::emulation::Emulation;
use crate::request::BuildRequest;
use crate::source::NixpkgsArchive;
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::kvm::Kvm;
use sdbuild_core::system::System;
use sdbuild_core::text::without_os_errors;
use sdbuild_engine::oci::MissingImages;
use sdbuild_engine::{Endpoint, Engine, EngineFacts};

pub(super) use network::Answers;

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
    (engine::identity, InBuild::Nothing),
    // `auto` goes on with another mode when the registrar is refused.
    (engine::rights, InBuild::Nothing),
    (engine::architecture, InBuild::Stops),
    (engine::kernel, InBuild::StopsAndWarns),
    // The plan chooses the mode, and fails with the same words.
    (engine::emulation, InBuild::Nothing),
    (builder, InBuild::StopsAndWarns),
    (engine::table, InBuild::Stops),
    (engine::existing, InBuild::Stops),
    // It explains why a registrar or private emulation was refused; most machines have no such trouble.
    (engine::restrictions, InBuild::Nothing),
    (disk::engine, InBuild::StopsAndWarns),
    (disk::cache, InBuild::StopsAndWarns),
    (disk::output, InBuild::StopsAndWarns),
    // The plan looks at the directory with the same function: a wrong one is a usage error there.
    (disk::output_directory, InBuild::Nothing),
    (disk::state_directory, InBuild::StopsAndWarns),
    (disk::cache_directory, InBuild::StopsAndWarns),
    // The plan reads the files with the same function: one that cannot be read is a usage error there.
    (network::access, InBuild::Nothing),
    (network::mirrors, InBuild::Nothing),
    (network::caches, InBuild::Nothing),
    (network::loopback, InBuild::StopsAndWarns),
    (network::nixpkgs, InBuild::Nothing),
    (network::clock, InBuild::Nothing),
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
    pub fn bad(topic: &'static str, text: impl Into<String>) -> Self {
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
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
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
    pub(super) fn may_emulate(&self) -> bool {
        self.emulation.is_none_or(Emulation::uses_handler)
    }

    /// Whether this machine's kernel is the engine's. `doctor` takes it for that when no engine answers.
    pub(super) fn is_this_kernel(&self) -> bool {
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

/// Whether the kernel helps QEMU to run an image. Without that `boot` works as well, but takes longer.
fn kvm(machine: &Machine<'_>) -> Option<Check> {
    let system = machine.request.target.system;
    Some(kvm_check(system, machine.doctor?.kvm))
}

fn kvm_check(system: System, kvm: Kvm) -> Check {
    let topic = "virtual machine";
    let is_native = system.architecture().kernel_name() == std::env::consts::ARCH;
    match kvm {
        _ if !is_native => Check::good(
            topic,
            format!(
                "`sdbuild boot` emulates {system}, because KVM runs only this machine's own architecture"
            ),
        ),
        Kvm::Usable => Check::good(
            topic,
            "`sdbuild boot` uses KVM only if QEMU is installed; in a container it emulates",
        ),
        Kvm::Missing => Check::good(
            topic,
            "this machine has no KVM, so `sdbuild boot` emulates, which is slower",
        ),
        Kvm::Denied => Check::warning(
            topic,
            "this user may not open /dev/kvm, so `sdbuild boot` emulates, which is slower",
        )
        .remedy("add yourself to the group of /dev/kvm, usually `sudo usermod -aG kvm $USER`, and log in again"),
    }
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

/// The evaluation of a NixOS system takes 1.1 GB (measured, see `resources.rs`), and an emulated compiler 1.6 GB.
/// Less is not an error: there may be swap, and a small configuration needs a tenth of it.
const ENOUGH_MEMORY: u64 = 2_700_000_000;

/// Whether the builder has enough memory. An engine that reports none may have any amount.
fn builder(machine: &Machine<'_>) -> Option<Check> {
    let topic = "memory";
    let facts = machine.engine?.facts;
    let has = facts.memory;
    let limit = machine.request.resources.memory.unwrap_or(has);
    let memory = human_bytes(limit.min(has));
    Some(if has == 0 {
        Check::good(topic, "the engine does not report its memory")
    } else if limit.min(has) < ENOUGH_MEMORY {
        let enough = human_bytes(ENOUGH_MEMORY);
        let text =
            format!("the builder has {memory} of memory; a whole NixOS may need {enough} and more");
        Check::warning(topic, text)
            .remedy(if limit < has {
                "raise memory-mib in sdbuild.toml"
            } else {
                "give the engine's machine more memory or swap"
            })
            .remedy("or build fewer things at a time: --jobs 1 --cores 1")
    } else if limit > has {
        let (limit, has) = (human_bytes(limit), human_bytes(has));
        let text =
            format!("the builder may take {limit}, but the engine's machine has {has} of memory");
        Check::warning(topic, text).remedy("lower memory-mib in sdbuild.toml")
    } else {
        Check::good(
            topic,
            format!("{memory} for the builder, {} cores", facts.cpus),
        )
    })
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use crate::request::fixture::request;

    /// What `check` finds on a machine with an engine on another kernel that has `facts`, for a build that may take `memory`.
    pub(crate) fn checked<T>(
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
}

#[cfg(test)]
mod tests {
    use super::fixture::checked;
    use super::*;

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
        let bad: Vec<_> = of(Verdict::Bad).map(|check| check.topic).collect();
        assert_eq!(bad, ["architecture", "kernel"]);
        assert!(of(Verdict::Warning).any(|check| check.topic == "memory"));
        assert!(build.iter().all(|check| doctor.contains(check)));
        assert!(build.iter().all(|check| !check.remedies.is_empty()));
    }

    #[test]
    fn a_sound_engine_is_good_throughout() {
        for check in [
            engine::identity,
            engine::rights,
            engine::architecture,
            engine::kernel,
            engine::emulation,
            builder,
            engine::table,
        ] {
            let check = checked(&EngineFacts::sound(), None, check).unwrap();
            assert_eq!(check.verdict, Verdict::Good, "{check:?}");
            assert!(check.remedies.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn only_a_device_that_may_not_be_opened_is_a_warning() {
        use sdbuild_core::system::Architecture;
        let own = Architecture::by_kernel_name(std::env::consts::ARCH).unwrap();
        let [native, foreign] = [own, own.emulates()].map(|architecture| {
            format!("{}-linux", architecture.kernel_name())
                .parse()
                .unwrap()
        });
        for kvm in [Kvm::Usable, Kvm::Missing, Kvm::Denied] {
            let is_denied = kvm_check(native, kvm).verdict == Verdict::Warning;
            assert_eq!(is_denied, kvm == Kvm::Denied);
            assert_eq!(kvm_check(foreign, kvm).verdict, Verdict::Good);
        }
    }

    #[test]
    fn too_little_memory_and_too_high_a_limit_are_warnings() {
        const GB: u64 = 1_000_000_000;
        for (memory, limit, verdict) in [
            (2 * GB, None, Verdict::Warning),
            (16 * GB, Some(GB), Verdict::Warning),
            (16 * GB, Some(32 * GB), Verdict::Warning),
            (16 * GB, Some(8 * GB), Verdict::Good),
            (0, None, Verdict::Good),
        ] {
            let facts = EngineFacts {
                memory,
                ..EngineFacts::sound()
            };
            let check = checked(&facts, limit, builder).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }
}
