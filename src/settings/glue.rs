//! `--glue`: what builds the small things of a system, and its image.

use clap::ValueEnum as _;

use crate::cli::GlueChoice;
use crate::failure::Failure;

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

impl Glue {
    /// The flag, then the environment, then the file.
    pub(super) fn choose(
        flag: Option<GlueChoice>,
        environment: Option<&str>,
        file: Option<GlueChoice>,
    ) -> Result<Self, Failure> {
        let environment = environment.map(parse).transpose()?;
        Ok(match flag.or(environment).or(file) {
            None | Some(GlueChoice::Auto) => Self::Auto,
            Some(GlueChoice::Native) => Self::Native,
            Some(GlueChoice::Emulated) => Self::Emulated,
        })
    }
}

fn parse(text: &str) -> Result<GlueChoice, Failure> {
    GlueChoice::from_str(text, false).map_err(|_| {
        Failure::usage(format!("SDBUILD_GLUE is `{text}`")).hint("it is auto, native or emulated")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_environment_and_that_over_the_file() {
        use GlueChoice::{Emulated, Native};
        let choose = |flag, text, file| Glue::choose(flag, text, file).unwrap();
        assert_eq!(choose(None, None, None), Glue::Auto);
        assert_eq!(choose(None, None, Some(Native)), Glue::Native);
        assert_eq!(choose(None, Some("emulated"), Some(Native)), Glue::Emulated);
        assert_eq!(
            choose(Some(Native), Some("auto"), Some(Emulated)),
            Glue::Native
        );
        let failure = Glue::choose(None, Some("fast"), None).unwrap_err();
        assert!(failure.to_string().contains("SDBUILD_GLUE is `fast`"));
    }
}
