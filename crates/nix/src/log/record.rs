//! One record of Nix's machine-readable log.

use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_LEVEL, MAX_PATH_CHARS, Position, clean};
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::text::truncate;

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
    fields: Vec<Value>,
}

impl Record {
    /// The text in the element `index` of its fields.
    pub(super) fn field_text(&self, index: usize) -> Option<&str> {
        self.fields.get(index)?.as_str()
    }

    /// The number there.
    pub(super) fn field_number(&self, index: usize) -> Option<u64> {
        self.fields.get(index)?.as_u64()
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
