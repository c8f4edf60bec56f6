//! How much a build does at a time: what the user sets, else what the engine's machine has room for. Pure.

use crate::pipeline::request::BuildRequest;
use sdbuild_engine::EngineFacts;

/// Memory for a derivation that is built natively, with one compiler process for instance.
const JOB_BYTES: u64 = 512 << 20;
/// Memory for each process of a derivation.
const PROCESS_BYTES: u64 = 256 << 20;
/// An emulated process takes three times the memory of a native one (measured with gcc, python and busybox).
const EMULATION_FACTOR: u64 = 3;
/// Memory for the evaluation of a whole NixOS, also with native glue: 1,050 MiB were measured (scripts/real-nixpkgs,
/// base, 26.11pre). With an initial heap of this size Nix collects no garbage, which is half of the time: 2.7 s in
/// place of 4.8 s.
const HEAP_BYTES: u64 = 1200 << 20;
/// The initial heap is at most one part in so many of the memory; Nix keeps it until the builds start.
const HEAP_SHARE: u64 = 4;
/// Nix's default.
const MIN_CONNECTIONS: u32 = 25;
/// An upper bound, out of consideration for binary caches.
const MAX_CONNECTIONS: u32 = 64;
/// One core unpacks a download while others wait for the network.
const CONNECTIONS_PER_CORE: u32 = 8;

/// How much is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resources {
    /// Derivations at a time.
    pub(super) jobs: u32,
    /// Cores for each derivation; 0 for all.
    pub(super) cores: u32,
    /// Connections to binary caches.
    pub(super) connections: u32,
    /// Bytes of the evaluator's initial heap; `None` where memory is short or unknown.
    pub(super) heap: Option<u64>,
    /// Whether memory, not the number of cores, limits the jobs.
    pub(super) jobs_limited_by_memory: bool,
}

impl Resources {
    /// Takes what `request` define, and chooses the rest from `facts`.
    pub(super) fn choose(request: &BuildRequest, facts: &EngineFacts, emulated: bool) -> Self {
        let factor = if emulated { EMULATION_FACTOR } else { 1 };
        let cpus = facts.cpus.max(1);
        let limits = [
            request.resources.memory,
            Some(facts.memory).filter(|m| *m > 0),
        ];
        let known = limits.into_iter().flatten().min();
        // Memory that the engine does not report is not a limit.
        let memory = known.unwrap_or(u64::MAX);
        let fit = |each: u64, of: u64| u32::try_from(of / (each * factor)).unwrap_or(u32::MAX);
        let jobs = fit(JOB_BYTES, memory).clamp(1, cpus);
        let jobs = request.resources.jobs.unwrap_or(jobs);
        let cores = fit(PROCESS_BYTES, memory / u64::from(jobs.max(1))).max(1);
        let cores = if cores < cpus { cores } else { 0 };
        let connections = cpus.saturating_mul(CONNECTIONS_PER_CORE);
        Self {
            jobs,
            cores: request.resources.cores.unwrap_or(cores),
            connections: request
                .resources
                .connections
                .unwrap_or(connections.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)),
            heap: known
                .and_then(|memory| (memory / HEAP_SHARE >= HEAP_BYTES).then_some(HEAP_BYTES)),
            jobs_limited_by_memory: request.resources.jobs.is_none() && jobs < cpus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::request::fixture;

    const GIB: u64 = 1 << 30;

    fn chosen(machine: (u32, u64), emulated: bool) -> (u32, u32, u32) {
        let chosen = choose(&fixture::request(), machine, emulated);
        (chosen.jobs, chosen.cores, chosen.connections)
    }

    fn choose(request: &BuildRequest, (cpus, memory): (u32, u64), emulated: bool) -> Resources {
        let facts = EngineFacts {
            memory,
            cpus,
            ..EngineFacts::sound()
        };
        Resources::choose(request, &facts, emulated)
    }

    #[test]
    fn initial_heap_needs_four_times_the_memory() {
        let heap = |memory| choose(&fixture::request(), (4, memory), true).heap;
        assert_eq!(heap(8 * GIB), Some(HEAP_BYTES));
        assert_eq!(heap(0), None, "unknown");
        assert_eq!(heap(4 * GIB), None);
    }

    #[test]
    fn memory_limits_jobs_and_cores() {
        assert_eq!(chosen((2, 24 * GIB), true), (2, 0, 25));
        assert_eq!(chosen((8, 8 * GIB), true), (5, 2, 64));
        assert_eq!(chosen((8, 8 * GIB), false), (8, 4, 64));
        assert_eq!(chosen((4, GIB), true), (1, 1, 32));
        assert_eq!(chosen((4, 0), true), (4, 0, 32), "unknown");
    }

    #[test]
    fn what_is_requested_takes_precedence() {
        let mut request = fixture::request();
        request.resources.jobs = Some(7);
        request.resources.cores = Some(0);
        request.resources.connections = Some(3);
        let chosen = choose(&request, (4, GIB), true);
        assert_eq!((chosen.jobs, chosen.cores, chosen.connections), (7, 0, 3));
    }
}
