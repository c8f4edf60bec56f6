//! Tags of objects.

use serde::Serialize;

/// A tag of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// At most 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// The value of the tag `key` among `tags`.
pub fn tag_value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    let mut tags = tags.iter();
    tags.find(|tag| tag.key == key)
        .map(|tag| tag.value.as_str())
}
