//! The user's own git, which knows their repositories and has their access to remote ones.
//!
//! It runs with the user's configuration, but without hooks and `core.fsmonitor`, without asking for passwords, and without
//! writing to the repository. The repository's own configuration can still name programs, filters for instance: it is trusted
//! as git itself trusts it (SECURITY.md).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::failure::{Failure, OrFail as _};
use crate::common::program::{find_program, missing_program};
use crate::common::text::{strip_control, truncate};

/// Variables that would make git look at another repository than that of the directory.
const REPOSITORY_VARIABLES: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
];
/// Characters of git's message that are shown.
const MAX_MESSAGE_CHARS: usize = 600;

/// The program, and where it runs.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: PathBuf,
    dir: PathBuf,
}

impl Git {
    /// Git for the directory `dir`, looked up in `path` (the value of `PATH`).
    pub(super) fn find(path: &OsStr, dir: &Path) -> Result<Self, Failure> {
        let program = find_program("git", path).ok_or_else(|| missing_program("git", "git"))?;
        let dir = dir.to_path_buf();
        Ok(Self { program, dir })
    }

    /// The directory that it runs in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What git writes to its standard output with the arguments `words`. A usage error with git's message when it fails.
    pub(super) fn output(&self, words: &[&str]) -> Result<Vec<u8>, Failure> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut command = Command::new(&self.program);
        command
            .args(["--no-optional-locks", "-c", "core.fsmonitor=false"])
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(&words)
            .current_dir(&self.dir)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        for variable in REPOSITORY_VARIABLES {
            command.env_remove(variable);
        }
        let subcommand = words.first().map(|word| word.to_string_lossy());
        let what = format!("run git {}", subcommand.unwrap_or_default());
        let output = command.output().or_environment(what.as_str())?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = strip_control(message.trim());
        let message = truncate(&message, MAX_MESSAGE_CHARS).into_owned();
        Err(Failure::usage(message).context(what))
    }

    /// The only line that git writes; `None` when it fails or writes nothing.
    pub(super) fn line(&self, words: &[&str]) -> Option<String> {
        let output = self.output(words).ok()?;
        let text = String::from_utf8(output).ok()?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The names that git writes, each ended by a zero byte.
    pub(super) fn names(&self, words: &[&str]) -> Result<Vec<String>, Failure> {
        let output = self.output(words)?;
        let names = output.split(|&byte| byte == 0).filter(|n| !n.is_empty());
        let name = |name: &[u8]| {
            String::from_utf8(name.to_vec()).map_err(|_| {
                let shown = String::from_utf8_lossy(name).into_owned();
                Failure::usage(format!("the name of {shown} is not plain UTF-8")).hint("rename it")
            })
        };
        names.map(name).collect()
    }
}
