//! One file from one source: how it is asked, and how often.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};

use super::cache::CacheError;
use super::fetch::Network;
use super::partial::Partial;
use super::progress::Progress;
use crate::common::hash::Sha256Hash;

/// One thing to fetch, and what is known about it.
pub(super) struct Download<'a> {
    /// What people call it.
    pub(super) what: &'a str,
    /// Base URLs in the order in which they are asked.
    pub(super) bases: &'a [String],
    /// Where it lies below a base; without a path the base is its URL.
    pub(super) path: Option<&'a str>,
    pub(super) hash: Option<Sha256Hash>,
    pub(super) size: Option<u64>,
    /// Nothing beyond this is written.
    pub(super) limit: u64,
}

impl Download<'_> {
    fn url(&self, base: &str) -> String {
        match self.path {
            Some(path) => format!("{}/{path}", base.trim_end_matches('/')),
            None => base.to_owned(),
        }
    }

    /// Whether a file of `len` bytes may be complete.
    fn may_end_at(&self, len: u64) -> bool {
        self.size.is_none_or(|size| size == len)
    }
}

/// What one try came to, when it did not succeed.
pub(super) enum SourceError {
    /// No answer at all; may be gone in a moment.
    Unreachable(String),
    /// An answer that broke off, or a server in trouble; may be gone in a moment.
    Transient(String),
    /// Will be the same next time.
    Permanent(String),
    /// Not the source's fault.
    Disk(CacheError),
}

impl From<CacheError> for SourceError {
    fn from(error: CacheError) -> Self {
        Self::Disk(error)
    }
}

/// The sources that did not answer, and how.
#[derive(Default)]
pub(super) struct DeadMirrors(Mutex<HashMap<String, String>>);

impl DeadMirrors {
    pub(super) fn add(&self, base: &str, why: &str) {
        if let Ok(mut silent) = self.0.lock() {
            silent.insert(base.to_owned(), why.to_owned());
        }
    }

    pub(super) fn why(&self, base: &str) -> Option<String> {
        self.0.lock().ok()?.get(base).cloned()
    }
}

/// The sources that another one stood in for, each told once: a user whose mirror is in trouble
/// wants to know, but not for every file.
#[derive(Default)]
pub(super) struct ReportedMirrors(Mutex<HashSet<String>>);

impl ReportedMirrors {
    /// Whether `base` is a new one.
    pub(super) fn add(&self, base: &str) -> bool {
        let left = self.0.lock();
        left.is_ok_and(|mut left| left.insert(base.to_owned()))
    }
}

/// What the downloads of one call share.
pub(super) struct Batch<'a> {
    pub(super) client: &'a Client,
    pub(super) network: &'a Network,
    pub(super) progress: Progress<'a>,
    pub(super) silent: DeadMirrors,
    pub(super) left: ReportedMirrors,
}

impl Batch<'_> {
    /// Asks `base` until it gives what is wanted, or until more patience would not help. The URL that
    /// comes back is the one that it led to.
    pub(super) async fn fetch_with_retries(
        &self,
        base: &str,
        want: &Download<'_>,
        part: &mut Partial,
    ) -> Result<String, SourceError> {
        if let Some(why) = self.silent.why(base) {
            return Err(SourceError::Permanent(format!("not asked again ({why})")));
        }
        let mut pause = self.network.pause;
        let mut tries = 1;
        loop {
            let last = tries >= self.network.tries;
            match self.attempt(base, want, part).await {
                Err(SourceError::Unreachable(why)) if last => {
                    self.silent.add(base, &why);
                    return Err(SourceError::Permanent(format!("{why} ({tries} tries)")));
                }
                Err(SourceError::Transient(why)) if last => {
                    return Err(SourceError::Permanent(format!("{why} ({tries} tries)")));
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

    /// Asks `base` once for the rest of what `part` lacks, and verifies the whole.
    async fn attempt(
        &self,
        base: &str,
        want: &Download<'_>,
        part: &mut Partial,
    ) -> Result<String, SourceError> {
        let resumed = part.len() > 0 && want.hash.is_some() && part.len() <= want.limit;
        if !resumed {
            self.restart(part).await?;
        }
        // Complete already when a run ended between the last byte and the renaming.
        let mut url = want.url(base);
        if want.size != Some(part.len()) {
            let response = self.ask(&url, part).await?;
            url = response.url().to_string();
            self.receive(response, want, part).await?;
        }
        match want.hash {
            Some(hash) if hash != part.hashed().sha256 => {
                let got = part.hashed().sha256;
                self.restart(part).await?;
                // What was there before may be to blame, not this source.
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

    /// Sends the request and makes `part` fit to take the body of the answer.
    async fn ask(&self, url: &str, part: &mut Partial) -> Result<Response, SourceError> {
        let mut request = self.client.get(url);
        if part.len() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.len()));
        }
        let response = request
            .send()
            .await
            .map_err(|e| SourceError::Unreachable(reason(&e)))?;
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

    /// Takes the body of an answer, and not a byte beyond the limit.
    async fn receive(
        &self,
        mut response: Response,
        want: &Download<'_>,
        part: &mut Partial,
    ) -> Result<(), SourceError> {
        loop {
            match response.chunk().await {
                Ok(None) if want.may_end_at(part.len()) => return Ok(()),
                Ok(None) => {
                    return Err(SourceError::Transient(format!(
                        "ended after {} bytes",
                        part.len()
                    )));
                }
                Ok(Some(bytes)) => {
                    let more = bytes.len() as u64;
                    if more > want.limit.saturating_sub(part.len()) {
                        self.restart(part).await?;
                        let why = format!("larger than the {} bytes that are allowed", want.limit);
                        return Err(SourceError::Permanent(why));
                    }
                    part.append(&bytes).await?;
                    self.progress.forward(more);
                }
                Err(e) => {
                    let why = format!("broke off after {} bytes: {}", part.len(), reason(&e));
                    return Err(SourceError::Transient(why));
                }
            }
        }
    }

    async fn restart(&self, part: &mut Partial) -> Result<(), SourceError> {
        if part.len() > 0 {
            self.progress.back(part.len());
            part.restart().await?;
        }
        Ok(())
    }
}

/// Whether a partial answer begins where we stopped.
fn starts_at(response: &Response, position: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {position}-")))
}

/// The innermost cause: the outer ones repeat the URL, or say no more than "error sending request".
pub(super) fn reason(error: &reqwest::Error) -> String {
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
