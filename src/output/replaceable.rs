//! Which files a new image and its sidecars may take the place of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::FileVersion;

/// Bytes of a sidecar that are read. The longest are block maps, with some 70 bytes for each range of an image.
const MAX_SIDECAR_BYTES: u64 = 64 << 20;

/// Which files that have the names of a new image and its sidecars may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replaceable {
    /// None.
    Nothing,
    /// All (`--force`).
    Anything,
    /// An image that was looked at, minutes ago, with its sidecars.
    Earlier {
        /// The name of the image.
        image: String,
        /// Identity of the file when it was examined.
        version: FileVersion,
        /// The hashes of its sidecars by their names.
        sidecars: BTreeMap<String, Sha256Hash>,
    },
}

impl Replaceable {
    /// Whether the file `name` in `dir`, an image or a sidecar, may be replaced now: what is not there may be written.
    pub(super) fn allows(&self, dir: &Path, name: &str) -> bool {
        let path = dir.join(name);
        let is_known = match self {
            Self::Nothing => return false,
            Self::Anything => return true,
            Self::Earlier { image, version, .. } if name == image => {
                fs::metadata(path).map(|found| FileVersion::of(&found) == *version)
            }
            Self::Earlier { sidecars, .. } => {
                hash_of_sidecar(&path).map(|hash| sidecars.get(name) == Some(&hash))
            }
        };
        is_known.unwrap_or_else(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

/// The hash of the sidecar at `path`. An error of the kind `NotFound` if there is none.
pub(super) fn hash_of_sidecar(path: &Path) -> io::Result<Sha256Hash> {
    plain_file::read(path, MAX_SIDECAR_BYTES).map(|bytes| Sha256Hash::of(&bytes))
}
