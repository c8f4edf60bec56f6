//! Pins and locks: what we download, known by size and hash before the first byte arrives.
//!
//! Pure. A lock is checked whole when it is parsed: a path cannot leave its mirror or its package,
//! a hash is a hash, a size has a bound. Whoever holds a [`Pin`] need not look again.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::common::hash::Sha256Hash;

/// No pin is larger; what claims to be is a mistake or an attack.
pub const MAX_SIZE: u64 = 2 << 30;

/// The snapshot archive keeps every version that Debian ever published.
const SNAPSHOTS: &str = "http://snapshot.debian.org/archive/debian";

/// Why a lock was refused.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Not the JSON that a lock is.
    #[error("not a lock: {0}")]
    Json(#[from] serde_json::Error),
    /// A lock of a kind that this version does not know.
    #[error("lock schema {0} is not known to this version")]
    Schema(u32),
    /// The same package twice, or not sorted.
    #[error("packages are not sorted, or {0} is there twice")]
    Order(String),
    /// A content of a package that the lock does not hold.
    #[error("content {path} is of {package}, which the lock does not hold")]
    Stray {
        /// The package that is missing.
        package: String,
        /// The file that it should hold.
        path: String,
    },
}

/// Something that we download: nothing about it is left to be found out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// What people call it.
    #[serde(deserialize_with = "word")]
    pub name: String,
    /// Its version, for people and the manifest.
    #[serde(deserialize_with = "word")]
    pub version: String,
    /// Where it lies below the base URL of each mirror.
    #[serde(deserialize_with = "confined")]
    pub path: String,
    /// Its length in bytes.
    #[serde(deserialize_with = "bounded")]
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

/// One file inside a package, pinned by itself as well.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The package that holds it.
    #[serde(deserialize_with = "word")]
    pub package: String,
    /// Where it lies in the package.
    #[serde(deserialize_with = "confined")]
    pub path: String,
    /// Its length in bytes.
    #[serde(deserialize_with = "bounded")]
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

/// A resolved set of packages for one architecture, as `scripts/refresh-pins` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    schema: u32,
    /// Debian's name of the architecture.
    #[serde(deserialize_with = "word")]
    pub architecture: String,
    /// The moment at which the snapshot archive is asked.
    #[serde(deserialize_with = "word")]
    pub snapshot: String,
    /// The packages, sorted by name.
    pub packages: Vec<Pin>,
    /// Single files inside them that are pinned as well.
    #[serde(default)]
    pub contents: Vec<Content>,
}

impl Lock {
    /// Reads a lock and refuses what is not whole.
    pub fn parse(text: &str) -> Result<Self, PinError> {
        let lock: Self = serde_json::from_str(text)?;
        if lock.schema != 1 {
            return Err(PinError::Schema(lock.schema));
        }
        for (before, after) in lock.packages.iter().zip(lock.packages.iter().skip(1)) {
            if before.name >= after.name {
                return Err(PinError::Order(after.name.clone()));
            }
        }
        for Content { package, path, .. } in &lock.contents {
            if !lock.packages.iter().any(|pin| pin.name == *package) {
                return Err(PinError::Stray {
                    package: package.clone(),
                    path: path.clone(),
                });
            }
        }
        Ok(lock)
    }

    /// Base URLs in the order in which they are asked: the given mirrors, then the snapshot archive.
    pub fn mirrors(&self, given: &[String]) -> Vec<String> {
        given
            .iter()
            .cloned()
            .chain([format!("{SNAPSHOTS}/{}", self.snapshot)])
            .collect()
    }
}

fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~_".contains(c);
    if text.is_empty() || text.len() > 256 || !text.chars().all(plain) {
        return Err(D::Error::custom(format_args!("{text:?} is no name")));
    }
    Ok(text)
}

fn confined<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |c: char| c.is_ascii_graphic() && !"\\?#%".contains(c);
    let stays = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if text.len() > 1024 || !stays || !text.chars().all(plain) {
        return Err(D::Error::custom(format_args!(
            "{text:?} is no relative path"
        )));
    }
    Ok(text)
}

fn bounded<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(from)?;
    if size == 0 || size > MAX_SIZE {
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

    fn lock(name: &str, path: &str, size: &str, hash: &str) -> Result<Lock, PinError> {
        Lock::parse(&format!(
            r#"{{"schema":1,"architecture":"amd64","snapshot":"20261120T000000Z","packages":[
              {{"name":"{name}","version":"1:1.0+b1~x","path":"{path}","size":{size},"sha256":"{hash}"}}]}}"#
        ))
    }

    #[test]
    fn a_whole_lock_is_taken() {
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
    fn paths_cannot_leave() {
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
            assert!(lock("a", path, "1", HASH).is_err(), "{path} was taken");
        }
        assert!(lock("a", "a/..b/c..", "1", HASH).is_ok());
    }

    #[test]
    fn sizes_and_hashes_are_checked() {
        for size in ["0", "2147483649", "-1", "1.5", "\"1\""] {
            assert!(lock("a", "a", size, HASH).is_err(), "{size} was taken");
        }
        assert!(lock("a", "a", "2147483648", HASH).is_ok());
        for hash in [
            HASH.trim_end_matches('3'),
            "",
            &HASH.to_uppercase(),
            &HASH.replace('5', "g"),
        ] {
            assert!(lock("a", "a", "1", hash).is_err(), "{hash} was taken");
        }
        assert!(lock("a\\u001b[2J", "a", "1", HASH).is_err());
    }

    #[test]
    fn strange_locks_are_refused() {
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
            assert!(Lock::parse(text).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn packages_are_sorted_and_single() {
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
        /// A lock is taken whole or refused; a path that was taken stays below its mirror.
        #[test]
        fn no_lock_leads_outside(path in "[a-z./%\\\\ ~+-]{0,24}", size in proptest::prelude::any::<i64>(), tail in ".{0,16}") {
            let text = format!(
                r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[{{"name":"a","version":"1","path":{path:?},"size":{size},"sha256":"{}"}}]}}{tail}"#,
                "0".repeat(64)
            );
            if let Ok(lock) = Lock::parse(&text) {
                for pin in &lock.packages {
                    proptest::prop_assert!(!pin.path.starts_with('/'));
                    proptest::prop_assert!(pin.path.split('/').all(|part| part != ".." && !part.is_empty()));
                    proptest::prop_assert!(pin.size <= MAX_SIZE);
                }
            }
        }
    }
}
