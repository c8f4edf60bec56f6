//! What the downloads of one call know about their sources.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

/// The base URLs of sources that did not answer, each with the reason.
#[derive(Default)]
pub(super) struct DeadMirrors(Mutex<HashMap<String, String>>);

impl DeadMirrors {
    /// Records that `base` did not answer.
    pub(super) fn insert(&self, base: &str, reason: &str) {
        if let Ok(mut dead) = self.0.lock() {
            dead.insert(base.to_owned(), reason.to_owned());
        }
    }

    /// Why `base` is not asked again.
    pub(super) fn reason(&self, base: &str) -> Option<String> {
        self.0.lock().ok()?.get(base).cloned()
    }
}

/// The base URLs of sources that were replaced by the next one. Each is reported once, not for every file.
#[derive(Default)]
pub(super) struct ReportedMirrors(Mutex<HashSet<String>>);

impl ReportedMirrors {
    /// Returns whether `base` had not been reported.
    pub(super) fn insert(&self, base: &str) -> bool {
        let reported = self.0.lock();
        reported.is_ok_and(|mut reported| reported.insert(base.to_owned()))
    }
}
