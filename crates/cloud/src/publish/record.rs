//! What was sent of an image: a file in the state directory that its upload keeps locked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::locked_record::{LockedRecord, entries};
use sdbuild_core::{locked_file, private_dir};
use serde::{Deserialize, Serialize};

use crate::aws::{Ami, Client, Error, Snapshot};
use crate::publish::plan::HASH_TAG;
use crate::publish::upload;

/// The record of a disk of 2 TiB is smaller.
const MAX_RECORD_BYTES: u64 = 512 << 20;

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    /// The first line: what is about to be sent.
    Started {
        name: String,
        region: String,
        sha256: Sha256Hash,
    },
    /// The token with which the next snapshot is started; what was sent to another one does not count any more.
    Token(String),
    /// The snapshot that receives it.
    Snapshot(String),
    /// A block that is there, with its hash.
    Sent(u64, Sha256Hash),
    /// AWS is about to be asked to complete the snapshot, which has all of them.
    Completing,
    /// The snapshot is complete, or will be without further calls.
    Completed,
}

/// An upload that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// The image's name.
    pub name: String,
    /// The region.
    pub region: String,
    /// The snapshot, once there is one.
    pub snapshot: Option<String>,
    /// Blocks that it has.
    pub blocks: u64,
    /// When something was sent last.
    #[serde(skip)]
    pub changed: SystemTime,
    /// Whether a process goes on with it.
    #[serde(skip)]
    pub is_running: bool,
    #[serde(skip)]
    path: PathBuf,
}

/// The record of one upload, locked by this process.
#[derive(Debug)]
pub(super) struct Record {
    file: LockedRecord<Entry>,
    progress: Progress,
}

/// What the entries of a record say.
#[derive(Debug, Default)]
pub(super) struct Progress {
    token: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) sent: BTreeMap<u64, Sha256Hash>,
    /// Whether AWS may have been asked to complete the snapshot: it takes no more blocks then.
    pub(super) is_completing: bool,
    pub(super) is_complete: bool,
}

impl Progress {
    fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut progress = Self::default();
        for entry in entries {
            progress.take(entry);
        }
        progress
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Started { .. } => {}
            Entry::Token(token) => {
                *self = Self {
                    token: Some(token),
                    ..Self::default()
                }
            }
            Entry::Snapshot(id) => self.snapshot = Some(id),
            Entry::Sent(index, hash) => {
                self.sent.insert(index, hash);
            }
            Entry::Completing => self.is_completing = true,
            Entry::Completed => self.is_complete = true,
        }
    }
}

impl Record {
    /// The record of the disk `sha256` with this name and region below `state_dir`, with what an earlier run sent.
    ///
    /// # Errors
    ///
    /// Another process has it, or it cannot be written.
    pub(super) fn open(
        state_dir: &Path,
        name: &str,
        region: &str,
        sha256: Sha256Hash,
    ) -> Result<Self, Failure> {
        let path = path(state_dir, name, region, sha256);
        let operation = format!("store the record of the upload in {}", path.display());
        let started = Entry::Started {
            name: name.to_owned(),
            region: region.to_owned(),
            sha256,
        };
        private_dir::create(&dir(state_dir)).or_environment(&operation)?;
        let file = match LockedRecord::open(&path, &started) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(in_use(name, region));
            }
            file => file.or_environment(&operation)?,
        };
        Self::read(file).or_environment(&operation)
    }

    /// The record of the disk `sha256`, if there is one that no other process has.
    pub(super) fn existing(
        state_dir: &Path,
        name: &str,
        region: &str,
        sha256: Sha256Hash,
    ) -> Option<Self> {
        let path = path(state_dir, name, region, sha256);
        let file = LockedRecord::take_over(&path).ok()??;
        Self::read(file).ok()
    }

    /// What the record says of its upload.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn read(file: LockedRecord<Entry>) -> io::Result<Self> {
        let progress = Progress::of(entries(file.path(), MAX_RECORD_BYTES)?);
        Ok(Self { file, progress })
    }

    /// The token to start the snapshot with: that of an earlier run whose answer may have been lost, or a new one.
    pub(super) fn token(&mut self) -> Result<String, Failure> {
        match &self.progress.token {
            Some(token) => Ok(token.clone()),
            None => self.renew(),
        }
    }

    /// Forgets the snapshot, and returns the token for another one.
    pub(super) fn renew(&mut self) -> Result<String, Failure> {
        let token = upload::random()?;
        self.add_for_good(Entry::Token(token.clone()))?;
        Ok(token)
    }

    /// There is a snapshot, which has nothing yet.
    pub(super) fn started(&mut self, id: &str) -> Result<(), Failure> {
        self.add_for_good(Entry::Snapshot(id.to_owned()))
    }

    /// The snapshot has a block.
    pub(super) fn sent(&mut self, index: u64, hash: Sha256Hash) -> Result<(), Failure> {
        self.add(Entry::Sent(index, hash))
    }

    /// The snapshot has all blocks, and AWS is asked next to complete it.
    pub(super) fn completing(&mut self) -> Result<(), Failure> {
        // What was sent has to be known as well.
        self.add_for_good(Entry::Completing)
    }

    /// AWS completes the snapshot.
    pub(super) fn completed(&mut self) -> Result<(), Failure> {
        self.add(Entry::Completed)
    }

    fn add(&mut self, entry: Entry) -> Result<(), Failure> {
        let added = self.file.add(&entry);
        added.or_environment("write the record of the upload")?;
        self.progress.take(entry);
        Ok(())
    }

    /// Adds `entry`, which is on the disk then, with all before it.
    fn add_for_good(&mut self, entry: Entry) -> Result<(), Failure> {
        self.add(entry)?;
        let synced = self.file.sync();
        synced.or_environment("write the record of the upload")
    }

    /// Removes the file, while it is locked: the image is there.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let operation = format!("remove {}", self.file.path().display());
        self.file.remove().or_environment(operation)
    }
}

/// All uploads below `state_dir` that did not come to their end, those that a process goes on with included.
pub fn uploads(state_dir: &Path) -> Vec<Unfinished> {
    let entries = fs::read_dir(dir(state_dir)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut all: Vec<_> = paths.filter_map(|path| read_unfinished(&path)).collect();
    all.sort_by(|one, other| (&one.region, &one.name).cmp(&(&other.region, &other.name)));
    all
}

/// Those of them that no process goes on with.
pub fn unfinished(state_dir: &Path) -> Vec<Unfinished> {
    let mut all = uploads(state_dir);
    all.retain(|upload| !upload.is_running);
    all
}

/// Forgets an upload, whose snapshot is gone.
///
/// # Errors
///
/// A process goes on with it.
pub fn forget(upload: &Unfinished) -> Result<(), Failure> {
    let operation = format!("remove {}", upload.path.display());
    match LockedRecord::<Entry>::take_over(&upload.path) {
        Ok(Some(record)) => record.remove().or_environment(operation),
        Ok(None) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(in_use(&upload.name, &upload.region))
        }
        Err(error) => Err(error).or_environment(operation),
    }
}

fn in_use(name: &str, region: &str) -> Failure {
    Failure::environment(format!("another sdbuild is publishing {name} in {region}"))
}

fn read_unfinished(path: &Path) -> Option<Unfinished> {
    let mut entries = entries(path, MAX_RECORD_BYTES).ok()?.into_iter();
    let Entry::Started { name, region, .. } = entries.next()? else {
        return None;
    };
    let progress = Progress::of(entries);
    Some(Unfinished {
        name,
        region,
        snapshot: progress.snapshot,
        blocks: progress.sent.len() as u64,
        changed: fs::metadata(path).and_then(|file| file.modified()).ok()?,
        is_running: locked_file::owner(path) == locked_file::Owner::Alive,
        path: path.to_owned(),
    })
}

/// Where the record of the disk `sha256` is.
fn path(state_dir: &Path, name: &str, region: &str, sha256: Sha256Hash) -> PathBuf {
    let key = format!("{name}\0{region}\0{sha256}");
    dir(state_dir).join(Sha256Hash::of(key.as_bytes()).short())
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("snapshots")
}

/// AWS discards a snapshot that is not completed within a day of its last block.
const KEPT_BY_AWS: Duration = Duration::from_hours(25);

/// Unfinished uploads whose snapshot AWS has discarded, by their age. One that was completed is found by its tags without its record.
pub fn discarded(state_dir: &Path) -> Vec<Unfinished> {
    let now = SystemTime::now();
    let mut all = unfinished(state_dir);
    all.retain(|upload| now.duration_since(upload.changed).unwrap_or_default() > KEPT_BY_AWS);
    all
}

/// Snapshots that sdbuild sent, and that neither belong to one of `images` nor to one of the `uploads` of this machine.
pub async fn snapshots_without_image(
    client: &Client,
    images: &[Ami],
    uploads: &[Unfinished],
) -> Result<Vec<Snapshot>, Error> {
    let mut snapshots = client.snapshots(("tag-key", HASH_TAG)).await?;
    let of_image = |id: &String| images.iter().any(|image| image.snapshots.contains(id));
    let of_upload = |id: &String| {
        let mut snapshots = uploads.iter().filter_map(|one| one.snapshot.as_ref());
        snapshots.any(|snapshot| snapshot == id)
    };
    snapshots.retain(|one| !of_image(&one.id) && !of_upload(&one.id));
    Ok(snapshots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_what_was_sent_before_a_kill() {
        let state = tempfile::tempdir().unwrap();
        let hash = Sha256Hash::of(b"disk");
        let open = || Record::open(state.path(), "pi", "eu-central-1", hash);
        let mut record = open().unwrap();
        let second = open().unwrap_err();
        assert!(
            second.error.to_string().contains("another sdbuild"),
            "{second:?}"
        );
        record.started("snap-1").unwrap();
        record.sent(7, hash).unwrap();
        assert_eq!(unfinished(state.path()), [], "it is going on");
        drop(record);
        let found = unfinished(state.path()).remove(0);
        assert_eq!(
            (found.snapshot.as_deref(), found.blocks),
            (Some("snap-1"), 1)
        );
        let mut record = open().unwrap();
        assert_eq!(record.progress.sent.keys().collect::<Vec<_>>(), [&7]);
        record.sent(9, hash).unwrap();
        drop(record);
        let record = open().unwrap();
        assert_eq!(record.progress.sent.len(), 2);
        record.remove().unwrap();
        assert_eq!(unfinished(state.path()), []);
    }

    #[test]
    fn an_upload_that_goes_on_is_not_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let hash = Sha256Hash::of(b"disk");
        let record = Record::open(state.path(), "pi", "eu-central-1", hash).unwrap();
        let upload = uploads(state.path()).remove(0);
        assert!(upload.is_running && forget(&upload).is_err() && upload.path.exists());
        drop(record);
        forget(&upload).unwrap();
        assert!(!upload.path.exists());
    }
}
