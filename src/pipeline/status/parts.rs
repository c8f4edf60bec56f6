//! The things that `status` shows, as data.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::binfmt::{Entry, Owner, classify};
use crate::engine::{ContainerInfo, ImageInfo, VolumeInfo};
use crate::pipeline::inventory::title;

/// The engine, as far as it answers.
#[derive(Debug, Default, Serialize)]
pub struct EngineState {
    /// Where it listens.
    pub endpoint: Option<String>,
    /// `Docker 20.10.24`.
    pub version: Option<String>,
    /// Why nothing of it is known, or not everything.
    pub problem: Option<String>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Its id.
    pub run: String,
    /// Whether it lives.
    pub life: RunState,
    /// Where its engine listens, when it is one of this user's.
    pub endpoint: Option<String>,
    /// Seconds since it began.
    pub age: Option<u64>,
}

/// Whether a run lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its process, or a container of it, runs.
    Live,
    /// It ended without giving everything back.
    Dead,
    /// Somebody else's, and nothing tells.
    Unknown,
}

/// One handler.
#[derive(Debug, Serialize)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// The run that made it; `None` for other people's.
    pub run: Option<String>,
    /// Whether the kernel uses it.
    pub enabled: bool,
    /// What runs the programs.
    pub interpreter: String,
    /// Seconds since its agent last touched it.
    pub age: Option<u64>,
}

/// One container.
#[derive(Debug, Serialize)]
pub struct Container {
    /// Its name, size and age.
    #[serde(flatten)]
    pub thing: SizedObject,
    /// The run that made it.
    pub run: Option<String>,
    /// Whether a process of it runs.
    pub running: bool,
}

/// Something with a name, a size and an age.
#[derive(Debug, Serialize)]
pub struct SizedObject {
    /// Its name or directory.
    pub name: String,
    /// Bytes, where they are known.
    pub size: Option<u64>,
    /// Seconds since it was made; for a directory since it was last changed.
    pub age: Option<u64>,
}

pub(super) fn handler(entry: Entry) -> Handler {
    Handler {
        run: match classify(&entry) {
            Owner::Ours(run) => Some(run.to_string()),
            Owner::Foreign => None,
        },
        name: entry.name,
        enabled: entry.enabled,
        interpreter: entry.interpreter,
        age: entry.age,
    }
}

pub(super) fn container(found: ContainerInfo) -> Container {
    Container {
        thing: SizedObject {
            name: found.name,
            size: found.size,
            age: found.created.and_then(age),
        },
        run: found.run,
        running: found.running,
    }
}

pub(super) fn image(found: &ImageInfo) -> SizedObject {
    SizedObject {
        name: title(found),
        size: Some(found.size),
        age: found.loaded.and_then(age),
    }
}

pub(super) fn volume((found, size): (VolumeInfo, Option<u64>)) -> SizedObject {
    SizedObject {
        name: found.name,
        size,
        age: found.created.and_then(age),
    }
}

pub(super) fn dir(path: &Path, size: Option<u64>) -> SizedObject {
    let changed = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    SizedObject {
        name: path.display().to_string(),
        size,
        age: changed.map(since),
    }
}

/// Seconds from then, in seconds since 1970, to now; none from a clock that is ahead.
pub(super) fn age(then: i64) -> Option<u64> {
    let then = Duration::from_secs(u64::try_from(then).ok()?);
    Some(since(SystemTime::UNIX_EPOCH.checked_add(then)?))
}

pub(super) fn since(then: SystemTime) -> u64 {
    then.elapsed().unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_makes_no_age_below_zero() {
        assert_eq!(age(i64::MAX / 2), Some(0));
        assert_eq!(age(-5), None);
        assert!(age(0) > Some(1_500_000_000));
    }
}
