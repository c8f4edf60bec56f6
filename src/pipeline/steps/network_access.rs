//! What the builder needs to reach the network as sdbuild itself does.

use std::path::Path;

use crate::nixos::network_access::NetworkAccess;
use crate::pipeline::request::BuildRequest;
use crate::pipeline::{builder_logins, clients};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;

/// Bytes that are read of a netrc at most; it has a line for each server.
const MAX_NETRC_BYTES: u64 = 64 << 10;

/// Reads the files that the settings name. A usage error if one cannot be read.
pub(in crate::pipeline) fn read(request: &BuildRequest) -> Result<NetworkAccess, Failure> {
    if request.common.offline {
        return Ok(NetworkAccess {
            offline: true,
            ..NetworkAccess::default()
        });
    }
    let netrc = |path: &Path| {
        plain_file::read_text(path, MAX_NETRC_BYTES)
            .or_usage(format!("read the logins in {}", path.display()))
    };
    let authorities = clients::authorities(&request.common)?;
    Ok(NetworkAccess {
        offline: false,
        proxies: request.common.proxies.variables(),
        netrc: request
            .caches
            .netrc_file
            .as_deref()
            .map(netrc)
            .transpose()?,
        builders: builder_logins::read(request)?,
        cache_key: None,
        authorities: Some(authorities).filter(|pem| !pem.is_empty()),
    })
}
