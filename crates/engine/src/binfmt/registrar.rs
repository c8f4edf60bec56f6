//! The registrar: a container whose agent may write to the kernel's table of handlers.

use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, Leftover};
use sdbuild_core::system::Architecture;
use sdbuild_core::timeout::timeout;

use crate::binfmt::agent::{AgentConnection, Reply};
use crate::binfmt::refused::Refused;
use crate::binfmt::registration::{Entry, Owner, Registration, TABLE_DIR, classify};
use crate::{
    Bind, ContainerGuard, ContainerSpec, Engine, EngineAddress, EngineError, Input, Role, RunId,
};

/// Where the agent finds the table: `AppArmor` would forbid it to write below `/proc/sys`.
const TABLE_IN_CONTAINER: &str = "/binfmt_misc";
/// From the start of the container to the agent's first line, on a busy engine.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// The registrar's container image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarImage {
    pub reference: String,
    pub emulates: Architecture,
}

impl RegistrarImage {
    /// The image `reference` for machines of the architecture `host`.
    pub fn new(reference: String, host: Architecture) -> Self {
        let emulates = host.emulates();
        Self {
            reference,
            emulates,
        }
    }
}

#[derive(Clone, Debug)]
pub struct RegistrarOptions {
    /// The engine whose host's table it writes to.
    pub engine: Engine,
    pub image: RegistrarImage,
    pub run: RunId,
    /// The directory of the table on the engine's host, [`TABLE_DIR`] except in tests.
    pub binfmt_dir: String,
    pub(super) privileged: bool,
}

impl RegistrarOptions {
    /// Options for the registrar of `run` on the host of `engine`.
    pub fn new(engine: &Engine, image: &RegistrarImage, run: &RunId) -> Self {
        Self {
            engine: engine.clone(),
            image: image.clone(),
            run: run.clone(),
            binfmt_dir: TABLE_DIR.to_owned(),
            privileged: false,
        }
    }

    /// No capability, no network, and nothing writable but the table. The privileged registrar mounts the table itself,
    /// on hosts where it is not mounted.
    fn spec(&self) -> ContainerSpec {
        let command = ["/bin/busybox", "sh", "/sdbuild/binfmt-agent"]
            .map(str::to_owned)
            .to_vec();
        let spec = ContainerSpec::new(Role::Registrar, &self.run, &self.image.reference, command);
        let mut environment = Registration::of(self.image.emulates).environment();
        let table = Bind {
            source: self.binfmt_dir.clone(),
            target: TABLE_IN_CONTAINER.to_owned(),
            read_only: false,
        };
        let (binds, tmpfs) = if self.privileged {
            environment.push(("SDBUILD_MOUNT".to_owned(), "yes".to_owned()));
            // The root is read-only: this makes the mount point.
            let mount_point = (TABLE_IN_CONTAINER.to_owned(), "size=4k".to_owned());
            (Vec::new(), vec![mount_point])
        } else {
            (vec![table], Vec::new())
        };
        ContainerSpec {
            environment,
            binds,
            tmpfs,
            privileged: self.privileged,
            user: Some("0:0".to_owned()),
            input: Input::Pipe,
            read_only: true,
            ..spec
        }
    }
}

/// A started registrar that holds no handler yet. It ends with its standard input: when this is dropped or this process
/// dies.
#[derive(Debug)]
#[must_use = "hold a handler with it, or release it"]
pub struct Registrar {
    pub(super) options: RegistrarOptions,
    pub(super) guard: ContainerGuard,
    pub(super) agent: AgentConnection,
    pub(super) events: Events,
}

impl Registrar {
    /// Starts a registrar. Where the table is not mounted, starts a privileged one that mounts it, with a warning.
    pub async fn start(
        options: RegistrarOptions,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Refused> {
        match Self::launch(options.clone(), cancel, events).await {
            Err(StartError::Unmounted(why, leftover)) => {
                events.warn(
                    "binfmt_misc is not mounted on the engine's host, so a privileged container mounts it for this run",
                );
                let privileged = RegistrarOptions {
                    privileged: true,
                    ..options
                };
                let address = privileged.engine.address();
                let started = Self::launch(privileged, cancel, events).await;
                started.map_err(|error| unmounted(error, &why, &address).with_teardown(leftover))
            }
            started => started.map_err(StartError::into_refused),
        }
    }

    /// Starts a registrar that only reads, and never a privileged one. `None` where the table is not mounted: it has no
    /// entries then, because they are removed with its last mount.
    pub async fn look(
        options: RegistrarOptions,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Option<Self>, Failure> {
        match Self::launch(options, cancel, events).await {
            Ok(registrar) => Ok(Some(registrar)),
            Err(StartError::Unmounted(_, leftovers)) if leftovers.is_empty() => Ok(None),
            Err(error) => Err(error.into_failure()),
        }
    }

    async fn launch(
        options: RegistrarOptions,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, StartError> {
        let name = Role::Registrar.container_name(&options.run);
        let mut guard = ContainerGuard::arm(&options.engine, name);
        let connected = cancel
            .race(Box::pin(connect(&mut guard, &options)))
            .await
            .map_err(StartError::from);
        match connected.flatten() {
            Ok(agent) => Ok(Self {
                options,
                guard,
                agent,
                events: events.clone(),
            }),
            Err(error) => Err(error.with_leftover(guard.release(cancel).await)),
        }
    }

    pub async fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        self.agent.list().await
    }

    /// Removes an entry of sdbuild's that a stale run left behind. Fails for any other entry.
    pub async fn remove(&mut self, entry: &Entry) -> Result<(), Failure> {
        match classify(entry) {
            Owner::Ours(_) => self.agent.remove(&entry.name).await,
            Owner::Foreign => Err(Failure::environment(format!(
                "remove the binfmt_misc entry {}: it is not sdbuild's",
                entry.name
            ))),
        }
    }

    /// Stops and removes a registrar that holds nothing.
    pub async fn release(self, cancel: &Cancel) -> Vec<Leftover> {
        drop(self.agent);
        self.guard.release(cancel).await.into_iter().collect()
    }
}

#[derive(Debug)]
pub(super) enum StartError {
    /// The table is not mounted, for this reason; with what could not be removed.
    Unmounted(String, Vec<Leftover>),
    Failed(Refused),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}

impl StartError {
    fn with_leftover(self, leftover: Option<Leftover>) -> Self {
        match self {
            Self::Unmounted(why, leftovers) => {
                Self::Unmounted(why, leftovers.into_iter().chain(leftover).collect())
            }
            Self::Failed(refused) => {
                Self::Failed(refused.with_teardown(leftover.into_iter().collect()))
            }
        }
    }

    fn into_refused(self) -> Refused {
        match self {
            Self::Failed(refused) => refused,
            Self::Unmounted(why, leftovers) => {
                let text = format!("binfmt_misc is not mounted on the engine's host: {why}");
                Refused::next_mode(Failure::environment(text)).with_teardown(leftovers)
            }
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        self.into_refused().failure
    }
}

/// Creates, attaches and starts the container, and waits until the agent is ready. The caller's guard removes it.
pub(super) async fn connect(
    guard: &mut ContainerGuard,
    options: &RegistrarOptions,
) -> Result<AgentConnection, StartError> {
    let refused = |error: Refused| {
        StartError::Failed(
            error.map(|failure| failure.context("start the container that registers QEMU")),
        )
    };
    let failed = |failure: Failure| refused(failure.into());
    let privileged = options.privileged;
    let container = match guard.create(&options.spec()).await {
        Ok(container) => container,
        // Kernels without the module do not have the directory.
        Err(error)
            if error
                .to_string()
                .contains("bind source path does not exist") =>
        {
            return Err(StartError::Unmounted(error.to_string(), Vec::new()));
        }
        Err(error) => return Err(refused(explain_refusal(error, privileged))),
    };
    let mut agent = AgentConnection::new(container.attach().await.map_err(|e| failed(e.into()))?);
    let started = container.start().await;
    started.map_err(|error| refused(explain_refusal(error, privileged)))?;
    match timeout(READY_TIMEOUT, agent.recv()).await {
        Some(Some(Reply::Ready)) => Ok(agent),
        Some(Some(Reply::Unmounted(why))) => Err(StartError::Unmounted(why, Vec::new())),
        Some(Some(other)) => Err(failed(Failure::environment(format!(
            "unexpected reply {other:?}"
        )))),
        Some(None) => Err(failed(agent.unexpected_end())),
        None => Err(failed(Failure::environment("no reply within a minute"))),
    }
}

/// The failure for an engine that does not create or start the container. The next mode of emulation is worth a try when
/// the engine refuses what only the registrar has: the table, or all privileges.
fn explain_refusal(error: EngineError, privileged: bool) -> Refused {
    let message = error.refusal().unwrap_or_default();
    let concerns_registrar_only = if privileged {
        error.is_forbidden() || message.contains("privileged")
    } else {
        let refused = error.is_forbidden() || message.contains("no such file");
        refused && message.contains("binfmt_misc") || message.contains("mounts denied")
    };
    let failure = Failure::from(error);
    if concerns_registrar_only {
        Refused::next_mode(failure)
    } else {
        Refused::from(failure)
    }
}

/// The failure for a table that is not mounted and that a privileged registrar could not mount either. `reason` is why
/// the unprivileged one did not find it.
fn unmounted(error: StartError, reason: &str, address: &EngineAddress) -> Refused {
    let refused = error.into_refused();
    if refused.failure.class == Class::Interrupted {
        return refused;
    }
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    let consequence =
        format!("binfmt_misc is not mounted on the engine's host{reason}, and mounting it failed");
    refused
        .map(|failure| failure.consequence(consequence))
        .hint(format!(
            "mount it with: {}",
            address.as_root(&format!("mount -t binfmt_misc binfmt_misc {TABLE_DIR}"))
        ))
}

#[cfg(test)]
mod tests;
