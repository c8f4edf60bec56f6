//! The user's own git, which knows their repositories and has their access to remote ones.
//!
//! It runs with the user's configuration, but no program that a repository's own configuration names: the author of an archive
//! wrote the configuration in it too. Nothing asks for passwords or writes to the user's repositories, and nothing is fetched
//! but by [`Git::reaching`].

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url::{hide_secrets, without_secrets};
use sdbuild_core::plain_file;
use sdbuild_core::program::{find_program, missing_program};
use sdbuild_core::session;
use sdbuild_core::text::{strip_control, truncate};
use sdbuild_core::timeout::{finish_within, timeout};

/// Characters of git's message that are shown.
const MAX_MESSAGE_CHARS: usize = 600;
/// Bytes of git's output that are read at most: a directory for the builder has at most 200,000 files.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;

/// How long git may fetch nothing: a server counts the commits of a large repository for minutes.
const FETCH_TIMEOUT: Duration = Duration::from_mins(5);
/// After this time, a pipe that git may wait for is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long git may read a repository on this machine: 200,000 files on a slow disk take minutes.
const LOCAL_TIMEOUT: Duration = Duration::from_mins(10);

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
            let mut running = Box::pin(running);
            if let Some(ended) = timeout(PATIENCE, &mut running).await {
                return Ok(ended);
            }
            self.refuse_pipes(words).await?;
            match self.protocol {
                Protocol::None => finish_within(LOCAL_TIMEOUT, running).await,
                Protocol::File | Protocol::Ssh | Protocol::Https => {
                    self.while_it_fetches(running).await
                }
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

    /// Fails if there is a pipe in the place of a file of git's in this directory, or in one of the repositories of this machine among
    /// `words`: git opens it like any other file, and would wait for ever.
    async fn refuse_pipes(&self, words: &[&str]) -> Result<(), Failure> {
        let fetched = words.iter().filter_map(|word| word.strip_prefix("file://"));
        let dirs: Vec<PathBuf> = fetched
            .map(PathBuf::from)
            .chain([self.dir.clone()])
            .collect();
        let find = move || dirs.iter().find_map(|dir| pipe_of_git(dir));
        match tokio::task::spawn_blocking(find).await {
            Ok(Some(pipe)) => {
                let text = format!("{} is a pipe, and git would wait for ever", pipe.display());
                Err(Failure::usage(text)
                    .hint("remove it, or clone the repository again from a source that you trust"))
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// The output of `running`, a git that fetches into this directory. A failure when nothing arrives for a while.
    async fn while_it_fetches<T>(&self, running: impl Future<Output = T>) -> Result<T, Failure> {
        let mut running = Box::pin(running);
        let mut fetched = None;
        loop {
            if let Some(ended) = timeout(FETCH_TIMEOUT, &mut running).await {
                return Ok(ended);
            }
            let size = Some(bytes_below(&self.dir));
            if size == fetched {
                let text = "git has fetched nothing for 5 minutes: its server may be gone";
                return Err(Failure::environment(text));
            }
            fetched = size;
        }
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
const NO_PROGRAMS: [&str; 3] = [
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.askPass=",
];
/// No questions are asked, on the terminal or in a window: neither by git, nor by a credential helper that knows these (Git Credential
/// Manager), nor by ssh, whatever program the user has in its place. An empty program is none for git, before any other setting. For
/// releases of ssh before 8.4, which do not know the last one, it is a program that fails.
const WITHOUT_QUESTIONS: [(&str, &str); 5] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", ""),
    ("SSH_ASKPASS_REQUIRE", "never"),
];
/// ssh fails where it would ask for a password or the trust in a host.
const SSH_WITHOUT_QUESTIONS: &str = "core.sshCommand=ssh -o BatchMode=yes";
/// The user's own program in the place of ssh, as git lists it.
const SSH_PROGRAM: &str = "core.sshcommand";

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

/// The path `name` of a file. Git itself checks names only when files are added: an index or a commit from elsewhere may
/// have any. A usage error for one that is not below its directory, or not plain UTF-8.
pub(super) fn plain_path(name: &[u8]) -> Result<String, Failure> {
    let name = utf8(name)?;
    if is_plain(&name) {
        return Ok(name);
    }
    Err(Failure::usage(format!(
        "the git repository is damaged; its index lists the file `{name}`, which is outside the repository"
    ))
    .hint("clone it again from a source that you trust"))
}

fn utf8(name: &[u8]) -> Result<String, Failure> {
    String::from_utf8(name.to_vec()).map_err(|_| {
        let shown = String::from_utf8_lossy(name);
        Failure::usage(format!("the name of {shown} is not plain UTF-8")).hint("rename it")
    })
}

/// Whether `name` is a relative path that never leads above its start.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

/// The files below `dir`, without those that links to directories lead to.
fn files_below(dir: PathBuf) -> impl Iterator<Item = PathBuf> {
    let (mut dirs, mut files) = (vec![dir], Vec::new());
    std::iter::from_fn(move || {
        while files.is_empty() {
            for entry in fs::read_dir(dirs.pop()?).into_iter().flatten().flatten() {
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let list = if is_dir { &mut dirs } else { &mut files };
                list.push(entry.path());
            }
        }
        files.pop()
    })
}

/// The bytes of the files below `dir`.
fn bytes_below(dir: &Path) -> u64 {
    let sizes =
        files_below(dir.to_owned()).filter_map(|file| Some(file.symlink_metadata().ok()?.len()));
    sizes.fold(0, u64::saturating_add)
}

/// A pipe in the repository in `dir` that git may open: one with a name of git's, or in a directory that only git writes to.
fn pipe_of_git(dir: &Path) -> Option<PathBuf> {
    let inner = dir.join(".git");
    // A work tree of another repository, or a submodule, only names that directory.
    let named = plain_file::read_text(&inner, 4096).unwrap_or_default();
    let named = named
        .strip_prefix("gitdir: ")
        .map(|named| dir.join(named.trim_end()));
    let is_bare = !inner.exists();
    let is_of_git = |file: &PathBuf| {
        let below = file.strip_prefix(dir).unwrap_or(file);
        is_bare
            || below
                .iter()
                .any(|part| part.as_encoded_bytes().starts_with(b".git"))
    };
    let is_pipe = |file: &PathBuf| file.metadata().is_ok_and(|meta| meta.file_type().is_fifo());
    let of_tree = files_below(dir.to_owned()).filter(is_of_git);
    of_tree
        .chain(named.into_iter().flat_map(files_below))
        .find(is_pipe)
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

    #[test]
    fn files_are_below_their_directory() {
        for name in ["a", "a/.b", "..c"] {
            assert_eq!(plain_path(name.as_bytes()).unwrap(), name);
        }
        for name in [&b"../x"[..], b"a/../../x", b"/etc/x", b"a\xff"] {
            plain_path(name).unwrap_err();
        }
    }
}
