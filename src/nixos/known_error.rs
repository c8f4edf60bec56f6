//! Words in a log by which known troubles are recognised. Pure; the texts were recorded from Nix
//! 2.26, QEMU 11 and the tools that make an image.

/// A trouble that a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownError {
    /// The disk behind the store volume is full, or its inodes are used up.
    DiskFull,
    /// No new process could be made.
    ProcessLimit,
    /// A program of a foreign architecture could not be run.
    NoHandler,
    /// An emulated program died of a signal.
    EmulatorCrash,
    /// A server's certificate did not hold: mostly a wrong clock.
    Certificate,
    /// A server did not answer, or fell silent.
    DownloadTimeout,
    /// A server could not be reached.
    Network,
    /// What a binary cache offers is not signed by a key that is trusted.
    KeyUntrusted,
    /// The root file system was made too small for its content.
    RootTooSmall,
    /// The firmware partition was made too small for its content.
    FirmwareTooSmall,
    /// A download is not what the configuration says it is.
    WrongHash,
    /// A program is missing in the builder's container image.
    MissingProgram,
}

impl KnownError {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 12] = [
        Self::DiskFull,
        Self::ProcessLimit,
        Self::NoHandler,
        Self::EmulatorCrash,
        Self::Certificate,
        Self::DownloadTimeout,
        Self::Network,
        Self::KeyUntrusted,
        Self::RootTooSmall,
        Self::FirmwareTooSmall,
        Self::WrongHash,
        Self::MissingProgram,
    ];
}

/// Words and what they tell of, in any line.
const TABLE: &[(&str, KnownError)] = &[
    ("No space left on device", KnownError::DiskFull),
    ("lack of free disk space", KnownError::DiskFull),
    ("database or disk is full", KnownError::DiskFull),
    (
        "fork: retry: Resource temporarily unavailable",
        KnownError::ProcessLimit,
    ),
    (
        "fork: Resource temporarily unavailable",
        KnownError::ProcessLimit,
    ),
    ("unexpected EOF reading a line", KnownError::ProcessLimit),
    ("Exec format error", KnownError::NoHandler),
    ("uncaught target signal", KnownError::EmulatorCrash),
    (
        "Could not allocate block in ext2 filesystem",
        KnownError::RootTooSmall,
    ),
    (
        "Could not allocate inode in ext2 filesystem",
        KnownError::RootTooSmall,
    ),
    ("Disk full", KnownError::FirmwareTooSmall),
    (
        "hash mismatch in fixed-output derivation",
        KnownError::WrongHash,
    ),
    (
        "lacks a signature by a trusted key",
        KnownError::KeyUntrusted,
    ),
    ("not signed by any of the keys in", KnownError::KeyUntrusted),
    ("nix-build: command not found", KnownError::MissingProgram),
    ("nix-build: not found", KnownError::MissingProgram),
];

/// What curl says, through Nix, when it is the way there and not the server's answer. The first that fits
/// counts: a time-out while connecting is a time-out.
const DOWNLOADS: &[(&str, KnownError)] = &[
    ("SSL peer certificate", KnownError::Certificate),
    ("certificate has expired", KnownError::Certificate),
    ("certificate is not yet", KnownError::Certificate),
    ("Timeout was reached", KnownError::DownloadTimeout),
    ("Operation too slow", KnownError::DownloadTimeout),
    ("timed out after", KnownError::DownloadTimeout),
    ("ould not resolve host", KnownError::Network),
    ("ouldn't resolve host", KnownError::Network),
    ("ould not connect to server", KnownError::Network),
    ("ouldn't connect to server", KnownError::Network),
    ("Failed to connect to", KnownError::Network),
    ("Network is unreachable", KnownError::Network),
    ("SSL connect error", KnownError::Network),
];

/// The troubles that `line` tells of.
pub fn symptoms(line: &str) -> impl Iterator<Item = KnownError> + '_ {
    let known = TABLE
        .iter()
        .filter(|(words, _)| line.contains(words))
        .map(|(_, symptom)| *symptom);
    known.chain(download(line))
}

fn download(line: &str) -> Option<KnownError> {
    let download = line.contains("unable to download") || line.contains("curl: (");
    let mut known = DOWNLOADS.iter().filter(|_| download);
    known
        .find(|(words, _)| line.contains(words))
        .map(|(_, symptom)| *symptom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lines_are_recognised() {
        for (line, symptom) in [
            (
                "dd: error writing '/nix/x': No space left on device",
                KnownError::DiskFull,
            ),
            (
                "note: build failure may have been caused by lack of free disk space",
                KnownError::DiskFull,
            ),
            (
                "sh: can't fork: Resource temporarily unavailable",
                KnownError::ProcessLimit,
            ),
            (
                "error: executing '/nix/store/x/bin/busybox': Exec format error",
                KnownError::NoHandler,
            ),
            (
                "qemu: uncaught target signal 11 (Segmentation fault) - core dumped",
                KnownError::EmulatorCrash,
            ),
            (
                "__populate_fs: Could not allocate block in ext2 filesystem while writing file \"x\"",
                KnownError::RootTooSmall,
            ),
            (
                "unable to download 'https://c/nix-cache-info': Could not resolve hostname (6)",
                KnownError::Network,
            ),
            (
                "error: unable to download 'http://m/x.deb': Couldn't resolve host name (6)",
                KnownError::Network,
            ),
        ] {
            assert_eq!(symptoms(line).collect::<Vec<_>>(), [symptom], "{line}");
        }
        for line in [
            "",
            "unable to download 'https://c/x': HTTP error 404",
            "Timeout was reached",
        ] {
            assert_eq!(symptoms(line).count(), 0, "{line}");
        }
    }
}
