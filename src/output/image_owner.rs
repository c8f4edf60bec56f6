//! Whose an image is: which builds may replace it without a question.

use serde::{Deserialize, Serialize};

use crate::common::hash::Sha256Hash;

/// Digits of the hash of a name.
const NAME_DIGITS: usize = 8;

/// Names the configuration that made an image, without a path of the user's machine: `HASH`, or `HASH-NAME` for a configuration of a
/// flake that was named. Empty for an image of which it is not known.
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

    /// Whether both are the same configuration. One without a name is the only one of its source, so that it is the one with a name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let ((source, name), (other_source, other_name)) = (self.parts(), other.parts());
        let is_one = name.is_empty() || other_name.is_empty() || name == other_name;
        !source.is_empty() && source == other_source && is_one
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('-').unwrap_or((&self.0, ""))
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
}
