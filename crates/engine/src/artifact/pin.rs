//! Pins and locks: files to download, whose sizes and hashes are known before the first byte is received. Pure.
//!
//! A lock is validated when it is parsed: paths stay below their mirror or package, and sizes are bounded. A
//! [`Pin`] need not be validated again.

use anyhow::{Context as _, ensure};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::untrusted;

/// The largest size of a pin in bytes: a larger one is a mistake or an attack.
const MAX_PIN_BYTES: u64 = 2 << 30;

/// The snapshot archive, which keeps every version that Debian ever published.
const SNAPSHOT_ARCHIVE: &str = "http://snapshot.debian.org/archive/debian";

/// A file to download, of which everything is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its name in messages.
    #[serde(deserialize_with = "word")]
    pub name: String,
    /// Its version, for messages and the manifest.
    #[serde(deserialize_with = "word")]
    pub version: String,
    /// Its path below the base URL of each mirror.
    #[serde(deserialize_with = "confined")]
    pub path: String,
    #[serde(deserialize_with = "bounded")]
    pub size: u64,
    pub sha256: Sha256Hash,
}

/// One file inside a package, which is pinned by itself as well.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    #[serde(deserialize_with = "word")]
    pub package: String,
    #[serde(deserialize_with = "confined")]
    pub path: String,
    #[serde(deserialize_with = "bounded")]
    pub size: u64,
    pub sha256: Sha256Hash,
}

/// Resolved packages for one architecture, as `scripts/refresh-pins` writes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    schema: u32,
    /// Debian's name of the architecture.
    #[serde(deserialize_with = "word")]
    pub architecture: String,
    /// The time of the snapshot in the archive, as in its URL.
    #[serde(deserialize_with = "word")]
    pub snapshot: String,
    pub packages: Vec<Pin>,
    /// Single files inside the packages that are pinned as well.
    #[serde(default)]
    pub contents: Vec<Content>,
}

impl Lock {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lock: Self = untrusted::json(text).context("it is not a lock")?;
        ensure!(
            lock.schema == 1,
            "lock schema {} is not known to this version",
            lock.schema
        );
        for (before, after) in lock.packages.iter().zip(lock.packages.iter().skip(1)) {
            let (name, is_sorted) = (&after.name, before.name < after.name);
            ensure!(
                is_sorted,
                "the packages are not sorted, or {name} is listed twice"
            );
        }
        for Content { package, path, .. } in &lock.contents {
            ensure!(
                lock.packages.iter().any(|pin| pin.name == *package),
                "the file {path} is pinned in {package}, which the lock does not list"
            );
        }
        Ok(lock)
    }

    /// The base URLs in the order in which they are asked: the given mirrors, then the snapshot archive.
    pub fn mirrors(&self, given: &[String]) -> Vec<String> {
        given
            .iter()
            .cloned()
            .chain([format!("{SNAPSHOT_ARCHIVE}/{}", self.snapshot)])
            .collect()
    }
}

fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~_".contains(c);
    if text.is_empty() || text.len() > 256 || !text.chars().all(plain) {
        return Err(D::Error::custom(format_args!(
            "{text:?} is not a plain name"
        )));
    }
    Ok(text)
}

fn confined<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |c: char| c.is_ascii_graphic() && !"\\?#%".contains(c);
    let stays = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if text.len() > 1024 || !stays || !text.chars().all(plain) {
        return Err(D::Error::custom(format_args!(
            "{text:?} is not a relative path"
        )));
    }
    Ok(text)
}

fn bounded<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(from)?;
    if size == 0 || size > MAX_PIN_BYTES {
        return Err(D::Error::custom(format_args!(
            "a size of {size} bytes is not allowed"
        )));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "598a3fd92bdafc34cd81196b2952ad36e910e47a4ecf162f8ce5e8e262598e53";

    fn lock(name: &str, path: &str, size: &str, hash: &str) -> anyhow::Result<Lock> {
        Lock::parse(&format!(
            r#"{{"schema":1,"architecture":"amd64","snapshot":"20261120T000000Z","packages":[
              {{"name":"{name}","version":"1:1.0+b1~x","path":"{path}","size":{size},"sha256":"{hash}"}}]}}"#
        ))
    }

    #[test]
    fn valid_lock_is_accepted() {
        let lock = lock("a", "pool/main/a/a_1.0+b1~x.deb", "1", HASH).unwrap();
        assert_eq!(lock.packages[0].sha256.to_string(), HASH);
        assert_eq!(lock.packages[0].sha256.short(), "598a3fd92bda");
        assert_eq!(
            lock.mirrors(&["http://m/debian".to_owned()]),
            [
                "http://m/debian",
                "http://snapshot.debian.org/archive/debian/20261120T000000Z"
            ]
        );
    }

    #[test]
    fn paths_stay_below_the_mirror() {
        for path in [
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/./b",
            "",
            "a/",
            "a?b",
            "a%2e",
            "a b",
            "a\\\\b",
        ] {
            assert!(lock("a", path, "1", HASH).is_err(), "{path} was accepted");
        }
        assert!(lock("a", "a/..b/c..", "1", HASH).is_ok());
    }

    #[test]
    fn sizes_and_hashes_are_checked() {
        for size in ["0", "2147483649", "-1", "1.5", "\"1\""] {
            assert!(lock("a", "a", size, HASH).is_err(), "{size} was accepted");
        }
        assert!(lock("a", "a", "2147483648", HASH).is_ok());
        for hash in [
            HASH.trim_end_matches('3'),
            "",
            &HASH.to_uppercase(),
            &HASH.replace('5', "g"),
        ] {
            assert!(lock("a", "a", "1", hash).is_err(), "{hash} was accepted");
        }
        assert!(lock("a\\u001b[2J", "a", "1", HASH).is_err());
    }

    #[test]
    fn invalid_locks_are_refused() {
        for text in [
            "",
            "[]",
            r#"{"schema":2,"architecture":"amd64","snapshot":"x","packages":[]}"#,
            r#"{"schema":1,"architecture":"amd64","snapshot":"../x","packages":[]}"#,
            r#"{"schema":1,"architecture":"amd64","snapshot":"x","packages":[],"more":1}"#,
            &format!(
                r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[],"contents":[
                {{"package":"q","path":"usr/bin/q","size":1,"sha256":"{HASH}"}}]}}"#
            ),
        ] {
            assert!(Lock::parse(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn packages_are_sorted_and_unique() {
        let row = |name| {
            format!(r#"{{"name":"{name}","version":"1","path":"p","size":1,"sha256":"{HASH}"}}"#)
        };
        let lock = |a, b| {
            let (a, b) = (row(a), row(b));
            Lock::parse(&format!(
                r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[{a},{b}]}}"#
            ))
        };
        assert!(lock("a", "b").is_ok());
        assert!(lock("b", "a").is_err());
        assert!(lock("a", "a").is_err());
    }

    proptest::proptest! {
        /// Whatever the text, the paths of an accepted lock stay below the mirror.
        #[test]
        fn accepted_paths_stay_below_the_mirror(path in "[a-z./%\\\\ ~+-]{0,24}", size in proptest::prelude::any::<i64>(), tail in ".{0,16}") {
            let text = format!(
                r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[{{"name":"a","version":"1","path":{path:?},"size":{size},"sha256":"{}"}}]}}{tail}"#,
                "0".repeat(64)
            );
            if let Ok(lock) = Lock::parse(&text) {
                for pin in &lock.packages {
                    proptest::prop_assert!(!pin.path.starts_with('/'));
                    proptest::prop_assert!(pin.path.split('/').all(|part| part != ".." && !part.is_empty()));
                    proptest::prop_assert!(pin.size <= MAX_PIN_BYTES);
                }
            }
        }
    }
}
