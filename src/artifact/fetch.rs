//! Downloads: verified while they stream in, from the first mirror that has the right bytes.
//!
//! A mirror that stalls, breaks off or has trouble of its own is asked again a few times, going on
//! where it stopped; one that lacks the file or has another one under its name is left at once. A
//! mirror that did not answer at all is not asked for the other files of the same call.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, ClientBuilder};

use super::cache::{Cache, CacheError, CacheLookup, ClaimResult};
use super::client::client;
use super::pin::Pin;
use super::progress::Progress;
use super::source::{Batch, DeadMirrors, Download, ReportedMirrors, SourceError};
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Class, Failure, OrFail};
use crate::common::hash::{Hashed, Sha256Hash};
use crate::common::timeout::timeout;

/// A mirror that takes longer to say whether it has a file is passed over.
const SURVEY: Duration = Duration::from_secs(4);

/// How patient we are with the network.
#[derive(Clone, Debug)]
pub struct Network {
    /// For a connection to come up.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// How often one mirror is asked for one file while its trouble looks temporary.
    pub tries: u32,
    /// Before the second try; doubled before each further one.
    pub pause: Duration,
    /// How many files at a time.
    pub parallel: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            tries: 3,
            pause: Duration::from_millis(500),
            parallel: 4,
        }
    }
}

/// Something that was fetched, or was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is; verified just now.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: Sha256Hash,
    /// Its length in bytes.
    pub size: u64,
    /// Where it came from after redirections; the URL that was asked for when nothing was sent.
    pub final_url: String,
}

/// Something that is not pinned by a lock.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Where it is.
    pub url: &'a str,
    /// Its hash. Without one whatever comes is taken, and its hash is for the caller to keep.
    pub sha256: Option<Sha256Hash>,
    /// More bytes than this are refused.
    pub limit: u64,
}

/// Why something could not be fetched.
#[derive(Debug)]
pub enum FetchError {
    /// None of the sources gave it; base URL and answer of each, in the order in which they were asked.
    Sources(Vec<(String, String)>),
    /// The disk, not the network.
    Cache(CacheError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sources(said) => {
                f.write_str("no source gave it")?;
                said.iter()
                    .try_for_each(|(source, why)| write!(f, "\n  {source}: {why}"))
            }
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<CacheError> for FetchError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Fetches into a cache.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    cache: Cache,
    network: Network,
    events: Events,
}

impl Fetcher {
    /// A fetcher into `cache`.
    pub fn new(cache: Cache, network: Network, events: Events) -> Result<Self, Failure> {
        let patient = |builder: ClientBuilder| {
            builder
                .connect_timeout(network.connect)
                .read_timeout(network.idle)
        };
        let client = client(patient).or_environment("prepare downloads")?;
        Ok(Self {
            client,
            cache,
            network,
            events,
        })
    }

    /// The cache that it fetches into.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Fetches what the cache lacks of `pins`, largest first. The paths come in the order of `pins`.
    pub async fn pins(
        &self,
        pins: &[&Pin],
        mirrors: &[String],
        cancel: &Cancel,
    ) -> Result<Vec<PathBuf>, Failure> {
        cancel.race(self.all(pins, mirrors)).await?
    }

    /// Fetches one URL.
    pub async fn url(&self, remote: Remote<'_>, cancel: &Cancel) -> Result<Fetched, Failure> {
        let Remote { url, sha256, limit } = remote;
        let bases = [url.to_owned()];
        let want = Download {
            what: url,
            bases: &bases,
            path: None,
            hash: sha256,
            size: None,
            limit,
        };
        let fetched = cancel.race(self.one(&want, &self.call(None))).await?;
        fetched.map_err(|error| failure(error, url, "check the network and the address"))
    }

    /// The first of `mirrors` that has `path` and says so within seconds.
    pub async fn first_reachable(
        &self,
        mirrors: &[String],
        path: &str,
        cancel: &Cancel,
    ) -> Result<Option<String>, Failure> {
        let ask = async {
            for mirror in mirrors {
                let url = format!("{}/{path}", mirror.trim_end_matches('/'));
                let answer = timeout(SURVEY, self.client.head(url).send()).await;
                if answer.is_some_and(|answer| answer.is_ok_and(|a| a.status().is_success())) {
                    return Some(mirror.clone());
                }
            }
            None
        };
        cancel.race(ask).await
    }

    pub(super) fn call(&self, total: Option<u64>) -> Batch<'_> {
        Batch {
            client: &self.client,
            network: &self.network,
            progress: Progress::new(&self.events, total),
            silent: DeadMirrors::default(),
            left: ReportedMirrors::default(),
        }
    }

    async fn all(&self, pins: &[&Pin], mirrors: &[String]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = HashMap::new();
        let (mut missing, mut damaged) = (Vec::new(), 0);
        let mut seen = HashSet::new();
        for pin in pins.iter().filter(|pin| seen.insert(pin.sha256)) {
            let found = self.cache.find(pin.sha256).await;
            match found.or_environment("look into the cache")? {
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
                "packages in the cache that are damaged and fetched again: {damaged}"
            ));
        }
        missing.sort_by_key(|pin| std::cmp::Reverse(pin.size));
        let call = &self.call(Some(missing.iter().map(|pin| pin.size).sum()));
        let fetched: Vec<Fetched> = stream::iter(missing)
            .map(|pin| self.pinned(pin, mirrors, call))
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
        call: &Batch<'_>,
    ) -> Result<Fetched, Failure> {
        let want = Download {
            what: &pin.name,
            bases: mirrors,
            path: Some(&pin.path),
            hash: Some(pin.sha256),
            size: Some(pin.size),
            limit: pin.size,
        };
        let fetched = self.one(&want, call).await;
        let hint = "check the network, or name another mirror in SDBUILD_DEBIAN_MIRROR";
        fetched.map_err(|error| failure(error, &format!("{} {}", pin.name, pin.version), hint))
    }

    async fn one(&self, want: &Download<'_>, call: &Batch<'_>) -> Result<Fetched, FetchError> {
        let mut part = match want.hash {
            None => self.cache.unnamed().await?,
            Some(sha256) => {
                let waits = || {
                    self.events.notice(format_args!(
                        "another sdbuild fetches {}: waiting",
                        want.what
                    ));
                };
                match self.cache.claim(sha256, waits).await? {
                    ClaimResult::Mine(part) => *part,
                    ClaimResult::Whole { path, size } => {
                        call.progress.forward(size);
                        let final_url = want.bases.first().cloned().unwrap_or_default();
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
        call.progress.forward(part.len());
        let mut said = Vec::new();
        for base in want.bases {
            match call.fetch_with_retries(base, want, &mut part).await {
                Ok(final_url) => {
                    let Hashed { sha256, size } = part.hashed();
                    let path = self.cache.keep(part, sha256).await?;
                    return Ok(Fetched {
                        path,
                        sha256,
                        size,
                        final_url,
                    });
                }
                Err(SourceError::Disk(error)) => return Err(error.into()),
                Err(
                    SourceError::Unreachable(why)
                    | SourceError::Transient(why)
                    | SourceError::Permanent(why),
                ) => {
                    let is_last = want.bases.last() == Some(base);
                    if !is_last && call.left.add(base) {
                        let what = want.what;
                        self.events.notice(format_args!(
                            "{base} does not give {what}: {why}; asking the next source"
                        ));
                    }
                    said.push((base.clone(), why));
                }
            }
        }
        Err(FetchError::Sources(said))
    }
}

fn failure(error: FetchError, what: &str, network: &'static str) -> Failure {
    let hint = match error {
        FetchError::Sources(_) => network,
        FetchError::Cache(_) => "check free space and permissions of the cache directory",
    };
    Failure::new(Class::Environment, error)
        .context(format_args!("download {what}"))
        .hint(hint)
}
