//! The result of a check.

use serde::Serialize;

use sdbuild_core::failure::Failure;
use sdbuild_core::text::without_os_errors;

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
    /// Whether it says nothing to most users: it is shown in words only with `-v`, or when it is not met.
    #[serde(skip)]
    pub is_detail: bool,
    /// What to do about it, most likely first; empty when the condition is met.
    pub remedies: Vec<String>,
}

impl Check {
    /// A condition that is met.
    pub fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Good, text)
    }

    /// A check that is met, which only those want to know who look for the cause of something.
    pub(in crate::pipeline) fn detail(topic: &'static str, text: impl Into<String>) -> Self {
        Self {
            is_detail: true,
            ..Self::good(topic, text)
        }
    }

    pub(in crate::pipeline) fn warning(topic: &'static str, text: impl Into<String>) -> Self {
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
    pub(in crate::pipeline) fn into_failure(self) -> Failure {
        let failure = Failure::environment(self.text);
        self.remedies.into_iter().fold(failure, Failure::hint)
    }

    fn new(topic: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            topic,
            verdict,
            text: without_os_errors(&text.into()).into_owned(),
            is_detail: false,
            remedies: Vec::new(),
        }
    }
}
