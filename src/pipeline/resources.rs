//! How much a build does at a time: what the user says, else what the engine's machine has room for. Pure.

use crate::engine::EngineFacts;
use crate::settings;

/// What a derivation takes that is built natively, a compiler at work for instance, and each further process of it.
const JOB: u64 = 512 << 20;
const PROCESS: u64 = 256 << 20;
/// An emulated process takes three times the memory of a native one (measured with gcc, python and busybox).
const EMULATED: u64 = 3;
/// What evaluating a whole NixOS takes, natively glued as well: 1,050 MiB were seen (scripts/real-nixpkgs, base, 26.11pre).
/// An evaluator that begins with that much collects no garbage, which is half of its time: 4.8 s become 2.7 s.
const HEAP: u64 = 1200 << 20;
/// The heap may be so much of the memory. The evaluator has it until builds begin.
const HEAP_SHARE: u64 = 4;
/// Downloads at a time: Nix's own default, and more than any cache likes.
const CONNECTIONS: (u32, u32) = (25, 64);
/// Every download is unpacked by a core while others wait for the network.
const CONNECTIONS_OF_A_CORE: u32 = 8;

/// How much is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resources {
    /// Derivations.
    pub(super) jobs: u32,
    /// Cores for each of them; 0: all.
    pub(super) cores: u32,
    /// Connections to binary caches.
    pub(super) connections: u32,
    /// Memory that the evaluator begins with, in bytes, where there is plenty.
    pub(super) heap: Option<u64>,
    /// Whether memory, not cores, decided.
    pub(super) short_of_memory: bool,
}

impl Resources {
    /// What `settings` leave open is chosen from `facts`.
    pub(super) fn choose(settings: &settings::Build, facts: &EngineFacts, emulated: bool) -> Self {
        let factor = if emulated { EMULATED } else { 1 };
        let cpus = facts.cpus.max(1);
        let there = [settings.memory, Some(facts.memory).filter(|m| *m > 0)];
        let known = there.into_iter().flatten().min();
        // What the engine does not tell is no limit.
        let memory = known.unwrap_or(u64::MAX);
        let fit = |each: u64, of: u64| u32::try_from(of / (each * factor)).unwrap_or(u32::MAX);
        let jobs = fit(JOB, memory).clamp(1, cpus);
        let jobs = settings.jobs.unwrap_or(jobs);
        let cores = fit(PROCESS, memory / u64::from(jobs.max(1))).max(1);
        let cores = if cores < cpus { cores } else { 0 };
        let connections = cpus.saturating_mul(CONNECTIONS_OF_A_CORE);
        Self {
            jobs,
            cores: settings.cores.unwrap_or(cores),
            connections: settings
                .connections
                .unwrap_or(connections.clamp(CONNECTIONS.0, CONNECTIONS.1)),
            heap: known.and_then(|memory| (memory / HEAP_SHARE >= HEAP).then_some(HEAP)),
            short_of_memory: settings.jobs.is_none() && jobs < cpus
                || settings.cores.is_none() && cores > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli;
    use crate::settings::Environment;

    const GIB: u64 = 1 << 30;

    fn chosen(flags: &[&str], machine: (u32, u64), emulated: bool) -> (u32, u32, u32) {
        let chosen = choose(flags, machine, emulated);
        (chosen.jobs, chosen.cores, chosen.connections)
    }

    fn choose(flags: &[&str], (cpus, memory): (u32, u64), emulated: bool) -> Resources {
        let home = tempfile::tempdir().unwrap();
        let env = Environment {
            home: Some(home.path().to_owned()),
            ..Environment::default()
        };
        let line = ["sdbuild", "build"].iter().chain(flags);
        let cli::Command::Build(args) = cli::Cli::parse_from(line).command else {
            unreachable!("that is what was said")
        };
        let settings = settings::Build::resolve(&args, &env).unwrap();
        let facts = EngineFacts {
            memory,
            cpus,
            ..EngineFacts::sound()
        };
        Resources::choose(&settings, &facts, emulated)
    }

    #[test]
    fn an_evaluator_has_its_heap_at_once_where_there_is_room() {
        let heap = |memory| choose(&[], (4, memory), true).heap;
        assert_eq!(heap(8 * GIB), Some(HEAP));
        assert_eq!(heap(0), None, "unknown");
        assert_eq!(heap(4 * GIB), None);
    }

    #[test]
    fn memory_decides_where_it_is_less_than_cores_could_use() {
        assert_eq!(chosen(&[], (2, 24 * GIB), true), (2, 0, 25));
        assert_eq!(chosen(&[], (8, 8 * GIB), true), (5, 2, 64));
        assert_eq!(chosen(&[], (8, 8 * GIB), false), (8, 4, 64));
        assert_eq!(chosen(&[], (4, GIB), true), (1, 1, 32));
        assert_eq!(chosen(&[], (4, 0), true), (4, 0, 32), "unknown");
    }

    #[test]
    fn what_the_user_says_is_done() {
        let said = ["--jobs", "7", "--cores", "0", "--connections", "3"];
        assert_eq!(chosen(&said, (4, GIB), true), (7, 0, 3));
    }
}
