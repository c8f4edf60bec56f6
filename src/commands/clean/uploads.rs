//! Records of uploads of `sdbuild publish aws` whose snapshot AWS has discarded: nothing can be resumed with them.

use std::path::Path;

use crate::common::failure::Leftover;
use crate::pipeline::Item;
use crate::publish::{self, Unfinished};

/// Such records of this user.
#[derive(Default)]
pub(super) struct DiscardedUploads(Vec<Unfinished>);

impl DiscardedUploads {
    /// Finds them below the state directory `dir`.
    pub(super) fn find(dir: &Path) -> Self {
        Self(publish::discarded(dir))
    }

    /// The records as what can be removed.
    pub(super) fn items(&self) -> Vec<Item> {
        let item = |upload: &Unfinished| Item {
            kind: "upload",
            name: format!("{} to {}, discarded by AWS", upload.name, upload.region),
            size: None,
        };
        self.0.iter().map(item).collect()
    }

    /// Removes them, and returns what could not be removed.
    pub(super) fn forget(&self) -> Vec<Leftover> {
        let leftover = |upload: &Unfinished| {
            let failure = publish::forget(upload).err()?;
            Some(Leftover {
                what: format!("record of the upload of {}", upload.name),
                why: format!("{:#}", failure.error),
                remedy: "sdbuild clean".to_owned(),
            })
        };
        self.0.iter().filter_map(leftover).collect()
    }
}
