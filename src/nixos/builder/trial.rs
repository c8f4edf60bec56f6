//! Tries remote builders before a build relies on them: in a container of the builder's image, on its network, with its ssh
//! and its Nix, but without the store volume.

use std::io::Write;
use std::time::Duration;

use super::BuilderImage;
use super::upload::{self, WATCHDOG};
use crate::common::remote_builder::RemoteBuilder;
use crate::nixos::layout;
use crate::nixos::network_access;
use crate::nixos::network_access::NetworkAccess;
use crate::nixos::remote_trial::Trial;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::timeout::finish_within;
use sdbuild_engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Drained, Engine, EngineError, Heartbeat,
    Input, Lines, Network, OutputChunk, Role, RunId,
};
use sdbuild_nix::nix_conf::NixSettings;

/// The program that tries the builders.
const PROGRAM: &str = include_str!("../../../containers/builder/try-builders");
/// Path of the trial program in the container.
const PATH: &str = "/build/sdbuild/try-builders";
/// Timeout for one builder: the program gives each of its steps 90 seconds.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(600);
/// Lines that are read about one builder.
const MAX_LINES: usize = 500;

/// What remote builders are tried with.
#[derive(Clone, Copy, Debug)]
pub struct TrialRun<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run that the container belongs to.
    pub run: &'a RunId,
    /// The builder's image, which the engine holds.
    pub image: &'a BuilderImage,
    /// The builders, and what it takes to reach them.
    pub access: &'a NetworkAccess,
}

impl TrialRun<'_> {
    /// Connects to each builder and builds a derivation of a few bytes there for each of its systems. The container is removed
    /// before this returns, or is among the leftovers of the failure.
    pub async fn try_all(&self, cancel: &Cancel) -> Result<Vec<Trial>, Failure> {
        let builders: Vec<RemoteBuilder> = self.access.builders.builders().cloned().collect();
        let spec = self.spec(&builders)?;
        let guard = ContainerGuard::arm(self.engine, &spec.name).grace(0);
        let limit = TRIAL_TIMEOUT.saturating_mul(u32::try_from(builders.len()).unwrap_or(u32::MAX));
        let lines = async |guard: &mut ContainerGuard| {
            let lines = finish_within(limit, self.lines(guard, &spec, builders.len()));
            Ok(lines.await??)
        };
        let lines = guard.run("try the remote builders", cancel, lines).await?;
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
            ("SDBUILD_RUN", self.run.to_string()),
        ];
        let mut spec = ContainerSpec {
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            user: Some(self.image.user.clone()),
            working_dir: Some("/".to_owned()),
            input: Input::Pipe,
            network: Network::Default,
            ..ContainerSpec::new(
                Role::Probe,
                self.run,
                &self.image.reference,
                command.into_iter().chain(words).collect(),
            )
        };
        self.access.apply_to(&mut spec);
        Ok(spec)
    }

    /// Lines that the trial program prints.
    async fn lines(
        &self,
        guard: &mut ContainerGuard,
        spec: &ContainerSpec,
        builders: usize,
    ) -> Result<Vec<String>, EngineError> {
        let container = guard.create(spec).await?;
        self.upload(&container).await?;
        let Attached { mut input, output } = container.attach().await?;
        container.start().await?;
        self.access.send(&mut input).await?;
        let _heartbeat = Heartbeat::default().keep_alive(input);
        let mut drain = container.drain(output);
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        loop {
            match drain.next().await? {
                Drained::Chunk(OutputChunk::Stdout(bytes)) => {
                    all.extend(lines.push(&bytes));
                    all.truncate(MAX_LINES.saturating_mul(builders));
                }
                Drained::Chunk(OutputChunk::Stderr(_)) => {}
                Drained::End {
                    incomplete: Some(error),
                    ..
                } => return Err(error),
                Drained::End { .. } => {
                    all.extend(lines.finish());
                    return Ok(all);
                }
            }
        }
    }

    async fn upload(&self, container: &Container) -> Result<(), EngineError> {
        let owner = self.image.owner;
        let authorities = self.access.authorities.clone();
        let pack = move |out: &mut dyn Write| {
            let files = [(layout::WATCHDOG, WATCHDOG), (PATH, PROGRAM)];
            upload::pack(out, owner, &files, authorities.as_deref())
        };
        container.upload("/", pack).await
    }
}
