//! `init --board`: the settings file that names the board, for those whose images no other board starts.

use std::path::Path;

use crate::common::board::{Board, Start};
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::new_file::{self, Access};
use crate::settings::SETTINGS_NAME;

/// The format of the disk that a board with UEFI starts.
const UEFI_FORMAT: &str = "raw-efi";

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
    let lines = lines(board);
    if new_file::is_free(&path).is_err() {
        let lines: Vec<_> = lines.iter().map(|line| format!("`{line}`")).collect();
        let (lines, shown) = (lines.join(" and "), path.display());
        let text =
            format!("put {lines} into {shown}: `sdbuild check` looks at what the board needs then");
        context.events.notice(text);
        return Ok(());
    }
    let text = format!(
        "# The board that the image is for: `sdbuild check` looks at what it needs.\n{}\n",
        lines.join("\n")
    );
    new_file::write(&path, &text, Access::Everybody, owner)
}

/// The lines of the settings file for `board`.
fn lines(board: &Board) -> Vec<String> {
    let name = format!("board = \"{}\"", board.name);
    let format = matches!(board.start, Start::Uefi).then(|| format!("format = \"{UEFI_FORMAT}\""));
    std::iter::once(name).chain(format).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::board::BoardName;
    use crate::common::image_format::Format;

    #[test]
    fn a_board_with_uefi_has_a_disk() {
        let lines_for = |name: &str| {
            let BoardName(board) = name.parse().unwrap();
            lines(board)
        };
        assert_eq!(lines_for("rock64"), ["board = \"rock64\""]);
        let expected = ["board = \"uefi\"", "format = \"raw-efi\""];
        assert_eq!(lines_for("uefi"), expected);
        assert!(UEFI_FORMAT.parse::<Format>().is_ok());
    }
}
