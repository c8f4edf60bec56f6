//! Boards by what people type: a name, or a part of names and titles.

use std::ffi::OsStr;
use std::str::FromStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum as _};

use super::BOARDS;
use super::BoardName;
use sdbuild_core::choice;
use sdbuild_core::system::System;

/// Letters of a part of a name or a title that can mean a board.
const MIN_PART_LETTERS: usize = 3;

/// Models of the Raspberry Pi that start as another one does, without its name.
const SAME_AS: [(&[&str], &str); 4] = [
    // There is no other one with a 2 and a W.
    (&["02w", "2w"], "rpi02"),
    (&["3a", "3b", "cm3"], "rpi3"),
    (&["400", "4b", "cm4"], "rpi4"),
    (&["500", "5b", "cm5"], "rpi5"),
];

/// Models of the Raspberry Pi whose processor has 32 bits, but for late ones of the 2 B, without its name.
const WITH_32_BITS: [&str; 12] = [
    "0", "0w", "1", "1a", "1b", "2", "2b", "a", "b", "cm1", "zero", "zerow",
];

/// What there are images for.
pub const ONLY_64_BIT: &str =
    "sdbuild makes images only for 64-bit ARM (aarch64) and for PCs (x86_64)";

/// Boards that a text means.
#[derive(Clone, Debug)]
pub struct BoardQuery(Vec<BoardName>);

impl BoardQuery {
    /// The board with the name `text`; otherwise all boards that have it in their name or title, in the order of [`BOARDS`].
    /// The error lists the names that exist.
    pub fn find(text: &str) -> Result<Self, String> {
        if Self::has_32_bits(text) {
            let why = Self::why_not(text);
            return Err(format!("there is no board `{text}`: {why}"));
        }
        let wanted = comparable(text);
        let unknown = match choice::parse(&text.to_lowercase()) {
            Ok(named) => return Ok(Self(vec![named])),
            Err(unknown) => unknown,
        };
        let is_part = wanted.chars().count() >= MIN_PART_LETTERS;
        let is_meant = |BoardName(board): &BoardName| {
            [board.title, board.name]
                .iter()
                .any(|text| comparable(text).contains(&wanted))
        };
        let boards = BOARDS.iter().filter(|board| is_part && is_meant(board));
        let boards: Vec<_> = boards.copied().collect();
        if !boards.is_empty() {
            return Ok(Self(boards));
        }
        let model = raspberry_pi(&wanted).unwrap_or(&wanted);
        let same = SAME_AS.iter().find(|(models, _)| models.contains(&model));
        let same = same.and_then(|(_, name)| choice::parse(name).ok());
        same.map(|board| Self(vec![board])).ok_or_else(|| {
            let short = "a part of a name must have at least three letters";
            if is_part {
                unknown
            } else {
                format!("{unknown}; {short}")
            }
        })
    }

    /// The board that `text` means where it may be something else, too: by its name, or by a part of one board's title with a number.
    pub fn certain(text: &str) -> Option<BoardName> {
        let only = Self::find(text).ok()?.only()?;
        let is_name = only.0.name.eq_ignore_ascii_case(text);
        let has_number = text.contains(|c: char| c.is_ascii_digit());
        (is_name || has_number).then_some(only)
    }

    /// Whether `text` means a Raspberry Pi whose processor has 32 bits, for which there are no images.
    pub fn has_32_bits(text: &str) -> bool {
        let text = comparable(text);
        raspberry_pi(&text).is_some_and(|model| WITH_32_BITS.contains(&model))
    }

    /// Why there is no board `text`, which is a Raspberry Pi with 32 bits.
    pub fn why_not(text: &str) -> String {
        let text = comparable(text);
        match raspberry_pi(&text).unwrap_or_default() {
            "0" | "0w" | "zero" | "zerow" => format!(
                "a Raspberry Pi Zero has a 32-bit processor, but {ONLY_64_BIT}. The Zero 2 W is rpi02"
            ),
            "2" | "2b" => format!(
                "most Raspberry Pi 2 have a 32-bit processor, but {ONLY_64_BIT}. The Zero 2 W is rpi02"
            ),
            _ => format!("its processor has 32 bits, but {ONLY_64_BIT}"),
        }
    }

    /// What is said of a text that means several boards.
    pub fn ambiguity(&self, text: &str) -> String {
        format!("`{text}` may mean {}", self.names().join(", "))
    }

    /// The boards, at least one.
    pub fn boards(&self) -> &[BoardName] {
        &self.0
    }

    /// The names of the boards.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|BoardName(board)| board.name).collect()
    }

    /// The board, if the text means only one.
    pub fn only(&self) -> Option<BoardName> {
        match self.0.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

impl FromStr for BoardName {
    type Err = String;

    /// The board with the name `text`. A part of a name is refused: what a file has would mean several boards, as soon as there
    /// is another one like it.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = match choice::parse(text) {
            Ok(named) => return Ok(named),
            Err(unknown) => unknown,
        };
        let Ok(found) = BoardQuery::find(text) else {
            let is_known = BoardQuery::has_32_bits(text);
            return Err(if is_known {
                format!("there is no board `{text}`: {}", BoardQuery::why_not(text))
            } else {
                unknown
            });
        };
        Err(match found.only() {
            Some(meant) => format!("`{text}` is not the whole name of a board: write {meant}"),
            None => found.ambiguity(text),
        })
    }
}

/// `text` without what people write in several ways: capitals, spaces, dashes, and the short form of Raspberry Pi.
fn comparable(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    let text: String = kept.flat_map(char::to_lowercase).collect();
    // As in `Raspberry Pi 4 Model B`.
    let text = text.replace("model", "");
    // Without its first word, `pi 5` is a Raspberry Pi, and not an Orange Pi.
    match text.strip_prefix("pi") {
        Some(model) if model.chars().all(|c| c.is_ascii_digit()) => format!("rpi{model}"),
        Some(_) | None => text.replace("raspi", "rpi"),
    }
}

/// The model of the Raspberry Pi that the [`comparable`] text means: `4b` of `rpi4b`.
fn raspberry_pi(text: &str) -> Option<&str> {
    let mut names = ["raspberrypi", "raspberry", "rpi", "pi"].into_iter();
    names.find_map(|name| text.strip_prefix(name))
}

/// Parses an argument as a [`BoardQuery`]; shells complete the names.
#[derive(Clone, Debug)]
pub struct BoardQueryParser;

impl TypedValueParser for BoardQueryParser {
    type Value = BoardQuery;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<BoardQuery, clap::Error> {
        BoardQuery::find.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = BOARDS.iter().filter_map(BoardName::to_possible_value);
        Some(Box::new(values))
    }
}

/// Parses an argument as the one board that it means; shells complete the names. The error of any other text is that of an
/// unknown name.
#[derive(Clone, Debug)]
pub struct BoardNameParser;

impl TypedValueParser for BoardNameParser {
    type Value = BoardName;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<BoardName, clap::Error> {
        let parse = |text: &str| {
            let found = BoardQuery::find(text)?;
            found.only().ok_or_else(|| found.ambiguity(text))
        };
        parse.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        BoardQueryParser.possible_values()
    }
}

/// The same for `init`, which writes configurations for 64-bit ARM boards.
#[derive(Clone, Debug)]
pub struct CardBoardParser;

impl TypedValueParser for CardBoardParser {
    type Value = BoardName;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<BoardName, clap::Error> {
        BoardNameParser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            card_boards().filter_map(BoardName::to_possible_value),
        ))
    }
}

/// The boards of which nixpkgs' image for cards, or for disks of machines with UEFI, can be made.
fn card_boards() -> impl Iterator<Item = &'static BoardName> {
    let boards = BOARDS.iter();
    boards.filter(|BoardName(board)| board.system == System::Aarch64Linux)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<&'static str>, String> {
        BoardQuery::find(text).map(|found| found.names())
    }

    #[test]
    fn boards_are_found_by_name_and_title() {
        for (text, boards) in [
            ("rpi4", &["rpi4"][..]),
            ("Rpi4", &["rpi4"]),
            ("raspberry pi 4", &["rpi4"]),
            ("Pi Zero 2", &["rpi02"]),
            ("Rock 5B", &["rock5b"]),
            ("pi4", &["rpi4"]),
            ("rpi", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("Pi", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("Raspberry", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("raspi", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("Raspi 4", &["rpi4"]),
            ("raspberrypi5", &["rpi5"]),
            ("pi 5", &["rpi5"]),
            ("Raspberry Pi 4 Model B", &["rpi4"]),
            ("Orange Pi 5", &["orangepi5"]),
            ("RockPro", &["rockpro64"]),
            ("rpi400", &["rpi4"]),
            ("RPi 4B", &["rpi4"]),
            ("cm5", &["rpi5"]),
            ("pi400", &["rpi4"]),
            ("CM3", &["rpi3"]),
            ("pi zero 2 w", &["rpi02"]),
            ("pi2w", &["rpi02"]),
        ] {
            assert_eq!(names(text).unwrap(), boards, "{text}");
        }
        for (text, board) in [
            ("pi 4", Some("rpi4")),
            ("virt", Some("virt")),
            // In the titles of boards.
            ("machine", None),
            ("flash", None),
            ("raspberry", None),
        ] {
            let certain = BoardQuery::certain(text).map(|BoardName(board)| board.name);
            assert_eq!(certain, board, "{text}");
        }
        for (text, told) in [
            ("rpi44", "did you mean rpi4?"),
            ("Berlin", "is not one of"),
            // In the title of one board.
            ("x", "at least three letters"),
            ("pi2b", "most Raspberry Pi 2 have a 32-bit"),
            ("Raspberry Pi Zero W", ". The Zero 2 W is rpi02"),
            ("rpi1", "its processor has 32 bits"),
        ] {
            let refused = names(text).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
