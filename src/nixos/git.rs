//! The user's own git, which knows their repositories and has their access to remote ones.
//!
//! It runs with the user's configuration, but no program that a repository's own configuration names: that of an unpacked
//! archive is whoever's who made it. Nothing asks for passwords or writes to the user's repositories, and nothing is fetched
//! but by [`Git::reaching`].

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::http_url::without_secrets;
use crate::common::program::{find_program, missing_program};
use crate::common::text::{strip_control, truncate};

/// Variables that would make git look at another repository than that of the directory, or read its arguments in another
/// way. git sets some of them for hooks and aliases.
const REMOVED_VARIABLES: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_ATTR_SOURCE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];
/// Programs of a repository that `ls-files`, `status` and `rev-list` would run. Filters of files have names and are found by
/// [`without_filters`]; the empty value means none also to versions that know no `false` there.
const NO_PROGRAMS: [&str; 2] = ["core.fsmonitor=", "core.hooksPath=/dev/null"];
/// ssh fails where it would ask for a password or the trust in a host.
const SSH_WITHOUT_QUESTIONS: &str = "core.sshCommand=ssh -o BatchMode=yes";
/// The user's own program in the place of ssh, as git lists it.
const SSH_PROGRAM: &str = "core.sshcommand";
/// Characters of git's message that are shown.
const MAX_MESSAGE_CHARS: usize = 600;
/// Bytes of git's output that are read at most: a directory for the builder has at most 200,000 files.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;

/// How git may reach other repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Not at all: no protocol has the name that git is given. What is missing in a partial clone is not fetched, with
    /// whatever program.
    None,
    /// As directories of this machine.
    File,
    /// By SSH, with the user's keys and known hosts.
    Ssh,
    /// By HTTPS, with the user's credential helpers; by HTTP or SSH too, because the user's settings may have another address
    /// for a server (`url.….insteadOf`).
    Https,
}

impl Protocol {
    /// The protocol of `url`. A usage error for another one than `ssh:`, `file:`, `https:` and `http:`.
    pub(super) fn of(url: &str) -> Result<Self, Failure> {
        match url.split_once(':') {
            Some(("ssh", _)) => Ok(Self::Ssh),
            Some(("file", _)) => Ok(Self::File),
            Some(("https" | "http", _)) => Ok(Self::Https),
            Some(_) | None => Err(Failure::usage(format!(
                "{} is neither ssh:, file: nor https:",
                without_secrets(url)
            ))),
        }
    }

    /// The value of `GIT_ALLOW_PROTOCOL`.
    fn allowed(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::File => "file",
            Self::Ssh => "ssh",
            Self::Https => "https:http:ssh",
        }
    }
}

/// The program, and where it runs.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: PathBuf,
    dir: PathBuf,
    cancel: Cancel,
    /// Settings, as `-c` takes them.
    settings: Vec<String>,
    protocol: Protocol,
}

impl Git {
    /// Git for the directory `dir`, looked up in `path` (the value of `PATH`).
    pub(super) async fn find(path: &OsStr, dir: &Path, cancel: &Cancel) -> Result<Self, Failure> {
        let program = find_program("git", path).ok_or_else(|| missing_program("git", "git"))?;
        let git = Self {
            program,
            dir: PathBuf::new(),
            cancel: cancel.clone(),
            settings: Vec::new(),
            protocol: Protocol::None,
        };
        git.inside(dir).await
    }

    /// Git for another directory, such as that of a submodule, which has settings of its own.
    pub(super) async fn inside(&self, dir: &Path) -> Result<Self, Failure> {
        let mut git = Self {
            dir: dir.to_path_buf(),
            settings: NO_PROGRAMS.map(str::to_owned).to_vec(),
            ..self.clone()
        };
        let names = git
            .names(&["config", "--null", "--name-only", "--list"])
            .await?;
        git.settings.extend(without_filters(&names)?);
        if !names.iter().any(|name| name == SSH_PROGRAM) {
            git.settings.push(SSH_WITHOUT_QUESTIONS.to_owned());
        }
        Ok(git)
    }

    /// Git that may fetch by `protocol`.
    pub(super) fn reaching(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// The directory that it runs in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What git writes to its standard output with the arguments `words`. A usage error with git's message when it fails.
    /// It is killed when the run is cancelled.
    pub(super) async fn output(&self, words: &[&str]) -> Result<Vec<u8>, Failure> {
        let what = format!("run git {}", words.first().unwrap_or(&""));
        let mut child = self.command(words).spawn().or_environment(what.as_str())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let all = async { tokio::join!(start_of(stdout), start_of(stderr), child.wait()) };
        let (stdout, stderr, status) = self.cancel.race(all).await?;
        let stdout = stdout.or_environment(what.as_str())?;
        if stdout.len() as u64 > MAX_OUTPUT_BYTES {
            let limit = MAX_OUTPUT_BYTES >> 20;
            return Err(Failure::usage(format!("it wrote more than {limit} MiB")).context(what));
        }
        if status.or_environment(what.as_str())?.success() {
            return Ok(stdout);
        }
        let stderr = stderr.unwrap_or_default();
        let message = strip_control(String::from_utf8_lossy(&stderr).trim());
        let message = truncate(&message, MAX_MESSAGE_CHARS).into_owned();
        Err(Failure::usage(message).context(what))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--no-optional-locks");
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command
            .args(words)
            .current_dir(&self.dir)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", self.protocol.allowed())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for variable in REMOVED_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// The only line that git writes; `None` when it fails or writes nothing.
    pub(super) async fn line(&self, words: &[&str]) -> Option<String> {
        let output = self.output(words).await.ok()?;
        let text = String::from_utf8(output).ok()?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The names that git writes, each ended by a zero byte.
    pub(super) async fn names(&self, words: &[&str]) -> Result<Vec<String>, Failure> {
        let output = self.output(words).await?;
        let names = output.split(|&byte| byte == 0).filter(|n| !n.is_empty());
        let name = |name: &[u8]| {
            String::from_utf8(name.to_vec()).map_err(|_| {
                let shown = String::from_utf8_lossy(name).into_owned();
                Failure::usage(format!("the name of {shown} is not plain UTF-8")).hint("rename it")
            })
        };
        names.map(name).collect()
    }

    /// The paths that git writes, each ended by a zero byte. Git itself checks names only when files are added: an index
    /// that somebody else made may have any. A usage error for one that is not below the directory.
    pub(super) async fn paths(&self, words: &[&str]) -> Result<Vec<String>, Failure> {
        let names = self.names(words).await?;
        match names.iter().find(|name| !is_plain(name)) {
            None => Ok(names),
            Some(name) => Err(Failure::usage(format!(
                "the git repository in {} is damaged: its index has the file `{name}`, which is not in it",
                self.dir.display()
            ))
            .hint("clone it again, from somebody whom you trust")),
        }
    }

    /// The directories of the submodules that are checked out, one level deep.
    pub(super) async fn submodules(&self) -> Result<Vec<PathBuf>, Failure> {
        /// The mode of a submodule in the index.
        const SUBMODULE: &str = "160000 ";
        let staged = self.names(&["ls-files", "-z", "--stage"]).await?;
        let names = staged
            .iter()
            .filter(|line| line.starts_with(SUBMODULE))
            .filter_map(|line| Some(line.split_once('\t')?.1))
            .filter(|name| is_plain(name));
        let dirs = names.map(|name| self.dir.join(name));
        // A symbolic link in its place leads elsewhere.
        let is_inside = |dir: &PathBuf| dir.canonicalize().is_ok_and(|real| real == *dir);
        Ok(dirs
            .filter(|dir| is_inside(dir) && dir.join(".git").exists())
            .collect())
    }
}

/// What a program writes, to one byte more than the limit.
async fn start_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(MAX_OUTPUT_BYTES + 1);
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Settings that switch off every filter of files among the settings `names`. Whether a file is unchanged is then decided by
/// its bytes where its time does not show it.
fn without_filters(names: &[String]) -> Result<Vec<String>, Failure> {
    let mut off = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("filter.")) {
        let value = match name.rsplit_once('.').map(|(_, key)| key) {
            Some("clean" | "smudge" | "process") => "",
            Some("required") => "false",
            _ => continue,
        };
        // git would take what precedes the first one for the name.
        if name.contains('=') {
            return Err(
                Failure::usage(format!("the git setting `{name}` has a `=` in its name"))
                    .hint("remove it, or give path:DIR, which does not ask git"),
            );
        }
        off.push(format!("{name}={value}"));
    }
    Ok(off)
}

/// Whether `name` is a relative path that never leads above its start.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_of_files_is_switched_off() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let all = names(&[
            "core.editor",
            "filter.Big Files.clean",
            "filter.a.b.process",
            "filter.lfs.required",
            "filter.x.other",
        ]);
        let off = without_filters(&all).unwrap();
        let expected = [
            "filter.Big Files.clean=",
            "filter.a.b.process=",
            "filter.lfs.required=false",
        ];
        assert_eq!(off, expected);
        // `-c filter.a=b.clean=` would set `filter.a`.
        without_filters(&names(&["filter.a=b.clean"])).unwrap_err();
    }
}
