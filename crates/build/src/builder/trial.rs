//! Tries remote builders before a build relies on them: in a container of the builder's image, on its network, with its ssh
//! and its Nix, but without the store volume.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::text::strip_control;
use sdbuild_core::timeout::finish_within;
use sdbuild_engine::{
    ContainerGuard, ContainerSpec, EngineError, Lines, Network, OutputChunk, Role,
};
use sdbuild_nix::nix_conf::NixSettings;

use crate::builder::Containers;
use crate::builder::upload::WATCHDOG;
use crate::network_access;
use crate::network_access::NetworkAccess;
use crate::remote_builder::RemoteBuilder;
use sdbuild_nix::layout;

/// The program that tries the builders.
const PROGRAM: &str = include_str!("../../../../containers/builder/try-builders");
/// Path of the trial program in the container.
const PATH: &str = "/build/sdbuild/try-builders";
/// Timeout for one builder: the program gives each of its steps 90 seconds.
const TRIAL_TIMEOUT: Duration = Duration::from_mins(10);
/// Lines that are read about one builder.
const MAX_LINES: usize = 500;

/// What remote builders are tried with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrialRun<'a> {
    /// What its container is made of.
    pub containers: Containers<'a>,
    /// The builders, and what it takes to reach them.
    pub access: &'a NetworkAccess,
}

impl TrialRun<'_> {
    /// Connects to each builder and builds a derivation of a few bytes there for each of its systems. The container is removed
    /// before this returns, or is among the leftovers of the failure.
    pub(crate) async fn try_all(&self, cancel: &Cancel) -> Result<Vec<Trial>, Failure> {
        let builders: Vec<RemoteBuilder> = self.access.builders.builders().cloned().collect();
        let spec = self.spec(&builders)?;
        let guard = ContainerGuard::arm(self.containers.engine, &spec.name).grace(0);
        let count = u32::try_from(builders.len()).unwrap_or(u32::MAX);
        let max_lines = MAX_LINES.saturating_mul(builders.len());
        let trial = async |guard: &mut ContainerGuard| {
            let lines = finish_within(TRIAL_TIMEOUT.saturating_mul(count), async {
                let container = guard.create(&spec).await?;
                let files = [
                    (layout::WATCHDOG, WATCHDOG.to_owned()),
                    (PATH, PROGRAM.to_owned()),
                ];
                let (mut lines, mut all) = (Lines::default(), Vec::new());
                let sink = async |chunk| -> ControlFlow<Infallible> {
                    if let OutputChunk::Stdout(bytes) = chunk {
                        all.extend(lines.push(&bytes));
                        all.truncate(max_lines);
                    }
                    ControlFlow::Continue(())
                };
                let access = self.access;
                let ended = self
                    .containers
                    .run_program(&container, files.into(), access, sink);
                let ControlFlow::Continue(_) = ended.await?;
                all.extend(lines.finish());
                Ok::<_, EngineError>(all)
            });
            Ok(lines.await??)
        };
        let lines = guard.run("try the remote builders", cancel, trial).await?;
        Ok(Trial::parse(&builders, &lines))
    }

    fn spec(&self, builders: &[RemoteBuilder]) -> Result<ContainerSpec, Failure> {
        let command = ["/bin/sh", layout::WATCHDOG, "/bin/sh", PATH].map(str::to_owned);
        let words = builders.iter().flat_map(|builder| {
            let login = format!("{}@{}", builder.user, builder.authority());
            let (systems, features) = (builder.systems.join(" "), builder.all_features().join(" "));
            [builder.store(), login, systems, features]
        });
        let nix = NixSettings {
            builders: builders.iter().map(RemoteBuilder::machine).collect(),
            ..NixSettings::default()
        };
        // The last line of a setting counts.
        let config = format!("{}\nmax-jobs = 0", nix.text(None, "/tmp")?);
        let environment = [
            ("NIX_CONFIG", config),
            ("NIX_REMOTE", "local".to_owned()),
            ("NIX_SSHOPTS", network_access::ssh_options()),
            ("HOME", "/tmp".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("SDBUILD_RUN", self.containers.run.to_string()),
        ];
        let command = command.into_iter().chain(words).collect();
        let mut spec = self
            .containers
            .spec(Role::Probe, command, environment, None);
        spec.network = Network::Default;
        self.access.apply_to(&mut spec);
        Ok(spec)
    }
}

/// A remote builder, and what a trial found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// The builder.
    pub builder: RemoteBuilder,
    /// Whether Nix there trusts the account; `None` if it does not say.
    trusted: Option<bool>,
    /// Free bytes of its store; `None` if the account may not ask.
    pub free: Option<u64>,
    /// The systems for which a derivation was built there.
    built: Vec<String>,
    /// The first step that failed, and what Nix and ssh said.
    failed: Option<(String, Vec<String>)>,
}

/// Texts of ssh and Nix for a connection that failed, and what to do about each that they do not say.
const CONNECTION: [(&str, &str); 6] = [
    ("connect to host", UNREACHABLE),
    (
        "Could not resolve hostname",
        "give a DNS name or the IPv4 address. A container does not resolve names from ~/.ssh/config, /etc/hosts and mDNS (.local)",
    ),
    (
        "Host key verification failed",
        "its host key is not the one that you trust: find out why. If it was reinstalled, remove the old key with `ssh-keygen -R`, log in \
         once with ssh, and compare the fingerprint",
    ),
    (
        "Permission denied",
        "add the key's public half to the authorized_keys of the account there: `ssh-copy-id -i FILE USER@HOST`",
    ),
    (
        "not found",
        "ssh uses the PATH of a non-login shell. Give the program's path, as in \
         ssh-ng://USER@HOST?remote-program=/nix/var/nix/profiles/default/bin/nix-daemon",
    ),
    (
        "ould not find executable 'ssh'",
        "the container image of --builder-image has no ssh: omit it, or use an image with OpenSSH's client",
    ),
];
/// What to do about any other one.
const UNREACHABLE: &str = "check that it is on and that its SSH server listens there. The engine's machine connects to it, not this one";

impl Trial {
    /// Reads what the program printed about `builders`, in their order. Untrusted.
    fn parse(builders: &[RemoteBuilder], lines: &[String]) -> Vec<Self> {
        let trials = builders.iter().enumerate();
        let trials = trials.map(|(number, builder)| {
            let mut trial = Self {
                builder: builder.clone(),
                trusted: None,
                free: None,
                built: Vec::new(),
                failed: None,
            };
            let prefix = format!("{number} ");
            let own = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
            own.for_each(|line| trial.add(line));
            trial
        });
        trials.collect()
    }

    fn add(&mut self, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, &mut self.failed) {
            ("trusted", _) if rest != "unknown" => self.trusted = Some(rest == "yes"),
            ("free", _) => self.free = rest.parse().ok().map(|kib: u64| kib.saturating_mul(1024)),
            ("built", _) => self.built.push(rest.to_owned()),
            ("failed", None) => self.failed = Some((rest.to_owned(), Vec::new())),
            ("message", Some((_, messages))) => messages.push(strip_control(rest)),
            _ => {}
        }
    }

    /// Why nothing can be built there; `None` if everything works.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let address = self.builder.address();
        let failed = self.failed.as_ref();
        if let Some((_, messages)) = failed.filter(|(step, _)| step == "connect") {
            return Some(self.not_connected(messages));
        }
        if self.trusted == Some(false) {
            let user = &self.builder.user;
            let text = format!(
                "Nix on {address} does not trust {user}, so it would refuse what the build sends there"
            );
            return Some(
                Failure::environment(text)
                    .hint(format!("on NixOS: nix.settings.trusted-users = [ \"{user}\" ];"))
                    .hint(format!(
                        "elsewhere: `trusted-users = root {user}` in its /etc/nix/nix.conf, then restart nix-daemon"
                    )),
            );
        }
        if let Some((system, messages)) = failed {
            return Some(self.not_built(system, messages));
        }
        let missing = self
            .builder
            .systems
            .iter()
            .find(|system| !self.built.contains(system));
        missing.map(|system| {
            let text = format!(
                "the trial of {address} ended before a derivation for {system} was built there"
            );
            Failure::environment(text).hint("try again; `sdbuild doctor` tries the builders too")
        })
    }

    fn not_connected(&self, messages: &[String]) -> Failure {
        let address = self.builder.address();
        let known = CONNECTION.iter().find_map(|(text, hint)| {
            let message = messages.iter().find(|message| message.contains(text))?;
            Some((message.trim(), *hint))
        });
        let (message, hint) = known.unwrap_or((last(messages), UNREACHABLE));
        Failure::environment(format!("cannot use the builder {address}: {message}")).hint(hint)
    }

    fn not_built(&self, system: &str, messages: &[String]) -> Failure {
        let address = self.builder.address();
        let offered = messages
            .iter()
            .find_map(|message| message.split_once("but I am a "));
        let Some((_, offered)) = offered else {
            let said = last(messages);
            return Failure::environment(format!("{address} cannot build for {system}: {said}"));
        };
        let features = self.builder.all_features().join(", ");
        let with = match features.as_str() {
            "" => String::new(),
            features => format!(" with the features {features}"),
        };
        Failure::environment(format!("{address} does not build for {system}{with}: it is a {offered}"))
            .hint("name what it offers in the second and sixth field of its line")
            .hint("or let it offer more: `extra-platforms` and `system-features` of its Nix; on NixOS, boot.binfmt.emulatedSystems for another architecture")
    }
}

/// The last message that is not empty.
fn last(messages: &[String]) -> &str {
    let message = messages.iter().rfind(|message| !message.trim().is_empty());
    message.map_or("it said nothing", |message| message.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(lines: &[&str]) -> Trial {
        let builder = "ssh-ng://me@pi:2222 aarch64-linux - 1 1 kvm"
            .parse()
            .unwrap();
        let lines: Vec<_> = lines.iter().map(|line| format!("0 {line}")).collect();
        Trial::parse(&[builder], &lines).remove(0)
    }

    fn refused(lines: &[&str]) -> Failure {
        let failure = trial(lines).failure().expect("it cannot be used");
        assert!(!failure.hints.is_empty() || lines.len() < 3, "{failure}");
        failure
    }

    #[test]
    fn a_builder_that_built_works() {
        let works = trial(&["trusted yes", "free 1024", "built aarch64-linux"]);
        assert!(works.failure().is_none());
        assert_eq!(works.free, Some(1 << 20));
        assert!(
            trial(&["trusted unknown", "built aarch64-linux"])
                .failure()
                .is_none()
        );
    }

    #[test]
    fn the_message_of_a_connection_that_failed_is_shown() {
        let refusal = "ssh: connect to host pi port 2222: Connection refused";
        for message in [
            refusal,
            "ssh: Could not resolve hostname pi: Name or service not known",
            "me@pi: Permission denied (publickey).",
            "bash: line 1: nix-daemon: command not found",
        ] {
            let said = format!("message {message}");
            let failure = refused(&[
                "failed connect",
                &said,
                "message error: failed to start SSH connection",
            ]);
            assert!(failure.to_string().ends_with(message), "{failure}");
            assert_eq!(failure.hints == [UNREACHABLE], message == refusal);
        }
        let other = refused(&["failed connect", "message \u{1b}[31;1merror:\u{1b}[0m odd"]);
        assert!(other.to_string().ends_with("2222: error: odd"), "{other}");
    }

    #[test]
    fn a_wrong_system_and_an_account_without_trust_are_reported() {
        let untrusted = refused(&["trusted no", "failed aarch64-linux", "message x"]);
        assert!(
            untrusted.to_string().contains("does not trust me"),
            "{untrusted}"
        );
        let wrong = refused(&[
            "trusted yes",
            "failed aarch64-linux",
            "message error: a 'aarch64-linux' with features {kvm} is required to build 'x', but I am a 'x86_64-linux' with features {}",
        ]);
        let text =
            "for aarch64-linux with the features kvm: it is a 'x86_64-linux' with features {}";
        assert!(wrong.to_string().ends_with(text), "{wrong}");
        let silent = refused(&["trusted yes"]);
        assert!(silent.to_string().contains("ended before"), "{silent}");
    }
}
