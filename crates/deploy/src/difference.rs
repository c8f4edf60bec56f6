//! What changes between two systems.

use std::collections::{BTreeMap, BTreeSet};

use crate::store_path::StorePath;

/// Outputs of derivations, which are no part of a version.
const OUTPUTS: [&str; 11] = [
    "bin", "dev", "lib", "man", "doc", "info", "data", "getent", "debug", "modules", "static",
];

/// What the name of a system begins with, and what it is called here.
const SYSTEM: &str = "nixos-system-";
const NIXOS: &str = "NixOS";

/// A package of which something differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// The versions of the old system; none if it is added.
    pub before: BTreeSet<String>,
    /// The versions of the new system; none if it is removed.
    pub after: BTreeSet<String>,
    /// Bytes of its paths in the new system, without those in the old one.
    pub growth: i64,
}

/// The difference between two closures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Packages that are added, removed or of other versions, by their names.
    pub packages: Vec<Change>,
    /// Paths of the new system that the old one lacks, and that are of the same version or of none.
    pub rebuilt: usize,
    /// Bytes of the new system, without those of the old one.
    pub growth: i64,
}

impl Difference {
    /// The difference between the paths of two systems, with their bytes.
    pub fn between(old: &BTreeMap<StorePath, u64>, new: &BTreeMap<StorePath, u64>) -> Self {
        let mut all: BTreeMap<&str, Change> = BTreeMap::new();
        for (paths, is_new) in [(old, false), (new, true)] {
            for (path, size) in paths {
                let Some((name, version)) = split(path.name()) else {
                    continue;
                };
                let change = all.entry(name).or_insert_with(|| Change {
                    name: name.to_owned(),
                    before: BTreeSet::new(),
                    after: BTreeSet::new(),
                    growth: 0,
                });
                let versions = if is_new {
                    &mut change.after
                } else {
                    &mut change.before
                };
                versions.insert(version.to_owned());
                change.growth = change.growth.saturating_add(signed(*size, is_new));
            }
        }
        let sum = |paths: &BTreeMap<StorePath, u64>, is_new| -> i64 {
            let sizes = paths.values().map(|size| signed(*size, is_new));
            sizes.fold(0, i64::saturating_add)
        };
        let is_changed = |path: &&StorePath| {
            let change = split(path.name()).and_then(|(name, _)| all.get(name));
            change.is_some_and(|change| change.before != change.after)
        };
        let added = new.keys().filter(|path| !old.contains_key(*path));
        Self {
            rebuilt: added.filter(|path| !is_changed(path)).count(),
            growth: sum(old, false).saturating_add(sum(new, true)),
            packages: all
                .values()
                .filter(|change| change.before != change.after)
                .cloned()
                .collect(),
        }
    }
}

fn signed(size: u64, is_new: bool) -> i64 {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    if is_new { size } else { -size }
}

/// Name and version of a package, as Nix splits them: the version begins with the first part that does not begin with a letter. `None`
/// without a version.
fn split(name: &str) -> Option<(&str, &str)> {
    // It has the name of its host.
    let is_system = name.starts_with(SYSTEM);
    let at = name.match_indices('-').map(|(at, _)| at).find(|at| {
        let rest = name.get(at + 1..).unwrap_or_default();
        rest.starts_with(|c: char| !c.is_ascii_alphabetic())
    })?;
    let (package, version) = (name.get(..at)?, name.get(at + 1..)?);
    let version = match version.rsplit_once('-') {
        Some((version, output)) if OUTPUTS.contains(&output) => version,
        _ => version,
    };
    // Sources and configuration files have a hash or a number there too, and no digit at the beginning.
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    let package = if is_system { NIXOS } else { package };
    (is_version && !package.is_empty()).then_some((package, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    #[test]
    fn names_and_versions_are_split_as_nix_does() {
        for (name, expected) in [
            ("linux-6.12.1", Some(("linux", "6.12.1"))),
            ("openssl-3.0.1-bin", Some(("openssl", "3.0.1"))),
            ("python3.13-dbus-1.2", Some(("python3.13-dbus", "1.2"))),
            (
                "nixos-system-pi-26.05.1-rev",
                Some(("NixOS", "26.05.1-rev")),
            ),
            ("unit-sshd.service", None),
            ("etc", None),
            ("a--b", None),
        ] {
            assert_eq!(split(name), expected, "{name}");
        }
    }

    #[test]
    fn packages_are_added_removed_and_changed() {
        let closure = |paths: &[(char, &str, u64)]| -> BTreeMap<StorePath, u64> {
            let paths = paths.iter();
            paths
                .map(|(digit, name, size)| (path(*digit, name), *size))
                .collect()
        };
        let old = closure(&[
            ('1', "linux-6.12.1", 100),
            ('2', "vim-9.1", 30),
            ('3', "etc", 1),
            ('4', "glibc-2.40", 50),
            ('8', "bash-5", 3),
        ]);
        let new = closure(&[
            ('5', "linux-6.12.2", 110),
            ('6', "htop-3.4", 20),
            ('7', "etc", 2),
            ('4', "glibc-2.40", 50),
            ('9', "bash-5", 3),
        ]);
        let found = Difference::between(&old, &new);
        let shown: Vec<_> = found
            .packages
            .iter()
            .map(|change| {
                let versions =
                    |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
                (
                    change.name.as_str(),
                    versions(&change.before),
                    versions(&change.after),
                    change.growth,
                )
            })
            .collect();
        let expected = [
            ("htop", String::new(), "3.4".to_owned(), 20),
            ("linux", "6.12.1".to_owned(), "6.12.2".to_owned(), 10),
            ("vim", "9.1".to_owned(), String::new(), -30),
        ];
        assert_eq!(shown, expected);
        assert_eq!((found.rebuilt, found.growth), (2, 1));
        assert_eq!(Difference::between(&new, &new), Difference::default());
    }
}
