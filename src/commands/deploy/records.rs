//! What was deployed where: one file for each board and configuration, which `status` lists, and which knows the board when none is
//! named.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sdbuild_core::atomic_file;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::untrusted::json;
use sdbuild_core::{plain_file, private_dir};
use serde::{Deserialize, Serialize};

/// Bytes of a record that are read.
const MAX_BYTES: u64 = 1 << 20;
/// Permissions of a record.
const MODE: u32 = 0o600;
/// Characters of the names of records.
const NAME_CHARS: usize = 16;

/// The last deployment of a configuration to a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Record {
    /// The configuration: the absolute path of a file, or the reference of a flake.
    pub configuration: String,
    /// The board, as the user named it.
    pub host: String,
    /// The store path of the system.
    pub system: String,
    /// When it was confirmed, in seconds since 1970.
    pub time: u64,
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("deployments")
}

impl Record {
    /// The deployment of `system` that was confirmed now.
    pub(super) fn new(configuration: &str, host: &str, system: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            configuration: configuration.to_owned(),
            host: host.to_owned(),
            system: system.to_owned(),
            time: now.map_or(0, |now| now.as_secs()),
        }
    }

    /// Keeps it in place of an earlier one.
    pub(super) fn write(&self, state_dir: &Path) -> Result<(), Failure> {
        let key = format!("{}\n{}", self.configuration, self.host);
        let mut name = Sha256Hash::of(key.as_bytes()).to_string();
        name.truncate(NAME_CHARS);
        let dir = dir(state_dir);
        let write = || {
            private_dir::create(&dir)?;
            let text = serde_json::to_string_pretty(self)?;
            atomic_file::replace(&dir.join(name + ".json"), &text, MODE)
        };
        write().or_environment(format!(
            "write the record of the deployment to {}",
            dir.display()
        ))
    }

    /// All that can be read, the newest first.
    pub fn all(state_dir: &Path) -> Vec<Self> {
        let files = fs::read_dir(dir(state_dir)).into_iter().flatten().flatten();
        let read = files.filter_map(|file| {
            let text = plain_file::read_text(&file.path(), MAX_BYTES).ok()?;
            json::<Self>(&text).ok()
        });
        let mut all: Vec<_> = read.collect();
        all.sort_by(|one, other| {
            other
                .time
                .cmp(&one.time)
                .then_with(|| one.host.cmp(&other.host))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deployment_to_each_board_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let record = |host: &str, time| Record {
            time,
            ..Record::new("/pi/sd-card.nix", host, "/nix/store/x")
        };
        for (host, time) in [("a", 1), ("b", 2), ("a", 3)] {
            record(host, time).write(state.path()).unwrap();
        }
        fs::write(dir(state.path()).join("other"), "{").unwrap();
        assert_eq!(Record::all(state.path()), [record("a", 3), record("b", 2)]);
        assert_eq!(Record::all(Path::new("/nowhere")), []);
    }
}
