//! `init --board` and `--template`: the settings file that names a board whose images no other board starts, or a format.

use std::path::{Path, PathBuf};

use crate::settings::SETTINGS_NAME;
use crate::template::TemplateValues;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_core::system::System;
use sdbuild_core::text::listed;
use sdbuild_image::board::{Board, Start};

/// The format of the disk that a board with UEFI starts.
const UEFI_FORMAT: &str = "raw-efi";
/// Why a board is named.
const FOR_BOARD: &str = "`sdbuild check` also checks what this board needs";
/// Why a format is named.
const FOR_FORMAT: &str = "`sdbuild build` makes this format";

/// Writes the settings file beside `config` that names what `values` are for, if that is not a card for several boards, owned by `owner` (user and group id; `None`: this user), and
/// returns its path. The line is reported if such a file exists already.
pub(super) fn name_in_settings(
    values: &TemplateValues,
    config: &Path,
    owner: Option<(u32, u32)>,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let (lines, why) = match values.template.format() {
        Some(format) => (format_lines(format, values.system), FOR_FORMAT),
        None if values.board.has_images_of_its_own() => (lines(values.board), FOR_BOARD),
        None => return Ok(None),
    };
    let path = config.with_file_name(SETTINGS_NAME);
    if new_file::is_free(&path).is_err() {
        let lines: Vec<_> = lines.iter().map(|line| format!("`{line}`")).collect();
        let (lines, shown) = (listed(&lines), path.display());
        let text = format!("put {lines} into {shown}: {why}");
        context.events.notice(text);
        return Ok(None);
    }
    let text = format!("# What the image is for: {why}.\n{}\n", lines.join("\n"));
    new_file::write(&path, &text, Access::Everybody, owner)?;
    let lines = listed(&lines);
    context
        .events
        .notice(format!("{SETTINGS_NAME} has {lines}: {why}"));
    Ok(Some(path))
}

fn format_lines(format: &str, system: System) -> Vec<String> {
    let other = (system != System::default()).then(|| format!("system = \"{system}\""));
    std::iter::once(format_line(format)).chain(other).collect()
}

fn format_line(format: &str) -> String {
    format!("format = \"{format}\"")
}

/// The lines of the settings file for `board`.
fn lines(board: &Board) -> Vec<String> {
    let name = format!("board = \"{}\"", board.name);
    let format = matches!(board.start, Start::Uefi).then(|| format_line(UEFI_FORMAT));
    std::iter::once(name).chain(format).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_image::board::BoardName;
    use sdbuild_image::image_format::Format;

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
