//! Results as JSON.

use serde::Serialize;

use crate::common::failure::{Failure, OrFail as _};
use crate::ui::Ui;

/// Writes `value` to standard output as one JSON object on several lines.
pub(super) fn print_json(value: &impl Serialize, ui: &Ui) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_internal("write JSON")?;
    ui.result(&text)
}
