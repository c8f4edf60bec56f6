//! The engine, the downloader and the network of a run.

use std::path::{Path, PathBuf};

use crate::network_access::NetworkAccess;
use crate::remote_builders;
use crate::request::{BuildRequest, Common};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_engine::artifact::{Cache, Fetcher, Network, Remote};
use sdbuild_engine::connect::choose;
use sdbuild_engine::{Endpoint, EndpointInputs, Engine};

/// Room for a hundred SSH keys of the largest kind, in bytes.
const MAX_TEXT_BYTES: u64 = 512 << 10;
/// Bytes that are read of certificate authorities at most; those of a distribution are a quarter of a megabyte.
const MAX_AUTHORITIES_BYTES: u64 = 4 << 20;
/// What a certificate in PEM begins with (RFC 7468).
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// What a certificate in DER begins with, a sequence with a length of two bytes.
const BEGIN_DER: &[u8] = &[0x30, 0x82];

/// Connects to the engine that the settings lead to.
pub(super) async fn connect(settings: &Common, cancel: &Cancel) -> Result<Engine, Failure> {
    let endpoint = endpoint(settings)?;
    Ok(cancel.race(Engine::connect(&endpoint)).await??)
}

/// The rented machine if there is one, otherwise what Docker's own client takes.
fn endpoint(settings: &Common) -> Result<Endpoint, Failure> {
    if let Some(machine) = &settings.machine {
        let endpoint = Endpoint::by_ssh(machine);
        let refused = || Failure::usage(format!("{} is not a machine's address", machine.place));
        return endpoint.ok_or_else(refused);
    }
    let chosen = choose(&EndpointInputs {
        docker_host: settings.docker_host.as_deref(),
        docker_context: settings.docker_context.as_deref(),
        docker_config: settings.docker_config.clone(),
        docker_tls_verify: settings.docker_tls_verify,
        docker_cert_path: settings.docker_cert_path.clone(),
        runtime_dir: settings.runtime_dir.clone(),
    });
    Ok(chosen?)
}

/// A downloader into the cache directory, which no other process empties while this one lives.
pub(super) fn fetcher(settings: &Common, events: &Events) -> Result<Fetcher, Failure> {
    let cache = Cache::open(&settings.cache_dir).or_environment("open the cache directory")?;
    let default = Network::default();
    let network = Network {
        connect_timeout: default.connect_timeout.min(settings.stall_timeout),
        read_timeout: settings.stall_timeout,
        offline: settings.offline,
        authorities: authorities(settings)?,
        ..default
    };
    Fetcher::new(cache, network, events.clone())
}

/// The file of certificate authorities that the settings name; empty without one. A usage error if it cannot be read.
pub(super) fn authorities(settings: &Common) -> Result<Vec<u8>, Failure> {
    let read = |path: &PathBuf| {
        let shown = path.display();
        let text = plain_file::read(path, MAX_AUTHORITIES_BYTES)
            .or_usage(format!("read certificate authorities from {shown}"))?;
        let mut parts = text.windows(BEGIN_CERTIFICATE.len());
        if parts.any(|part| part == BEGIN_CERTIFICATE) {
            return Ok(text);
        }
        let failure = Failure::usage(format!("{shown} has no certificate in PEM")).hint(
            "the file comes from --ca-file, SDBUILD_CA_FILE, ca-file in sdbuild.toml, NIX_SSL_CERT_FILE or SSL_CERT_FILE. \
             PEM certificates begin with `-----BEGIN CERTIFICATE-----`",
        );
        Err(if text.starts_with(BEGIN_DER) {
            failure.hint(
                "to convert a DER certificate: openssl x509 -inform der -in FILE -out FILE.pem",
            )
        } else {
            failure
        })
    };
    settings.ca_file.as_ref().map_or(Ok(Vec::new()), read)
}

/// The text at `url`, at most 512 KiB long. No hash of it is known, so the user has to look at it.
pub async fn fetch_text(
    url: &str,
    settings: &Common,
    context: &Context,
) -> Result<String, Failure> {
    let remote = Remote {
        url,
        sha256: None,
        max_bytes: MAX_TEXT_BYTES,
        phase: Phase::Fetch,
    };
    let fetcher = fetcher(settings, &context.events)?;
    let file = fetcher.url(remote, &context.cancel).await?;
    plain_file::read_text(&file.path, MAX_TEXT_BYTES)
        .or_environment(format!("read what {url} sent"))
}

/// Bytes that are read of a netrc at most; it has a line for each server.
const MAX_NETRC_BYTES: u64 = 64 << 10;

/// Reads the files that the settings name. A usage error if one cannot be read.
pub(crate) fn network_access(request: &BuildRequest) -> Result<NetworkAccess, Failure> {
    if request.common.offline {
        return Ok(NetworkAccess::none());
    }
    let netrc = |path: &Path| {
        plain_file::read_text(path, MAX_NETRC_BYTES)
            .or_usage(format!("read the logins in {}", path.display()))
    };
    let authorities = authorities(&request.common)?;
    Ok(NetworkAccess {
        offline: false,
        proxies: request.common.proxies.variables(),
        netrc: request
            .caches
            .netrc_file
            .as_deref()
            .map(netrc)
            .transpose()?,
        builders: remote_builders::logins(request)?,
        cache_key: None,
        authorities: Some(authorities).filter(|pem| !pem.is_empty()),
    })
}
