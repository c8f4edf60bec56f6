//! What the builder needs to reach the network as the user does: proxies, logins, certificate authorities, and the keys of
//! remote builders.
//!
//! Proxies may have passwords, and logins do. Anyone who may use the engine can read a container's environment and files, also
//! after its end, so these are written to the watchdog's input, which keeps them in a file system in memory.

use std::collections::BTreeSet;
use std::fmt;

use sdbuild_engine::{AttachedInput, ContainerSpec, EngineError, Network};
use sdbuild_nix::layout;

use crate::known_hosts;
use crate::remote_builder::RemoteBuilder;

/// How the builder reaches the network.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct NetworkAccess {
    /// Whether the builder has no network.
    pub offline: bool,
    /// Environment variables that name proxies.
    pub proxies: Vec<(String, String)>,
    /// A file in the format of netrc.
    pub netrc: Option<String>,
    /// Certificates (PEM) of authorities to trust in addition to the container image's.
    pub authorities: Option<Vec<u8>>,
    /// The remote builders, and what it takes to log in there.
    pub builders: SshAccess,
    /// The secret key that signs what is exported to a binary cache.
    pub cache_key: Option<String>,
}

impl NetworkAccess {
    /// No network.
    pub(super) fn none() -> Self {
        Self {
            offline: true,
            ..Self::default()
        }
    }

    /// Adds to the container's specification what it needs to take this in.
    pub(super) fn apply_to(&self, spec: &mut ContainerSpec) {
        spec.network = if self.offline {
            Network::None
        } else {
            Network::Default
        };
        if self.is_secret() {
            let secrets = layout::SECRETS.to_owned();
            spec.tmpfs.push((secrets.clone(), "size=1m".to_owned()));
            spec.environment.push(("SDBUILD_SECRETS".into(), secrets));
        }
        if self.authorities.is_some() {
            let file = layout::AUTHORITIES.to_owned();
            spec.environment.push(("SDBUILD_AUTHORITIES".into(), file));
        }
    }

    /// Writes the secrets to the watchdog, before the first heartbeat.
    pub(super) async fn send(&self, watchdog: &mut AttachedInput) -> Result<(), EngineError> {
        for line in self.lines() {
            watchdog.write_line(&line).await?;
        }
        Ok(())
    }

    /// Whether there is anything that only the builder may see.
    fn is_secret(&self) -> bool {
        !self.proxies.is_empty()
            || self.netrc.is_some()
            || !self.builders.is_empty()
            || self.cache_key.is_some()
    }

    /// What the watchdog reads: the kind of each line, then the line.
    fn lines(&self) -> Vec<String> {
        if !self.is_secret() {
            return Vec::new();
        }
        // A line end in a variable would begin another line.
        let one_line = |text: &str| text.replace(char::is_control, "");
        let proxies = self.proxies.iter();
        let proxies =
            proxies.map(|(name, value)| format!("environment {name}={}", one_line(value)));
        let netrc = self.netrc.iter().flat_map(|text| text.lines());
        let netrc = netrc.map(|line| format!("netrc {line}"));
        let builders = self.builders.lines();
        let key = self.cache_key.iter();
        let key = key.map(|key| format!("file {} {}", layout::CACHE_KEY, one_line(key)));
        let all = proxies.chain(netrc).chain(builders).chain(key);
        all.chain(["end".to_owned()]).collect()
    }
}

impl fmt::Debug for NetworkAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkAccess")
    }
}

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
pub(crate) struct BuilderLogin {
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
pub(crate) struct SshAccess {
    logins: Vec<BuilderLogin>,
}

impl SshAccess {
    /// The logins in the order of the builders.
    pub(crate) fn new(logins: Vec<BuilderLogin>) -> Self {
        Self { logins }
    }

    /// The builders.
    pub(crate) fn builders(&self) -> impl Iterator<Item = &RemoteBuilder> {
        self.logins.iter().map(|login| &login.builder)
    }

    /// Whether there are no logins.
    pub(super) fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// What the watchdog writes to files: `file NAME LINE`.
    fn lines(&self) -> Vec<String> {
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
pub(super) fn ssh_options() -> String {
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
    use sdbuild_engine::{Role, RunId};

    use super::*;

    fn spec(access: &NetworkAccess) -> ContainerSpec {
        let run: RunId = "0123456789ab".parse().unwrap();
        let mut spec = ContainerSpec::new(Role::Builder, &run, "image", vec!["/bin/sh".into()]);
        access.apply_to(&mut spec);
        spec
    }

    #[test]
    fn nothing_is_sent_without_secrets() {
        let access = NetworkAccess {
            authorities: Some(b"pem".to_vec()),
            ..NetworkAccess::default()
        };
        assert!(access.lines().is_empty());
        let spec = spec(&access);
        assert!(spec.tmpfs.is_empty());
        let authorities = ("SDBUILD_AUTHORITIES".into(), layout::AUTHORITIES.into());
        assert_eq!(spec.environment, [authorities]);
    }

    #[test]
    fn builder_has_a_network_unless_there_is_to_be_none() {
        let network = |offline| {
            let access = NetworkAccess {
                offline,
                ..NetworkAccess::default()
            };
            spec(&access).network
        };
        assert_eq!(network(false), Network::Default);
        assert_eq!(network(true), Network::None);
    }

    #[test]
    fn secrets_are_not_in_the_container_but_its_input() {
        let access = NetworkAccess {
            proxies: vec![("http_proxy".into(), "http://me:secret@p:1\nend".into())],
            netrc: Some("machine c\n  login me password hidden\n".into()),
            cache_key: Some("k-1:hidden".into()),
            ..NetworkAccess::default()
        };
        assert_eq!(
            access.lines(),
            [
                "environment http_proxy=http://me:secret@p:1end",
                "netrc machine c",
                "netrc   login me password hidden",
                "file cache-key k-1:hidden",
                "end"
            ]
        );
        let spec = spec(&access);
        assert_eq!(spec.tmpfs, [("/run/sdbuild".into(), "size=1m".into())]);
        let shown = format!("{spec:?}{access:?}");
        assert!(
            !shown.contains("secret@") && !shown.contains("hidden"),
            "{shown}"
        );
    }

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
