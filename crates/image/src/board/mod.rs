//! The boards and virtual machines that images boot on, one row each in `rows.rs`. A new board is a new row there and in
//! [`BOARDS`].

mod model;
mod rows;

use clap::ValueEnum;
use clap::builder::PossibleValue;

pub use model::{
    AbsentDevice, Board, LoaderFile, PiModel, QemuFirmware, QemuModel, RomHeader, Start,
    TrialStage, UBoot, Wiring,
};
use sdbuild_core::choice::named_like_its_flag;
use sdbuild_core::system::System;

/// All boards, in the order in which they are listed.
pub static BOARDS: [BoardName; 14] = [
    BoardName(&rows::RPI3),
    BoardName(&rows::RPI4),
    BoardName(&rows::RPI02),
    BoardName(&rows::RPI5),
    BoardName(&rows::ROCK64),
    BoardName(&rows::ROCKPRO64),
    BoardName(&rows::ROCK5B),
    BoardName(&rows::ORANGEPI5),
    BoardName(&rows::NANOPI_R5S),
    BoardName(&rows::PINE64),
    BoardName(&rows::UEFI),
    BoardName(&rows::OTHER),
    BoardName(&rows::VIRT),
    BoardName(&rows::PC),
];

/// A board that a flag or a setting names.
#[derive(Clone, Copy, Debug)]
pub struct BoardName(pub &'static Board);

impl PartialEq for BoardName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for BoardName {}

impl ValueEnum for BoardName {
    fn value_variants<'a>() -> &'a [Self] {
        &BOARDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let Self(board) = self;
        let value = PossibleValue::new(board.name).help(board.title);
        // The name that `init --board` had for the first three Raspberry Pis.
        Some(match board.name {
            "rpi4" => value.alias("raspberry-pi"),
            _ => value,
        })
    }
}

named_like_its_flag!(BoardName);

/// The boards whose images are of `system`.
pub fn boards_of(system: System) -> impl Iterator<Item = &'static Board> {
    let boards = BOARDS.iter().map(|BoardName(board)| *board);
    boards.filter(move |board| board.system == system)
}

/// QEMU's generic machine, which boots images of `system`.
pub fn generic_machine(system: System) -> &'static Board {
    match system {
        System::Aarch64Linux => &rows::VIRT,
        System::X8664Linux => &rows::PC,
    }
}

/// The tags by which Raspberry Pi Imager offers an image of the system named `system`, each once: those of `board`, or of
/// the boards that nixpkgs' own image boots on.
pub fn imager_tags(system: &str, board: Option<&Board>) -> Vec<&'static str> {
    if let Some(board) = board {
        return board.imager_tag.into_iter().collect();
    }
    let mut tags = Vec::new();
    let boards = BOARDS.iter().map(|BoardName(board)| board);
    let boards = boards.filter(|b| b.boots_plain_image() && b.system.to_string() == system);
    for tag in boards.filter_map(|board| board.imager_tag) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_a_name_of_its_own() {
        for (at, BoardName(board)) in BOARDS.iter().enumerate() {
            let parsed: BoardName = board.name.parse().unwrap();
            assert_eq!(parsed, BOARDS[at]);
            assert!(board.tried.len() > 10, "{}", board.name);
        }
        let refused = |text: &str| text.parse::<BoardName>().unwrap_err();
        assert!(refused("rpi9").starts_with("`rpi9` is not one of rpi3, rpi4"));
        assert!(refused("pi4").ends_with("(did you mean rpi4?)"));
        let older: BoardName = "raspberry-pi".parse().unwrap();
        assert_eq!(older.to_string(), "rpi4");
    }

    /// Names, sectors and packages, and the lines that `init --board` writes.
    #[test]
    fn page_about_boards_says_what_the_code_does() {
        let page = include_str!("../../../../docs/boards.md");
        for BoardName(board) in &BOARDS {
            let name = format!(" | `{}` | ", board.name);
            let row = page.lines().find(|line| line.contains(&name));
            let row = row.unwrap_or_else(|| panic!("no row about {}", board.name));
            let Start::UBoot(u_boot) = &board.start else {
                continue;
            };
            assert!(row.contains(&board.start_text()), "{row}");
            let files = u_boot.files.iter();
            let files = files.map(|file| format!("`{}` at {}", file.name, file.sector));
            let files = files.collect::<Vec<_>>().join(", ");
            let row = format!("| `{}` | `{}` | {files} |", board.name, u_boot.package);
            assert!(page.contains(&row), "{row}");
        }
        let Start::UBoot(u_boot) = &rows::ROCK5B.start else {
            panic!("it starts U-Boot from its card");
        };
        let lines = format!("```nix\n{}\n```", u_boot.configuration().join("\n"));
        assert!(page.contains(&lines), "{lines}");
    }

    #[test]
    fn every_system_has_a_generic_machine() {
        for system in System::value_variants() {
            let model = generic_machine(*system).qemu.as_ref().unwrap();
            assert_eq!(model.architecture, system.architecture());
        }
    }

    /// The README says that the plain image does not boot a Raspberry Pi 5.
    #[test]
    fn imager_offers_only_boards_that_boot() {
        let tags = imager_tags("aarch64-linux", None);
        assert_eq!(tags, ["pi3-64bit", "pi4-64bit"]);
        assert!(imager_tags("x86_64-linux", None).is_empty());
        let pi5: BoardName = "rpi5".parse().unwrap();
        assert_eq!(imager_tags("aarch64-linux", Some(pi5.0)), ["pi5-64bit"]);
        let rock: BoardName = "rock64".parse().unwrap();
        assert!(imager_tags("aarch64-linux", Some(rock.0)).is_empty());
    }
}
