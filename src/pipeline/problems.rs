//! All problems of a plan at once: it lists everything that is certain to fail, not only the first problem.

use sdbuild_core::failure::{Class, Failure};

/// Problems that were found, in the order in which they are reported.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Failure>);

impl Problems {
    /// The value of `result`; an error becomes a problem.
    pub(super) fn keep<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// Adds `failures`.
    pub(super) fn extend(&mut self, failures: impl IntoIterator<Item = Failure>) {
        self.0.extend(failures);
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One failure for all problems. The first problem leads, because it decides the exit code; an
    /// interruption hides all others.
    pub(super) fn into_failure(self) -> Failure {
        let mut problems = self.0;
        let interrupted = |problem: &Failure| problem.class == Class::Interrupted;
        if let Some(at) = problems.iter().position(interrupted) {
            return problems.swap_remove(at);
        }
        let mut problems = problems.into_iter().flat_map(|mut problem| {
            let others = std::mem::take(&mut problem.others);
            std::iter::once(problem).chain(others)
        });
        let unknown = || Failure::message(Class::Internal, "a check failed without a reason");
        let first = problems.next().unwrap_or_else(unknown);
        Failure {
            others: problems.collect(),
            ..first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_of_a_problem_are_reported_too() {
        let mut rootless = Failure::environment("rootless");
        rootless.others.push(Failure::environment("old kernel"));
        let failure = Problems(vec![Failure::usage("one"), rootless]).into_failure();
        let others: Vec<String> = failure.others.iter().map(ToString::to_string).collect();
        assert_eq!(others, ["rootless", "old kernel"]);
    }

    #[test]
    fn interruption_hides_the_problems_found_before_it() {
        let mut problems = Problems::default();
        problems.extend([Failure::usage("one"), Failure::environment("two")]);
        assert!(!problems.is_empty());
        let failure = problems.into_failure();
        assert_eq!((failure.class, failure.others.len()), (Class::Usage, 1));

        let mut problems = Problems::default();
        assert_eq!(problems.keep(Ok(7)), Some(7));
        problems.extend([Failure::usage("one")]);
        assert_eq!(problems.keep::<()>(Err(Failure::interrupted())), None);
        let failure = problems.into_failure();
        assert_eq!(
            (failure.class, failure.others.len()),
            (Class::Interrupted, 0)
        );
    }
}
