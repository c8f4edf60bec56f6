//! `init --board`: the settings file that names the board, for those whose images no other board starts.

use std::path::Path;

use crate::common::board::Board;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::settings::SETTINGS_NAME;
use crate::template::{self, Access};

/// Writes the settings file beside `config` that names `board`, owned by `owner` (user and group id; `None`: this user); the
/// user is told the line where there is such a file already.
pub(super) fn name_in_settings(
    board: &Board,
    config: &Path,
    owner: Option<(u32, u32)>,
    context: &Context,
) -> Result<(), Failure> {
    if !board.has_images_of_its_own() {
        return Ok(());
    }
    let path = config.with_file_name(SETTINGS_NAME);
    let line = format!("board = \"{}\"", board.name);
    if template::is_free(&path).is_err() {
        let shown = path.display();
        let text = format!(
            "put `{line}` into {shown}: `sdbuild check` looks at what the board needs then"
        );
        context.events.notice(text);
        return Ok(());
    }
    let text = format!(
        "# The board that the image is for: `sdbuild check` looks at what it needs.\n{line}\n"
    );
    template::write(&path, &text, Access::Everybody, owner)
}
