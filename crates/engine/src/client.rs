//! The connection to an engine, which every other file of this module makes its requests with.

use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use crate::endpoint::Endpoint;
use crate::error::EngineError;
use crate::facts::EngineFacts;
use crate::handshake;
use crate::keepalive::KeepAlive;
use crate::request::request;
use crate::tunnel::Tunnel;
use sdbuild_core::timeout::timeout;

/// A connected engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    endpoint: Endpoint,
    pub(super) facts: Arc<EngineFacts>,
    // Closed with the last clone.
    _tunnel: Option<Arc<Tunnel>>,
}

/// The API version to speak with an engine whose newest one is `newest`. Not by bollard's negotiation, which asks for the
/// version once more: Podman asks the package manager about its helpers each time, for half a second.
fn spoken((major, minor): (u32, u32)) -> ClientVersion {
    let newest = (major as usize, minor as usize);
    let ours = API_DEFAULT_VERSION;
    let (major_version, minor_version) = newest.min((ours.major_version, ours.minor_version));
    ClientVersion {
        major_version,
        minor_version,
    }
}

impl Engine {
    /// Connects, negotiates the API version and reads what kind of engine it is.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        handshake::handshake(endpoint).await?;
        let (near, tunnel) = Box::pin(handshake::near_end(endpoint)).await?;
        let docker = handshake::client(&near, API_DEFAULT_VERSION)?;
        let (version, api) = Box::pin(handshake::version(&docker, endpoint))
            .await
            .map_err(|error| {
                let ssh_message = tunnel.as_ref().and_then(Tunnel::last_message);
                handshake::explain_by_ssh(endpoint, error, ssh_message)
            })?;
        let docker = handshake::client(&near, &spoken(api))?;
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

    /// What kind of engine it is, as read when connecting.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// The address that it was connected by.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the engine answers a ping within `limit`, be it with an error.
    pub async fn answers(&self, limit: Duration) -> bool {
        timeout(limit, self.responds()).await == Some(true)
    }

    /// Whether a ping stays without any outcome for `limit`. A connection that is refused is an outcome: nothing
    /// has to be waited for then.
    pub async fn is_silent(&self, limit: Duration) -> bool {
        timeout(limit, self.responds()).await.is_none()
    }

    /// The outcome of `work`, which may take as long as the engine responds to pings meanwhile.
    pub(super) async fn while_responsive<T>(
        &self,
        operation: &str,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let operation = operation.to_owned();
        let watched = KeepAlive::LONG_REQUEST.watch(Box::pin(work), || self.responds());
        let outcome = watched.await;
        outcome.unwrap_or(Err(EngineError::Silent { operation }))
    }

    /// Whether the engine answers a ping on a connection of its own, be it with an error.
    pub(super) async fn responds(&self) -> bool {
        use bollard::errors::Error::DockerResponseServerError;
        let answer = self.docker.ping().await;
        matches!(answer, Ok(_) | Err(DockerResponseServerError { .. }))
    }
}
