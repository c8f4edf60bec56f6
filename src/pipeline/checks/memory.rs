//! The memory of the builder.

use crate::pipeline::checks::check::Check;
use crate::pipeline::checks::machine::Machine;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_engine::EngineFacts;

/// The evaluation of a NixOS system takes 1.1 GB (measured, see `resources.rs`), and an emulated compiler 1.6 GB.
/// Less is not an error: there may be swap, and a small configuration needs a tenth of it.
const ENOUGH_MEMORY: u64 = 2_700_000_000;

/// Whether the builder has enough memory. An engine that reports none may have any amount.
pub(super) fn builder(machine: &Machine<'_>) -> Option<Check> {
    let topic = "memory";
    let facts = machine.engine?.facts;
    if facts.memory == 0 {
        return Some(Check::good(topic, "the engine does not report its memory"));
    }
    let has = human_bytes(facts.memory);
    let limit = machine.request.resources.memory.unwrap_or(facts.memory);
    let memory = limit.min(facts.memory);
    if memory < ENOUGH_MEMORY {
        return Some(little_memory(memory, facts));
    }
    if limit > facts.memory {
        let limit = human_bytes(limit);
        let text =
            format!("the builder may take {limit}, but the engine's machine has {has} of memory");
        return Some(Check::warning(topic, text).remedy("lower memory-mib in sdbuild.toml"));
    }
    let memory = human_bytes(memory);
    let text = format!("{memory} for the builder, {} cores", facts.cpus);
    Some(Check::good(topic, text))
}

fn little_memory(memory: u64, facts: &EngineFacts) -> Check {
    let (memory_text, enough) = (human_bytes(memory), human_bytes(ENOUGH_MEMORY));
    let text = format!(
        "the builder has {memory_text} of memory; a whole NixOS may need {enough} and more"
    );
    Check::warning("memory", text)
        .remedy(if memory < facts.memory {
            "raise memory-mib in sdbuild.toml"
        } else {
            "give the engine's machine more memory or swap"
        })
        .remedy("or build fewer things at a time: --jobs 1 --cores 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::checks::check::Verdict;
    use crate::pipeline::checks::machine::fixture::machine;
    use crate::pipeline::request::fixture::request;
    use sdbuild_engine::Endpoint;

    /// The check of an engine with `memory` and a builder that may take `limit`.
    fn checked(memory: u64, limit: Option<u64>) -> Check {
        let facts = EngineFacts {
            memory,
            ..EngineFacts::sound()
        };
        let mut request = request();
        request.resources.memory = limit;
        let endpoint = Endpoint::Unix("/x".into());
        builder(&machine(&request, &facts, &endpoint)).unwrap()
    }

    #[test]
    fn little_memory_is_a_warning_and_unknown_memory_is_none() {
        for memory in [500_000_000, 2_000_000_000] {
            let check = checked(memory, None);
            assert_eq!(check.verdict, Verdict::Warning, "{check:?}");
            assert!(!check.remedies.is_empty(), "{check:?}");
        }
        assert_eq!(checked(0, None).verdict, Verdict::Good);
    }

    #[test]
    fn memory_limit_above_the_machines_memory_is_a_warning() {
        let check = checked(16_000_000_000, Some(32_000_000_000));
        assert_eq!(check.verdict, Verdict::Warning);
        assert_eq!(
            check.text,
            "the builder may take 32 GB, but the engine's machine has 16 GB of memory"
        );
        let check = checked(16_000_000_000, Some(1_000_000_000));
        assert!(check.remedies[0].contains("memory-mib"), "{check:?}");
    }
}
