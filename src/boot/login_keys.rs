//! Which private keys a login tries, and what keeps ssh from using one: reported before anything boots, because afterwards
//! it looks as if the image refused the key.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::boot::request::BootRequest;
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::common::program::find_program;
use crate::common::shell_word::quoted;
use crate::common::ssh_key::{contains_key, key_of};

/// Bytes that are read of a key file.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// How long a program of OpenSSH may take: one that asks an agent waits for as long as that is silent, such as an agent that was
/// forwarded here over a connection that is lost.
const SSH_TOOL_TIMEOUT: Duration = Duration::from_secs(3);
/// The files that ssh takes keys from without being told to (`IdentityFile` in `ssh_config(5)`).
const DEFAULT_KEYS: [&str; 5] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
];
/// Keys that are tried: an SSH server refuses a client after six.
const MAX_KEYS: usize = 5;

/// The key to log in with, as the user named it: a private key, or the public half of one that is beside it or in the
/// agent. `path` is the value of `PATH`.
pub(super) fn usable_key(key: &Path, path: &OsStr) -> Result<PathBuf, Failure> {
    let text = plain_file::read(key, MAX_KEY_BYTES)
        .or_usage(format!("read the SSH key {}", key.display()))
        .map_err(|failure| failure.hint("`ls ~/.ssh` lists your keys"))?;
    let is_public = String::from_utf8_lossy(&text).lines().any(contains_key);
    if !is_public {
        return check_private(key, path).map(|()| key.to_owned());
    }
    let private = key.with_extension("");
    if private != key && private.is_file() {
        return check_private(&private, path).map(|()| private);
    }
    if agent_has(key, path) {
        return Ok(key.to_owned());
    }
    let shown = key.display();
    Err(Failure::usage(format!(
        "{shown} is a public key, and its private key is neither beside it nor in ssh-agent"
    ))
    .hint("name the private key, or add it to the agent: ssh-add FILE"))
}

/// Fails if ssh could not use the private key: it is readable by others, or it has a passphrase and is not in the agent.
fn check_private(key: &Path, path: &OsStr) -> Result<(), Failure> {
    // Prints the public key, and asks nothing.
    let Some(output) = run("ssh-keygen", &["-y", "-P", "", "-f"], Some(key), path) else {
        return Ok(());
    };
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let (shown, word) = (key.display(), quoted(&key.to_string_lossy()));
    // ssh-keygen looks at the permissions first, of whatever file it is.
    if (error.contains("UNPROTECTED") || error.contains("bad permissions")) && !is_armored(key) {
        return Err(Failure::usage(format!("{shown} is not a private SSH key")));
    }
    if error.contains("UNPROTECTED") || error.contains("bad permissions") {
        let text = format!("other users can read the private key {shown}, so ssh does not use it");
        return Err(Failure::usage(text).hint(format!("make it private: chmod 600 {word}")));
    }
    if error.contains("passphrase") {
        if agent_has(key, path) {
            return Ok(());
        }
        let text =
            format!("the private key {shown} has a passphrase, and ssh-agent does not have it");
        let hint =
            format!("add it to the agent, which asks for the passphrase once: ssh-add {word}");
        return Err(Failure::usage(text)
            .hint(hint)
            .hint("without an agent in this shell, start one first: eval \"$(ssh-agent)\""));
    }
    let line = error.lines().rfind(|line| !line.trim().is_empty());
    let reason = line.unwrap_or("ssh-keygen gave no reason");
    Err(Failure::usage(format!(
        "{shown} is not a private SSH key: {reason}"
    )))
}

/// Whether the file begins as every private key of OpenSSH does; also true of one that cannot be read.
fn is_armored(key: &Path) -> bool {
    let mut begin = [0; 10];
    let read = plain_file::open(key).and_then(|mut file| file.read_exact(&mut begin));
    match read {
        Ok(()) => begin == *b"-----BEGIN",
        Err(error) => error.kind() != io::ErrorKind::UnexpectedEof,
    }
}

/// Whether ssh-agent runs and has a key.
fn agent_has_any(path: &OsStr) -> bool {
    // Exit status 1: it has none; 2: it does not run.
    run("ssh-add", &["-l"], None, path).is_some_and(|output| output.status.success())
}

/// Whether ssh-agent has the key in this file, which may be either half.
fn agent_has(key: &Path, path: &OsStr) -> bool {
    let fingerprint = run("ssh-keygen", &["-l", "-f"], Some(key), path);
    let fingerprint = fingerprint.and_then(|output| word_of_hash(&output.stdout));
    let listed = run("ssh-add", &["-l"], None, path);
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    fingerprint
        .zip(listed)
        .is_some_and(|(fingerprint, listed)| listed.contains(&fingerprint))
}

/// `SHA256:…` in `256 SHA256:… comment (ED25519)`.
fn word_of_hash(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    words.find(|w| w.starts_with("SHA256:")).map(str::to_owned)
}

/// Runs a program of OpenSSH; `None` if it is not installed, does not start, or does not end within [`SSH_TOOL_TIMEOUT`].
fn run(program: &str, args: &[&str], file: Option<&Path>, path: &OsStr) -> Option<Output> {
    let mut command = Command::new(find_program(program, path)?);
    command.args(args).args(file).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its messages are compared.
    let child = command.env("LC_ALL", "C").spawn().ok()?;
    let id = Pid::from_raw(child.id().try_into().ok()?);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(SSH_TOOL_TIMEOUT) else {
        kill(id, Signal::SIGKILL).ok();
        return None;
    };
    output.ok()
}

/// Why ssh could use none of the keys in the user's `~/.ssh` for the login of `request`, which names no key; `None` if it can
/// use one, if there is none, or if the agent has one. Which of them the image accepts is not known before it is built.
pub fn none_is_usable(request: &BootRequest) -> Option<Failure> {
    let login = request.login.as_ref()?;
    let dir = request.home.as_ref()?.join(".ssh");
    if login.key.is_some() || agent_has_any(&request.path) {
        return None;
    }
    let keys = identities(&dir).into_iter();
    let checks: Vec<_> = keys.map(|key| check_private(&key, &request.path)).collect();
    if checks.iter().any(Result::is_ok) {
        return None;
    }
    checks.into_iter().find_map(Result::err)
}

/// The private keys in `dir`: those with a public half beside them, and those that ssh tries by itself.
fn identities(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = files.map(|file| file.path()).collect();
    names.sort();
    let is_default = |file: &Path| DEFAULT_KEYS.iter().any(|name| file.ends_with(name));
    let has_public_half = |file: &Path| {
        let mut public = file.as_os_str().to_owned();
        public.push(".pub");
        Path::new(&public).is_file()
    };
    let is_key = |file: &PathBuf| is_default(file) || has_public_half(file);
    names.into_iter().filter(is_key).collect()
}

/// The private keys in the home directory `home` that [`keys_for`] finds.
pub(super) async fn keys_at(
    home: &Path,
    authorized: String,
    path: &OsStr,
    cancel: &Cancel,
) -> Result<Vec<PathBuf>, Failure> {
    let (dir, path) = (home.join(".ssh"), path.to_owned());
    let look = tokio::task::spawn_blocking(move || keys_for(&authorized, &dir, &path));
    let looked = cancel.race(look).await?;
    looked.or_internal("look for your keys")?
}

/// The private keys in `dir` (`~/.ssh`) whose public halves are in `authorized`, the image's list. Empty if there are none:
/// then ssh tries the keys that it finds itself. A failure if none of them can be used, with the
/// reason of the first.
fn keys_for(authorized: &str, dir: &Path, path: &OsStr) -> Result<Vec<PathBuf>, Failure> {
    let accepted: Vec<&str> = authorized.lines().filter_map(key_of).collect();
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut public: Vec<PathBuf> = files.map(|file| file.path()).collect();
    public.retain(|file| file.extension().is_some_and(|e| e == "pub") && is_in(file, &accepted));
    public.sort();
    let (mut usable, mut first_failure) = (Vec::new(), None);
    for file in &public {
        match usable_key(file, path) {
            Ok(key) => usable.push(key),
            Err(failure) => drop(first_failure.get_or_insert(failure)),
        }
    }
    usable.truncate(MAX_KEYS);
    match first_failure {
        Some(failure) if usable.is_empty() => Err(failure
            .consequence("the machine accepts a key of yours that cannot be used here")
            .hint("or name another key with --login-key")),
        _ => Ok(usable),
    }
}

/// Whether the public key in `file` is one of `accepted`.
fn is_in(file: &Path, accepted: &[&str]) -> bool {
    let text = plain_file::read_text(file, MAX_KEY_BYTES).unwrap_or_default();
    text.lines()
        .filter_map(key_of)
        .any(|key| accepted.contains(&key))
}

#[cfg(test)]
mod tests;
