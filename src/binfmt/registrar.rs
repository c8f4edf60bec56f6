//! The registrar: a container that may write to the table of handlers, and its leash.

use std::time::Duration;

use crate::binfmt::agent::{AgentConnection, Reply};
use crate::binfmt::lease::Lease;
use crate::binfmt::registration::{self, HandlerName};
use crate::binfmt::status::{Entry, Owner, classify};
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, Leftover};
use crate::common::timeout::timeout;
use crate::engine::{
    Bind, ContainerGuard, ContainerSpec, Engine, EngineAddress, EngineError, Input, Role, RunId,
};

/// Where the table is mounted on every Linux.
const TABLE: &str = "/proc/sys/fs/binfmt_misc";
/// Where the agent looks for it: below `/proc/sys` `AppArmor` would keep it from writing.
const INSIDE: &str = "/binfmt_misc";
/// From the start of the container to its first word; a busy engine takes its time.
const READY: Duration = Duration::from_secs(60);

/// The registrar's container image, as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarImage {
    /// Reference or id.
    pub reference: String,
}

/// What a registrar is started with.
#[derive(Clone, Debug)]
pub struct RegistrarOptions {
    /// On whose host.
    pub engine: Engine,
    /// From what.
    pub image: RegistrarImage,
    /// For whom.
    pub run: RunId,
    /// The directory of the table on the engine's host. Only tests have another one.
    pub binfmt_dir: String,
    pub(super) privileged: bool,
}

impl RegistrarOptions {
    /// For `run` on the host of `engine`.
    pub fn new(engine: &Engine, image: &RegistrarImage, run: &RunId) -> Self {
        Self {
            engine: engine.clone(),
            image: image.clone(),
            run: run.clone(),
            binfmt_dir: TABLE.to_owned(),
            privileged: false,
        }
    }

    /// Least privilege: no capability, no network, nothing to write to but the table itself. The
    /// privileged one mounts the table on its own, for hosts that have not.
    fn spec(&self) -> ContainerSpec {
        let command = ["/bin/busybox", "sh", "/sdbuild/binfmt-agent"]
            .map(str::to_owned)
            .to_vec();
        let spec = ContainerSpec::new(Role::Registrar, &self.run, &self.image.reference, command);
        let mut environment = registration::environment();
        let table = Bind {
            source: self.binfmt_dir.clone(),
            target: INSIDE.to_owned(),
            read_only: false,
        };
        let (binds, tmpfs) = if self.privileged {
            environment.push(("SDBUILD_MOUNT".to_owned(), "yes".to_owned()));
            // Only for its mount point.
            (Vec::new(), vec![(INSIDE.to_owned(), "size=4k".to_owned())])
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

/// A started registrar on its leash, holding nothing yet.
#[derive(Debug)]
#[must_use = "hold a handler with it, or release it"]
pub struct Registrar {
    pub(super) options: RegistrarOptions,
    pub(super) guard: ContainerGuard,
    pub(super) wire: AgentConnection,
    pub(super) events: Events,
}

impl Registrar {
    /// Starts one. Where the table is not mounted a privileged one is tried, and said so.
    pub async fn start(
        options: RegistrarOptions,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Self, Failure> {
        match Self::launch(options.clone(), cancel, events).await {
            Err(StartError::Unmounted(why, leftover)) => {
                events.warn(
                    "binfmt_misc is not mounted on the engine's host: a privileged container mounts it \
                     for the time of this run",
                );
                let privileged = RegistrarOptions {
                    privileged: true,
                    ..options
                };
                let place = privileged.engine.address();
                let again = Self::launch(privileged, cancel, events).await;
                again.map_err(|refusal| unmounted(refusal, &why, &place).with_teardown(leftover))
            }
            other => other.map_err(StartError::into_failure),
        }
    }

    /// Starts one to look with, never a privileged one. `None` where the table is not mounted: then it has
    /// no entries, for they go with its last mount.
    pub async fn look(
        options: RegistrarOptions,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Option<Self>, Failure> {
        match Self::launch(options, cancel, events).await {
            Ok(registrar) => Ok(Some(registrar)),
            Err(StartError::Unmounted(_, left)) if left.is_empty() => Ok(None),
            Err(refusal) => Err(refusal.into_failure()),
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
            .map_err(StartError::Failed);
        match connected.and_then(|inner| inner) {
            Ok(wire) => Ok(Self {
                options,
                guard,
                wire,
                events: events.clone(),
            }),
            Err(refusal) => Err(refusal.and_left(guard.release(cancel).await)),
        }
    }

    /// Every entry of the table.
    pub async fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        self.wire.list().await
    }

    /// Removes an entry of ours that a dead run left behind. Refuses any other.
    pub async fn remove(&mut self, entry: &Entry) -> Result<(), Failure> {
        match classify(entry) {
            Owner::Ours(_) => self.wire.remove(&entry.name).await,
            Owner::Foreign => Err(Failure::environment(format!(
                "remove handler {}: it is not sdbuild's",
                entry.name
            ))),
        }
    }

    /// Registers the run's handler and holds it until the lease is released.
    pub async fn hold(mut self, cancel: &Cancel) -> Result<Lease, Failure> {
        let name = HandlerName::new(&self.options.run);
        let place = self.options.engine.address();
        match cancel
            .race(register(&mut self.wire, &name, &place))
            .await
            .and_then(|inner| inner)
        {
            Ok(()) => Ok(Lease::new(self, name)),
            // It may be registered all the same: only the lease's release makes sure.
            Err(failure) => {
                let leftovers = Box::pin(Lease::new(self, name).release(cancel)).await;
                Err(failure.with_teardown(leftovers))
            }
        }
    }

    /// Ends it; it holds nothing.
    pub async fn release(self, cancel: &Cancel) -> Vec<Leftover> {
        drop(self.wire);
        self.guard.release(cancel).await.into_iter().collect()
    }
}

/// Why no registrar came up.
#[derive(Debug)]
pub(super) enum StartError {
    /// There is no table where it looked.
    Unmounted(String, Vec<Leftover>),
    Failed(Failure),
}

impl StartError {
    fn and_left(self, leftover: Option<Leftover>) -> Self {
        match self {
            Self::Unmounted(why, left) => {
                Self::Unmounted(why, left.into_iter().chain(leftover).collect())
            }
            Self::Failed(failure) => {
                Self::Failed(failure.with_teardown(leftover.into_iter().collect()))
            }
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Unmounted(why, left) => Failure::environment(format!(
                "binfmt_misc is not mounted on the engine's host: {why}"
            ))
            .try_next_mode()
            .with_teardown(left),
        }
    }
}

/// Creates, attaches, starts, and waits for the first word. The caller's guard removes what came of it.
pub(super) async fn connect(
    guard: &mut ContainerGuard,
    options: &RegistrarOptions,
) -> Result<AgentConnection, StartError> {
    let failed = |error: Failure| StartError::Failed(error.context("start the registrar"));
    let privileged = options.privileged;
    let container = match guard.create(&options.spec()).await {
        Ok(container) => container,
        // Kernels without the module have no such directory.
        Err(error)
            if error
                .to_string()
                .contains("bind source path does not exist") =>
        {
            return Err(StartError::Unmounted(error.to_string(), Vec::new()));
        }
        Err(error) => return Err(failed(refused(error, privileged))),
    };
    let mut wire = AgentConnection::new(container.attach().await.map_err(|e| failed(e.into()))?);
    let started = container.start().await;
    started.map_err(|error| failed(refused(error, privileged)))?;
    match timeout(READY, wire.recv()).await {
        Some(Some(Reply::Ready)) => Ok(wire),
        Some(Some(Reply::Unmounted(why))) => Err(StartError::Unmounted(why, Vec::new())),
        Some(Some(other)) => Err(failed(Failure::environment(format!(
            "unexpected word {other:?}"
        )))),
        Some(None) => Err(failed(wire.gone())),
        None => Err(failed(Failure::environment("it says nothing"))),
    }
}

/// The engine does not make or start the container. It is about the registrar alone when it is about what
/// nobody else has: the table, or all privileges.
fn refused(error: EngineError, privileged: bool) -> Failure {
    let words = error.refusal().unwrap_or_default();
    let is_its_own = if privileged {
        error.is_forbidden() || words.contains("privileged")
    } else {
        let barred = error.is_forbidden() || words.contains("no such file");
        barred && words.contains("binfmt_misc") || words.contains("mounts denied")
    };
    let failure = Failure::from(error);
    if is_its_own {
        failure.try_next_mode()
    } else {
        failure
    }
}

async fn register(
    wire: &mut AgentConnection,
    name: &HandlerName,
    place: &EngineAddress,
) -> Result<(), Failure> {
    let wanted = name.to_string();
    let done = Reply::Held(wanted.clone());
    let held = wire
        .command(&format!("hold {wanted}"), &wanted, &done)
        .await?;
    held.map_err(|why| not_registered(name, &why, place))
}

/// The kernel's refusals, as the shell words them, and what each means.
fn not_registered(name: &HandlerName, why: &str, place: &EngineAddress) -> Failure {
    let failure = Failure::environment(format!("register handler {name}: {why}"));
    if why.contains("Permission denied") || why.contains("not permitted") {
        failure
            .try_next_mode()
            .hint("the engine runs without root, or maps users, and cannot register handlers")
            .hint("point DOCKER_HOST at a rootful engine")
    } else if why.contains("switched off") {
        let switch = place.as_root(&format!("sh -c 'echo 1 > {TABLE}/status'"));
        failure
            .try_next_mode()
            .hint(format!("switch it on with: {switch}"))
    } else if why.contains("Read-only file system") {
        failure.try_next_mode()
    } else {
        failure
    }
}

fn unmounted(refusal: StartError, first: &str, place: &EngineAddress) -> Failure {
    let interrupted = matches!(
        &refusal,
        StartError::Failed(Failure {
            class: crate::common::failure::Class::Interrupted,
            ..
        })
    );
    let failure = refusal.into_failure();
    if interrupted {
        return failure;
    }
    let why = if first.is_empty() {
        String::new()
    } else {
        format!(" ({first})")
    };
    failure
        .context(format!(
            "binfmt_misc is not mounted on the engine's host{why}, and mounting it failed"
        ))
        .hint(format!(
            "mount it with: {}",
            place.as_root(&format!("mount -t binfmt_misc binfmt_misc {TABLE}"))
        ))
}

#[cfg(test)]
mod tests;
