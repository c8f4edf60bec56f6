//! Boards by what people type: a name, or a part of names and titles.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum as _};

use super::{BOARDS, BoardName};

/// Letters of a part of a name or a title that can mean a board.
const MIN_PART_LETTERS: usize = 3;

/// Models of the Raspberry Pi that start as another one does, as [`comparable`] has them.
const LIKE: [(&[&str], &str); 3] = [
    (&["cm3", "rpicm3", "rpi3a", "rpi3b", "pi3b"], "rpi3"),
    (&["rpi400", "rpicm4", "rpi4b", "pi4b"], "rpi4"),
    (&["rpi500", "rpicm5", "rpi5b", "pi5b"], "rpi5"),
];

/// Models of the Raspberry Pi with a processor of 32 bits, and names of such processors, as [`comparable`] has them.
const BITS_32: [&str; 15] = [
    "rpi0", "rpi0w", "rpi1", "rpi2", "rpizero", "rpizerow", "pi0", "pi1", "pi2", "pizero",
    "pizerow", "armv6", "armv6l", "armv7", "armv7l",
];

/// What there are images for.
pub const ONLY_64_BIT: &str = "there are images for 64-bit ARM (aarch64) and for PCs (x86_64) only";

/// Boards that a text means.
#[derive(Clone, Debug)]
pub struct BoardQuery(Vec<BoardName>);

impl BoardQuery {
    /// The board with the name `text`; otherwise all boards that have it in their name or title, in the order of [`BOARDS`].
    /// The error lists the names that exist.
    pub fn find(text: &str) -> Result<Self, String> {
        if Self::is_32_bit(text) {
            return Err(format!(
                "`{text}` has a processor of 32 bits: {ONLY_64_BIT}"
            ));
        }
        let wanted = comparable(text);
        let unknown = match text.to_lowercase().parse() {
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
        let like = LIKE.iter().find(|(models, _)| models.contains(&&*wanted));
        let like = like.and_then(|(_, name)| name.parse().ok());
        like.map(|board| Self(vec![board])).ok_or(unknown)
    }

    /// Whether `text` means a board whose processor has 32 bits only, for which there are no images.
    pub fn is_32_bit(text: &str) -> bool {
        let text = comparable(text);
        let model = text.strip_prefix("raspberry").unwrap_or(&text);
        BITS_32.contains(&model)
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

/// `text` without what people write in several ways: capitals, spaces, dashes, and the short form of Raspberry Pi.
fn comparable(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    let text: String = kept.flat_map(char::to_lowercase).collect();
    text.replace("raspi", "rpi")
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
            ("Raspberry", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("raspi", &["rpi3", "rpi4", "rpi02", "rpi5"]),
            ("Raspi 4", &["rpi4"]),
            ("raspberrypi5", &["rpi5"]),
            ("RockPro", &["rockpro64"]),
            ("rpi400", &["rpi4"]),
            ("RPi 4B", &["rpi4"]),
            ("cm5", &["rpi5"]),
            ("CM3", &["rpi3"]),
            ("pi zero 2 w", &["rpi02"]),
        ] {
            assert_eq!(names(text).unwrap(), boards, "{text}");
        }
        for (text, told) in [
            ("rpi44", "did you mean rpi4?"),
            ("Berlin", "is not one of"),
            // In the title of one board.
            ("x", "is not one of"),
            ("rpi2", "has a processor of 32 bits"),
            ("Raspberry Pi Zero W", "has a processor of 32 bits"),
        ] {
            let refused = names(text).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
