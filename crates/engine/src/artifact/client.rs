//! The HTTP client, and a probe of whether a server answers and what time it has.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{AGE, DATE, HeaderMap};
use reqwest::{Certificate, Client, ClientBuilder};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::timeout;

use super::fetch::Network;
use super::source::reason;

/// A client that is made when it is first used. It reads all certificate authorities of this machine, which takes longer than
/// the rest of many a command, and most commands find everything in the cache.
#[derive(Clone, Debug)]
pub(super) struct LazyClient {
    pub(super) network: Network,
    pub(super) made: Arc<OnceLock<Client>>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub date: Option<SystemTime>,
    /// The time of this machine when it received the answer.
    pub received: SystemTime,
}

impl Answer {
    /// Whether the server has what was requested.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends requests that download little or nothing.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    client: Client,
    timeout: Duration,
}

impl HttpProbe {
    /// A probe that waits at most `timeout` for each answer, and also trusts the certificate authorities in the PEM file
    /// `authorities`.
    pub fn new(timeout: Duration, authorities: &[u8]) -> Result<Self, Failure> {
        let client = http_client(authorities, |builder| builder);
        Ok(Self {
            client: client.or_environment("prepare HTTP requests")?,
            timeout,
        })
    }

    /// The answer of the server of `url`, or why there is none.
    pub async fn head(&self, url: &str) -> Result<Answer, String> {
        // reqwest's own timeout counts the time in which this process was stopped.
        let answer = timeout(self.timeout, self.client.head(url).send()).await;
        let answer = answer.ok_or("no answer in time")?;
        let answer = answer.map_err(|error| reason(&error))?;
        Ok(Answer {
            status: answer.status().as_u16(),
            date: date(answer.headers()),
            received: SystemTime::now(),
        })
    }
}

/// The time of the server: when the answer was made, plus its age in a cache on the way.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = DateTimeParser::new().parse_timestamp(date).ok()?;
    let age = headers.get(AGE).and_then(|age| age.to_str().ok());
    let age = age.and_then(|age| age.trim().parse::<u32>().ok());
    SystemTime::from(date).checked_add(Duration::from_secs(age.unwrap_or(0).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_in_a_cache_is_added() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Thu, 01 Jan 1970 00:01:00 GMT".parse().unwrap());
        assert_eq!(
            date(&headers),
            Some(SystemTime::UNIX_EPOCH + Duration::from_mins(1))
        );
        headers.insert(AGE, "40".parse().unwrap());
        assert_eq!(
            date(&headers),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100))
        );
        headers.insert(DATE, "soon".parse().unwrap());
        assert_eq!(date(&headers), None);
    }
}
