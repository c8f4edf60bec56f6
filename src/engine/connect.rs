//! Which engine: the endpoint that Docker's own client would take, and what to say when none answers.
//!
//! [`choose`] reads at most two small files below `~/.docker` and knocks at the usual sockets;
//! everything else comes in as values.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::engine::connect_error::ConnectError;
use crate::engine::docker_context;
use crate::engine::endpoint::Endpoint;
use crate::engine::error::EngineError;

/// Where Docker listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What the choice depends on; `settings` fills it in.
#[derive(Clone, Debug)]
pub struct EndpointInputs<'a> {
    /// `DOCKER_HOST`.
    pub docker_host: Option<&'a str>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<&'a str>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`: TCP is to be encrypted.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`: the certificates, else they are in `docker_config`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: where rootless engines listen.
    pub runtime_dir: Option<PathBuf>,
}

/// `DOCKER_HOST` (empty is unset), else the context that is named or current, else the first socket
/// that somebody listens at: Docker's, the user's own Docker or Podman, Podman's.
pub fn choose(inputs: &EndpointInputs<'_>) -> Result<Endpoint, EngineError> {
    let given = |value: Option<&str>| {
        value
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    if let Some(host) = given(inputs.docker_host) {
        let own = inputs.docker_cert_path.as_ref();
        let certificates = own.unwrap_or(&inputs.docker_config).clone();
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
        let address = without_credentials(address);
        ConnectError::Unsupported { address }.into()
    })
}

/// The first engine that listens where engines do when nobody says otherwise; Docker's own place when
/// none does, and then connecting tells why.
fn default_endpoint(runtime_dir: Option<&Path>) -> Result<Endpoint, EngineError> {
    let own = runtime_dir.map(|dir| ["docker.sock", "podman/podman.sock"].map(|s| dir.join(s)));
    let sockets: Vec<PathBuf> = [DEFAULT_SOCKET.into()]
        .into_iter()
        .chain(own.into_iter().flatten())
        .chain(["/run/podman/podman.sock".into()])
        .collect();
    if let Some(socket) = first_that_listens(&sockets) {
        return Ok(Endpoint::Unix(socket.to_owned()));
    }
    let endpoint = Endpoint::Unix(DEFAULT_SOCKET.into());
    if !matches!(Path::new(DEFAULT_SOCKET).try_exists(), Ok(false)) {
        return Ok(endpoint);
    }
    let reason = "there is no such socket".to_owned();
    Err(ConnectError::Absent { endpoint, reason }.into())
}

fn first_that_listens(sockets: &[PathBuf]) -> Option<&Path> {
    let listens = |socket: &&PathBuf| UnixStream::connect(socket).is_ok();
    sockets.iter().find(listens).map(PathBuf::as_path)
}

/// `address` without the user and the password that it may carry: it goes into messages.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    // The last `@`, wherever it is: a password may hold any character, `/` and `@` among them.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests;
