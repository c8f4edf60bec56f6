//! The files of a layout.

/// The file by which a layout is known.
pub(super) const MARKER: &str = "oci-layout";
/// The file that names the images.
pub(super) const INDEX: &str = "index.json";
/// The directory of all other files, each called by its hash.
pub(super) const BLOBS: &str = "blobs/sha256";
/// Bytes of JSON that are read: an index, a manifest, a configuration.
pub(super) const MAX_JSON_BYTES: u64 = 4 << 20;
