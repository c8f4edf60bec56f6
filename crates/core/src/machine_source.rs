//! Where a build runs: the setting `on`, and from whom a machine is rented.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::absolute_path::absolute;
use super::aws_machine::AwsMachine;
use super::choice::serialized_as_text;

/// The values of the setting, for messages.
const FORMS: &str = "none, command:PROGRAM, aws, aws:OPTION,…";
/// The value for no machine.
const NONE: &str = "none";
/// The value for a machine of Amazon EC2.
const AWS: &str = "aws";

/// From whom a machine is rented; its text is `PROVIDER` or `PROVIDER:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineSource {
    /// A program of the user's: a path, or a name to look up in `PATH`.
    Command(String),
    /// Amazon EC2.
    Aws(AwsMachine),
}

impl MachineSource {
    /// The same with a relative path below `dir`; a name without a slash stays.
    #[must_use]
    pub fn relative_to(self, dir: &Path) -> Self {
        let Self::Command(program) = self else {
            return self;
        };
        match absolute(&PathBuf::from(&program), dir).to_str() {
            Some(path) if program.contains('/') => Self::Command(path.to_owned()),
            Some(_) | None => Self::Command(program),
        }
    }
}

impl fmt::Display for MachineSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(program) => write!(f, "command:{program}"),
            Self::Aws(machine) if *machine == AwsMachine::default() => f.write_str(AWS),
            Self::Aws(machine) => write!(f, "{AWS}:{machine}"),
        }
    }
}

impl FromStr for MachineSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("command", "")) => Err(format!(
                "`{text}` does not name a program; write a path or a name after the colon"
            )),
            Some(("command", program)) if program.chars().any(char::is_control) => {
                Err("the program's name has control characters".to_owned())
            }
            Some(("command", program)) => Ok(Self::Command(program.to_owned())),
            Some((AWS, options)) => options.parse().map(Self::Aws),
            None if text == AWS => Ok(Self::Aws(AwsMachine::default())),
            Some(_) | None => Err(format!(
                "`{text}` is not one of {FORMS}. To build on your own machine, use its Docker: DOCKER_HOST=ssh://HOST sdbuild build"
            )),
        }
    }
}

/// Where a build runs: the value of `--on`, `SDBUILD_ON` and `on`. `--on` without a value is an error, because no provider is the
/// usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BuildOn {
    /// On the engine that is there: `none`, and without the setting.
    #[default]
    Engine,
    /// On a machine that is rented for it: `aws`, `aws:…`, `command:…`.
    Rented(MachineSource),
}

impl BuildOn {
    /// From whom a machine is rented; `None` on the engine that is there.
    pub fn rented(&self) -> Option<&MachineSource> {
        match self {
            Self::Engine => None,
            Self::Rented(source) => Some(source),
        }
    }

    /// Whether a machine is rented.
    pub fn is_rented(&self) -> bool {
        self.rented().is_some()
    }
}

impl fmt::Display for BuildOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str(NONE),
            Self::Rented(source) => fmt::Display::fmt(source, f),
        }
    }
}

impl FromStr for BuildOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NONE {
            return Ok(Self::Engine);
        }
        text.parse().map(Self::Rented)
    }
}

serialized_as_text!(MachineSource, BuildOn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_rented_only_from_a_named_provider() {
        let parsed = |text: &str| text.parse::<BuildOn>();
        assert_eq!(parsed("none"), Ok(BuildOn::Engine));
        assert_eq!(BuildOn::default(), BuildOn::Engine);
        assert_eq!(BuildOn::Engine.to_string(), "none");
        let source = MachineSource::Command("rent".into());
        let on = parsed("command:rent").unwrap();
        assert_eq!((on.rented(), on.is_rented()), (Some(&source), true));
        assert!(parsed("nobody").is_err() && parsed("").is_err());
    }

    #[test]
    fn only_known_providers_are_accepted() {
        let source: MachineSource = "command:rent".parse().unwrap();
        assert_eq!(source, MachineSource::Command("rent".into()));
        assert_eq!(source.to_string(), "command:rent");
        for text in ["azure:x", "", "COMMAND:x", "raspberry.lan"] {
            assert!(text.parse::<MachineSource>().is_err(), "{text}");
        }
        let refused = "command:".parse::<MachineSource>().unwrap_err();
        assert!(refused.contains("does not name a program"), "{refused}");
        assert!("command:a\nb".parse::<MachineSource>().is_err());
        for text in ["aws", "aws:region=eu-central-1,on-demand"] {
            let source: MachineSource = text.parse().unwrap();
            assert!(matches!(source, MachineSource::Aws(_)));
            assert_eq!(source.relative_to(Path::new("/project")).to_string(), text);
        }
        assert!("aws:here".parse::<MachineSource>().is_err());
    }

    #[test]
    fn only_paths_are_relative_to_their_directory() {
        let located = |text: &str| {
            let source: MachineSource = text.parse().unwrap();
            source.relative_to(Path::new("/project")).to_string()
        };
        assert_eq!(located("command:rent"), "command:rent");
        assert_eq!(located("command:./rent"), "command:/project/rent");
        assert_eq!(located("command:bin/rent"), "command:/project/bin/rent");
        assert_eq!(located("command:/bin/rent"), "command:/bin/rent");
    }
}
