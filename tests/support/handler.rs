//! Registers handlers in the kernel's table for tests.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::{BINFMT, handlers};

const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str =
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// A handler for aarch64 that this test registered, which is removed when the value is dropped.
pub struct Handler(pub String);

impl Handler {
    pub fn register(name: &str, interpreter: &str) -> Self {
        Self::put(name, interpreter, "P")
    }

    /// Registers a handler that serves containers as well (flag `F`), as Docker Desktop does in its virtual machine.
    pub fn of_a_desktop(name: &str, emulator: &Path) -> Self {
        Self::put(name, emulator.to_str().unwrap(), "PF")
    }

    fn put(name: &str, interpreter: &str, flags: &str) -> Self {
        let line = format!(":{name}:M::{MAGIC}:{MASK}:{interpreter}:{flags}");
        fs::write(format!("{BINFMT}/register"), line).unwrap();
        Self(name.to_owned())
    }

    /// Sets the entry's modification time to the epoch, as if no agent had touched it for long.
    pub fn forgotten(self) -> Self {
        let entry = fs::File::open(format!("{BINFMT}/{}", self.0)).unwrap();
        entry.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        self
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // The sweep may have removed it.
        fs::write(format!("{BINFMT}/{}", self.0), "-1").unwrap_or(());
    }
}

/// Whether this machine has an enabled handler for aarch64 that serves containers as well and is not ours, as
/// Debian's package `qemu-user-binfmt` registers one.
pub fn machine_emulates() -> bool {
    let serves = |name: &str, text: &str| {
        let fixed = text.lines().any(|l| l.starts_with("flags:") && l.contains('F'));
        !name.starts_with("sdbuild-")
            && text.starts_with("enabled")
            && fixed
            && text.contains("0200b7")
    };
    handlers().iter().any(|(name, text)| serves(name, text))
}
