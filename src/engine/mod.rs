//! The engine: the few verbs of the Docker-compatible API that we need, in our own types.
//!
//! The only user of bollard. It knows neither QEMU nor Nix, and calls no other room.
//!
//! Promises: every object it makes carries our labels; every container drops all capabilities and
//! gains no new privileges unless [`ContainerSpec::privileged`] says otherwise; everything is
//! streamed; removing what is not there is a success; every call may be dropped (cancelled) at any
//! await. Refuses: to remove what does not carry our labels.

mod archive;
mod cli_hint;
mod clock;
pub mod connect;
mod container;
mod docker_context;
mod endpoint;
mod entry_wrapper;
mod error;
mod exec;
mod facts;
mod guard;
mod handshake;
mod image;
mod inventory;
mod keepalive;
pub mod labels;
mod lines;
mod request;
mod spec;
mod stdio;
mod tunnel;
mod volume;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;

pub use archive::{Download, PathKind, PathStat};
pub use cli_hint::EngineAddress;
pub use connect::EndpointInputs;
pub use container::{Container, Exit};
pub use endpoint::Endpoint;
pub use entry_wrapper::EntryWrapper;
pub use error::EngineError;
pub use facts::EngineFacts;
pub use guard::ContainerGuard;
pub use image::ImageInfo;
pub use inventory::ContainerInfo;
pub use labels::{Role, RunId};
pub use lines::Lines;
use request::{request, request_within};
pub use spec::{Bind, ContainerSpec, Input, Lifetime, Network};
pub use stdio::{Attached, AttachedInput, AttachedOutput, OutputChunk};
use tunnel::Tunnel;
pub use volume::VolumeInfo;

use crate::common::timeout::timeout;

/// For the first call, with which an engine shows that it is one: it asks its own helpers for their versions then,
/// which took 15 s where six builds at once gave it their images to load.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// A connected engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: Endpoint,
    facts: Arc<EngineFacts>,
    /// The way to it, which lasts as long as somebody holds the engine.
    _tunnel: Option<Arc<Tunnel>>,
}

impl Engine {
    /// Connects, agrees on an API version and learns what the engine is.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        handshake::handshake(endpoint).await?;
        let (docker, tunnel) = Box::pin(handshake::client(endpoint)).await?;
        let (version, api) = Box::pin(handshake::version(&docker, endpoint))
            .await
            .map_err(|error| {
                let said = tunnel.as_ref().map(|tunnel| tunnel.said(""));
                handshake::by_ssh(endpoint, error, said)
            })?;
        let agreed = Box::pin(docker.negotiate_version());
        let docker = request_within(FIRST_ANSWER, "agree on an API version", agreed).await?;
        let info = Box::pin(docker.info());
        let info = request("ask the engine about its host", info).await?;
        let facts = Arc::new(EngineFacts::new(version, info, api));
        Ok(Self {
            docker,
            endpoint: endpoint.clone(),
            facts,
            _tunnel: tunnel.map(Arc::new),
        })
    }

    /// What the engine is.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the engine says anything within `patience`, be it a refusal.
    pub async fn answers(&self, patience: Duration) -> bool {
        timeout(patience, self.says_anything()).await == Some(true)
    }

    /// Whether whoever asks it waits in vain: nothing comes within `patience`, not even the word that
    /// nobody is there.
    pub async fn is_silent(&self, patience: Duration) -> bool {
        timeout(patience, self.says_anything()).await.is_none()
    }
}
