//! `sdbuild boards`: lists the boards that sdbuild knows.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::ui::Ui;
use crate::ui::layout::{entry, wrapped};
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_image::board::{BOARDS, Board, BoardName, QemuModel};

/// Columns of the names.
const NAME_COLUMNS: usize = 11;
/// Columns of the titles.
const TITLE_COLUMNS: usize = 45;
/// The text below the list.
const NOTES: &str = "Under TESTED, `booted as another board` means that QEMU booted the same image as another board, and \
                     `evaluated with nixpkgs` that no image was built. No board was tested on hardware. `sdbuild boards \
                     NAME` says more about a board.";

/// Writes the boards to standard output: all that is known of one, else a line for each.
pub fn run(args: &cli::Boards, ui: &Ui) -> Result<(), Failure> {
    let boards = args
        .board
        .as_ref()
        .map_or(&BOARDS[..], std::slice::from_ref);
    let boards = boards.iter().map(|BoardName(board)| *board);
    if args.json {
        let boards: Vec<_> = boards.map(as_json).collect();
        let all = json!({ "version": VERSION, "boards": boards });
        return print_json(&all, ui);
    }
    let columns = ui.result_columns();
    let lines = match args.board {
        Some(BoardName(board)) => description(board, columns),
        None => list(boards, columns),
    };
    ui.result(&lines.join("\n"))
}

/// A line for each board, and what to do next.
fn list(boards: impl Iterator<Item = &'static Board>, columns: usize) -> Vec<String> {
    let row = |name: &str, title: &str, stage: &str| {
        format!("{name:<NAME_COLUMNS$}{title:<TITLE_COLUMNS$} {stage}")
    };
    let heading = row("NAME", "BOARD", "TESTED");
    let rows = boards.map(|board| row(board.name, board.title, &board.stage.to_string()));
    let notes = std::iter::once(String::new()).chain(wrapped(NOTES, columns));
    std::iter::once(heading).chain(rows).chain(notes).collect()
}

fn as_json(board: &Board) -> serde_json::Value {
    let qemu = board.qemu.as_ref().map(machine);
    json!({
        "name": board.name, "title": board.title, "system": board.system, "starts": board.start_text(),
        "plain_image": board.boots_plain_image(), "qemu": qemu, "stage": board.stage, "tried": board.tried,
    })
}

/// QEMU's name of a machine.
fn machine(model: &QemuModel) -> &'static str {
    let mut words = model.emulated.iter().skip_while(|word| **word != "-M");
    words.nth(1).copied().unwrap_or_default()
}

/// How it starts, as a sentence.
fn start_sentence(board: &Board) -> String {
    match board.raspberry_pi().map(|model| model.firmware) {
        Some([]) => "its EEPROM reads config.txt and starts U-Boot".to_owned(),
        Some(_) => "its firmware reads config.txt and starts U-Boot".to_owned(),
        None => format!("starts {}", board.start_text()),
    }
}

fn description(board: &Board, columns: usize) -> Vec<String> {
    let mut text = vec![board.title.to_owned(), start_sentence(board)];
    text.extend(board.qemu.as_ref().map(|model| {
        let since = model
            .since
            .map(|release| format!(" (QEMU {release} or newer)"));
        format!(
            "`sdbuild boot` runs it as {}{}",
            machine(model),
            since.unwrap_or_default()
        )
    }));
    text.push(format!("tried: {}", board.tried));
    let init = match board.system {
        System::Aarch64Linux => format!("--board {}", board.name),
        System::X8664Linux => format!("--template vm --system {}", board.system),
    };
    text.push(format!(
        "`sdbuild init {init}` writes a configuration for it"
    ));
    entry(board.name, NAME_COLUMNS, &text, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_a_row_and_a_description() {
        let rows = list(BOARDS.iter().map(|BoardName(board)| *board), 80);
        for BoardName(board) in &BOARDS {
            let title = format!("{:<NAME_COLUMNS$}{} ", board.name, board.title);
            assert!(rows.iter().any(|row| row.starts_with(&title)), "{title}");
            let lines = description(board, 80);
            assert!(lines[0].starts_with(board.name), "{lines:?}");
            assert!(lines[1].contains("starts"), "{lines:?}");
        }
    }
}
