//! The formats of images that a build can make: `image_format/rows.rs` has one row each.
//!
//! What differs between formats is a field of [`ImageFormat`], so that no other module has to ask which format it deals
//! with. A further format is another row; what it needs and none before it did is another field.

mod rows;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use rows::{FORMATS, SD_IMAGE_MODULES};
pub use rows::{ImageFormat, Maker, OF_NIXPKGS, SD_CARD};
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::nearest::nearest;
use sdbuild_core::text::alternatives;

/// Letters of a part of a name or a purpose that can mean a format.
const MIN_PART_LETTERS: usize = 3;

/// What users call the bytes of a disk.
const PLAIN: [&str; 4] = ["disk", "image", "img", "raw"];
/// The formats of such an image, for messages.
const PLAIN_FORMATS: &str =
    " (for a plain image take sd-card for a board, or raw-efi for a PC, with --compress none)";

/// What a variant of nixpkgs is called in a setting: this, and its name in `config.system.build.images`.
const VARIANT_PREFIX: &str = "nixpkgs:";
/// The variant that is made by the modules in [`SD_IMAGE_MODULES`].
const SD_CARD_VARIANT: &str = "sd-card";

/// A format that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    row: &'static ImageFormat,
    /// The variant of nixpkgs, if that was named instead of a format of ours.
    variant: Option<String>,
}

impl Format {
    /// The format of the row `row`.
    pub const fn of(row: &'static ImageFormat) -> Self {
        Self { row, variant: None }
    }

    /// Its properties.
    pub fn row(&self) -> &'static ImageFormat {
        self.row
    }

    /// The variant of `config.system.build.images` that has its options.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref().or(self.row.variant)
    }

    /// As [`ImageFormat::candidates`].
    pub fn candidates(&self) -> Vec<Vec<&str>> {
        match &self.variant {
            Some(variant) => vec![vec!["images", variant]],
            None => self.row.candidates.iter().map(|one| one.to_vec()).collect(),
        }
    }

    /// The attribute of the NixOS system that makes it, where the configuration has the first of the candidates.
    pub fn attribute(&self) -> String {
        let first = self.candidates().into_iter().next().unwrap_or_default();
        format!("config.system.build.{}", first.join("."))
    }

    /// Modules of nixpkgs that make an image of another kind of every configuration that imports them, as those for SD cards
    /// do. A configuration for several formats is evaluated without them.
    pub fn foreign_modules(&self) -> &'static [&'static str] {
        match self.variant() {
            None | Some(SD_CARD_VARIANT) => &[],
            Some(_) => SD_IMAGE_MODULES,
        }
    }

    /// How the file is compressed unless the user says otherwise.
    pub fn default_compression(&self) -> CompressionOptions {
        CompressionOptions {
            format: self.row.compression,
            level: None,
        }
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::of(&SD_CARD)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{VARIANT_PREFIX}{variant}"),
            None => f.write_str(self.row.name),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(variant) = text.strip_prefix(VARIANT_PREFIX) {
            // What an attribute of Nix may be called; it is written into Nix code quoted, and into messages as it is.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-'".contains(c);
            if variant.is_empty() || !variant.chars().all(is_plain) {
                return Err(format!(
                    "`{text}` does not name a variant, as nixpkgs:lxc does"
                ));
            }
            return Ok(Self {
                row: &OF_NIXPKGS,
                variant: Some(variant.to_owned()),
            });
        }
        let found = all().find(|format| format.name == text);
        found.map(Self::of).ok_or_else(|| unknown(text))
    }
}

/// The message about a name that no format has.
fn unknown(text: &str) -> String {
    let names: Vec<&str> = all().map(|format| format.name).collect();
    let by_word: Vec<&str> = containing(text).map(|format| format.name).collect();
    let meant = match by_word.as_slice() {
        [] => nearest(text, names.iter().copied()).map(str::to_owned),
        words => Some(alternatives(words)),
    };
    let meant = meant.map_or(String::new(), |name| format!(" (did you mean {name}?)"));
    let meant = if PLAIN.contains(&text.to_lowercase().as_str()) {
        PLAIN_FORMATS.to_owned()
    } else {
        meant
    };
    format!(
        "`{text}` is not one of {}, and not {VARIANT_PREFIX}VARIANT{meant}; `sdbuild formats` says what each is for",
        names.join(", ")
    )
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The formats that have `text` in their name or purpose, or as their extension.
fn containing(text: &str) -> impl Iterator<Item = &'static ImageFormat> {
    let wanted = text.to_lowercase();
    let is_part = wanted.chars().count() >= MIN_PART_LETTERS;
    all().filter(move |row| {
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let has_extension = row.extensions.contains(&wanted.as_str());
        is_part && (has(row.name) || has(row.purpose) || has_extension)
    })
}

/// All formats of ours, in the order in which they are listed.
pub fn all() -> impl Iterator<Item = &'static ImageFormat> {
    FORMATS.into_iter()
}

/// The format that can take the place of the variant `variant` of nixpkgs, which is made in a virtual machine.
pub fn in_place_of(variant: &str) -> Option<&'static ImageFormat> {
    all().find(|row| row.replaces.contains(&variant))
}

/// The extension of `name` without the suffix of a compression, and that compression, if it is one of `extensions`.
pub fn extension_of<'a>(
    name: &str,
    extensions: impl IntoIterator<Item = &'a str>,
) -> Option<(&'a str, Compression)> {
    let has = |extension: &&str, compression: Compression| {
        let rest = name.strip_suffix(compression.suffix());
        let rest = rest.and_then(|rest| rest.strip_suffix(*extension));
        rest.and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|stem| !stem.is_empty())
    };
    extensions.into_iter().find_map(|extension| {
        let compression = Compression::ALL.into_iter();
        let mut found = compression.filter(|compression| has(&extension, *compression));
        Some((extension, found.next()?))
    })
}

#[cfg(test)]
mod tests;
