//! Whose an image is: which builds may replace it without a question.

use serde::{Deserialize, Serialize};

use sdbuild_core::hash::Sha256Hash;

/// Digits of the hash of a name.
const NAME_DIGITS: usize = 8;

/// Names the configuration that made an image, without a path of the user's machine: `HASH`, or `HASH-NAME` for a configuration of a
/// flake that was named, and `.HOST` behind it if `--hostname` gave it another host name. Empty for an image of which it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageOwnerId(String);

impl ImageOwnerId {
    /// The configuration `name` of the source with the hash `source`.
    #[must_use]
    pub fn new(source: String, name: Option<&str>) -> Self {
        let Some(name) = name else {
            return Self(source);
        };
        let mut hash = Sha256Hash::of(name.as_bytes()).to_string();
        hash.truncate(NAME_DIGITS);
        Self(format!("{source}-{hash}"))
    }

    /// The same configuration with the host name of `--hostname`.
    #[must_use]
    pub fn with_host(self, host: Option<&str>) -> Self {
        let Some(host) = host else { return self };
        Self([&self.0, host].join("."))
    }

    /// Whether both are the same configuration with the same `--hostname`. One without a name is the only one of its source, so that it
    /// is the one with a name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.host() == other.host() && self.has_source_of(other)
    }

    /// The same, where both images are called `image`: a host name that the image has in its name is that of both.
    pub(super) fn is_same_of_image(&self, other: &Self, image: &str) -> bool {
        let of_host = |host: &str| {
            let rest = image.strip_prefix("nixos-");
            let rest = rest.and_then(|rest| rest.strip_prefix(host));
            host.is_empty() || rest.is_some_and(|rest| rest.starts_with(['-', '.']))
        };
        let (host, other_host) = (self.host(), other.host());
        let is_one = host == other_host || of_host(host) && of_host(other_host);
        is_one && self.has_source_of(other)
    }

    fn has_source_of(&self, other: &Self) -> bool {
        let ((source, name), (other_source, other_name)) = (self.parts(), other.parts());
        let is_one = name.is_empty() || other_name.is_empty() || name == other_name;
        !source.is_empty() && source == other_source && is_one
    }

    fn parts(&self) -> (&str, &str) {
        let (id, _) = self.0.split_once('.').unwrap_or((&self.0, ""));
        id.split_once('-').unwrap_or((id, ""))
    }

    fn host(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, host)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configuration_of_a_flake_need_not_be_named() {
        let id = |source: &str, name| ImageOwnerId::new(source.to_owned(), name);
        assert!(id("a", None).is_same(&id("a", None)));
        assert!(id("a", None).is_same(&id("a", Some("pi"))));
        assert!(id("a", Some("pi")).is_same(&id("a", None)));
        assert!(id("a", Some("pi")).is_same(&id("a", Some("pi"))));
        assert!(!id("a", Some("pi")).is_same(&id("a", Some("attic"))));
        assert!(!id("a", None).is_same(&id("b", None)));
        assert!(!ImageOwnerId::default().is_same(&ImageOwnerId::default()));
    }

    #[test]
    fn a_host_name_that_the_image_has_is_that_of_both() {
        let id = |host| ImageOwnerId::new("a".into(), Some("x")).with_host(host);
        let is_same = |one, other, image| id(one).is_same_of_image(&id(other), image);
        let image = "nixos-pi-26.05-aarch64-linux.img.zst";
        assert!(is_same(Some("pi"), None, image) && is_same(None, Some("pi"), image));
        assert!(!is_same(Some("pi"), None, "mine.img") && is_same(Some("pi"), Some("pi"), ""));
        assert!(!is_same(Some("pi"), Some("p"), image));
        assert!(!id(Some("pi")).is_same(&id(None)) && id(None).is_same(&id(None)));
        let other = ImageOwnerId::new("b".into(), None);
        assert!(!id(None).is_same_of_image(&other, image));
    }
}
