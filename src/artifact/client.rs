//! The HTTP client.

use reqwest::{Certificate, Client, ClientBuilder};

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
