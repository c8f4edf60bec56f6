//! Docker's contexts: named engines in the files of Docker's client below `~/.docker`.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::connect_error::ConnectError;
use sdbuild_core::plain_file;

/// Limit for `config.json` and context files, which have a few hundred bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The engine of a context.
#[derive(Debug)]
pub(super) struct DockerContext {
    /// The engine's address.
    pub(super) host: String,
    /// The directory with the certificates, if the context has any.
    pub(super) certificates: Option<PathBuf>,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The name of the current context. A missing or invalid `config.json` counts as empty.
pub(super) fn current(docker_config: &Path) -> Option<String> {
    let text = plain_file::read_text(&docker_config.join("config.json"), MAX_FILE_BYTES).ok()?;
    serde_json::from_str::<ConfigFile>(&text)
        .ok()?
        .current_context
        .filter(|name| !name.is_empty())
}

/// Reads the context `name`. Fails for a context that disables the verification of the engine's certificate.
pub(super) fn read(docker_config: &Path, name: &str) -> Result<DockerContext, ConnectError> {
    let error = |reason: String| ConnectError::Context {
        name: name.to_owned(),
        reason,
    };
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let contexts = docker_config.join("contexts");
    let file = contexts.join("meta").join(&digest).join("meta.json");
    let text = plain_file::read_text(&file, MAX_FILE_BYTES).map_err(|e| {
        error(if e.kind() == io::ErrorKind::NotFound {
            "there is no context of this name".to_owned()
        } else {
            format!("cannot read {}: {e}", file.display())
        })
    })?;
    let context: ContextFile =
        serde_json::from_str(&text).map_err(|e| error(format!("{}: {e}", file.display())))?;
    let docker = context.endpoints.docker;
    if docker.as_ref().is_some_and(|docker| docker.skip_tls_verify) {
        return Err(error(
            "it disables the verification of the engine's certificate, which sdbuild requires"
                .into(),
        ));
    }
    let host = docker
        .and_then(|docker| docker.host)
        .filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| error(format!("{} names no docker host", file.display())))?;
    let dir = contexts.join("tls").join(&digest).join("docker");
    let certificates = certificates(dir).map_err(error)?;
    Ok(DockerContext { host, certificates })
}

/// `dir` if it contains anything, which means that the engine requires TLS. A directory that cannot be read, or without
/// `ca.pem`, is an error: it must never lead to an unencrypted connection.
fn certificates(dir: PathBuf) -> Result<Option<PathBuf>, String> {
    let look = |e: io::Error| format!("look for its certificates in {}: {e}", dir.display());
    let found = match dir.read_dir() {
        Ok(mut entries) => entries.next().transpose().map_err(look)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(look(e)),
    };
    if found.is_none() {
        return Ok(None);
    }
    let authority = dir.join("ca.pem");
    match plain_file::open(&authority) {
        Ok(_) => Ok(Some(dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(format!(
            "it has certificates but no ca.pem in {}, which sdbuild needs to verify the engine",
            dir.display()
        )),
        Err(e) => Err(format!("read {}: {e}", authority.display())),
    }
}
