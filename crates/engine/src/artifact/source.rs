//! Downloads one file from one source, with retries.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::timeout::ActiveTimer;

use super::cache::CacheError;
use super::client::LazyClient;
use super::fetch::{Network, Partial, Progress};

/// Bytes per second below which a source counts as one that hangs: with them 30 MB take eight hours.
const MIN_RATE: u64 = 1024;
/// For how many times [`Network::read_timeout`] a source may be slower than [`MIN_RATE`].
const SLOW_TIMEOUTS: u32 = 3;

pub(super) struct Download<'a> {
    /// The name in messages.
    pub(super) name: &'a str,
    pub(super) bases: &'a [String],
    /// Its path below a base URL; without one the base is the URL.
    pub(super) path: Option<&'a str>,
    pub(super) hash: Option<Sha256Hash>,
    pub(super) size: Option<u64>,
    pub(super) max_bytes: u64,
}

impl Download<'_> {
    fn url(&self, base: &str) -> String {
        match self.path {
            Some(path) => format!("{}/{path}", base.trim_end_matches('/')),
            None => base.to_owned(),
        }
    }

    pub(super) fn requested_url(&self) -> String {
        self.bases
            .first()
            .map_or_else(String::new, |base| self.url(base))
    }

    fn may_end_at(&self, len: u64) -> bool {
        self.size.is_none_or(|size| size == len)
    }
}

pub(super) enum SourceError {
    /// No answer at all; the next try may succeed.
    Unreachable(String),
    /// An answer that broke off, or an error of the server; the next try may succeed.
    Transient(String),
    /// It sends, but so little that the download would take days; other files would as well.
    Slow(String),
    /// The next try would fail as well.
    Permanent(String),
    /// No source was asked: this machine's own client of HTTP could not be made.
    Client(String),
    /// The cache failed, not the source.
    Cache(CacheError),
}

impl From<CacheError> for SourceError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// State that all downloads of one call share.
pub(super) struct Batch<'a> {
    pub(super) client: &'a LazyClient,
    pub(super) network: &'a Network,
    pub(super) progress: Progress<'a>,
    /// The base URLs of sources that did not answer, each with the reason.
    pub(super) dead: Mutex<HashMap<String, String>>,
    /// The base URLs of sources that were replaced by the next one. Each is reported once, not for every file.
    pub(super) reported: Mutex<HashSet<String>>,
}

impl Batch<'_> {
    pub(super) fn is_first_report(&self, base: &str) -> bool {
        let reported = self.reported.lock();
        reported.is_ok_and(|mut reported| reported.insert(base.to_owned()))
    }

    fn give_up(&self, base: &str, why: &str) {
        if let Ok(mut dead) = self.dead.lock() {
            dead.insert(base.to_owned(), why.to_owned());
        }
    }

    /// Downloads the rest of `part` from `base`, with retries where they may help. Returns the URL that redirections led
    /// to.
    pub(super) async fn fetch_with_retries(
        &self,
        base: &str,
        download: &Download<'_>,
        part: &mut Partial,
    ) -> Result<String, SourceError> {
        let dead = self.dead.lock().ok();
        if let Some(why) = dead.and_then(|dead| dead.get(base).cloned()) {
            return Err(SourceError::Permanent(format!("skipped ({why})")));
        }
        let mut pause = self.network.pause;
        let mut tries = 1;
        loop {
            let last = tries >= self.network.tries;
            match self.attempt(base, download, part).await {
                Err(SourceError::Unreachable(why)) if last => {
                    self.give_up(base, &why);
                    return Err(SourceError::Permanent(format!("{why} ({tries} tries)")));
                }
                Err(SourceError::Transient(why)) if last => {
                    return Err(SourceError::Permanent(format!("{why} ({tries} tries)")));
                }
                Err(SourceError::Slow(why)) => {
                    self.give_up(base, &why);
                    return Err(SourceError::Permanent(why));
                }
                Err(SourceError::Unreachable(_) | SourceError::Transient(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Downloads the rest of `part` from `base` once, and verifies the whole.
    async fn attempt(
        &self,
        base: &str,
        download: &Download<'_>,
        part: &mut Partial,
    ) -> Result<String, SourceError> {
        let resumed = part.len() > 0 && download.hash.is_some() && part.len() <= download.max_bytes;
        if !resumed {
            self.restart(part).await?;
        }
        // It is complete already if a run ended between the last byte and the renaming.
        let mut url = download.url(base);
        if download.size != Some(part.len()) {
            let response = self.request(&url, part).await?;
            url = response.url().to_string();
            self.receive(response, download, part).await?;
        }
        match download.hash {
            Some(hash) if hash != part.hashed().sha256 => {
                let got = part.hashed().sha256;
                self.restart(part).await?;
                // The bytes of an earlier run may be wrong, not those of this source.
                let why = format!("SHA-256 is {got}, pinned is {hash}");
                Err(if resumed {
                    SourceError::Transient(why)
                } else {
                    SourceError::Permanent(why)
                })
            }
            Some(_) | None => Ok(url),
        }
    }

    /// Sends a request for the rest of `part`; `part` is emptied if the answer has the whole file.
    async fn request(&self, url: &str, part: &mut Partial) -> Result<Response, SourceError> {
        let client = self.client.get();
        let client = client.map_err(|error| SourceError::Client(reason(&error)))?;
        let mut request = client.get(url);
        if part.len() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.len()));
        }
        let response = request.send().await.map_err(|e| {
            let why = reason(&e);
            if e.is_redirect() {
                SourceError::Permanent(why)
            } else {
                SourceError::Unreachable(why)
            }
        })?;
        let status = response.status();
        match status {
            StatusCode::OK => self.restart(part).await.map(|()| response),
            StatusCode::PARTIAL_CONTENT if starts_at(&response, part.len()) => Ok(response),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(part).await?;
                Err(SourceError::Transient(format!(
                    "{status} for the rest of the file"
                )))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(SourceError::Transient(status.to_string()))
            }
            _ if status.is_server_error() => Err(SourceError::Transient(status.to_string())),
            _ => Err(SourceError::Permanent(status.to_string())),
        }
    }

    /// Appends the body of an answer to `part`, up to the limit.
    async fn receive(
        &self,
        mut response: Response,
        download: &Download<'_>,
        part: &mut Partial,
    ) -> Result<(), SourceError> {
        let room = download.max_bytes.saturating_sub(part.len());
        if response.content_length().is_some_and(|more| more > room) {
            return self.too_large(download, part).await;
        }
        let limit = self.network.read_timeout * SLOW_TIMEOUTS;
        let min = u128::from(MIN_RATE) * limit.as_millis() / 1000;
        let (mut timer, mut received) = (ActiveTimer::new(limit), 0_u64);
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk() => chunk,
                () = timer.expired() => {
                    if u128::from(received) < min {
                        let limit = limit.as_secs();
                        let why = format!("sent less than 1 KiB/s for {limit} s");
                        return Err(SourceError::Slow(why));
                    }
                    (timer, received) = (ActiveTimer::new(limit), 0);
                    continue;
                }
            };
            match chunk {
                Ok(None) if download.may_end_at(part.len()) => return Ok(()),
                Ok(None) => {
                    return Err(SourceError::Transient(format!(
                        "ended after {} bytes",
                        part.len()
                    )));
                }
                Ok(Some(bytes)) => {
                    let more = bytes.len() as u64;
                    if more > download.max_bytes.saturating_sub(part.len()) {
                        return self.too_large(download, part).await;
                    }
                    part.append(&bytes).await?;
                    self.progress.add(more);
                    received = received.saturating_add(more);
                }
                Err(e) => {
                    let why = format!("broke off after {} bytes: {}", part.len(), reason(&e));
                    return Err(SourceError::Transient(why));
                }
            }
        }
    }

    async fn too_large(
        &self,
        download: &Download<'_>,
        part: &mut Partial,
    ) -> Result<(), SourceError> {
        self.restart(part).await?;
        let max = download.max_bytes;
        let why = format!("larger than the {max} bytes that are allowed");
        Err(SourceError::Permanent(why))
    }

    async fn restart(&self, part: &mut Partial) -> Result<(), SourceError> {
        if part.len() > 0 {
            self.progress.subtract(part.len());
            part.restart().await?;
        }
        Ok(())
    }
}

fn starts_at(response: &Response, position: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {position}-")))
}

/// The innermost cause: the outer ones only repeat the URL or say "error sending request".
pub fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        innermost.to_string()
    }
}
