//! The objects that `status` shows, as data.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::pipeline::inventory::SizedVolume;
use crate::pipeline::run_lock::RunState;
use crate::pipeline::sweep::image_name;
use sdbuild_engine::binfmt::{Entry, Owner, classify};
use sdbuild_engine::{ContainerInfo, ImageInfo, RunId};

/// The engine, as far as it answers.
#[derive(Debug, Default, Serialize)]
pub struct EngineState {
    /// Its address.
    pub endpoint: Option<String>,
    /// `Docker 20.10.24`.
    pub version: Option<String>,
    /// Why nothing about it is known, or not everything.
    pub problem: Option<String>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// Whether it is still going on.
    pub life: RunState,
    /// The address of its engine, for a run of this user.
    pub endpoint: Option<String>,
    /// Seconds since it began.
    pub age: Option<u64>,
}

/// A handler in the kernel's table.
#[derive(Debug, Serialize)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// The run that registered it; `None` for a handler that is not ours.
    pub run: Option<RunId>,
    /// Whether the kernel uses it.
    pub enabled: bool,
    /// The path of the program that runs what the handler matches.
    pub interpreter: String,
    /// Seconds since its agent last touched it.
    pub age: Option<u64>,
}

/// A container.
#[derive(Debug, Serialize)]
pub struct Container {
    /// Its name, size and age.
    #[serde(flatten)]
    pub object: SizedObject,
    /// The run that created it.
    pub run: RunId,
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
    /// Seconds since it was created; for a directory since it last changed.
    pub age: Option<u64>,
}

pub(super) fn handler(entry: Entry) -> Handler {
    Handler {
        run: match classify(&entry) {
            Owner::Ours(name) => Some(name.run().clone()),
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
        object: SizedObject {
            name: found.name,
            size: found.size,
            age: found.created.and_then(age_at),
        },
        run: found.run,
        running: found.running,
    }
}

pub(super) fn image(found: &ImageInfo) -> SizedObject {
    SizedObject {
        name: image_name(found),
        size: Some(found.size),
        age: found.loaded.and_then(age_at),
    }
}

/// The volumes, the one of builds with these settings, which is called `own`, first: on a small screen the last ones are left out.
pub(super) fn volumes(mut found: Vec<SizedVolume>, own: &str) -> Vec<SizedObject> {
    found.sort_by_key(|sized| sized.volume.name != own);
    found.into_iter().map(volume).collect()
}

fn volume(found: SizedVolume) -> SizedObject {
    SizedObject {
        name: found.volume.name,
        size: found.size,
        age: found.volume.created.and_then(age_at),
    }
}

pub(super) fn dir(path: &Path, size: Option<u64>) -> SizedObject {
    let changed = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    SizedObject {
        name: path.display().to_string(),
        size,
        age: changed.map(age_since),
    }
}

/// Seconds since `created`, which is in seconds since 1970; `None` for a time before 1970.
pub(super) fn age_at(created: i64) -> Option<u64> {
    let created = Duration::from_secs(u64::try_from(created).ok()?);
    Some(age_since(SystemTime::UNIX_EPOCH.checked_add(created)?))
}

/// Seconds since `then`; 0 when the clock was set back since.
pub(super) fn age_since(then: SystemTime) -> u64 {
    then.elapsed().map_or(0, |age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_engine::VolumeInfo;

    #[test]
    fn the_volume_of_these_settings_is_the_first() {
        let volume = |name: &str| SizedVolume {
            volume: VolumeInfo {
                name: name.to_owned(),
                users: Vec::new(),
                created: None,
            },
            size: None,
        };
        let found = ["a", "b", "own", "z"].map(volume).into();
        let names = volumes(found, "own").into_iter().map(|one| one.name);
        assert_eq!(names.collect::<Vec<_>>(), ["own", "a", "b", "z"]);
    }

    #[test]
    fn times_in_the_future_have_age_zero() {
        assert_eq!(age_at(i64::MAX / 2), Some(0));
        assert_eq!(age_at(-5), None);
        assert!(age_at(0) > Some(1_500_000_000));
    }
}
