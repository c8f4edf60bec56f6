//! From settings to a connected engine.

use crate::common::cancel::Cancel;
use crate::common::failure::Failure;
use crate::engine::connect::choose;
use crate::engine::{EndpointInputs, Engine};
use crate::settings::Common;

/// Connects to the engine that the settings lead to.
pub(super) async fn connect(settings: &Common, cancel: &Cancel) -> Result<Engine, Failure> {
    let endpoint = choose(&EndpointInputs {
        docker_host: settings.docker_host.as_deref(),
        docker_context: settings.docker_context.as_deref(),
        docker_config: settings.docker_config.clone(),
        docker_tls_verify: settings.docker_tls_verify,
        docker_cert_path: settings.docker_cert_path.clone(),
        runtime_dir: settings.runtime_dir.clone(),
    })?;
    Ok(cancel.race(Engine::connect(&endpoint)).await??)
}
