//! What Nix in the builder needs to log in to remote builders: private keys, host keys, and the configuration of ssh.
//!
//! All of it is written to the watchdog's input, as the other secrets are, and lies in a file system in memory. ssh reads
//! nothing else: no key of another user, no agent, no list of host keys that anybody could add to.

use std::collections::BTreeSet;
use std::fmt;

use crate::common::known_hosts;
use crate::common::remote_builder::RemoteBuilder;
use sdbuild_nix::layout;

/// The settings of ssh for every remote builder. A server that stays silent for a minute is gone: Nix itself waits for ever.
const FOR_ALL: &str = "\
Host *
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  BatchMode yes
  StrictHostKeyChecking yes
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  ConnectTimeout 20
  ServerAliveInterval 15
  ServerAliveCountMax 4
";

/// A remote builder with what it takes to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct BuilderLogin {
    /// The builder.
    pub builder: RemoteBuilder,
    /// The text of the private key.
    pub key: String,
    /// Type and key of its server: those that are accepted, at least one.
    pub host_keys: Vec<String>,
}

impl fmt::Debug for BuilderLogin {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.builder.address())
    }
}

/// The logins of a run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SshAccess {
    logins: Vec<BuilderLogin>,
}

impl SshAccess {
    /// The logins in the order of the builders.
    pub fn new(logins: Vec<BuilderLogin>) -> Self {
        Self { logins }
    }

    /// The builders.
    pub fn builders(&self) -> impl Iterator<Item = &RemoteBuilder> {
        self.logins.iter().map(|login| &login.builder)
    }

    /// Whether there are no logins.
    pub(super) fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// What the watchdog writes to files: `file NAME LINE`.
    pub(super) fn lines(&self) -> Vec<String> {
        let files = self.files().into_iter();
        let lines = files.flat_map(|(name, text)| {
            let lines = text.lines().map(|line| format!("file {name} {line}"));
            lines.collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// Name and text of each file.
    fn files(&self) -> Vec<(String, String)> {
        if self.is_empty() {
            return Vec::new();
        }
        let (mut config, mut keys, mut hosts) = (String::new(), Vec::new(), BTreeSet::new());
        for login in &self.logins {
            let number = keys.iter().position(|key| *key == &login.key);
            let number = number.unwrap_or_else(|| {
                keys.push(&login.key);
                keys.len() - 1
            });
            config.push_str(&host_block(&login.builder, &key_name(number)));
            let name = known_hosts::name(&login.builder.host, login.builder.port);
            hosts.extend(login.host_keys.iter().map(|key| format!("{name} {key}\n")));
        }
        let listed = layout::secret(KNOWN_HOSTS);
        config = format!("{config}{FOR_ALL}  UserKnownHostsFile {listed}\n");
        let keys = keys.into_iter().enumerate();
        let keys = keys.map(|(number, text)| (key_name(number), text.replace('\r', "")));
        let others = [
            (CONFIG.to_owned(), config),
            (KNOWN_HOSTS.to_owned(), hosts.into_iter().collect()),
        ];
        keys.chain(others).collect()
    }
}

/// The names of the files.
const CONFIG: &str = "ssh_config";
const KNOWN_HOSTS: &str = "known_hosts";

fn key_name(number: usize) -> String {
    format!("builder-key-{number}")
}

/// The options of ssh with which Nix uses these files.
pub(super) fn options() -> String {
    format!("-F {}", layout::secret(CONFIG))
}

/// The settings of one builder. Until version 2.31 Nix gives ssh the whole of `HOST:PORT` as the host's name.
fn host_block(builder: &RemoteBuilder, key: &str) -> String {
    let (host, user) = (&builder.host, &builder.user);
    let (names, port) = match builder.port {
        Some(port) => (format!("{host}:{port},{host}"), format!("  Port {port}\n")),
        None => (host.clone(), String::new()),
    };
    let key = layout::secret(key);
    format!(
        "Match originalhost {names} user {user}\n  HostName {host}\n{port}  IdentityFile {key}\n"
    )
}

impl fmt::Debug for SshAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.logins).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(line: &str, key: &str) -> BuilderLogin {
        BuilderLogin {
            builder: line.parse().unwrap(),
            key: format!("{key}\nsecret\n"),
            host_keys: vec!["ssh-ed25519 AAAA".into()],
        }
    }

    #[test]
    fn ssh_gets_the_key_and_the_host_key_of_each_builder() {
        let access = SshAccess::new(vec![
            login("ssh-ng://root@pi aarch64-linux", "one"),
            login("ssh-ng://me@rock:2222 aarch64-linux", "two"),
            login("ssh-ng://me@third aarch64-linux", "one"),
        ]);
        let files = access.files();
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "builder-key-0",
                "builder-key-1",
                "ssh_config",
                "known_hosts"
            ]
        );
        let config = &files[2].1;
        let rock = "Match originalhost rock:2222,rock user me\n  HostName rock\n  Port 2222\n  IdentityFile /run/sdbuild/builder-key-1\n";
        assert!(config.contains(rock), "{config}");
        let third = "Match originalhost third user me\n  HostName third\n  IdentityFile /run/sdbuild/builder-key-0\n";
        assert!(config.contains(third), "{config}");
        assert!(config.ends_with("  UserKnownHostsFile /run/sdbuild/known_hosts\n"));
        let hosts = "[rock]:2222 ssh-ed25519 AAAA\npi ssh-ed25519 AAAA\nthird ssh-ed25519 AAAA\n";
        assert_eq!(files[3].1, hosts);
        assert_eq!(
            access.lines()[..2],
            ["file builder-key-0 one", "file builder-key-0 secret"]
        );
        assert!(!format!("{access:?}").contains("secret"));
        assert!(SshAccess::default().lines().is_empty());
    }
}
