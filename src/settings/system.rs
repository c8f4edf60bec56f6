//! The systems that an image can be for.

use std::fmt;
use std::str::FromStr;

use crate::common::failure::Failure;

/// A system in Nix's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// 64-bit ARM boards: the reason for this tool.
    Aarch64Linux,
    /// 64-bit PCs: builds natively on an `x86_64` engine.
    X8664Linux,
}

impl System {
    /// The architecture part, as the kernel and the engine say it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Aarch64Linux => "aarch64",
            Self::X8664Linux => "x86_64",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-linux", self.architecture())
    }
}

impl FromStr for System {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text {
            "aarch64-linux" => Ok(Self::Aarch64Linux),
            "x86_64-linux" => Ok(Self::X8664Linux),
            _ => Err(Failure::usage(format!("system `{text}` is not known"))
                .hint("take aarch64-linux or x86_64-linux")),
        }
    }
}
