//! The files that are written beside an image.

/// A kind of file beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sidecar {
    /// The image file's hash, for `sha256sum -c`.
    Checksum,
    /// The block map, for `bmaptool`.
    BlockMap,
    /// The manifest ([`super::manifest`]).
    Manifest,
    /// The list for Raspberry Pi Imager.
    ImagerList,
}

impl Sidecar {
    pub(super) const ALL: [Self; 4] = [
        Self::Checksum,
        Self::BlockMap,
        Self::Manifest,
        Self::ImagerList,
    ];

    fn suffix(self) -> &'static str {
        match self {
            Self::Checksum => ".sha256",
            Self::BlockMap => ".bmap",
            Self::Manifest => ".json",
            Self::ImagerList => ".rpi-imager.json",
        }
    }

    /// The name beside the file `image`. It begins with the whole name, so that the same image in another
    /// format keeps its own sidecars; bmaptool looks for such a name first.
    pub(super) fn name(self, image: &str) -> String {
        format!("{image}{}", self.suffix())
    }

    /// Whether `name` is the name of a sidecar of the file `image`.
    pub(super) fn is_name(name: &str, image: &str) -> bool {
        Self::ALL.iter().any(|sidecar| sidecar.name(image) == name)
    }
}
