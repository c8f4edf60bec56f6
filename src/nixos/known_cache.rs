//! Public binary caches that have what NixOS's own lacks, one row each.

use super::expensive_builds::is_of_program;

/// A binary cache that anybody may use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownCache {
    /// Its address.
    url: &'static str,
    /// The public key that signs its content.
    key: &'static str,
    /// Names of derivations without version that it may have.
    programs: &'static [&'static str],
}

/// The caches that the README files of these projects name, with their keys.
const KNOWN_CACHES: [KnownCache; 2] = [
    // github.com/nvmd/nixos-raspberrypi: kernels of the boards, as pkgs/linux-rpi.nix there names them.
    KnownCache {
        url: "https://nixos-raspberrypi.cachix.org",
        key: "nixos-raspberrypi.cachix.org-1:4iMO9LXa8BqhU+Rpg6LQKiGa2lsNh/j2oiYLNOQ5sPI=",
        programs: &["linux_rpi-bcm2711", "linux_rpi-bcm2712"],
    },
    // github.com/nix-community/raspberry-pi-nix.
    KnownCache {
        url: "https://nix-community.cachix.org",
        key: "nix-community.cachix.org-1:mB9FSh9qf2dCimDSUo8Zy7bkq5CX+/rkCWyvRCYg3Fs=",
        programs: &["linux-rpi"],
    },
];

impl KnownCache {
    /// The flags that add it to a build.
    pub(super) fn flags(&self) -> String {
        let Self { url, key, .. } = self;
        format!("--extra-substituters {url} --extra-trusted-public-keys {key}")
    }

    fn may_have(&self, derivation: &str) -> bool {
        let mut programs = self.programs.iter();
        programs.any(|program| is_of_program(derivation, program))
    }
}

/// The cache that may have one of `derivations`, by their names, and is not among the `used` addresses.
pub(super) fn cache_for(derivations: &[String], used: &[String]) -> Option<&'static KnownCache> {
    let is_used = |url: &str| used.iter().any(|used| used.trim_end_matches('/') == url);
    let mut caches = KNOWN_CACHES.iter();
    caches.find(|cache| !is_used(cache.url) && derivations.iter().any(|name| cache.may_have(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_boards_have_a_cache_that_is_not_used_yet() {
        let found = |name: &str, used: &[&str]| {
            let used: Vec<_> = used.iter().map(|&url| url.to_owned()).collect();
            cache_for(&[name.to_owned()], &used).map(|cache| cache.url)
        };
        let [vendor, community] = KNOWN_CACHES.map(|cache| cache.url);
        for (name, cache) in [
            ("linux_rpi-bcm2712-6.12.47-stable_20250916", Some(vendor)),
            ("linux-rpi-6.6.54", Some(community)),
            ("linux-6.12.30", None),
            ("linux_rpi-bcm2712-6.12.47-modules", None),
        ] {
            assert_eq!(found(name, &["https://cache.nixos.org"]), cache, "{name}");
        }
        let used = format!("{vendor}/");
        assert_eq!(found("linux_rpi-bcm2711-6.6.74-1.20250127", &[&used]), None);
    }

    #[test]
    fn keys_are_those_of_the_caches() {
        for cache in &KNOWN_CACHES {
            let host = cache.url.strip_prefix("https://").unwrap();
            assert!(cache.key.starts_with(&format!("{host}-1:")), "{cache:?}");
            assert!(cache.key.ends_with('=') && !cache.programs.is_empty());
        }
    }
}
