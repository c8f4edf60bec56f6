//! The command line that a hint suggests for another configuration.

use std::path::Path;

use crate::common::configuration_file::FLAKE_FILE;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::text::DASHES;

/// The command line that a hint suggests for another configuration.
#[derive(Clone, Copy, Debug)]
pub struct SuggestedCommand {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
}

/// How a command is told its configuration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    /// As an argument: a file or a directory.
    Path,
    /// As the value of this flag: a file; a flake with `--flake`.
    File(&'static str),
    /// Not at all, it takes that of the current directory; a flake with `--flake`.
    CurrentDirectory,
}

impl SuggestedCommand {
    /// The subcommand `name` whose argument is the path of a configuration.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let takes = Takes::Path;
        Self { name, takes }
    }

    /// The same for a subcommand that takes the path of a file with `flag`.
    #[must_use]
    pub fn with_flag(self, flag: &'static str) -> Self {
        let takes = Takes::File(flag);
        Self { takes, ..self }
    }

    /// The same for a subcommand that takes the configuration of the current directory.
    #[must_use]
    pub fn in_current_directory(self) -> Self {
        let takes = Takes::CurrentDirectory;
        Self { takes, ..self }
    }

    /// The command line with the file `path`, which is quoted for a shell; `None` if it takes none.
    pub(super) fn with_file(self, path: &str) -> Option<String> {
        let name = self.name;
        match self.takes {
            Takes::Path => Some(format!("sdbuild {name} {path}")),
            Takes::File(flag) => Some(format!("sdbuild {name} {flag} {path}")),
            Takes::CurrentDirectory => None,
        }
    }

    /// The command line with the directory `path`, which has a file `configuration`.
    pub(super) fn with_directory(self, path: &str, configuration: &str) -> String {
        let (name, shown) = (self.name, quoted(path));
        match self.takes {
            Takes::Path => format!("sdbuild {name} {shown}"),
            Takes::File(_) | Takes::CurrentDirectory if configuration == FLAKE_FILE => {
                format!("sdbuild {name} --flake {shown}")
            }
            Takes::File(flag) => {
                format!(
                    "sdbuild {name} {flag} {}",
                    quoted(&format!("{path}/{configuration}"))
                )
            }
            Takes::CurrentDirectory => format!("cd {shown} && sdbuild {name}"),
        }
    }

    /// What is meant by the `name` of nothing in `directory`, if that is a flag with a long dash, as some programs put it in place of two
    /// short ones, or an answer to another flag: `build --dry-run plan`, or `shell -c 'ls -la'`, as of bash and nix.
    pub(super) fn other_meaning(self, directory: &Path, name: &str) -> Option<String> {
        let here = std::env::current_dir().ok()?;
        let path = directory.join(name);
        let word = path.strip_prefix(here).ok()?.to_str()?;
        if word.starts_with(DASHES) {
            let flag = word.trim_start_matches(DASHES).trim_start_matches('-');
            let flag = quoted(&format!("--{flag}"));
            return Some(format!(
                "a flag begins with two `-`, not with a long dash: {flag}"
            ));
        }
        if self.name == "build" && word == "plan" {
            return Some(format!("did you mean --dry-run={word}?"));
        }
        let is_command = word.contains(' ') || !word.contains(['.', '/']);
        let command = quoted(word);
        (self.name == "shell" && is_command)
            .then(|| format!("to run a command in the shell: sdbuild shell --run {command}"))
    }
}
