//! `sdbuild boards`: lists the boards that sdbuild knows.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::ui::Ui;
use crate::ui::layout::{column, labelled, wrapped};
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_image::board::{BOARDS, Board, BoardName, QemuModel};

/// Columns of the names.
const NAME_COLUMNS: usize = 11;
/// Columns of how far a board was tested, and of a part of a title that is worth to be shown.
const STAGE_COLUMNS: usize = 23;
const MIN_TITLE_COLUMNS: usize = 10;
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
    lines.iter().try_for_each(|line| ui.result(line))
}

/// A line for each board, and what to do next.
fn list(boards: impl Iterator<Item = &'static Board>, columns: usize) -> Vec<String> {
    let boards: Vec<&Board> = boards.collect();
    let longest = boards.iter().map(|board| board.title.chars().count()).max();
    let wanted = NAME_COLUMNS + longest.unwrap_or(0);
    // Where they do not fit, titles are shortened, or the rest has a line of its own.
    let title_columns = wanted.min(columns.saturating_sub(STAGE_COLUMNS + 1));
    let row = |name: &str, title: &str, stage: &str| {
        if title_columns < NAME_COLUMNS + MIN_TITLE_COLUMNS {
            let below = labelled("", NAME_COLUMNS, stage, columns);
            return [labelled(name, NAME_COLUMNS, title, columns), below].concat();
        }
        let text = format!("{name:<NAME_COLUMNS$}{title}");
        vec![format!("{} {stage}", column(&text, title_columns))]
    };
    let heading = row("NAME", "BOARD", "TESTED");
    let rows = boards
        .iter()
        .flat_map(|board| row(board.name, board.title, &board.stage.to_string()));
    let notes = wrapped(NOTES, columns);
    let notes = std::iter::once(String::new()).chain(notes);
    heading.into_iter().chain(rows).chain(notes).collect()
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
    let names = std::iter::once(board.name).chain(std::iter::repeat(""));
    let rows = names.zip(&text);
    rows.flat_map(|(name, text)| labelled(name, NAME_COLUMNS, text, columns))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_names_the_board_once() {
        let fits = |lines: &[String], columns: usize| {
            let fits = |line: &String| line.chars().count() <= columns;
            assert!(lines.iter().all(fits), "{lines:#?}");
        };
        for columns in [80, 200] {
            let list = list(BOARDS.iter().map(|BoardName(board)| *board), columns);
            fits(&list, columns);
            let heading = list.iter().take(2).any(|line| line.ends_with("TESTED"));
            assert!(heading, "{list:#?}");
            let is_pi = |line: &String| line.starts_with("rpi4       Raspberry Pi 4");
            assert!(list.iter().any(is_pi), "{list:#?}");
            assert!(
                list.iter()
                    .any(|line| line.ends_with("booted as another board"))
            );
            for BoardName(board) in &BOARDS {
                fits(&description(board, columns), columns);
                let is_row = |line: &&String| line.starts_with(&format!("{} ", board.name));
                assert_eq!(list.iter().filter(is_row).count(), 1, "{list:#?}");
            }
        }
        let narrow = list(BOARDS.iter().map(|BoardName(board)| *board), 40).join(" ");
        let narrow = narrow.split_whitespace().collect::<Vec<_>>().join(" ");
        for BoardName(board) in &BOARDS {
            assert!(narrow.contains(board.title), "{narrow}");
            let lines = description(board, 80);
            assert!(lines[0].starts_with(board.name), "{lines:?}");
            assert!(lines[1].contains("starts"), "{lines:?}");
            let rest = lines[1..].iter().all(|line| line.starts_with(' '));
            assert!(rest, "{lines:?}");
        }
    }
}
