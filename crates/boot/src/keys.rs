//! Who logs in, with which private keys, and what keeps ssh from using one: reported before anything boots, because afterwards it looks as if the image refused the key.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::request::BootRequest;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::program::find_program;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::ssh_key::{contains_key, key_of};
use sdbuild_image::seed::Seed;
use sdbuild_image::{InstalledSystem, MAX_KEY_LIST_BYTES};

/// Bytes that are read of a key file.
pub(super) const MAX_KEY_BYTES: u64 = 64 << 10;
/// How long a program of OpenSSH may take: one that asks an agent waits for as long as that is silent, such as an agent that was
/// forwarded here over a connection that is lost.
const SSH_TOOL_TIMEOUT: Duration = Duration::from_secs(3);
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
    match obstacle(key, path) {
        None => Ok(()),
        Some(Obstacle::Passphrase) if agent_has(key, path) => Ok(()),
        Some(obstacle) => Err(obstacle.failure(key)),
    }
}

/// What keeps ssh from using a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// Other users can read it.
    Permissions,
    /// It has a passphrase.
    Passphrase,
    /// It is no private key; what ssh-keygen says of it, if it says anything of use.
    NoKey(Option<String>),
}

/// What keeps ssh from using the private key without an agent; `None` too if OpenSSH is not installed.
fn obstacle(key: &Path, path: &OsStr) -> Option<Obstacle> {
    // Prints the public key, and asks nothing.
    let output = run("ssh-keygen", &["-y", "-P", "", "-f"], Some(key), path)?;
    if output.status.success() {
        return None;
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_open = error.contains("UNPROTECTED") || error.contains("bad permissions");
    Some(match is_open {
        // ssh-keygen looks at the permissions first, of whatever file it is.
        true if !is_armored(key) => Obstacle::NoKey(None),
        true => Obstacle::Permissions,
        false if error.contains("passphrase") => Obstacle::Passphrase,
        false => {
            let line = error.lines().rfind(|line| !line.trim().is_empty());
            Obstacle::NoKey(Some(line.unwrap_or("ssh-keygen gave no reason").to_owned()))
        }
    })
}

/// What to give instead of a file that is no private key.
const GIVE_KEY: &str =
    "give the private key, such as ~/.ssh/id_ed25519, which is the file without .pub";

impl Obstacle {
    /// The failure of a login with `key`.
    fn failure(self, key: &Path) -> Failure {
        let (shown, word) = (key.display(), quoted(&key.to_string_lossy()));
        match self {
            Self::NoKey(reason) => {
                let reason = reason.map(|reason| format!(": {reason}"));
                let reason = reason.unwrap_or_default();
                Failure::usage(format!("{shown} is not a private SSH key{reason}")).hint(GIVE_KEY)
            }
            Self::Permissions => {
                let text =
                    format!("other users can read the private key {shown}, so ssh does not use it");
                Failure::usage(text).hint(format!("make it private: chmod 600 {word}"))
            }
            Self::Passphrase => Failure::usage(format!(
                "the private key {shown} has a passphrase, and ssh-agent does not have it"
            ))
            .hint(format!(
                "add it to the agent, which asks for the passphrase once: ssh-add {word}"
            ))
            .hint("without an agent in this shell, start one first: eval \"$(ssh-agent)\""),
        }
    }
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
pub(super) fn keys_for(
    authorized: &str,
    dir: &Path,
    path: &OsStr,
) -> Result<Vec<PathBuf>, Failure> {
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

/// Whether a system accepts the private `key`, or the public half of one, whose list has the lines `accepted`; `None` if that
/// cannot be known: the public half is not found, or certificates are accepted.
pub(super) fn is_accepted(key: &Path, accepted: &str, path: &OsStr) -> Option<bool> {
    if accepted.contains("cert-authority") {
        return None;
    }
    let accepted: Vec<&str> = accepted.lines().filter_map(key_of).collect();
    let read = |file: &Path| plain_file::read_text(file, MAX_KEY_BYTES).unwrap_or_default();
    let made = || {
        let output = run("ssh-keygen", &["-y", "-P", "", "-f"], Some(key), path);
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default()
    };
    let mut beside = key.as_os_str().to_owned();
    beside.push(".pub");
    let texts = [read(key), made(), read(Path::new(&beside))];
    let mut public = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(key_of);
    public.next().map(|public| accepted.contains(&public))
}

/// Whether the public key in `file` is one of `accepted`.
fn is_in(file: &Path, accepted: &[&str]) -> bool {
    let text = plain_file::read_text(file, MAX_KEY_BYTES).unwrap_or_default();
    text.lines()
        .filter_map(key_of)
        .any(|key| accepted.contains(&key))
}

/// Completes the login of `request`: its user, if none was named, and `keys`, if there are none, with those of the user's that the
/// system that is `installed`, or its seed, accepts. A failure where a login is certainly refused.
pub(super) async fn complete(
    request: &mut BootRequest,
    keys: &mut Vec<PathBuf>,
    installed: &InstalledSystem,
    context: &Context,
) -> Result<(), Failure> {
    let lists = &installed.key_lists;
    // A seed may configure the server.
    let is_certain = installed.takes_only_listed_keys && request.seed.is_none();
    let home = request.home.as_deref().filter(|_| keys.is_empty());
    let Some(login) = &mut request.login else {
        return Ok(());
    };
    if login.is_default_user
        && let Some(only) = only_user(lists)
        && only != login.user
    {
        let text = format!("logging in as {only}, the only user with a key in the image");
        context.events.notice(text);
        only.clone_into(&mut login.user);
    }
    let of_seed = request.seed.as_deref();
    let of_seed = of_seed.map_or_else(String::new, |seed| keys_of(seed, &login.user));
    if of_seed.is_empty()
        && let Some(text) = without_keys(&login.user, lists)
    {
        context.events.warn(text);
    }
    if let (Some(key), Some(list)) = (&login.key, lists.get(&login.user)) {
        let accepted = format!("{list}\n{of_seed}");
        let look = {
            let (key, path) = (key.clone(), request.path.clone());
            tokio::task::spawn_blocking(move || is_accepted(&key, &accepted, &path))
        };
        let looked = context.cancel.race(look).await?;
        if looked.or_internal("look for the key")? == Some(false) {
            let (shown, user) = (key.display(), &login.user);
            let text = format!("the image does not accept the key {shown} for {user}");
            // Of a longer list only the beginning was read.
            if is_certain && list.len() < MAX_KEY_LIST_BYTES {
                let failure = Failure::message(Class::Build, text);
                return Err(failure.hint(format!(
                    "its SSH server accepts only the keys in users.users.{user}.openssh.authorizedKeys of the \
                     configuration. Add the public key there, and build again"
                )));
            }
            context.events.warn(format!(
                "{text}: the login fails unless the system gets the key while it runs"
            ));
        }
    }
    if let Some(home) = home {
        let of_image = lists.get(&login.user).cloned();
        let accepted: Vec<String> = of_image.into_iter().chain([of_seed]).collect();
        let (path, cancel) = (&request.path, &context.cancel);
        *keys = keys_at(home, accepted.join("\n"), path, cancel).await?;
    }
    Ok(())
}

/// The keys, one a line, that `user` may log in with because of `seed`.
fn keys_of(seed: &Seed, user: &str) -> String {
    let logins = seed.logins.iter().filter(|login| login.user == user);
    let keys: Vec<&str> = logins
        .flat_map(|login| login.keys.iter().map(String::as_str))
        .collect();
    keys.join("\n")
}

/// The user with a list, if there is a single one.
fn only_user(lists: &BTreeMap<String, String>) -> Option<&str> {
    let mut users = lists.keys();
    users
        .next()
        .filter(|_| users.next().is_none())
        .map(String::as_str)
}

/// The warning that the image has keys for others, but none for `user`: the account may be missing, or its name mistyped. No error,
/// because a system can get keys while it runs.
fn without_keys(user: &str, lists: &BTreeMap<String, String>) -> Option<String> {
    if lists.is_empty() || lists.contains_key(user) {
        return None;
    }
    let others: Vec<&str> = lists.keys().map(String::as_str).collect();
    let choice = match &others[..] {
        [only] => format!("log in with --user {}", quoted(only)),
        [..] => "choose one of them with --user".to_owned(),
    };
    let others = others.join(", ");
    Some(format!(
        "the image has no SSH key for {user}, only for {others}: {choice}"
    ))
}

#[cfg(test)]
mod tests;
