//! Downloads: verified while they are received, from the first mirror that has the right bytes.
//!
//! A mirror that stalls, breaks off or reports an error of its own is asked again a few times, and the download
//! resumed; one that does not have the file, or another file under its name, is not asked again. A mirror
//! that did not answer at all, or that sends next to nothing, is not asked for the other files of the same call.
//!
//! backon 1.6 was considered for the retries: it does not tell the classes of errors of `SourceError` apart.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail};
use sdbuild_core::hash::{Hashed, Hasher, Sha256Hash};
use sdbuild_core::plain_file;
use sdbuild_core::timeout::timeout;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::cache::{At, Cache, CacheError, CacheLookup, ClaimResult};
use super::client::LazyClient;
use super::pin::Pin;
use super::source::{Batch, Download, SourceError};

/// How long a mirror may take to answer whether it has a file.
const REACHABLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A file that was downloaded, or that the cache had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file in the cache, which was just verified.
    pub path: PathBuf,
    pub sha256: Sha256Hash,
    pub size: u64,
    /// Where redirections led; the requested URL if nothing was downloaded.
    pub final_url: String,
}

/// A file that no lock pins.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    pub url: &'a str,
    /// Its hash. Without one any content is accepted, and the caller has to keep the hash that is returned.
    pub sha256: Option<Sha256Hash>,
    pub max_bytes: u64,
    pub phase: Phase,
}

#[derive(Clone, Debug)]
pub struct Fetcher {
    pub(super) client: LazyClient,
    cache: Cache,
    network: Network,
    events: Events,
    /// Whether the wait for another process was reported; clones report it once together.
    wait_was_reported: Arc<AtomicBool>,
}

impl Fetcher {
    pub fn new(cache: Cache, network: Network, events: Events) -> Result<Self, Failure> {
        let client = LazyClient::new(network.clone()).or_environment(PREPARE)?;
        Ok(Self {
            client,
            cache,
            network,
            events,
            wait_was_reported: Arc::default(),
        })
    }

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

    pub(super) fn batch(&self, phase: Phase, total: Option<u64>) -> Batch<'_> {
        Batch {
            client: &self.client,
            network: &self.network,
            progress: Progress {
                events: &self.events,
                phase,
                total,
                counter: Mutex::default(),
            },
            dead: Mutex::default(),
            reported: Mutex::default(),
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
                    if !self.wait_was_reported.swap(true, Ordering::Relaxed) {
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
                    if !is_last && batch.is_first_report(base) {
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

/// What failed if there is no client of HTTP.
pub(super) const PREPARE: &str = "prepare downloads";
/// Hint where a named address has no file.
pub const CHECK_ADDRESS: &str = "check the network and the address";

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No source had it: base URL and reason of each, in the order in which they were asked.
    #[error("no server delivered it{}", lines(.0))]
    Sources(Vec<(String, String)>),
    #[error("the cache does not have it, and --offline does not allow a download")]
    Offline,
    /// No source was asked, because the client of HTTP could not be made.
    #[error("{0}")]
    Client(String),
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn lines(answers: &[(String, String)]) -> String {
    let line = |(source, why): &(String, String)| format!("\n  {source}: {why}");
    answers.iter().map(line).collect()
}

impl FetchError {
    /// The failure to download `name`; `network_hint` is for the sources.
    pub(super) fn fail(self, name: &str, network_hint: &'static str) -> Failure {
        let hint = match self {
            // It is about no file.
            Self::Client(_) => return Failure::new(Class::Environment, self).context(PREPARE),
            Self::Sources(_) => network_hint,
            Self::Offline => "run it once without --offline; what is downloaded is kept",
            Self::Cache(_) => "check free space and permissions of the cache directory",
        };
        Failure::new(Class::Environment, self)
            .context(format_args!("download {name}"))
            .hint(hint)
    }
}

/// A partly downloaded file, and the hash of its bytes so far.
pub(super) struct Partial {
    file: tokio::fs::File,
    path: PathBuf,
    hasher: Hasher,
    /// Removes the file when this value is dropped, if nothing can resume it.
    cleanup: Option<tempfile::TempPath>,
}

impl Partial {
    /// Hashes what `file`, which is at `path`, has already.
    pub(super) async fn resume(file: File, path: PathBuf) -> Result<Self, CacheError> {
        let at = path.clone();
        let hash = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::new();
            hasher.read_to_end(&file)?;
            Ok((tokio::fs::File::from_std(file), hasher))
        });
        let (file, hasher) = hash
            .await
            .map_err(io::Error::other)
            .flatten()
            .at("read", &at)?;
        Ok(Self {
            file,
            path,
            hasher,
            cleanup: None,
        })
    }

    /// A new file in `dir` for something whose hash is not known. It is removed with this value unless it is
    /// [moved](Self::move_to), since a later run could not know what it has to resume.
    pub(super) fn unnamed(dir: &Path, prefix: &str) -> Result<Self, CacheError> {
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(PART_SUFFIX)
            .tempfile_in(dir);
        let (file, path) = file.at("create a file in", dir)?.into_parts();
        Ok(Self {
            file: tokio::fs::File::from_std(file),
            path: path.to_path_buf(),
            hasher: Hasher::new(),
            cleanup: Some(path),
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.hasher.size()
    }

    pub(super) fn hashed(&self) -> Hashed {
        self.hasher.clone().finish()
    }

    pub(super) async fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).await.at("write", &self.path)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Flushes the file to disk and renames it to `object`, over whatever has that name.
    pub(super) async fn move_to(mut self, object: &Path) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.sync_all().await.at("write", &self.path)?;
        let renamed = fs::rename(&self.path, object).or_else(|error| {
            if !object.is_dir() {
                return Err(error);
            }
            fs::remove_dir_all(object)?;
            fs::rename(&self.path, object)
        });
        renamed.at("replace", object)?;
        if let Some(cleanup) = self.cleanup.take() {
            // There is nothing left under the old name.
            cleanup.keep().ok();
        }
        Ok(())
    }

    pub(super) async fn restart(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.at("write", &self.path)?;
        self.file.set_len(0).await.at("empty", &self.path)?;
        self.file.rewind().await.at("empty", &self.path)?;
        self.hasher = Hasher::new();
        Ok(())
    }
}

pub(super) const PART_SUFFIX: &str = ".part";

/// Opens the partly downloaded file at `path`, or creates it.
pub(super) fn open_part(path: &Path) -> io::Result<File> {
    plain_file::create_unlinked(path).or_else(|error| {
        // Something else than a file has the name, which is ours, in our directory. Of a link only the link is
        // removed.
        let kind = match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => meta.file_type(),
            // It is a file or there is nothing: the first error says why, for instance a full disk.
            Ok(_) | Err(_) => return Err(error),
        };
        if kind.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
        plain_file::create_unlinked(path)
    })
}

const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// The bytes of all downloads of one call in one number.
pub(super) struct Progress<'a> {
    events: &'a Events,
    phase: Phase,
    total: Option<u64>,
    /// The bytes that are done, and when they were reported.
    counter: Mutex<(u64, Option<Instant>)>,
}

impl Progress<'_> {
    /// Counts `bytes` that were received or that the cache had.
    pub(super) fn add(&self, bytes: u64) {
        self.change(|done| done.saturating_add(bytes));
    }

    /// Subtracts `bytes` that were discarded.
    pub(super) fn subtract(&self, bytes: u64) {
        self.change(|done| done.saturating_sub(bytes));
    }

    fn change(&self, new: impl FnOnce(u64) -> u64) {
        let Ok(mut counter) = self.counter.lock() else {
            return;
        };
        let done = new(counter.0);
        counter.0 = done;
        let is_due = |last: Instant| last.elapsed() >= REPORT_INTERVAL;
        if self.total == Some(done) || counter.1.is_none_or(is_due) {
            counter.1 = Some(Instant::now());
            self.events.bytes(self.phase, done, self.total);
        }
    }
}

/// A small file that every Debian mirror has, below its address.
pub const MIRROR_PROBE: &str = "dists/stable/Release";

#[derive(Clone, Debug)]
pub struct Network {
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub read_timeout: Duration,
    /// How often one mirror is asked for one file if its errors may be temporary.
    pub tries: u32,
    /// The pause before the second try; it doubles before each further one.
    pub pause: Duration,
    pub parallel: usize,
    /// Whether nothing is downloaded: only what the cache has can be had.
    pub offline: bool,
    /// Certificate authorities (PEM) to trust in addition to the usual ones; may be empty.
    pub authorities: Vec<u8>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(20),
            tries: 3,
            pause: Duration::from_millis(500),
            parallel: 4,
            offline: false,
            authorities: Vec::new(),
        }
    }
}
