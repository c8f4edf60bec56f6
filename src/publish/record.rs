//! What was sent of an image: a file in the state directory that its upload keeps locked. It has one JSON object per line and only
//! grows, so that a kill in the middle costs the last line at most.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::common::failure::{Failure, OrFail as _};
use crate::common::hash::Sha256Hash;
use crate::common::{locked_file, plain_file, private_dir};
use crate::publish::token;

/// The record of a disk of 2 TiB is smaller.
const MAX_RECORD_BYTES: u64 = 512 << 20;
/// Names of images are the user's own.
const RECORD_MODE: u32 = 0o600;
/// How often the lock of a record is tried that other processes make and remove meanwhile.
const LOCK_TRIES: u32 = 100;

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
    path: PathBuf,
    file: File,
    token: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) sent: BTreeMap<u64, Sha256Hash>,
    /// Whether AWS may have been asked to complete the snapshot: it takes no more blocks then.
    pub(super) is_completing: bool,
    pub(super) is_complete: bool,
    // Open for its lock.
    lock: File,
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
        let line = line_of(&started).or_environment(&operation)?;
        let lock = match lock(&path, &line) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(in_use(name, region));
            }
            lock => lock.or_environment(&operation)?,
        };
        Self::read(path, lock).or_environment(&operation)
    }

    /// The record of the disk `sha256`, if there is one that no other process has.
    pub(super) fn existing(
        state_dir: &Path,
        name: &str,
        region: &str,
        sha256: Sha256Hash,
    ) -> Option<Self> {
        let path = path(state_dir, name, region, sha256);
        let lock = lock_existing(&path).ok()??;
        Self::read(path, lock).ok()
    }

    /// Reads the file at `path`, which `lock` is.
    fn read(path: PathBuf, lock: File) -> io::Result<Self> {
        let entries = read(&path)?;
        let file = OpenOptions::new().append(true).open(&path)?;
        let mut record = Self {
            path,
            file,
            token: None,
            snapshot: None,
            sent: BTreeMap::new(),
            is_completing: false,
            is_complete: false,
            lock,
        };
        for entry in entries {
            record.take(entry);
        }
        Ok(record)
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Started { .. } => {}
            Entry::Token(token) => {
                self.token = Some(token);
                self.snapshot = None;
                self.sent.clear();
                self.is_completing = false;
                self.is_complete = false;
            }
            Entry::Snapshot(id) => self.snapshot = Some(id),
            Entry::Sent(index, hash) => {
                self.sent.insert(index, hash);
            }
            Entry::Completing => self.is_completing = true,
            Entry::Completed => self.is_complete = true,
        }
    }

    /// The token to start the snapshot with: that of an earlier run whose answer may have been lost, or a new one.
    pub(super) fn token(&mut self) -> Result<String, Failure> {
        match &self.token {
            Some(token) => Ok(token.clone()),
            None => self.renew(),
        }
    }

    /// Forgets the snapshot, and returns the token for another one.
    pub(super) fn renew(&mut self) -> Result<String, Failure> {
        let token = token::random()?;
        self.add(Entry::Token(token.clone()))?;
        self.file
            .sync_all()
            .or_environment("write the record of the upload")?;
        Ok(token)
    }

    /// There is a snapshot, which has nothing yet.
    pub(super) fn started(&mut self, id: &str) -> Result<(), Failure> {
        self.add(Entry::Snapshot(id.to_owned()))?;
        self.file
            .sync_all()
            .or_environment("write the record of the upload")
    }

    /// The snapshot has a block.
    pub(super) fn sent(&mut self, index: u64, hash: Sha256Hash) -> Result<(), Failure> {
        self.add(Entry::Sent(index, hash))
    }

    /// The snapshot has all blocks, and AWS is asked next to complete it.
    pub(super) fn completing(&mut self) -> Result<(), Failure> {
        self.add(Entry::Completing)?;
        // What was sent has to be known as well.
        self.file
            .sync_all()
            .or_environment("write the record of the upload")
    }

    /// AWS completes the snapshot.
    pub(super) fn completed(&mut self) -> Result<(), Failure> {
        self.add(Entry::Completed)
    }

    fn add(&mut self, entry: Entry) -> Result<(), Failure> {
        let operation = "write the record of the upload";
        let line = line_of(&entry).or_environment(operation)?;
        self.file
            .write_all(line.as_bytes())
            .or_environment(operation)?;
        self.take(entry);
        Ok(())
    }

    /// Removes the file, while it is locked: the image is there.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let removed = fs::remove_file(&self.path);
        drop(self.lock);
        removed.or_environment(format!("remove {}", self.path.display()))
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
    match lock_existing(&upload.path) {
        // The lock is held until the name is gone.
        Ok(Some(_lock)) => fs::remove_file(&upload.path).or_environment(operation),
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

/// Locks the record at `path`, which is made with `line` if there is none.
fn lock(path: &Path, line: &str) -> io::Result<File> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = lock_existing(path)? {
            return Ok(lock);
        }
        match locked_file::create_owned(path, RECORD_MODE, line.as_bytes()) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Locks the record at `path`; `None` if there is none, or no longer.
fn lock_existing(path: &Path) -> io::Result<Option<File>> {
    match locked_file::open_stale(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(|lock| has_name(&lock, path).then_some(lock)),
    }
}

/// Whether `file` is the file at `path`: between opening and locking it, its owner may have removed it, and another process may have made
/// a new one of the same name.
fn has_name(file: &File, path: &Path) -> bool {
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let there = fs::symlink_metadata(path).map(place).ok();
    there.is_some() && file.metadata().map(place).ok() == there
}

fn read_unfinished(path: &Path) -> Option<Unfinished> {
    let mut entries = read(path).ok()?.into_iter();
    let Entry::Started { name, region, .. } = entries.next()? else {
        return None;
    };
    let mut found = Unfinished {
        name,
        region,
        snapshot: None,
        blocks: 0,
        changed: fs::metadata(path).and_then(|file| file.modified()).ok()?,
        is_running: locked_file::owner(path) == locked_file::Owner::Alive,
        path: path.to_owned(),
    };
    for entry in entries {
        match entry {
            Entry::Token(_) => (found.snapshot, found.blocks) = (None, 0),
            Entry::Snapshot(id) => found.snapshot = Some(id),
            Entry::Sent(..) => found.blocks += 1,
            Entry::Started { .. } | Entry::Completing | Entry::Completed => {}
        }
    }
    Some(found)
}

/// The lines of a record that are whole.
fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = plain_file::read_text(path, MAX_RECORD_BYTES)?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Where the record of the disk `sha256` is.
fn path(state_dir: &Path, name: &str, region: &str, sha256: Sha256Hash) -> PathBuf {
    let key = format!("{name}\0{region}\0{sha256}");
    dir(state_dir).join(Sha256Hash::of(key.as_bytes()).short())
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("snapshots")
}

fn line_of(entry: &Entry) -> io::Result<String> {
    // A kill in the middle of the line before must not cost this one.
    Ok(format!("\n{}\n", serde_json::to_string(entry)?))
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
        // A kill in the middle of a line.
        record.file.write_all(b"\n{\"Sent\":[8,").unwrap();
        drop(record);
        let found = unfinished(state.path()).remove(0);
        assert_eq!(
            (found.snapshot.as_deref(), found.blocks),
            (Some("snap-1"), 1)
        );
        let mut record = open().unwrap();
        assert_eq!(record.sent.keys().collect::<Vec<_>>(), [&7]);
        record.sent(9, hash).unwrap();
        drop(record);
        let record = open().unwrap();
        assert_eq!(record.sent.len(), 2);
        record.remove().unwrap();
        assert_eq!(unfinished(state.path()), []);
    }

    #[test]
    fn a_lock_of_a_removed_record_does_not_count() {
        let state = tempfile::tempdir().unwrap();
        let hash = Sha256Hash::of(b"disk");
        let open = || Record::open(state.path(), "pi", "eu-central-1", hash);
        let record = open().unwrap();
        let path = record.path.clone();
        assert!(has_name(&record.lock, &path));
        // Its owner removes it between the moments when another process opens and locks it; a third one makes it anew.
        let opened = File::open(&path).unwrap();
        record.remove().unwrap();
        assert!(!has_name(&opened, &path));
        let _third = open().unwrap();
        opened.try_lock().unwrap();
        assert!(!has_name(&opened, &path));
        let taken = locked_file::create_owned(&path, RECORD_MODE, b"").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        let upload = uploads(state.path()).remove(0);
        assert!(upload.is_running && forget(&upload).is_err() && path.exists());
    }
}
