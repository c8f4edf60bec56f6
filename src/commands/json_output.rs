//! Results as JSON.

use serde::Serialize;

use crate::ui::Ui;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Version of the JSON of each command that has no version of its own. A command whose field is removed or changes its meaning gets
/// one, which is higher.
pub(super) const VERSION: u32 = 1;

/// Writes `value` to standard output as one JSON object on several lines.
pub(super) fn print_json(value: &impl Serialize, ui: &Ui) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_internal("write JSON")?;
    ui.result(&text)
}
