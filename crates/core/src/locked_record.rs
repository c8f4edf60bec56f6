//! A file with one JSON object per line that its owner keeps locked, as in [`locked_file`]. It only grows, so that a kill in the middle
//! of a line costs that line at most.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic_file;
use super::locked_file;
use super::plain_file;
use crate::untrusted;

/// Records name images and addresses, which are the user's own.
const RECORD_MODE: u32 = 0o600;
/// How often the lock of a record is tried that other processes make and remove meanwhile.
const LOCK_TRIES: u32 = 100;

/// A record of entries of the type `E` that this process has locked.
#[derive(Debug)]
pub struct LockedRecord<E> {
    path: PathBuf,
    file: File,
    // Open for its lock.
    lock: File,
    entries: PhantomData<E>,
}

impl<E: Serialize + DeserializeOwned> LockedRecord<E> {
    /// Creates the record at `path`, which must not exist, with its first entry.
    pub fn create(path: &Path, first: &E) -> io::Result<Self> {
        let line = line_of(first)?;
        let lock = atomic_file::create_locked(path, RECORD_MODE, line.as_bytes())?;
        // Without an owner it would look like one that was left.
        Self::of(path.to_owned(), lock).inspect_err(|_| {
            fs::remove_file(path).ok();
        })
    }

    /// Takes over the record at `path`, whose owner is gone; `None` if there is none, or none any more.
    ///
    /// # Errors
    ///
    /// Of the kind `WouldBlock` if its owner is alive.
    pub fn take_over(path: &Path) -> io::Result<Option<Self>> {
        let lock = match locked_file::open_stale(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock?,
        };
        // Between the opening and the locking, its owner may have removed it.
        if !plain_file::is_at(&lock, path) {
            return Ok(None);
        }
        Self::of(path.to_owned(), lock).map(Some)
    }

    /// Takes over the record at `path`, or creates it if there is none.
    ///
    /// # Errors
    ///
    /// Of the kind `WouldBlock` if its owner is alive.
    pub fn open(path: &Path, first: &E) -> io::Result<Self> {
        for _ in 0..LOCK_TRIES {
            if let Some(record) = Self::take_over(path)? {
                return Ok(record);
            }
            match Self::create(path, first) {
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn of(path: PathBuf, lock: File) -> io::Result<Self> {
        Ok(Self {
            file: OpenOptions::new().append(true).open(&path)?,
            path,
            lock,
            entries: PhantomData,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds `entry`.
    ///
    /// # Errors
    ///
    /// Of the kind `NotFound` if the record is no longer at its path: nobody would read the entry.
    pub fn add(&self, entry: &E) -> io::Result<()> {
        if !plain_file::is_at(&self.lock, &self.path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        (&self.file).write_all(line_of(entry)?.as_bytes())
    }

    /// Waits until the disk has all entries.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Removes the file, while it is locked.
    pub fn remove(self) -> io::Result<()> {
        let removed = fs::remove_file(&self.path);
        drop(self.lock);
        removed
    }
}

/// The entries of the record at `path`, locked or not; an incomplete line is none.
///
/// # Errors
///
/// Also for files of more than `max_bytes`, which are no records.
pub fn entries<E: DeserializeOwned>(path: &Path, max_bytes: u64) -> io::Result<Vec<E>> {
    let text = plain_file::read_text(path, max_bytes)?;
    let lines = text.lines().map(untrusted::json);
    Ok(lines.filter_map(Result::ok).collect())
}

fn line_of(entry: &impl Serialize) -> io::Result<String> {
    // A kill in the middle of the line before must not cost this one.
    Ok(format!("\n{}\n", serde_json::to_string(entry)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries are numbers.
    fn open(path: &Path) -> io::Result<LockedRecord<u32>> {
        LockedRecord::open(path, &1)
    }

    fn read(path: &Path) -> Vec<u32> {
        entries(path, 1 << 20).unwrap()
    }

    #[test]
    fn a_record_goes_on_after_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        assert!(LockedRecord::<u32>::take_over(&path).unwrap().is_none());
        let record = open(&path).unwrap();
        record.add(&2).unwrap();
        let busy = open(&path).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::WouldBlock);
        drop(record);
        let record = open(&path).unwrap();
        record.add(&3).unwrap();
        assert_eq!(read(&path), [1, 2, 3]);
        assert!(entries::<u32>(&path, 3).is_err(), "too large");
        record.remove().unwrap();
        assert!(!path.exists());
        let record = open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lost = record.add(&4).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_line_that_a_kill_cut_short_costs_itself_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let record = open(&path).unwrap();
        (&record.file).write_all(b"\n2x").unwrap();
        record.add(&3).unwrap();
        assert_eq!(read(&path), [1, 3]);
    }

    #[test]
    fn a_lock_of_a_removed_record_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let record = open(&path).unwrap();
        assert!(plain_file::is_at(&record.lock, &path));
        // Its owner removes it between the moments when another process opens and locks it; a third one makes it anew.
        let opened = File::open(&path).unwrap();
        record.remove().unwrap();
        assert!(!plain_file::is_at(&opened, &path));
        let _third = open(&path).unwrap();
        opened.try_lock().unwrap();
        assert!(!plain_file::is_at(&opened, &path));
        let taken = LockedRecord::create(&path, &1).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    }
}
