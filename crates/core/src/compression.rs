//! Compression of an image file.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use super::choice::{named_like_its_flag, serialized_as_text};

/// A compression format of image files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// Not compressed.
    None,
    /// zstd.
    #[default]
    #[value(alias = "zst")]
    Zstd,
    /// xz.
    Xz,
    /// gzip.
    #[value(alias = "gz")]
    Gzip,
}

named_like_its_flag!(Compression);
serialized_as_text!(CompressionOptions);

impl Compression {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::None, Self::Zstd, Self::Xz, Self::Gzip];

    /// What the names of files in this format end in, with the dot; empty if they are not compressed.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
            Self::Gzip => ".gz",
        }
    }

    /// The levels that can be chosen, lowest and highest, and the one that the format's own program uses; `None` if there are none.
    fn levels(self) -> Option<(u32, u32, u32)> {
        match self {
            Self::None => None,
            // Levels above 19 need as much memory to decompress as to compress.
            Self::Zstd => Some((1, 19, 3)),
            Self::Xz => Some((0, 9, 6)),
            Self::Gzip => Some((1, 9, 6)),
        }
    }
}

/// `--compress`: how an image is compressed, written `FORMAT` or `FORMAT:LEVEL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompressionOptions {
    /// The format.
    pub format: Compression,
    /// The level; `None` for the format's usual one.
    pub level: Option<u32>,
}

impl CompressionOptions {
    /// The level that was chosen, or else the format's usual one.
    pub fn effective_level(self) -> u32 {
        let usual = self.format.levels().map_or(0, |(_, _, usual)| usual);
        self.level.unwrap_or(usual)
    }
}

impl fmt::Display for CompressionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.format)?;
        self.level.map_or(Ok(()), |level| write!(f, ":{level}"))
    }
}

impl FromStr for CompressionOptions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let format: Compression = name
            .parse()
            .map_err(|e| format!("{e}; a level can follow after a colon, for instance zstd:9"))?;
        let Some(level) = level else {
            return Ok(Self {
                format,
                level: None,
            });
        };
        let (lowest, highest, _) = format
            .levels()
            .ok_or_else(|| format!("`{text}`: {format} has no levels"))?;
        match level.parse() {
            Ok(level) if (lowest..=highest).contains(&level) => Ok(Self {
                format,
                level: Some(level),
            }),
            _ => Err(format!(
                "`{text}`: levels of {format} are {lowest} to {highest}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_levels_as_users_write_them() {
        let parsed = |text: &str| {
            let options = text.parse::<CompressionOptions>();
            options.map(|options| (options.format, options.level))
        };
        assert_eq!(parsed("none"), Ok((Compression::None, None)));
        assert_eq!(parsed("zstd"), Ok((Compression::Zstd, None)));
        assert_eq!(parsed("xz:0"), Ok((Compression::Xz, Some(0))));
        assert_eq!(parsed("gzip:9"), Ok((Compression::Gzip, Some(9))));
        // As the files end.
        assert_eq!(parsed("gz"), Ok((Compression::Gzip, None)));
        assert_eq!(parsed("zst:9"), Ok((Compression::Zstd, Some(9))));
        for (text, words) in [
            ("", "not one of none, zstd, xz, gzip"),
            ("ZSTD", "not one of"),
            ("none:1", "no levels"),
            ("zstd:", "1 to 19"),
            ("zstd:20", "1 to 19"),
            ("gzip:0", "1 to 9"),
            ("xz:-1", "0 to 9"),
        ] {
            let refused = parsed(text).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
        for (text, shown) in [("none", "none"), ("zst", "zstd"), ("gz:9", "gzip:9")] {
            let options: CompressionOptions = text.parse().unwrap();
            assert_eq!(options.to_string(), shown);
        }
    }
}
