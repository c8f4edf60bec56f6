//! The seed of cloud-init as a file that QEMU can read, and the keys that it brings.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::boot::copy_in::{MACHINE_DIR, SEED_NAME};
use crate::boot::disk::open_path;
use crate::boot::start_files::unnamed;
use crate::common::failure::{Failure, OrFail as _};
use crate::seed::Seed;

/// A file without a name, which lives as long as this value.
#[derive(Debug)]
pub(super) struct SeedDisk(File);

impl SeedDisk {
    /// Writes the volume of `seed` into the directory `scratch`.
    pub(super) fn write(seed: &Seed, scratch: &Path) -> Result<Self, Failure> {
        let file = unnamed(scratch, &seed.volume);
        file.map(Self)
            .or_environment(format!("write a temporary file in {}", scratch.display()))
    }

    /// The path on this machine.
    pub(super) fn on_host(&self) -> PathBuf {
        open_path(&self.0)
    }

    /// The path in the emulator's container.
    pub(super) fn in_container() -> PathBuf {
        format!("{MACHINE_DIR}/{SEED_NAME}").into()
    }

    /// The file with its name in the emulator's container.
    pub(super) fn named_file(&self) -> io::Result<(&'static str, File)> {
        Ok((SEED_NAME, self.0.try_clone()?))
    }
}

/// The keys, one a line, that `user` may log in with because of `seed`.
pub(super) fn keys_of(seed: &Seed, user: &str) -> String {
    let logins = seed.logins.iter().filter(|login| login.user == user);
    let keys: Vec<&str> = logins
        .flat_map(|login| login.keys.iter().map(String::as_str))
        .collect();
    keys.join("\n")
}
