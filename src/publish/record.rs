//! What was sent of an image: a file in the state directory that its upload keeps locked. It has one JSON object per line and only
//! grows, so that a kill in the middle costs the last line at most.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::common::failure::{Failure, OrFail as _};
use crate::common::hash::Sha256Hash;
use crate::common::{locked_file, plain_file, private_dir};

/// The record of a disk of 2 TiB is smaller.
const MAX_BYTES: u64 = 512 << 20;
/// Names of images are the user's own.
const MODE: u32 = 0o600;

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    /// The first line: what is about to be sent.
    Begun {
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
    /// The snapshot has all of them.
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
    pub(super) is_complete: bool,
    // Open for its lock.
    _lock: File,
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
        let operation = format!("keep the record of the upload in {}", path.display());
        let begun = Entry::Begun {
            name: name.to_owned(),
            region: region.to_owned(),
            sha256,
        };
        private_dir::create(&dir(state_dir)).or_environment(&operation)?;
        let lock = match locked_file::open_stale(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let line = line_of(&begun).or_environment(&operation)?;
                locked_file::create_owned(&path, MODE, line.as_bytes())
            }
            opened => opened,
        };
        let lock = match lock {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Failure::environment(format!(
                    "another sdbuild is publishing {name} in {region}"
                )));
            }
            lock => lock.or_environment(&operation)?,
        };
        let entries = read(&path).or_environment(&operation)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .or_environment(&operation)?;
        let mut record = Self {
            path,
            file,
            token: None,
            snapshot: None,
            sent: BTreeMap::new(),
            is_complete: false,
            _lock: lock,
        };
        for entry in entries {
            record.take(entry);
        }
        Ok(record)
    }

    /// Removes the record of an image that is there, unless another process has it.
    pub(super) fn discard(state_dir: &Path, name: &str, region: &str, sha256: Sha256Hash) {
        let path = path(state_dir, name, region, sha256);
        if locked_file::open_stale(&path).is_ok() {
            fs::remove_file(&path).ok();
        }
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Begun { .. } => {}
            Entry::Token(token) => {
                self.token = Some(token);
                self.snapshot = None;
                self.sent.clear();
                self.is_complete = false;
            }
            Entry::Snapshot(id) => self.snapshot = Some(id),
            Entry::Sent(index, hash) => {
                self.sent.insert(index, hash);
            }
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
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::environment(format!("the system has no random numbers: {error}"))
        })?;
        let token = hex::encode(bytes);
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

    /// The snapshot has all blocks.
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

    /// Removes the file: the image is there.
    pub(super) fn remove(self) -> Result<(), Failure> {
        fs::remove_file(&self.path).or_environment(format!("remove {}", self.path.display()))
    }
}

/// All uploads below `state_dir` that did not come to their end, and that no process goes on with.
pub fn unfinished(state_dir: &Path) -> Vec<Unfinished> {
    let entries = fs::read_dir(dir(state_dir)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let stale = paths.filter(|path| locked_file::owner(path) != locked_file::Owner::Alive);
    let mut all: Vec<_> = stale.filter_map(|path| described(&path)).collect();
    all.sort_by(|one, other| (&one.region, &one.name).cmp(&(&other.region, &other.name)));
    all
}

/// Forgets an upload, whose snapshot is gone.
pub fn forget(upload: &Unfinished) -> io::Result<()> {
    fs::remove_file(&upload.path)
}

fn described(path: &Path) -> Option<Unfinished> {
    let mut entries = read(path).ok()?.into_iter();
    let Entry::Begun { name, region, .. } = entries.next()? else {
        return None;
    };
    let mut found = Unfinished {
        name,
        region,
        snapshot: None,
        blocks: 0,
        path: path.to_owned(),
    };
    for entry in entries {
        match entry {
            Entry::Token(_) => (found.snapshot, found.blocks) = (None, 0),
            Entry::Snapshot(id) => found.snapshot = Some(id),
            Entry::Sent(..) => found.blocks += 1,
            Entry::Begun { .. } | Entry::Completed => {}
        }
    }
    Some(found)
}

/// The lines of a record that are whole.
fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = plain_file::read_text(path, MAX_BYTES)?;
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
}
