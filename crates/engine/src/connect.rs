//! Chooses the engine's endpoint as Docker's own client does.
//!
//! [`choose`] reads at most two small files below `~/.docker` and connects to the default sockets; everything else comes
//! in as values.

use std::path::{Path, PathBuf};

use crate::connect_error::{ConnectError, HIDDEN};
use crate::docker_context;
use crate::endpoint::Endpoint;
use crate::error::EngineError;
use crate::unix_socket;

/// Docker's socket.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What the choice of an endpoint depends on.
#[derive(Clone, Debug)]
pub struct EndpointInputs<'a> {
    /// `DOCKER_HOST`.
    pub docker_host: Option<&'a str>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<&'a str>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`: whether TCP is encrypted.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`: the directory of the certificates, `docker_config` when unset.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: the directory of the sockets of rootless engines.
    pub runtime_dir: Option<PathBuf>,
}

/// The endpoint of `DOCKER_HOST` (empty is unset), else of `DOCKER_CONTEXT` or the current context, else the first of these
/// sockets that accepts a connection: Docker's, the user's own Docker's and Podman's, Podman's.
pub fn choose(inputs: &EndpointInputs<'_>) -> Result<Endpoint, EngineError> {
    let given = |value: Option<&str>| {
        value
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    if let Some(host) = given(inputs.docker_host) {
        let cert_path = inputs.docker_cert_path.as_ref();
        let certificates = cert_path.unwrap_or(&inputs.docker_config).clone();
        return parse(&host, inputs.docker_tls_verify.then_some(certificates));
    }
    let named =
        given(inputs.docker_context).or_else(|| docker_context::current(&inputs.docker_config));
    match named.filter(|name| name != "default") {
        Some(name) => {
            let context = docker_context::read(&inputs.docker_config, &name)?;
            parse(&context.host, context.certificates)
        }
        None => default_endpoint(inputs.runtime_dir.as_deref()),
    }
}

fn parse(address: &str, certificates: Option<PathBuf>) -> Result<Endpoint, EngineError> {
    Endpoint::parse(address, certificates).ok_or_else(|| {
        let address = without_password(address);
        ConnectError::Unsupported { address }.into()
    })
}

/// The first default socket that accepts a connection; when there is none, Docker's socket if it exists, because
/// connecting to it fails with the reason.
fn default_endpoint(runtime_dir: Option<&Path>) -> Result<Endpoint, EngineError> {
    let rootless =
        runtime_dir.map(|dir| ["docker.sock", "podman/podman.sock"].map(|s| dir.join(s)));
    let sockets: Vec<PathBuf> = [DEFAULT_SOCKET.into()]
        .into_iter()
        .chain(rootless.into_iter().flatten())
        .chain(["/run/podman/podman.sock".into()])
        .collect();
    if let Some(socket) = first_listening(&sockets) {
        return Ok(Endpoint::Unix(socket.to_owned()));
    }
    let endpoint = Endpoint::Unix(DEFAULT_SOCKET.into());
    if !matches!(Path::new(DEFAULT_SOCKET).try_exists(), Ok(false)) {
        return Ok(endpoint);
    }
    let reason = "there is no such socket".to_owned();
    Err(ConnectError::Absent { endpoint, reason }.into())
}

fn first_listening(sockets: &[PathBuf]) -> Option<&Path> {
    let listens = |socket: &&PathBuf| unix_socket::has_listener(socket).unwrap_or(false);
    sockets.iter().find(listens).map(PathBuf::as_path)
}

/// `address` with [`HIDDEN`] in place of its password, for messages. A name without a password is no secret where SSH takes it, also
/// with the scheme left out; elsewhere it may be a token.
fn without_password(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    // The last `@` anywhere: a password may contain any character, including `/` and `@`.
    let Some((login, host)) = rest.rsplit_once('@') else {
        return address.to_owned();
    };
    let is_of_ssh = matches!(scheme.as_str(), "" | "ssh://");
    match login.split_once(':') {
        // A `%` may encode a colon.
        None if is_of_ssh && !login.contains('%') => address.to_owned(),
        Some((user, _)) if is_of_ssh => format!("{scheme}{user}:{HIDDEN}@{host}"),
        None | Some(_) => format!("{scheme}{HIDDEN}@{host}"),
    }
}

#[cfg(test)]
mod tests;
