//! The user's own git, which knows their repositories and has their access to remote ones.
//!
//! It runs with the user's configuration, but no program that a repository's own configuration names: the author of an archive
//! wrote the configuration in it too. Nothing asks for passwords or writes to the user's repositories, and nothing is fetched
//! but by [`Git::reaching`].

mod file_name;
mod isolation;
mod pipes;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use file_name::{is_plain, utf8};
use isolation::{
    NO_PROGRAMS, REMOVED_VARIABLES, SSH_PROGRAM, SSH_WITHOUT_QUESTIONS, WITHOUT_QUESTIONS,
    without_filters,
};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::program::{find_program, missing_program};
use sdbuild_core::session;
use sdbuild_core::text::{strip_control, truncate};
use sdbuild_core::timeout::{finish_within, timeout};

pub(super) use file_name::plain_path;
pub(super) use isolation::Protocol;

/// Characters of git's message that are shown.
const MAX_MESSAGE_CHARS: usize = 600;
/// Bytes of git's output that are read at most: a directory for the builder has at most 200,000 files.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;

/// How long git reads an ordinary repository on this machine. After that it may be waiting for a pipe.
const USUAL_TIME: Duration = Duration::from_secs(1);
/// How long git may read a repository on this machine: 200,000 files on a slow disk take minutes.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(600);

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

/// How a git ended.
enum GitOutcome {
    /// What it wrote to its standard output.
    Output(Vec<u8>),
    /// The message with which it failed.
    Refused(String),
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
        match self.run(words).await? {
            GitOutcome::Output(bytes) => Ok(bytes),
            GitOutcome::Refused(message) => Err(refusal(&message, words)),
        }
    }

    /// Has git fetch with the arguments `words`, and if it says that it cannot do it this way, the same with `otherwise`.
    pub(super) async fn fetch(&self, words: &[&str], otherwise: &[&str]) -> Result<(), Failure> {
        match self.run(words).await? {
            GitOutcome::Output(_) => Ok(()),
            GitOutcome::Refused(message) if needs_history(&message) => {
                self.output(otherwise).await.map(drop)
            }
            GitOutcome::Refused(message) => Err(refusal(&message, words)),
        }
    }

    /// Runs git to its end.
    async fn run(&self, words: &[&str]) -> Result<GitOutcome, Failure> {
        let running = session::run(self.command(words), MAX_OUTPUT_BYTES);
        let running = async {
            match self.protocol {
                Protocol::None => self.not_waiting_for_a_pipe(running).await,
                Protocol::File | Protocol::Ssh | Protocol::Https => Ok(running.await),
            }
        };
        let ended = self.cancel.race(Box::pin(running)).await?;
        let ended = ended.map_err(|failure| failure.context(what(words)))?;
        let ended = ended.or_environment(what(words))?;
        if ended.stdout.len() as u64 > MAX_OUTPUT_BYTES {
            let limit = MAX_OUTPUT_BYTES >> 20;
            let text = format!("it wrote more than {limit} MiB");
            return Err(Failure::usage(text).context(what(words)));
        }
        if ended.status.success() {
            return Ok(GitOutcome::Output(ended.stdout));
        }
        let message = String::from_utf8_lossy(&ended.stderr);
        let message = hide_secrets(&strip_control(message.trim())).into_owned();
        Ok(GitOutcome::Refused(message))
    }

    /// The output of `running`, a git that reads this directory's repository. A failure when it waits for a pipe, which it opens
    /// like any other file, or does not end.
    async fn not_waiting_for_a_pipe<T>(
        &self,
        running: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut running = Box::pin(running);
        if let Some(ended) = timeout(USUAL_TIME, &mut running).await {
            return Ok(ended);
        }
        let stop = CancellationToken::new();
        let _stopped_at_the_end = stop.clone().drop_guard();
        let dir = self.dir.clone();
        let search = tokio::task::spawn_blocking(move || pipes::check(&dir, &stop));
        tokio::select! {
            ended = &mut running => return Ok(ended),
            checked = search => checked.or_internal("look for pipes in the repository")??,
        }
        finish_within(LOCAL_TIMEOUT, running)
            .await
            .map_err(|failure| {
                failure.hint(format!(
                    "run `git status` in {}, and see what it waits for",
                    self.dir.display()
                ))
            })
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
            .envs(WITHOUT_QUESTIONS)
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
        names.map(utf8).collect()
    }

    /// The paths that git writes, each ended by a zero byte, as [`plain_path`] takes them.
    pub(super) async fn paths(&self, words: &[&str]) -> Result<Vec<String>, Failure> {
        let output = self.output(words).await?;
        let names = output.split(|&byte| byte == 0).filter(|n| !n.is_empty());
        names.map(plain_path).collect()
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

/// What is done with the arguments `words`.
fn what(words: &[&str]) -> String {
    format!("run git {}", words.first().unwrap_or(&""))
}

/// git has failed with `message`.
fn refusal(message: &str, words: &[&str]) -> Failure {
    Failure::usage(truncate(message, MAX_MESSAGE_CHARS).into_owned()).context(what(words))
}

/// Whether git says by `message` that the server gives only the ends of branches, or that it has only files of repositories. What
/// else is wrong, such as a login, a second attempt does not mend.
fn needs_history(message: &str) -> bool {
    [
        // git's server: upload-pack.
        "not our ref",
        "Server does not allow request for unadvertised object",
        // JGit's (Gerrit): want … not valid.
        "not valid",
        // Without a server, or by an old git.
        "couldn't find remote ref",
        // No server of git at all.
        "transport does not support shallow capabilities",
    ]
    .iter()
    .any(|part| message.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any other failure, such as a login, was hidden by that of a second attempt.
    #[test]
    fn only_what_a_whole_history_mends_is_tried_again() {
        for message in [
            "fatal: remote error: upload-pack: not our ref 0123",
            "error: Server does not allow request for unadvertised object 0123",
            "fatal: dumb http transport does not support shallow capabilities",
            "fatal: couldn't find remote ref 0123",
            "fatal: remote error: want 0123 not valid",
        ] {
            assert!(needs_history(message), "{message}");
        }
        for message in [
            "git@h.example: Permission denied (publickey).",
            "fatal: unable to access 'https://h.example/': Could not resolve host: h.example",
            "fatal: Authentication failed for 'https://h.example/'",
            "fatal: '/x' does not appear to be a git repository",
        ] {
            assert!(!needs_history(message), "{message}");
        }
    }
}
