//! The directories and disks that a build writes to.

use std::path::Path;

use crate::checks::{Check, Machine};
use crate::output;
use crate::output::try_to_write;
use sdbuild_core::disk_space::{free_space, free_space_for_users};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_engine::oci::MissingImages;

/// No image is smaller. The miniature image has 160 MB and a full one some GB, but how small an image compresses is
/// not known before the build.
const SMALLEST_IMAGE: u64 = 1 << 20;
/// A full image that is not compressed takes 3 to 4 GB, by estimate.
const FULL_IMAGE: u64 = 4_000_000_000;
/// Below this an engine cannot even write the few files of a container.
const CONTAINERS: u64 = 16 << 20;
/// Container images, the closure of a full image and the image itself take 10 GB, by estimate.
const FIRST_BUILD: u64 = 12_000_000_000;
/// With a store that has the closure already, only what changed and the image itself are new.
const NEXT_BUILD: u64 = FULL_IMAGE;
/// Packages may unpack to this many times their size: a rough factor, for a warning only.
const UNPACKED: u64 = 5;
/// 120 MB of packages and 60 MB of nixpkgs, unpacked one after the other.
const FIRST_DOWNLOADS: u64 = 400_000_000;

/// The disk with the engine's images and volumes, where it is one of this machine.
pub(super) fn engine(machine: &Machine<'_>) -> Option<Check> {
    let engine = machine.engine.filter(|engine| engine.is_on_this_kernel)?;
    if !machine.builds {
        return None;
    }
    let dir = Path::new(&engine.facts.root_dir);
    // The builder writes there, which is not root.
    let free = free_space_for_users(existing(dir));
    dir.is_absolute()
        .then(|| engine_disk(dir, free, machine.missing))
}

/// The disk with the cache of downloads.
#[expect(
    clippy::unnecessary_wraps,
    reason = "all checks have the same signature"
)]
pub(super) fn cache(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.common.cache_dir;
    Some(cache_disk(dir, free_space(existing(dir)), machine.missing))
}

/// The disk that the image is written to.
pub(super) fn output(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.output.dir;
    let free = free_space(existing(dir));
    machine.writes_image.then(|| output_disk(dir, free))
}

/// The directory that the image is written to, when it cannot be used.
pub(super) fn output_directory(machine: &Machine<'_>) -> Option<Check> {
    if !machine.writes_image {
        return None;
    }
    let failures = output::preflight(&machine.request.output.dir);
    Some(Check::failed("output directory", failures.first()?))
}

/// The directory with run locks and build logs, when it cannot be written to.
pub(super) fn state_directory(machine: &Machine<'_>) -> Option<Check> {
    let dir = &machine.request.common.state_dir;
    unwritable("state directory", dir, "XDG_STATE_HOME")
}

/// The cache of downloads, when something has to be fetched and it cannot be written to.
pub(super) fn cache_directory(machine: &Machine<'_>) -> Option<Check> {
    machine
        .missing
        .filter(|missing| !missing.images.is_empty())?;
    let dir = &machine.request.common.cache_dir;
    unwritable("cache directory", dir, "XDG_CACHE_HOME")
}

/// Free space, and how much is needed.
struct Space<'a> {
    topic: &'static str,
    /// Where it is, in words that precede the path.
    place: &'static str,
    dir: &'a Path,
    /// `None` if the file system does not report it.
    free: Option<u64>,
    /// With less than this a build is certain to fail, and what for.
    least: u64,
    least_for: String,
    /// With less than this a build may fail, and why.
    enough: u64,
    enough_for: String,
    remedy: &'static str,
}

impl Space<'_> {
    fn check(self) -> Check {
        let (topic, place, dir) = (self.topic, self.place, self.dir.display());
        let Some(free) = self.free else {
            return Check::good(topic, format!("{dir} does not report its free space"));
        };
        let shown = human_bytes(free);
        if free < self.least {
            let least_for = self.least_for;
            let text = format!("no space left {place} {dir}{least_for}: {shown} free");
            Check::bad(topic, text).remedy(self.remedy)
        } else if free < self.enough {
            let text = format!("{shown} free {place} {dir}: {}", self.enough_for);
            Check::warning(topic, text).remedy(self.remedy)
        } else {
            Check::good(topic, format!("{shown} free in {dir}"))
        }
    }
}

fn engine_disk(dir: &Path, free: Option<u64>, missing: Option<&MissingImages>) -> Check {
    // An engine that has the container images has built before.
    let is_first = missing.is_none_or(|missing| !missing.images.is_empty());
    let enough = if is_first { FIRST_BUILD } else { NEXT_BUILD };
    Space {
        topic: "engine's disk",
        place: "on the engine's disk",
        dir,
        free,
        least: CONTAINERS,
        least_for: String::new(),
        enough,
        enough_for: format!("a full image may need {}", human_bytes(enough)),
        remedy: "`sdbuild clean` and `docker system df` show what takes space there",
    }
    .check()
}

fn cache_disk(dir: &Path, free: Option<u64>, missing: Option<&MissingImages>) -> Check {
    let least = missing.map_or(0, |missing| missing.to_fetch);
    Space {
        topic: "cache's disk",
        place: "in the cache directory",
        dir,
        free,
        least,
        least_for: format!(" for the {} that have to be fetched", human_bytes(least)),
        enough: missing.map_or(FIRST_DOWNLOADS, |missing| {
            missing.to_fetch + UNPACKED * missing.packed
        }),
        enough_for: "that may be too little to assemble container images".to_owned(),
        remedy: "free some space, or set XDG_CACHE_HOME to a directory on another disk",
    }
    .check()
}

fn output_disk(dir: &Path, free: Option<u64>) -> Check {
    Space {
        topic: "output's disk",
        place: "in the output directory",
        dir,
        free,
        least: SMALLEST_IMAGE,
        least_for: String::new(),
        enough: FULL_IMAGE,
        enough_for: "an image of NixOS may need more".to_owned(),
        remedy: "free some space, or name another directory with --output",
    }
    .check()
}

/// A check for `dir`, or the directory above it where it would be created, unless it can be written to.
fn unwritable(topic: &'static str, dir: &Path, variable: &str) -> Option<Check> {
    let existing = existing(dir);
    let why = try_to_write(existing).err()?;
    let (dir, existing) = (dir.display(), existing.display());
    let text = format!("could not write to the {topic} {dir}: {existing}: {why}");
    let remedy = format!("set {variable} to a directory that you may write to");
    Some(Check::bad(topic, text).remedy(remedy))
}

/// `path`, or the nearest directory above it that exists.
fn existing(path: &Path) -> &Path {
    let existing = path.ancestors().find(|path| path.exists());
    existing.unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdict::{Bad, Good, Warning};

    const DIR: &str = "/somewhere";

    fn missing() -> MissingImages {
        MissingImages {
            images: vec!["sdbuild/builder:0".into()],
            packages: 2,
            to_fetch: 1_000_000,
            packed: 10_000_000,
        }
    }

    #[test]
    fn the_guide_for_newcomers_has_the_same_figures() {
        let guide = include_str!("../../../../docs/first-card.md");
        let [docker, image] = [FIRST_BUILD, FULL_IMAGE].map(|bytes| bytes / 1_000_000_000);
        let figures = format!("{docker} GB of free disk for Docker and {image} GB for the image");
        assert!(guide.contains(&figures), "{figures}");
    }

    #[test]
    fn full_output_disk_is_bad_and_a_small_one_a_warning() {
        let output = |free| output_disk(Path::new(DIR), free);
        assert_eq!(output(Some(0)).verdict, Bad);
        assert_eq!(output(Some(16 << 20)).verdict, Warning);
        assert_eq!(output(Some(FULL_IMAGE)).verdict, Good);
        assert_eq!(output(None).verdict, Good, "unknown is not a problem");
    }

    #[test]
    fn cache_disk_must_hold_downloads_and_should_hold_images() {
        let missing = missing();
        let cache = |free| cache_disk(Path::new(DIR), Some(free), Some(&missing));
        let full = cache(999_999);
        assert_eq!(full.verdict, Bad);
        let what = "/somewhere for the 1.0 MB that have to be fetched";
        assert!(full.text.contains(what), "{full:?}");
        assert_eq!(cache(1_000_000).verdict, Warning);
        assert_eq!(cache(51_000_000).verdict, Good);
        let nothing = MissingImages::default();
        let filled = cache_disk(Path::new(DIR), Some(0), Some(&nothing));
        assert_eq!(filled.verdict, Good, "nothing is fetched");
        let unknown = |free| cache_disk(Path::new(DIR), Some(free), None).verdict;
        assert_eq!([unknown(0), unknown(FIRST_DOWNLOADS)], [Warning, Good]);
    }

    #[test]
    fn first_build_needs_more_of_the_engines_disk() {
        let disk = |free, missing: &MissingImages| {
            engine_disk(Path::new(DIR), Some(free), Some(missing)).verdict
        };
        let (first, next) = (missing(), MissingImages::default());
        assert_eq!(disk(CONTAINERS - 1, &next), Bad);
        assert_eq!(disk(NEXT_BUILD, &first), Warning);
        assert_eq!(disk(NEXT_BUILD, &next), Good);
        assert_eq!(disk(FIRST_BUILD, &first), Good);
    }

    #[test]
    fn missing_directory_is_judged_by_the_one_above_it() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        let state = |dir: &Path| unwritable("state directory", dir, "XDG_STATE_HOME");
        assert_eq!(state(&deep), None);
        assert!(!home.path().join("a").exists(), "nothing was created");
        std::fs::write(home.path().join("a"), "").unwrap();
        let check = state(&deep).unwrap();
        assert_eq!(check.verdict, Bad);
        assert!(check.remedies[0].contains("XDG_STATE_HOME"));
        assert!(free_space(existing(&home.path().join("b"))).is_some());
    }
}
