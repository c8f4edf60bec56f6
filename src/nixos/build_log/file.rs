//! The log file. Errors of writing it do not fail a build; the first one is kept for a warning.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sdbuild_core::failure::{Failure, OrFail as _};

/// Largest log file in bytes; a whole system with all its compilers writes some ten million.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A log file of limited size.
#[derive(Debug)]
pub(super) struct LogFile {
    // Plain writes into the page cache do not block for long. Dropping the writer flushes it, also when the run is
    // cancelled.
    file: BufWriter<File>,
    /// Bytes that may still be written; `None` once a line did not fit.
    remaining: Option<u64>,
    error: Option<io::Error>,
}

impl LogFile {
    /// Creates the file `path`, which only this user can read.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path);
        let file = file.or_environment(format!("create the log {}", path.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            remaining: Some(MAX_FILE_BYTES),
            error: None,
        })
    }

    /// Writes `line` and a line end.
    pub(super) fn write(&mut self, mut line: String) {
        let Some(remaining) = self.remaining else {
            return;
        };
        line.push('\n');
        self.remaining = remaining.checked_sub(line.len() as u64);
        if self.remaining.is_none() {
            line = format!(
                "sdbuild: the log ends here: it has reached its limit of {} MiB\n",
                MAX_FILE_BYTES >> 20
            );
        }
        let written = self.file.write_all(line.as_bytes());
        self.keep_first(written);
    }

    /// Writes buffered lines.
    pub(super) fn flush(&mut self) {
        let flushed = self.file.flush();
        self.keep_first(flushed);
    }

    /// The first error.
    pub(super) fn finish(mut self) -> Option<io::Error> {
        self.flush();
        self.error
    }

    fn keep_first(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_limited() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = LogFile::create(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.remaining = Some(1000);
        for _ in 0..5 {
            file.write("x".repeat(300));
        }
        assert!(file.finish().is_none());
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.len() < 1100, "{}", text.len());
        assert_eq!(text.matches("the log ends here").count(), 1);
        assert!(text.ends_with("limit of 256 MiB\n"), "{text}");
    }
}
