//! Paths of the Nix store.

use std::fmt;
use std::str::FromStr;

/// The directory of every store of NixOS.
const STORE: &str = "/nix/store/";
/// Characters of the hash.
const HASH_CHARS: usize = 32;
/// Characters that a name has at most.
const MAX_NAME_CHARS: usize = 211;

/// `/nix/store/HASH-NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StorePath {
    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is behind the hash.
    pub fn name(&self) -> &str {
        self.0
            .get(STORE.len() + HASH_CHARS + 1..)
            .unwrap_or_default()
    }

    /// The host name of a system: what is between `nixos-system-` and the release, such as 26.05.
    pub fn host_name(&self) -> Option<&str> {
        let name = self.name().strip_prefix("nixos-system-")?;
        let is_release = |rest: &str| {
            let (year, month) = rest.split_once('.').unwrap_or_default();
            let is_number =
                |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            is_number(year) && month.get(..2).is_some_and(is_number)
        };
        let mut ends = name.match_indices('-').map(|(at, _)| at);
        let end = ends.find(|at| name.get(at + 1..).is_some_and(is_release))?;
        let name = name.get(..end)?;
        sdbuild_core::host_name::is_valid(name).then_some(name)
    }
}

/// The text is not a path of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a path of the Nix store")]
pub struct NotAStorePath;

impl FromStr for StorePath {
    type Err = NotAStorePath;

    fn from_str(text: &str) -> Result<Self, NotAStorePath> {
        let (hash, name) = text
            .strip_prefix(STORE)
            .and_then(|base| base.split_once('-'))
            .ok_or(NotAStorePath)?;
        let is_hash = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+._?=-".contains(&byte);
        let is_path = hash.len() == HASH_CHARS
            && hash.bytes().all(is_hash)
            && (1..=MAX_NAME_CHARS).contains(&name.len())
            && name.bytes().all(is_name);
        is_path.then(|| Self(text.to_owned())).ok_or(NotAStorePath)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// The path with the name `name` whose hash is the digit `digit`, repeated.
    pub(crate) fn path(digit: char, name: &str) -> StorePath {
        let hash = digit.to_string().repeat(HASH_CHARS);
        format!("{STORE}{hash}-{name}").parse().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_has_a_host_name() {
        for (name, expected) in [
            ("nixos-system-pi-4-26.05.1-rev", Some("pi-4")),
            ("nixos-system-kitchen-26.05pre-git", Some("kitchen")),
            ("nixos-system-kitchen", None),
            ("linux-26.05", None),
        ] {
            assert_eq!(fixture::path('1', name).host_name(), expected, "{name}");
        }
    }

    #[test]
    fn only_whole_paths_are_taken() {
        let hash = "0".repeat(32);
        let path = |text: String| text.parse::<StorePath>();
        let found = path(format!("/nix/store/{hash}-linux-6.12.1")).unwrap();
        assert_eq!(found.name(), "linux-6.12.1");
        for wrong in [
            String::new(),
            format!("/nix/store/{hash}"),
            format!("/nix/store/{hash}-"),
            format!("/nix/store/{hash}-a/bin"),
            format!("/nix/store/{hash}-a b"),
            format!("/nix/store/{hash}-$(x)"),
            format!("/nix/store/0{hash}-a"),
            format!("/nix/store/{hash}-{}", "a".repeat(212)),
            format!("/gnu/store/{hash}-a"),
        ] {
            assert_eq!(path(wrong.clone()), Err(NotAStorePath), "{wrong}");
        }
    }
}
