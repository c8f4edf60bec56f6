//! What the builder needs to reach the network as the user does: proxies, logins, certificate authorities, and the keys of
//! remote builders.
//!
//! Proxies may have passwords, and logins do. Anyone who may use the engine can read a container's environment and files, also
//! after its end, so these are written to the watchdog's input, which keeps them in a file system in memory.

use std::fmt;

use super::ssh_access::SshAccess;
use sdbuild_engine::{AttachedInput, ContainerSpec, EngineError, Network};
use sdbuild_nix::layout;

/// How the builder reaches the network.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NetworkAccess {
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

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_engine::{Role, RunId};

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
}
