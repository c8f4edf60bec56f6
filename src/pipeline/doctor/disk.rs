//! Room on the disks that a build writes to.

use std::path::Path;

use crate::common::disk_space::free_space;
use crate::common::human_bytes::human_bytes;
use crate::engine::Engine;
use crate::pipeline::doctor::Check;
use crate::pipeline::preflight::existing;
use crate::settings;

/// What a directory is asked for: below the first number nothing works, below the second a full image may
/// not fit.
#[derive(Clone, Copy)]
struct Need {
    least: u64,
    enough: u64,
}

const MB: u64 = 1_000_000;
/// Store and container images: the miniature one takes 0.5 GB after one build, a full one, by estimate, 10 GB.
const ENGINE: Need = Need {
    least: 1000 * MB,
    enough: 12_000 * MB,
};
/// Packages and a nixpkgs archive: 120 MB and 60 MB.
const CACHE: Need = Need {
    least: 200 * MB,
    enough: 400 * MB,
};
/// An image: 160 MB for the miniature one, 3 to 4 GB, by estimate, for a full one that is not compressed.
const OUTPUT: Need = Need {
    least: 200 * MB,
    enough: 4000 * MB,
};

/// A check for each disk.
pub(super) fn checks(engine: Option<&Engine>, settings: &settings::Build) -> Vec<Check> {
    let mut checks = Vec::new();
    let root_dir = engine.map(|engine| (engine, Path::new(&engine.facts().root_dir)));
    match root_dir {
        Some((engine, dir)) if engine.is_on_this_kernel() && dir.is_absolute() => {
            checks.push(check(
                ("engine's disk", dir),
                ENGINE,
                "`sdbuild clean` and `docker system df` show what takes space there",
            ));
        }
        Some(_) | None => {}
    }
    let cache = &settings.common.cache_dir;
    checks.push(check(
        ("cache's disk", cache),
        CACHE,
        "point XDG_CACHE_HOME at a larger disk",
    ));
    let output = &settings.output;
    checks.push(check(
        ("output's disk", output),
        OUTPUT,
        "name another directory with --output",
    ));
    checks
}

fn check((topic, dir): (&'static str, &Path), need: Need, remedy: &str) -> Check {
    let place = dir.display();
    let Some(free) = free_space(existing(dir)) else {
        return Check::warning(topic, format!("the room in {place} cannot be told"));
    };
    let text = format!("{} free in {place}", human_bytes(free));
    let wanted = |n: u64| format!("{text}; {} are wanted", human_bytes(n));
    if free < need.least {
        Check::bad(topic, wanted(need.least)).remedy(remedy)
    } else if free < need.enough {
        Check::warning(topic, format!("{} for a full image", wanted(need.enough))).remedy(remedy)
    } else {
        Check::good(topic, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::doctor::Verdict;

    #[test]
    fn a_dir_that_is_not_there_yet_has_its_parents_room() {
        let dir = tempfile::tempdir().unwrap();
        let ask =
            |least, enough| check(("d", &dir.path().join("a/b")), Need { least, enough }, "r");
        assert_eq!(ask(0, 0).verdict, Verdict::Good);
        let warned = ask(0, u64::MAX);
        assert_eq!(warned.verdict, Verdict::Warning);
        let refused = ask(u64::MAX, u64::MAX);
        assert_eq!(refused.verdict, Verdict::Bad);
        assert_eq!(refused.remedies, ["r"]);
    }
}
