//! Why binary caches lack what a build compiles: what the configuration changes (`expressions/causes.nix`), compared with what would
//! be built.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::layout::CONFIG_DIR;
use super::slow_work::is_vendor_kernel;
use sdbuild_core::counted::counted;
use sdbuild_core::transcript::short_name;

/// Packages that are named.
const MAX_NAMED: usize = 4;

/// What the configuration changes of what caches have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Changes {
    /// The platform that compiles, if it is another one than the image's.
    pub cross: Option<Cross>,
    /// Whether every package is compiled for another processor than caches are filled for.
    pub tuned: bool,
    /// The packages that overlays define.
    pub packages: Vec<Package>,
    /// The kernel of the image.
    pub kernel: Option<Kernel>,
    /// The inputs of the flake with a cache of their own and another nixpkgs than that cache is filled with.
    pub followers: Vec<Follower>,
    /// The version of nixpkgs.
    pub nixpkgs: String,
}

/// A platform that compiles for another one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Cross {
    /// Its system.
    pub platform: String,
    /// The files that define it.
    pub files: Vec<String>,
}

/// A package that an overlay defines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Its attribute.
    pub name: String,
    /// Where the overlay does, if Nix knows.
    pub file: Option<String>,
    /// The line there.
    pub line: Option<u64>,
    /// Its derivation, if it is one.
    pub derivation: Option<String>,
}

/// The kernel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Kernel {
    /// Its name with version.
    pub name: String,
    /// Its derivation.
    pub derivation: Option<String>,
    /// The files that choose it.
    pub files: Vec<String>,
}

/// An input with caches of its own, and another nixpkgs than its own lock has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Follower {
    /// Its name in `flake.nix`.
    pub name: String,
    /// Its directory in the store.
    pub dir: String,
}

/// A cause for which caches do not have something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Everything is cross-compiled from `platform`.
    Cross {
        platform: String,
        places: Vec<String>,
    },
    /// Everything is compiled for a certain processor.
    Tuned,
    /// An overlay changes packages: each with its place.
    Overlay { packages: Vec<(String, String)> },
    /// The nixpkgs of `input` is not the one that its cache is filled with.
    Follows { input: String },
    /// The kernel is a vendor's, which is in none of the caches.
    Kernel { name: String, places: Vec<String> },
    /// Nothing that is known: the cache may not be filled yet.
    Nixpkgs { version: String },
}

impl Changes {
    /// The same with `shown_dir` in place of the directory of the configuration in the builder.
    #[must_use]
    pub fn shown(mut self, shown_dir: &str) -> Self {
        let of_cross = self.cross.iter_mut().flat_map(|cross| &mut cross.files);
        let of_kernel = self.kernel.iter_mut().flat_map(|kernel| &mut kernel.files);
        let of_packages = self.packages.iter_mut().filter_map(|one| one.file.as_mut());
        for file in of_cross.chain(of_kernel).chain(of_packages) {
            *file = file.replace(CONFIG_DIR, shown_dir);
        }
        self
    }

    /// The causes of the misses `built`, the derivations that would be built, the widest first.
    pub fn causes(&self, built: &[String]) -> Vec<Miss> {
        let built: BTreeSet<&str> = built.iter().map(String::as_str).collect();
        let is_built = |derivation: &Option<String>| {
            derivation
                .as_deref()
                .is_some_and(|path| built.contains(path))
        };
        let cross = self.cross.as_ref().map(|cross| Miss::Cross {
            platform: cross.platform.clone(),
            places: cross.files.clone(),
        });
        let tuned = self.tuned.then_some(Miss::Tuned);
        let kernel = self
            .kernel
            .as_ref()
            .filter(|kernel| is_built(&kernel.derivation));
        let changed = self.packages.iter().filter(|one| is_built(&one.derivation));
        let of_input = |follower: &&Follower| {
            let is_inside = |file: &String| file.starts_with(&follower.dir);
            let of_kernel = kernel.iter().flat_map(|kernel| &kernel.files);
            let of_packages = changed.clone().filter_map(|one| one.file.as_ref());
            of_kernel.chain(of_packages).any(is_inside)
        };
        let follows = self
            .followers
            .iter()
            .filter(of_input)
            .map(|one| Miss::Follows {
                input: one.name.clone(),
            });
        let packages: Vec<_> = changed.clone().map(Package::named).collect();
        let overlay = (!packages.is_empty()).then_some(Miss::Overlay { packages });
        let vendor = kernel.filter(|kernel| is_vendor_kernel(&kernel.name));
        let vendor = vendor.map(|kernel| Miss::Kernel {
            name: kernel.name.clone(),
            places: kernel.files.clone(),
        });
        let found = cross.into_iter().chain(tuned).chain(follows);
        let found: Vec<Miss> = found.chain(overlay).chain(vendor).collect();
        if found.is_empty() {
            let version = self.nixpkgs.clone();
            return vec![Miss::Nixpkgs { version }];
        }
        found
    }
}

impl Package {
    fn named(&self) -> (String, String) {
        let file = self.file.clone().unwrap_or_default();
        let place = match self.line {
            Some(line) if !file.is_empty() => format!("{file}:{line}"),
            Some(_) | None => file,
        };
        (self.name.clone(), place)
    }
}

impl Miss {
    /// Whether one more evaluation without the cause is a test of it.
    pub fn is_of_everything(&self) -> bool {
        matches!(
            self,
            Self::Cross { .. } | Self::Tuned | Self::Overlay { .. }
        )
    }

    /// The cause as a sentence, with what to do.
    pub fn describe(&self) -> String {
        match self {
            Self::Cross { platform, places } => format!(
                "the configuration cross-compiles on {platform} (nixpkgs.buildPlatform{}), and binary caches have no such \
                 packages. Without that they have them, and the rest runs under emulation",
                at(places)
            ),
            Self::Tuned => "nixpkgs.hostPlatform names a processor (gcc.arch, gcc.tune or the like), and binary caches have no \
                            packages for it"
                .to_owned(),
            Self::Overlay { packages } => {
                let named = packages.iter().take(MAX_NAMED).map(|(name, place)| {
                    let place = Some(shortened(place)).filter(|place| !place.is_empty());
                    place.map_or(name.clone(), |place| format!("{name} ({place})"))
                });
                let more = match packages.len().saturating_sub(MAX_NAMED) {
                    0 => String::new(),
                    n => format!(" and {}", counted(n, "more package", "more packages")),
                };
                let named = named.collect::<Vec<_>>().join(", ");
                format!("an overlay changes {named}{more}, and with that everything made from it")
            }
            Self::Follows { input } => format!(
                "the input {input} is used with another nixpkgs than its binary cache is filled with. Remove \
                 inputs.{input}.inputs.nixpkgs.follows"
            ),
            Self::Kernel { name, places } => format!(
                "the kernel {name}{} is a vendor's, which none of these binary caches has. They have pkgs.linuxPackages",
                at(places)
            ),
            Self::Nixpkgs { version } => format!(
                "nothing that the configuration changes: nixpkgs {version} may be newer than what the binary cache has, or \
                 between two of its updates. The commits of a channel, such as nixos-26.05, are complete there"
            ),
        }
    }
}

/// ` (PLACE, PLACE)`, or nothing.
fn at(places: &[String]) -> String {
    let places: Vec<String> = places.iter().map(|place| shortened(place)).collect();
    if places.is_empty() {
        String::new()
    } else {
        format!(", {}", places.join(", "))
    }
}

/// `place` without the path of the store.
fn shortened(place: &str) -> String {
    let rest = place
        .strip_prefix("/nix/store/")
        .and_then(|rest| rest.split_once('/'));
    let (dir, file) = rest.unwrap_or(("", place));
    match short_name(dir) {
        "" | "source" => file.to_owned(),
        name => format!("{name}/{file}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derivation(name: &str) -> String {
        format!("/nix/store/{}-{name}.drv", "a".repeat(32))
    }

    fn package(name: &str, line: u64) -> Package {
        Package {
            name: name.into(),
            file: Some("/build/config/flake.nix".into()),
            line: Some(line),
            derivation: Some(derivation(name)),
        }
    }

    #[test]
    fn overlays_count_only_for_what_is_built() {
        let changes = Changes {
            packages: vec![package("jemalloc", 12), package("htop", 13)],
            nixpkgs: "26.11pre".into(),
            ..Changes::default()
        };
        let built = [derivation("jemalloc"), derivation("rustc")];
        let packages = vec![(
            "jemalloc".to_owned(),
            "/build/config/flake.nix:12".to_owned(),
        )];
        assert_eq!(changes.causes(&built), [Miss::Overlay { packages }]);
        let version = "26.11pre".to_owned();
        assert_eq!(changes.causes(&built[1..]), [Miss::Nixpkgs { version }]);
    }

    #[test]
    fn causes_of_everything_come_first() {
        let kernel = "linux-rpi-6.12.47-stable_20250916";
        let dir = "/nix/store/x-source";
        let cross = Cross {
            platform: "x86_64-linux".into(),
            files: vec!["/build/config/pi.nix".into()],
        };
        let changes = Changes {
            cross: Some(cross),
            kernel: Some(Kernel {
                name: kernel.into(),
                derivation: Some(derivation(kernel)),
                files: vec![format!("{dir}/modules/kernel.nix")],
            }),
            followers: ["pi", "other"]
                .map(|name| Follower {
                    name: name.into(),
                    dir: if name == "pi" {
                        dir.into()
                    } else {
                        "/nix/store/y".into()
                    },
                })
                .into(),
            ..Changes::default()
        };
        let causes = changes.causes(&[derivation(kernel)]);
        assert!(matches!(&causes[0], Miss::Cross { platform, .. } if platform == "x86_64-linux"));
        assert_eq!(causes[1], Miss::Follows { input: "pi".into() });
        assert!(matches!(&causes[2], Miss::Kernel { name, .. } if name == kernel));
        assert_eq!(causes.len(), 3);
        // The kernel is fetched.
        assert_eq!(changes.causes(&[]).len(), 1);
    }
}
