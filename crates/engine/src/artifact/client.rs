//! The HTTP client.

use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, ClientBuilder};

use super::network::Network;

/// A client that is made when it is first used. It reads all certificate authorities of this machine, which takes longer than
/// the rest of many a command, and most commands find everything in the cache.
#[derive(Clone, Debug)]
pub(super) struct LazyClient {
    network: Network,
    made: Arc<OnceLock<Client>>,
}

impl LazyClient {
    /// A client for `network`. Certificate authorities of the user's are read at once: an error in them is one of the settings,
    /// whether or not anything is downloaded.
    pub(super) fn new(network: Network) -> reqwest::Result<Self> {
        let has_own_authorities = !network.authorities.is_empty();
        let made = Arc::default();
        let client = Self { network, made };
        if has_own_authorities {
            client.get()?;
        }
        Ok(client)
    }

    /// The client.
    pub(super) fn get(&self) -> reqwest::Result<&Client> {
        if let Some(client) = self.made.get() {
            return Ok(client);
        }
        let network = &self.network;
        let client = http_client(&network.authorities, |builder| {
            builder
                .connect_timeout(network.connect_timeout)
                .read_timeout(network.read_timeout)
        })?;
        // Another thread may have been faster: both are the same.
        Ok(self.made.get_or_init(|| client))
    }

    /// A client that cannot be made.
    #[cfg(test)]
    pub(super) fn broken(mut network: Network) -> Self {
        network.authorities =
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
        let made = Arc::default();
        Self { network, made }
    }

    /// Whether it has been made.
    #[cfg(test)]
    pub(super) fn is_made(&self) -> bool {
        self.made.get().is_some()
    }
}

/// A client with the options that `configure` sets, which trusts the certificate authorities in the PEM file `authorities` in
/// addition to the usual ones. Where no certificate authority is trusted, as in many
/// container images, it still works for servers without TLS, which most mirrors are; all certificates are
/// invalid then.
pub fn http_client(
    authorities: &[u8],
    configure: impl Fn(ClientBuilder) -> ClientBuilder,
) -> reqwest::Result<Client> {
    install_tls();
    let authorities = Certificate::from_pem_bundle(authorities)?;
    let builder =
        || configure(Client::builder().user_agent(concat!("sdbuild/", env!("CARGO_PKG_VERSION"))));
    let only_these = |_| builder().tls_certs_only(authorities.clone()).build();
    let merged = builder().tls_certs_merge(authorities.clone());
    merged.build().or_else(only_these)
}

/// Installs the cryptography of TLS, without which reqwest panics. If another thread was faster, it has
/// installed the same.
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}
