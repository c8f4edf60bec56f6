//! `sdbuild boards`: lists the boards that sdbuild knows.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::print_json;
use crate::common::board::{BOARDS, Board, BoardName, QemuModel};
use crate::common::failure::Failure;
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Version of the JSON, raised when a field is removed or changes its meaning.
const VERSION: u32 = 1;
/// Columns of the names, and of the text behind them.
const NAME_COLUMNS: usize = 11;

/// Writes the boards to standard output.
pub fn run(args: &cli::Boards, ui: &Ui) -> Result<(), Failure> {
    let boards = BOARDS.iter().map(|BoardName(board)| *board);
    if args.json {
        let boards: Vec<_> = boards.map(as_json).collect();
        let all = json!({ "version": VERSION, "boards": boards });
        return print_json(&all, ui);
    }
    let columns = ui.result_size().0;
    boards
        .flat_map(|board| lines(board, columns))
        .try_for_each(|line| ui.result(&line))
}

fn as_json(board: &Board) -> serde_json::Value {
    let qemu = board.qemu.as_ref().map(machine);
    json!({
        "name": board.name, "title": board.title, "system": board.system, "starts": board.start_text(),
        "plain_image": board.boots_plain_image(), "qemu": qemu, "tried": board.tried,
    })
}

/// QEMU's name of a machine.
fn machine(model: &QemuModel) -> &'static str {
    let mut words = model.emulated.iter().skip_while(|word| **word != "-M");
    words.nth(1).copied().unwrap_or_default()
}

fn lines(board: &Board, columns: usize) -> Vec<String> {
    let start = board.start_text();
    let mut text = vec![format!("{}: starts {start}", board.title)];
    text.extend(board.qemu.as_ref().map(|model| {
        let since = model
            .since
            .map(|release| format!(" (QEMU {release} or newer)"));
        format!(
            "sdbuild boot runs it as {}{}",
            machine(model),
            since.unwrap_or_default()
        )
    }));
    text.push(format!("tried: {}", board.tried));
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
        for BoardName(board) in &BOARDS {
            for columns in [40, 60, 80, 200] {
                let lines = lines(board, columns);
                let fits = |line: &String| line.chars().count() <= columns;
                assert!(lines.iter().all(fits), "{lines:#?}");
            }
            let lines = lines(board, 80);
            assert!(lines[0].starts_with(board.name), "{lines:?}");
            assert!(lines[0].contains("starts"), "{lines:?}");
            assert!(
                lines[1..].iter().all(|line| line.starts_with(' ')),
                "{lines:?}"
            );
        }
    }
}
