//! Downloads: verified while they are received, from the first mirror that has the right bytes.
//!
//! A mirror that stalls, breaks off or reports an error of its own is asked again a few times, and the download
//! resumed; one that does not have the file, or another file under its name, is not asked again. A mirror
//! that did not answer at all, or that sends next to nothing, is not asked for the other files of the same call.
//!
//! backon 1.6 was considered for the retries: it does not tell the classes of errors of `SourceError` apart.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::cache::{Cache, CacheLookup, ClaimResult};
use super::client::LazyClient;
use super::fetch_error::{CHECK_ADDRESS, FetchError, PREPARE};
use super::mirror_state::{DeadMirrors, ReportedMirrors};
use super::network::Network;
use super::partial::Partial;
use super::pin::Pin;
use super::progress::Progress;
use super::source::{Batch, Download, SourceError};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::hash::{Hashed, Sha256Hash};
use sdbuild_core::timeout::timeout;

/// How long a mirror may take to answer whether it has a file.
const REACHABLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A file that was downloaded, or that the cache had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file in the cache, which was just verified.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: Sha256Hash,
    /// The length of the file in bytes.
    pub size: u64,
    /// Where redirections led; the requested URL if nothing was downloaded.
    pub final_url: String,
}

/// A file that no lock pins.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Its URL.
    pub url: &'a str,
    /// Its hash. Without one any content is accepted, and the caller has to keep the hash that is returned.
    pub sha256: Option<Sha256Hash>,
    /// The most bytes that are accepted.
    pub max_bytes: u64,
    /// The phase of the run that its progress is reported for.
    pub phase: Phase,
}

/// Downloads files into a cache.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: LazyClient,
    cache: Cache,
    network: Network,
    events: Events,
    /// Whether it was told that another process downloads; clones tell it once together.
    told_to_wait: Arc<AtomicBool>,
}

impl Fetcher {
    /// A fetcher that downloads into `cache`.
    pub fn new(cache: Cache, network: Network, events: Events) -> Result<Self, Failure> {
        let client = LazyClient::new(network.clone()).or_environment(PREPARE)?;
        Ok(Self {
            client,
            cache,
            network,
            events,
            told_to_wait: Arc::default(),
        })
    }

    /// The cache that it downloads into.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Downloads those of `pins` that the cache does not have, the largest first. Returns the files in the order of
    /// `pins`.
    pub async fn pins(
        &self,
        pins: &[&Pin],
        mirrors: &[String],
        cancel: &Cancel,
    ) -> Result<Vec<PathBuf>, Failure> {
        cancel.race(self.all(pins, mirrors)).await?
    }

    /// Downloads one URL.
    pub async fn url(&self, remote: Remote<'_>, cancel: &Cancel) -> Result<Fetched, Failure> {
        let Remote {
            url,
            sha256,
            max_bytes,
            phase,
        } = remote;
        let bases = [url.to_owned()];
        let download = Download {
            name: url,
            bases: &bases,
            path: None,
            hash: sha256,
            size: None,
            max_bytes,
        };
        let fetched = cancel
            .race(self.download(&download, &self.batch(phase, None)))
            .await?;
        fetched.map_err(|error| error.fail(url, CHECK_ADDRESS))
    }

    /// The first of `mirrors` that answers within seconds that it has `path`; `None` if nothing is to be downloaded.
    pub async fn first_reachable(
        &self,
        mirrors: &[String],
        path: &str,
        cancel: &Cancel,
    ) -> Result<Option<String>, Failure> {
        if self.network.offline {
            return Ok(None);
        }
        let client = self.client.get().or_environment(PREPARE)?;
        let first = async {
            for mirror in mirrors {
                let url = format!("{}/{path}", mirror.trim_end_matches('/'));
                let answer = timeout(REACHABLE_TIMEOUT, client.head(url).send()).await;
                if answer.is_some_and(|answer| answer.is_ok_and(|a| a.status().is_success())) {
                    return Some(mirror.clone());
                }
            }
            None
        };
        cancel.race(first).await
    }

    /// The same with a client that cannot be made.
    #[cfg(test)]
    pub(super) fn with_broken_client(mut self) -> Self {
        self.client = LazyClient::broken(self.network.clone());
        self
    }

    /// Whether anything has been asked of a server.
    #[cfg(test)]
    pub(super) fn has_client(&self) -> bool {
        self.client.is_made()
    }

    pub(super) fn batch(&self, phase: Phase, total: Option<u64>) -> Batch<'_> {
        Batch {
            client: &self.client,
            network: &self.network,
            progress: Progress::new(&self.events, phase, total),
            dead: DeadMirrors::default(),
            reported: ReportedMirrors::default(),
        }
    }

    async fn all(&self, pins: &[&Pin], mirrors: &[String]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = HashMap::new();
        let (mut missing, mut damaged) = (Vec::new(), 0);
        let mut seen = HashSet::new();
        for pin in pins.iter().filter(|pin| seen.insert(pin.sha256)) {
            let found = self.cache.find(pin.sha256).await;
            match found.or_environment("read the cache")? {
                CacheLookup::Valid { path, .. } => {
                    paths.insert(pin.sha256, path);
                }
                CacheLookup::Missing => missing.push(*pin),
                CacheLookup::Damaged => {
                    damaged += 1;
                    missing.push(*pin);
                }
            }
        }
        if damaged > 0 {
            self.events.notice(format_args!(
                "these packages in the cache are damaged and are downloaded again: {damaged}"
            ));
        }
        missing.sort_by_key(|pin| std::cmp::Reverse(pin.size));
        let batch = &self.batch(Phase::Fetch, Some(missing.iter().map(|pin| pin.size).sum()));
        let fetched: Vec<Fetched> = stream::iter(missing)
            .map(|pin| self.pinned(pin, mirrors, batch))
            .buffer_unordered(self.network.parallel.max(1))
            .try_collect()
            .await?;
        paths.extend(
            fetched
                .into_iter()
                .map(|fetched| (fetched.sha256, fetched.path)),
        );
        Ok(pins
            .iter()
            .filter_map(|pin| paths.get(&pin.sha256).cloned())
            .collect())
    }

    pub(super) async fn pinned(
        &self,
        pin: &Pin,
        mirrors: &[String],
        batch: &Batch<'_>,
    ) -> Result<Fetched, Failure> {
        let download = Download {
            name: &pin.name,
            bases: mirrors,
            path: Some(&pin.path),
            hash: Some(pin.sha256),
            size: Some(pin.size),
            max_bytes: pin.size,
        };
        let fetched = self.download(&download, batch).await;
        let hint = "check the network, or name another mirror in SDBUILD_DEBIAN_MIRROR";
        fetched.map_err(|error| error.fail(&format!("{} {}", pin.name, pin.version), hint))
    }

    /// Downloads a file unless the cache has it.
    async fn download(
        &self,
        download: &Download<'_>,
        batch: &Batch<'_>,
    ) -> Result<Fetched, FetchError> {
        let part = match download.hash {
            None => self.cache.unnamed()?,
            Some(sha256) => {
                let on_wait = || {
                    if !self.told_to_wait.swap(true, Ordering::Relaxed) {
                        let name = download.name;
                        self.events.notice(format_args!(
                            "waiting for another sdbuild that is downloading files that this one needs, such as {name}"
                        ));
                    }
                };
                match self.cache.claim(sha256, on_wait).await? {
                    ClaimResult::Claimed(part) => *part,
                    ClaimResult::Complete { path, size } => {
                        batch.progress.add(size);
                        let final_url = download.requested_url();
                        return Ok(Fetched {
                            path,
                            sha256,
                            size,
                            final_url,
                        });
                    }
                }
            }
        };
        self.try_sources(download, batch, part).await
    }

    /// Downloads the rest of `part` from the first source that has it.
    async fn try_sources(
        &self,
        download: &Download<'_>,
        batch: &Batch<'_>,
        mut part: Partial,
    ) -> Result<Fetched, FetchError> {
        if self.network.offline {
            return Err(FetchError::Offline);
        }
        batch.progress.add(part.len());
        let mut answers = Vec::new();
        for base in download.bases {
            match batch.fetch_with_retries(base, download, &mut part).await {
                Ok(final_url) => {
                    let Hashed { sha256, size } = part.hashed();
                    let path = self.cache.store(part, sha256).await?;
                    return Ok(Fetched {
                        path,
                        sha256,
                        size,
                        final_url,
                    });
                }
                Err(SourceError::Cache(error)) => return Err(error.into()),
                Err(SourceError::Client(why)) => return Err(FetchError::Client(why)),
                Err(
                    SourceError::Unreachable(why)
                    | SourceError::Transient(why)
                    | SourceError::Slow(why)
                    | SourceError::Permanent(why),
                ) => {
                    let is_last = download.bases.last() == Some(base);
                    if !is_last && batch.reported.insert(base) {
                        let name = download.name;
                        self.events.notice(format_args!(
                            "{base} does not provide {name}: {why}; asking the next source"
                        ));
                    }
                    answers.push((base.clone(), why));
                }
            }
        }
        Err(FetchError::Sources(answers))
    }
}
