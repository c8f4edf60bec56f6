//! Store volumes of single tests.

use std::process::Command;

use crate::support::*;

/// The name of a store volume of a test's own, empty at first, which is removed when the value is dropped.
pub struct StoreVolume(pub String);

impl StoreVolume {
    pub fn new() -> Self {
        Self(format!("{STORE}-{}", nonce()))
    }
}

impl Drop for StoreVolume {
    fn drop(&mut self) {
        run(Command::new("docker").args(["volume", "rm", "--force", &self.0]));
    }
}
