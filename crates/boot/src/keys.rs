//! Who logs in, with which private keys, and what keeps ssh from using one: reported before anything boots, because afterwards it looks as if the image refused the key.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::request::BootRequest;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::program::find_program;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::ssh_key::{self, contains_key, key_of};
use sdbuild_image::seed::Seed;
use sdbuild_image::{InstalledSystem, MAX_KEY_LIST_BYTES};

/// Bytes that are read of a key file.
pub(super) const MAX_KEY_BYTES: u64 = 64 << 10;
/// How long `ssh-add` may take: it waits for as long as the agent is silent, such as one that was forwarded here over a connection that is
/// lost.
const AGENT_TIMEOUT: Duration = Duration::from_secs(3);
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
    let (shown, word) = (key.display(), quoted(&key.to_string_lossy()));
    let operation = || format!("read the SSH key {shown}");
    let text = plain_file::read(key, MAX_KEY_BYTES).or_usage(operation())?;
    let text = String::from_utf8_lossy(&text);
    if !ssh_key::is_private(&text) {
        let text = format!("{shown} is not a private SSH key");
        return Err(Failure::usage(text).hint(
            "give the private key, such as ~/.ssh/id_ed25519, which is the file without .pub",
        ));
    }
    let found = key.metadata().or_usage(operation())?;
    if found.uid() == geteuid().as_raw() && found.mode() & 0o077 != 0 {
        let text = format!("other users can read the private key {shown}, so ssh does not use it");
        return Err(Failure::usage(text).hint(format!("make it private: chmod 600 {word}")));
    }
    if ssh_key::has_passphrase(&text) && !agent_has(key, path) {
        let text =
            format!("the private key {shown} has a passphrase, and ssh-agent does not have it");
        return Err(Failure::usage(text)
            .hint(format!(
                "add it to the agent, which asks for the passphrase once: ssh-add {word}"
            ))
            .hint("without an agent in this shell, start one first: eval \"$(ssh-agent)\""));
    }
    Ok(())
}

/// Whether ssh-agent has the key in this file, which may be either half.
fn agent_has(key: &Path, path: &OsStr) -> bool {
    let fingerprint = public_half(key).map(|public| ssh_key::fingerprint(&public));
    let listed = || keys_of_agent(path);
    fingerprint.is_some_and(|one| listed().is_some_and(|listed| listed.contains(&one)))
}

/// The public half, in Base64, of the key in the file `key`, which may be either half: in it, or in the file beside it.
fn public_half(key: &Path) -> Option<String> {
    let read = |file: &Path| plain_file::read_text(file, MAX_KEY_BYTES).unwrap_or_default();
    let mut beside = key.as_os_str().to_owned();
    beside.push(".pub");
    let text = read(key);
    let own = key_of(&text)
        .map(str::to_owned)
        .or_else(|| ssh_key::public_half(&text));
    own.or_else(|| key_of(&read(Path::new(&beside))).map(str::to_owned))
}

/// What `ssh-add -l` lists; `None` if it is not installed, does not start, or does not end within [`AGENT_TIMEOUT`].
fn keys_of_agent(path: &OsStr) -> Option<String> {
    let mut command = Command::new(find_program("ssh-add", path)?);
    command.arg("-l").stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let child = child.ok()?;
    let id = Pid::from_raw(child.id().try_into().ok()?);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(AGENT_TIMEOUT) else {
        kill(id, Signal::SIGKILL).ok();
        return None;
    };
    Some(String::from_utf8_lossy(&output.ok()?.stdout).into_owned())
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
pub(super) fn is_accepted(key: &Path, accepted: &str) -> Option<bool> {
    if accepted.contains("cert-authority") {
        return None;
    }
    let public = public_half(key)?;
    let mut accepted = accepted.lines().filter_map(key_of);
    Some(accepted.any(|one| one == public))
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
        if is_accepted(key, &accepted) == Some(false) {
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
        let (dir, path) = (home.join(".ssh"), request.path.clone());
        let look = tokio::task::spawn_blocking(move || keys_for(&accepted.join("\n"), &dir, &path));
        let looked = context.cancel.race(look).await?;
        *keys = looked.or_internal("look for your keys")??;
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
