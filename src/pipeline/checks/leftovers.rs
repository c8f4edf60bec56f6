//! What stale runs left, and what `clean` would remove.

use crate::pipeline::checks::check::Check;
use crate::pipeline::checks::machine::{DoctorFacts, Machine};
use sdbuild_core::human_bytes::human_bytes;

/// What stale runs left. A handler of an engine on another machine is not visible.
pub(super) fn leftovers(machine: &Machine<'_>) -> Option<Check> {
    machine.doctor.map(check)
}

fn check(facts: &DoctorFacts) -> Check {
    let topic = "leftovers";
    match &facts.leftovers {
        Err(why) => Check::warning(topic, why),
        Ok(none) if none.is_empty() => {
            let cache = human_bytes(facts.cache_size);
            let text = format!("none; {cache} of downloads (`sdbuild status` shows the rest)");
            Check::good(topic, text)
        }
        Ok(found) => Check::warning(topic, format!("from earlier runs: {found}"))
            .remedy("the next `sdbuild build` or `sdbuild clean` removes them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::checks::check::Verdict;
    use crate::pipeline::checks::servers::Answers;
    use sdbuild_core::kvm::Kvm;

    #[test]
    fn leftovers_are_a_warning() {
        let verdict = |leftovers| {
            check(&DoctorFacts {
                answers: Answers::default(),
                nixpkgs: None,
                kvm: Kvm::Missing,
                leftovers,
                cache_size: 5,
            })
            .verdict
        };
        assert_eq!(verdict(Ok(String::new())), Verdict::Good);
        assert_eq!(verdict(Ok("1 binfmt_misc entry".into())), Verdict::Warning);
        assert_eq!(verdict(Err("no answer".into())), Verdict::Warning);
    }
}
