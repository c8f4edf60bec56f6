//! How long derivations took in a build, as it is kept for the next ones. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The times of derivations by their names; of several with one name their mean.
pub type BuildTimes = BTreeMap<String, BuildTime>;

/// How long a derivation took in a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Noted")]
pub struct BuildTime {
    /// Its equal part of the time in which it was built and others beside it, in milliseconds.
    share: u64,
    /// The time from its begin to its end, in milliseconds.
    whole: u64,
}

/// Derivations of one name that were built.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) count: u32,
    /// All parts that they had of the time of the build.
    pub(super) share: Duration,
    /// All times from the begin of one to its end.
    whole: Duration,
}

impl Ended {
    pub(super) fn add(&mut self, share: Duration, whole: Duration) {
        self.count += 1;
        self.share += share;
        self.whole += whole;
    }

    pub(super) fn mean(&self) -> BuildTime {
        BuildTime::mean(self.share, self.whole, self.count)
    }
}

/// A time in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Noted {
    /// Earlier versions have noted no other one.
    Share(u64),
    Both {
        share: u64,
        whole: u64,
    },
}

impl BuildTime {
    /// The mean of `count` derivations that took these times together.
    pub(super) fn mean(share: Duration, whole: Duration, count: u32) -> Self {
        let millis =
            |all: Duration| u64::try_from((all / count.max(1)).as_millis()).unwrap_or(u64::MAX);
        Self {
            share: millis(share),
            whole: millis(whole),
        }
    }

    pub(super) fn share(self) -> Duration {
        Duration::from_millis(self.share)
    }

    pub(super) fn whole(self) -> Duration {
        Duration::from_millis(self.whole)
    }
}

impl From<u64> for BuildTime {
    /// The time of a derivation beside which nothing was built.
    fn from(millis: u64) -> Self {
        Self {
            share: millis,
            whole: millis,
        }
    }
}

impl From<Noted> for BuildTime {
    fn from(noted: Noted) -> Self {
        match noted {
            Noted::Share(millis) => millis.into(),
            Noted::Both { share, whole } => Self { share, whole },
        }
    }
}
