//! Formats by what people type: a name or a part of it, a part of what formats are for, or the extension of their files.

use std::str::FromStr;

use super::Format;
use super::containing;

/// Formats that a text means, at least one.
#[derive(Clone, Debug)]
pub struct FormatQuery(Vec<Format>);

impl FormatQuery {
    /// The formats.
    pub fn formats(&self) -> &[Format] {
        &self.0
    }

    /// The format, if the text means only one.
    pub fn only(&self) -> Option<&Format> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl FromStr for FormatQuery {
    type Err = String;

    /// The format with the name `text`; otherwise all formats that have it in their name or purpose, or as their extension. The error
    /// lists the names that exist.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = match text.parse() {
            Ok(named) => return Ok(Self(vec![named])),
            Err(unknown) => unknown,
        };
        let formats: Vec<Format> = containing(text).map(Format::of).collect();
        if formats.is_empty() {
            return Err(unknown);
        }
        Ok(Self(formats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_name_and_purpose() {
        let names = |text: &str| {
            let found: Result<FormatQuery, _> = text.parse();
            found.map(|found| {
                let names = found.formats().iter().map(ToString::to_string);
                names.collect::<Vec<_>>().join(" ")
            })
        };
        for (text, expected) in [
            ("iso", "iso"),
            ("nixpkgs:lxc", "nixpkgs:lxc"),
            ("Docker", "container"),
            ("usb", "sd-card iso"),
            ("virtualbox", "vmdk"),
            ("img", "sd-card raw-efi amazon"),
            ("raw", "raw-efi"),
        ] {
            assert_eq!(names(text).unwrap(), expected, "{text}");
        }
        for text in ["a", "floppy", "nixos", ""] {
            let refused = names(text).unwrap_err();
            assert!(refused.contains("is not one of sd-card"), "{refused}");
        }
    }
}
