//! `--compress`: what a user says of the image's compression.

use std::fmt;
use std::str::FromStr;

use crate::common::failure::Failure;

/// A way to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    None,
    /// zstd.
    Zstd,
    /// xz.
    Xz,
    /// gzip.
    Gzip,
}

/// How the image is to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compress {
    /// The way.
    pub format: Format,
    /// Its level, when one was named.
    pub level: Option<u32>,
}

/// The formats by name, with their lowest and highest levels. zstd's levels above 19 take memory that
/// whoever unpacks would have to have as well.
const FORMATS: [(&str, Format, u32, u32); 4] = [
    ("none", Format::None, 0, 0),
    ("zstd", Format::Zstd, 1, 19),
    ("xz", Format::Xz, 0, 9),
    ("gzip", Format::Gzip, 1, 9),
];

impl Default for Compress {
    fn default() -> Self {
        Self {
            format: Format::Zstd,
            level: None,
        }
    }
}

impl fmt::Display for Compress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FORMATS
            .iter()
            .find(|(_, format, ..)| *format == self.format);
        f.write_str(name.map_or("none", |(name, ..)| name))?;
        self.level.map_or(Ok(()), |level| write!(f, ":{level}"))
    }
}

impl FromStr for Compress {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let known = FORMATS.into_iter().find(|(known, ..)| *known == name);
        let Some((_, format, least, most)) = known else {
            return Err(Failure::usage(format!("`{text}` is no compression"))
                .hint("there are none, zstd, xz and gzip; a level follows after a colon: zstd:9"));
        };
        let Some(level) = level else {
            return Ok(Self {
                format,
                level: None,
            });
        };
        if format == Format::None {
            return Err(Failure::usage(format!("`{text}`: none has no level")));
        }
        let level = level.parse().ok().filter(|n| (least..=most).contains(n));
        let level = level.ok_or_else(|| {
            Failure::usage(format!("`{text}`: {name} has the levels {least} to {most}"))
        })?;
        Ok(Self {
            format,
            level: Some(level),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_levels_as_people_write_them() {
        let of = |text: &str| text.parse::<Compress>().map(|c| (c.format, c.level));
        assert_eq!(of("none").unwrap(), (Format::None, None));
        assert_eq!(of("zstd").unwrap(), (Format::Zstd, None));
        assert_eq!(of("xz:0").unwrap(), (Format::Xz, Some(0)));
        assert_eq!(of("gzip:9").unwrap(), (Format::Gzip, Some(9)));
        for (text, words) in [
            ("", "no compression"),
            ("ZSTD", "no compression"),
            ("none:1", "no level"),
            ("zstd:", "1 to 19"),
            ("zstd:20", "1 to 19"),
            ("gzip:0", "1 to 9"),
            ("xz:-1", "0 to 9"),
        ] {
            let failure = of(text).unwrap_err();
            assert_eq!(failure.class, crate::common::failure::Class::Usage);
            assert!(failure.to_string().contains(words), "{failure}");
        }
        for text in ["none", "zstd", "gzip:9"] {
            assert_eq!(text.parse::<Compress>().unwrap().to_string(), text);
        }
    }
}
