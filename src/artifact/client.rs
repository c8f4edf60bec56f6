//! The HTTP client.

use reqwest::{Client, ClientBuilder};

/// A client with the options that `configure` sets. Where no certificate authority is trusted, as in many
/// container images, it still works for servers without TLS, which most mirrors are; all certificates are
/// invalid then.
pub(super) fn client(
    configure: impl Fn(ClientBuilder) -> ClientBuilder,
) -> reqwest::Result<Client> {
    install_tls();
    let builder =
        || configure(Client::builder().user_agent(concat!("sdbuild/", env!("CARGO_PKG_VERSION"))));
    let without_authorities = |_| builder().tls_certs_only([]).build();
    builder().build().or_else(without_authorities)
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
