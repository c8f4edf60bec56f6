//! Every condition of a build, once. `doctor` shows all of them; a build stops at those that are bad and
//! warns of the others, before it changes anything.
//!
//! A check is a function of what is known about the machine. It changes nothing, sends no request, and returns
//! `None` when it does not apply. What is not known is never held against a machine: a build is stopped only
//! where it is certain to fail.
//!
//! To add a condition, write such a function in the file of its subject and give it a row in [`CHECKS`].

mod boot;
mod check;
mod disk;
mod engine;
mod handlers;
mod kernel;
mod leftovers;
mod machine;
mod memory;
mod network;
mod servers;

pub use check::{Check, Verdict};
pub(super) use machine::{DoctorFacts, EngineView, Machine};
pub(super) use servers::Answers;

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
    (engine::operating_system, InBuild::StopsAndWarns),
    // The plan chooses container images by architecture, and fails with the same words.
    (engine::architecture, InBuild::Nothing),
    (engine::kernel, InBuild::StopsAndWarns),
    // The plan chooses the mode, and fails with the same words.
    (engine::emulation, InBuild::Nothing),
    (engine::emulation_modes, InBuild::Nothing),
    (memory::builder, InBuild::StopsAndWarns),
    (kernel::table, InBuild::Stops),
    (handlers::existing, InBuild::Stops),
    // These explain why a registrar or private emulation was refused; most machines have no such trouble.
    (kernel::access_control, InBuild::Nothing),
    (kernel::user_namespaces, InBuild::Nothing),
    (disk::engine, InBuild::StopsAndWarns),
    (disk::cache, InBuild::StopsAndWarns),
    (disk::output, InBuild::StopsAndWarns),
    // The plan looks at the directory with the same function: a wrong one is a usage error there.
    (disk::output_directory, InBuild::Nothing),
    (disk::state, InBuild::StopsAndWarns),
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
    (boot::kvm, InBuild::Nothing),
    // A build removes them.
    (leftovers::leftovers, InBuild::Nothing),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::request::fixture::request;
    use sdbuild_engine::{Endpoint, EngineFacts};

    #[test]
    fn build_stops_and_warns_where_doctor_does() {
        let mut request = request();
        request.resources.memory = Some(1 << 30);
        let facts = EngineFacts {
            kernel: "3.10.0-1160.el7".into(),
            os: "windows".into(),
            security_options: vec!["name=userns".into()],
            ..EngineFacts::sound()
        };
        let endpoint = Endpoint::Unix("/x".into());
        let machine = machine::fixture::machine(&request, &facts, &endpoint);
        let doctor = all(&machine);
        let build = before_build(&machine);
        let of = |verdict| build.iter().filter(move |check| check.verdict == verdict);
        let bad: Vec<_> = of(Verdict::Bad).map(|check| check.topic).collect();
        assert_eq!(bad, ["architecture", "kernel"]);
        assert!(of(Verdict::Warning).any(|check| check.topic == "memory"));
        for check in &build {
            let same =
                |other: &&Check| (other.topic, other.verdict) == (check.topic, check.verdict);
            assert!(doctor.iter().any(|other| same(&other)), "{check:?}");
        }
        assert!(build.iter().all(|check| !check.remedies.is_empty()));
    }

    #[test]
    fn sound_engine_is_good_throughout() {
        let request = request();
        let facts = EngineFacts::sound();
        let endpoint = Endpoint::Unix("/x".into());
        let machine = machine::fixture::machine(&request, &facts, &endpoint);
        for check in [
            engine::identity,
            engine::rights,
            engine::architecture,
            engine::kernel,
            engine::emulation,
            memory::builder,
            kernel::table,
        ] {
            let check = check(&machine).unwrap();
            assert_eq!(check.verdict, Verdict::Good, "{check:?}");
            assert!(check.remedies.is_empty(), "{check:?}");
        }
    }
}
