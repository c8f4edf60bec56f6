//! One record of Nix's machine-readable log, of which nothing is kept that is not used.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{DEFAULT_LEVEL, MAX_PATH_CHARS, MAX_TEXT_BYTES, Position, clean};
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::text::truncate;

/// Elements of `fields` that are used.
const MAX_FIELDS: usize = 4;

/// A record; what it lacks is `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) action: String,
    pub(super) id: Option<u64>,
    #[serde(rename = "type")]
    pub(super) kind: Option<u64>,
    pub(super) parent: Option<u64>,
    level: Option<u64>,
    text: Option<String>,
    pub(super) msg: Option<String>,
    pub(super) raw_msg: Option<String>,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
    fields: Fields,
}

impl Record {
    /// The text in the element `index` of its fields.
    pub(super) fn field_text(&self, index: usize) -> Option<&str> {
        match self.fields.0.get(index)? {
            Field::Text(text) => Some(text),
            Field::Number(_) | Field::Other => None,
        }
    }

    /// The number there.
    pub(super) fn field_number(&self, index: usize) -> Option<u64> {
        match self.fields.0.get(index)? {
            Field::Number(number) => Some(*number),
            Field::Text(_) | Field::Other => None,
        }
    }

    /// The store path, address or name of a machine there.
    pub(super) fn path(&self, index: usize) -> Option<String> {
        self.field_text(index).map(path)
    }

    /// The same in the place of its text.
    pub(super) fn path_in_text(&self) -> String {
        self.text.as_deref().map(path).unwrap_or_default()
    }

    /// The position in a message. Nix appends line and column to `file` as well.
    pub(super) fn position(&self) -> Option<Position> {
        let (path, line) = (clean(self.file.as_deref()?), self.line?);
        let column = self.column.unwrap_or(0);
        let file = path.strip_suffix(&format!(":{line}:{column}"));
        Some(Position {
            file: file.unwrap_or(&path).to_owned(),
            line,
            column,
        })
    }

    /// The text of an activity that is neither build nor fetch, as a message of the activity's level.
    pub(super) fn activity_message(&self) -> Option<NixEvent> {
        let text = self.text.as_deref().map(clean)?;
        let level = self.level_of(&text);
        (!text.is_empty()).then_some(NixEvent::Message { level, text })
    }

    /// Nix's verbosity level of its `text`: 0 is an error, 3 (the default) is shown without flags. That Nix waits, for a lock of
    /// another process or for a machine, has the level of a warning, but is none.
    pub(super) fn level_of(&self, text: &str) -> u8 {
        let level = self
            .level
            .map(|level| u8::try_from(level).unwrap_or(u8::MAX));
        let level = level.unwrap_or(DEFAULT_LEVEL);
        if text.starts_with("waiting for ") {
            level.max(DEFAULT_LEVEL)
        } else {
            level
        }
    }
}

fn path(text: &str) -> String {
    truncate(&clean(text), MAX_PATH_CHARS).into_owned()
}

/// The first [`MAX_FIELDS`] elements of a list.
#[derive(Debug, Default)]
struct Fields(Vec<Field>);

#[derive(Debug)]
enum Field {
    /// A text of at most [`MAX_TEXT_BYTES`].
    Text(String),
    Number(u64),
    Other,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while fields.len() < MAX_FIELDS
            && let Some(field) = list.next_element()?
        {
            fields.push(field);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        let kept = text.floor_char_boundary(MAX_TEXT_BYTES);
        Ok(Field::Text(text.get(..kept).unwrap_or_default().to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field, E> {
        Ok(Field::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Field, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
