//! `ssh` to a machine of which the host key is known beforehand.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::endpoint::{Endpoint, SshTarget};
use crate::labels::SSH_DIR_PREFIX;
use crate::ssh_machine::SshMachine;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::timeout;

/// With a host key that is expected: only that one counts, whatever the user's configuration says but for `KnownHostsCommand`, which
/// releases of ssh before 8.5 do not know, and a message has the fingerprint of another one. The file of known hosts has the key
/// under a name of its own.
const PINNED_OPTIONS: [&str; 7] = [
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/dev/null",
    "VerifyHostKeyDNS=no",
    "FingerprintHash=sha256",
    "LogLevel=INFO",
];
/// The name of the host in that file.
pub(super) const PINNED_NAME: &str = "sdbuild-machine";
/// With a key that was made for the machine: no other one is offered, and nothing is asked.
const IDENTITY_OPTIONS: [&str; 3] = ["IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes"];
/// For a single command: a connection without a response ends, and nothing else comes with it.
const ONCE_OPTIONS: [&str; 8] = [
    "ConnectTimeout=20",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RemoteCommand=none",
];

/// Keeps secrets from `command`, an `ssh` to `target` that has a login key of its own: the machine was made for this run, and the user's
/// configuration must not send them there. For others a program of that configuration may need them, for instance to connect through AWS.
pub(super) fn without_secrets(command: &mut Command, target: &SshTarget) {
    if target.identity.is_none() {
        return;
    }
    for secret in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(secret);
    }
}

/// The options with which `ssh` accepts only the host key of `target`, which is written to a file in `dir`, and logs in with its key
/// only; none without such keys.
pub(super) fn options(target: &SshTarget, dir: &Path) -> io::Result<Vec<String>> {
    let mut options: Vec<String> = Vec::new();
    if let Some(key) = &target.host_key {
        let known_hosts = dir.join("known_hosts");
        fs::write(&known_hosts, format!("{PINNED_NAME} {key}\n"))?;
        options.extend(PINNED_OPTIONS.map(str::to_owned));
        options.push(format!("HostKeyAlias={PINNED_NAME}"));
        options.push(format!("UserKnownHostsFile=\"{}\"", known_hosts.display()));
        options.push(format!("HostKeyAlgorithms={}", algorithms(key)));
    }
    if let Some(identity) = &target.identity {
        options.extend(IDENTITY_OPTIONS.map(str::to_owned));
        options.push(format!("IdentityFile=\"{}\"", identity.display()));
    }
    let words = options.into_iter();
    Ok(words.flat_map(|option| ["-o".to_owned(), option]).collect())
}

/// Runs the fixed command `words` on `machine`, with `variable` in the environment of `ssh` here, for at most `limit`.
pub async fn run_by_ssh(
    machine: &SshMachine,
    words: &'static str,
    variable: (&str, &str),
    limit: Duration,
) -> Result<(), Failure> {
    let operation = format!("run a command on {}", machine.place);
    let Some(Endpoint::Ssh(target)) = Endpoint::by_ssh(machine) else {
        return Err(Failure::environment("it is not an SSH address").context(operation));
    };
    let dir = tempfile::Builder::new().prefix(SSH_DIR_PREFIX).tempdir();
    let dir = dir.or_environment(&operation)?;
    let mut command = Command::new("ssh");
    without_secrets(&mut command, &target);
    command.arg("-T");
    for option in ONCE_OPTIONS {
        command.args(["-o", option]);
    }
    command
        .args(options(&target, dir.path()).or_environment(&operation)?)
        .args(["--", &target.destination, words])
        .env(variable.0, variable.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = timeout(limit, command.output()).await;
    let late = || Failure::environment(format!("it has not ended after {} s", limit.as_secs()));
    let output = output.ok_or_else(|| late().context(&operation))?;
    let output = output.or_environment(&operation)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let why = last
        .unwrap_or("it failed without a message")
        .trim()
        .to_owned();
    Err(Failure::environment(why).context(operation))
}

/// The signature algorithms of a host key, which begins with its type.
fn algorithms(key: &str) -> &str {
    match key.split(' ').next().unwrap_or_default() {
        "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_of_the_machine_count() {
        assert_eq!(algorithms("ssh-rsa AAAA"), "rsa-sha2-512,rsa-sha2-256");
        assert_eq!(algorithms("ssh-ed25519 AAAA"), "ssh-ed25519");
        let dir = tempfile::tempdir().unwrap();
        let machine = |identity: Option<&str>| SshMachine {
            place: "me@pi".to_owned(),
            host_key: "ssh-ed25519 AAAA".to_owned(),
            identity: identity.map(Into::into),
        };
        let options = |identity| {
            let Some(Endpoint::Ssh(target)) = Endpoint::by_ssh(&machine(identity)) else {
                panic!("refused")
            };
            super::options(&target, dir.path()).unwrap()
        };
        let pinned = options(None);
        assert!(pinned.contains(&"StrictHostKeyChecking=yes".to_owned()));
        assert!(!pinned.iter().any(|option| option.contains("Identit")));
        let text = fs::read_to_string(dir.path().join("known_hosts")).unwrap();
        assert_eq!(text, "sdbuild-machine ssh-ed25519 AAAA\n");
        let own = options(Some("/k/a b"));
        assert!(own.contains(&"IdentitiesOnly=yes".to_owned()), "{own:?}");
        assert_eq!(own.last().unwrap(), "IdentityFile=\"/k/a b\"");
    }
}
