//! Downloads: verified while they stream in, from the first mirror that has the right bytes.
//!
//! A mirror that stalls, breaks off or has trouble of its own is asked again a few times, going on
//! where it stopped; one that lacks the file or has another one under its name is left at once. A
//! mirror that did not answer at all is not asked for the other files of the same call.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;

use super::cache::{Cache, CacheError, Claim, Found, Partial};
use super::pin::{Pin, Sha256Hash};
use super::progress::Progress;
use super::source::{Silent, Trouble, Want, attempt};
use crate::cancel::Cancel;
use crate::event::Events;
use crate::failure::{Class, Failure, OrFail};

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
}

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// None of the places had it; what each of them said.
    #[error("no source gave it{}", said.iter().map(|(url, why)| format!("\n  {url}: {why}")).collect::<String>())]
    Sources {
        /// Base URL and answer, in the order in which they were asked.
        said: Vec<(String, String)>,
    },
    /// The disk, not the network.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Fetches into a cache.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    cache: Cache,
    network: Network,
    events: Events,
}

impl Fetcher {
    /// A fetcher into `cache`.
    pub fn new(cache: Cache, network: Network, events: Events) -> Result<Self, Failure> {
        // reqwest panics without a provider. Whoever was first has installed the same one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = Client::builder()
            .user_agent(concat!("sdbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(network.connect)
            .read_timeout(network.idle)
            .build()
            .or_environment("prepare downloads")?;
        Ok(Self { client, cache, network, events })
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

    /// Fetches one URL of at most `limit` bytes. Without an expected hash whatever comes is taken,
    /// and its hash is for the caller to keep.
    pub async fn url(
        &self,
        url: &str,
        expected: Option<Sha256Hash>,
        limit: u64,
        cancel: &Cancel,
    ) -> Result<Fetched, Failure> {
        let bases = [url.to_owned()];
        let want = Want { what: url, bases: &bases, path: None, hash: expected, size: None, limit };
        let progress = Progress::new(&self.events, None);
        let fetched = cancel.race(self.one(&want, &progress, &Silent::default())).await?;
        fetched.map_err(|error| failure(error, url))
    }

    async fn all(&self, pins: &[&Pin], mirrors: &[String]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = vec![None; pins.len()];
        let mut missing = Vec::new();
        for (slot, pin) in paths.iter_mut().zip(pins) {
            match self.cache.find(pin.sha256).await.or_environment("look into the cache")? {
                Found::Whole { path, .. } => *slot = Some(path),
                Found::Missing => missing.push((slot, *pin)),
                Found::Damaged => {
                    self.events.notice(format_args!("{} in the cache is damaged", pin.name));
                    missing.push((slot, *pin));
                }
            }
        }
        missing.sort_by_key(|(_, pin)| std::cmp::Reverse(pin.size));
        if !missing.is_empty() {
            let total = missing.iter().map(|(_, pin)| pin.size).sum();
            let progress = Progress::new(&self.events, Some(total));
            let silent = Silent::default();
            stream::iter(missing)
                .map(|(slot, pin)| {
                    let (progress, silent) = (&progress, &silent);
                    async move {
                        let want = Want {
                            what: &pin.name,
                            bases: mirrors,
                            path: Some(&pin.path),
                            hash: Some(pin.sha256),
                            size: Some(pin.size),
                            limit: pin.size,
                        };
                        let fetched = self.one(&want, progress, silent).await;
                        let what = format_args!("{} {}", pin.name, pin.version).to_string();
                        *slot = Some(fetched.map_err(|error| failure(error, &what))?.path);
                        Ok::<(), Failure>(())
                    }
                })
                .buffer_unordered(self.network.parallel.max(1))
                .try_collect::<()>()
                .await?;
        }
        Ok(paths.into_iter().flatten().collect())
    }

    async fn one(
        &self,
        want: &Want<'_>,
        progress: &Progress<'_>,
        silent: &Silent,
    ) -> Result<Fetched, FetchError> {
        let mut part = match want.hash {
            None => self.cache.unnamed().await?,
            Some(sha256) => {
                let waits = || {
                    self.events.notice(format_args!("another sdbuild fetches {}: waiting", want.what));
                };
                match self.cache.claim(sha256, waits).await? {
                    Claim::Mine(part) => part,
                    Claim::Whole { path, size } => {
                        progress.forward(size);
                        return Ok(Fetched { path, sha256, size });
                    }
                }
            }
        };
        progress.forward(part.len());
        let mut said = Vec::new();
        for base in want.bases {
            match self.from_one_source(base, want, &mut part, (progress, silent)).await {
                Ok(()) => {
                    let (sha256, size) = (part.hash(), part.len());
                    let path = self.cache.keep(part, sha256).await?;
                    return Ok(Fetched { path, sha256, size });
                }
                Err(Trouble::Disk(error)) => return Err(error.into()),
                Err(Trouble::Silent(why) | Trouble::Passing(why) | Trouble::Lasting(why)) => {
                    said.push((base.clone(), why));
                }
            }
        }
        Err(FetchError::Sources { said })
    }

    async fn from_one_source(
        &self,
        base: &str,
        want: &Want<'_>,
        part: &mut Partial,
        (progress, silent): (&Progress<'_>, &Silent),
    ) -> Result<(), Trouble> {
        if let Some(why) = silent.why(base) {
            return Err(Trouble::Lasting(format!("not asked again ({why})")));
        }
        let mut pause = self.network.pause;
        let mut tries = 1;
        loop {
            match attempt(&self.client, base, want, part, progress).await {
                Err(Trouble::Silent(why)) if tries >= self.network.tries => {
                    silent.add(base, &why);
                    return Err(Trouble::Lasting(format!("{why} ({tries} tries)")));
                }
                Err(Trouble::Passing(why)) if tries >= self.network.tries => {
                    return Err(Trouble::Lasting(format!("{why} ({tries} tries)")));
                }
                Err(Trouble::Silent(_) | Trouble::Passing(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    tries += 1;
                }
                other => return other,
            }
        }
    }
}

fn failure(error: FetchError, what: &str) -> Failure {
    let from_network = matches!(error, FetchError::Sources { .. });
    let failure = Failure::new(Class::Environment, error).context(format_args!("download {what}"));
    if from_network {
        failure.hint("check the network, or name another mirror in SDBUILD_DEBIAN_MIRROR")
    } else {
        failure.hint("check free space and permissions of the cache folder")
    }
}
