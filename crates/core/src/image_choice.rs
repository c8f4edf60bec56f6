//! Which image of a configuration is built, and who decided that (`expressions/image.nix`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest attribute or file in bytes.
const MAX_BYTES: usize = 300;

/// The attribute that makes the image, and who chose it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ImageChoice {
    /// The attribute of the configuration, `config.system.build.sdImage`, or of the flake, if that is no configuration.
    pub attribute: String,
    /// Who chose it.
    pub chosen_by: ChosenBy,
    /// The module that defines it, as users know it, if that is in a file.
    pub file: Option<String>,
    /// The path of the image in the result, if the configuration says it (`image.filePath`): repart's images have no list of products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the system applies what Raspberry Pi Imager asks for (`services.rpi-preseed.enable`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rpi_preseed: bool,
}

/// Who chose the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// A module among the user's files.
    UserModule,
    /// A module of nixpkgs or of another input, which the user's files import.
    ImageModule,
    /// The command line, a variable or `sdbuild.toml`.
    Flag,
    /// The flake, which makes no other one, or has one of the name of the configuration.
    Flake,
    /// sdbuild, because no module defines an image.
    Sdbuild,
}

impl ImageChoice {
    /// Whether its texts may be shown: anything that the builder runs can report a choice.
    pub fn is_sound(&self) -> bool {
        let is_plain = |text: &str| text.len() <= MAX_BYTES && !text.contains(char::is_control);
        let texts = [&self.file, &self.path];
        is_plain(&self.attribute)
            && texts
                .iter()
                .all(|text| text.as_deref().is_none_or(is_plain))
    }

    /// The variant of nixpkgs' images that it is, whose module the configuration itself does not import.
    pub fn variant(&self) -> Option<&str> {
        self.attribute.strip_prefix("config.system.build.images.")
    }
}

impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attribute)?;
        match (self.chosen_by, &self.file) {
            (ChosenBy::Flag, _) => f.write_str(", as you named it"),
            (ChosenBy::Flake, _) => f.write_str(", which the flake defines"),
            (ChosenBy::Sdbuild, _) => {
                f.write_str(", chosen by sdbuild because no module defines another image")
            }
            (_, Some(file)) => write!(f, ", which {file} defines"),
            (_, None) => f.write_str(", which the configuration defines"),
        }
    }
}
