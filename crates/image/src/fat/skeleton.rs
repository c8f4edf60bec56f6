//! What `mtools` read of a FAT file system to put files into it.

use std::ops::Range;

use sdbuild_core::untrusted::Kept;

use super::{EntryWidth, Fat};
use crate::error::Error;
use crate::files::{Identity, Permissions, Room};
use crate::ranges::Ranges;

impl Fat {
    /// The ranges of the section that are read to make or to replace what is at `paths`, and the clusters that can be given to it: where
    /// new content has zeros, what they hold must be known.
    pub(crate) fn ranges(&self, paths: &[String]) -> Result<Vec<Range<u64>>, Error> {
        let mut ranges = Ranges::default();
        ranges.add(0..self.data)?;
        let mut add = |position: u64| {
            ranges.add(position..position.saturating_add(self.cluster))?;
            Ok(true)
        };
        for path in paths {
            let entry = match self.resolve(path) {
                Err(Error::Refused(_)) => continue,
                entry => entry?,
            };
            let is_root = entry.is_dir() && entry.cluster == 0;
            let first = if is_root && self.width == EntryWidth::ThirtyTwo {
                self.root_cluster
            } else {
                entry.cluster
            };
            // An empty file has no clusters, and the root of a small FAT is before them.
            if first != 0 {
                self.chain(first, u64::MAX, &mut add)?;
            }
        }
        self.each_free(&mut |cluster| add(self.cluster_position(cluster)?).map(drop))?;
        Ok(ranges.into_vec())
    }

    pub(crate) fn identities(&self, path: &str) -> Result<Vec<Identity>, Error> {
        let mut all = Kept::default();
        self.entries(&self.resolve(path)?, &mut |raw| {
            let entry = raw.entry();
            let length = entry.name.len();
            let identity = Identity {
                name: entry.name.into_bytes(),
                number: raw.cluster,
                size: entry.size,
                permissions: Permissions {
                    kind: entry.kind,
                    mode: raw.attributes.into(),
                    owner: (0, 0),
                },
            };
            all.push(identity, length)?;
            Ok(true)
        })?;
        Ok(all.into_vec())
    }

    pub(crate) fn room(&self) -> Result<Room, Error> {
        Ok(Room {
            unit: self.cluster,
            units: self.free()?,
            files: None,
        })
    }
}
