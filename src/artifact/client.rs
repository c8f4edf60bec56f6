//! What asks servers.

use reqwest::{Client, ClientBuilder};

/// A client as `set` says. Where no certificate authority is trusted (container images often have none) it
/// asks servers without TLS all the same, as most mirrors are; the others' certificates then do not hold.
pub(super) fn client(set: impl Fn(ClientBuilder) -> ClientBuilder) -> reqwest::Result<Client> {
    install_tls();
    let builder =
        || set(Client::builder().user_agent(concat!("sdbuild/", env!("CARGO_PKG_VERSION"))));
    let trusting_nobody = |_| builder().tls_certs_only([]).build();
    builder().build().or_else(trusting_nobody)
}

/// reqwest panics without a provider. Whoever was first has installed the same one.
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
