//! `--glue`: what builds the small things of a system, and its image.

use std::fmt;
use std::str::FromStr;

use crate::cli;
use crate::common::failure::Failure;

/// What builds units, configuration files and the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glue {
    /// The builder's own programs where that gives the same, else emulated ones.
    Auto,
    /// The builder's own, or the build fails.
    Native,
    /// The image's, under emulation.
    Emulated,
}

impl From<cli::GlueChoice> for Glue {
    fn from(choice: cli::GlueChoice) -> Self {
        match choice {
            cli::GlueChoice::Auto => Self::Auto,
            cli::GlueChoice::Native => Self::Native,
            cli::GlueChoice::Emulated => Self::Emulated,
        }
    }
}

impl fmt::Display for Glue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Emulated => "emulated",
        })
    }
}

impl FromStr for Glue {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let all = [Self::Auto, Self::Native, Self::Emulated];
        let found = all.into_iter().find(|glue| glue.to_string() == text);
        found.ok_or_else(|| {
            Failure::usage(format!("glue `{text}` is not known"))
                .hint("take auto, native or emulated")
        })
    }
}
