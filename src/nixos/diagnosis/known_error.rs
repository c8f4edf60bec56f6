//! Errors that are recognised by texts in the log. Pure; the texts were recorded from Nix 2.26, QEMU 11 and the
//! tools that make an image.

use KnownError::{
    BuilderLost, CacheDamaged, CacheFailed, CacheForeign, Certificate, DiskFull, DownloadTimeout,
    EmulatorCrash, FirmwareTooSmall, KeyUntrusted, MissingProgram, Network, NoHandler,
    ProcessLimit, RootTooSmall, WrongHash,
};

/// An error that a line of the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::nixos) enum KnownError {
    /// The disk of the store volume is full, or has no free inode.
    DiskFull,
    /// No new process could be started.
    ProcessLimit,
    /// A program of another architecture could not be run.
    NoHandler,
    /// An emulated program was killed by a signal.
    EmulatorCrash,
    /// A server's certificate is not valid, mostly because of a wrong clock.
    Certificate,
    /// A server did not answer, or stopped sending.
    DownloadTimeout,
    /// A server could not be reached.
    Network,
    /// A binary cache sent a file that is not what it announced.
    CacheDamaged,
    /// A binary cache answered with an error, or a path that it has could not be fetched for another reason.
    CacheFailed,
    /// A server answered with something else than a binary cache has.
    CacheForeign,
    /// A path of a binary cache is not signed by a trusted key.
    KeyUntrusted,
    /// The root file system is too small for its content.
    RootTooSmall,
    /// The firmware partition is too small for its content.
    FirmwareTooSmall,
    /// A download does not have the hash that the configuration or nixpkgs gives.
    WrongHash,
    /// A program is missing in the builder's container image.
    MissingProgram,
    /// The connection to a remote builder broke while it built.
    BuilderLost,
}

/// Texts that show an error in any line.
const IN_ANY_LINE: [(&str, KnownError); 23] = [
    ("No space left on device", DiskFull),
    ("lack of free disk space", DiskFull),
    ("database or disk is full", DiskFull),
    (
        "fork: retry: Resource temporarily unavailable",
        ProcessLimit,
    ),
    ("fork: Resource temporarily unavailable", ProcessLimit),
    ("unexpected EOF reading a line", ProcessLimit),
    ("Exec format error", NoHandler),
    ("uncaught target signal", EmulatorCrash),
    ("Could not allocate block in ext2 filesystem", RootTooSmall),
    ("Could not allocate inode in ext2 filesystem", RootTooSmall),
    ("Disk full", FirmwareTooSmall),
    ("hash mismatch in fixed-output derivation", WrongHash),
    ("hash mismatch importing path", CacheDamaged),
    ("NAR info file '", CacheForeign),
    (
        "some substitutes for the outputs of derivation",
        CacheFailed,
    ),
    ("there is no substituter that can build it", CacheFailed),
    ("hash mismatch in file downloaded from", WrongHash),
    ("lacks a signature by a trusted key", KeyUntrusted),
    ("not signed by any of the keys in", KeyUntrusted),
    ("nix-build: command not found", MissingProgram),
    ("nix-build: not found", MissingProgram),
    ("Nix daemon disconnected unexpectedly", BuilderLost),
    ("cannot build on 'ssh", BuilderLost),
];

/// Texts that show an error in a line about a failed download, which quotes curl. Only the first that matches counts: a
/// timeout while connecting is a timeout.
const IN_DOWNLOADS: [(&str, KnownError); 13] = [
    ("SSL peer certificate", Certificate),
    ("certificate has expired", Certificate),
    ("certificate is not yet", Certificate),
    ("Timeout was reached", DownloadTimeout),
    ("Operation too slow", DownloadTimeout),
    ("timed out after", DownloadTimeout),
    ("ould not resolve host", Network),
    ("ouldn't resolve host", Network),
    ("ould not connect to server", Network),
    ("ouldn't connect to server", Network),
    ("Failed to connect to", Network),
    ("Network is unreachable", Network),
    ("SSL connect error", Network),
];

/// The errors that `line` shows.
pub(in crate::nixos) fn known_errors(line: &str) -> impl Iterator<Item = KnownError> + '_ {
    let shown = |row: &&(&str, KnownError)| line.contains(row.0);
    let is_download = line.contains("unable to download") || line.contains("curl: (");
    let download = IN_DOWNLOADS.iter().find(shown).filter(|_| is_download);
    let download = download.map(|(_, error)| *error);
    let download = download.or_else(|| is_refused_by_cache(line).then_some(CacheFailed));
    let everywhere = IN_ANY_LINE
        .iter()
        .filter(move |(text, _)| line.contains(text));
    everywhere.map(|(_, error)| *error).chain(download)
}

/// Whether `line` is Nix's message about an answer of a binary cache with an error status.
fn is_refused_by_cache(line: &str) -> bool {
    let rest = line.split_once("unable to download '");
    let parts = rest.and_then(|(_, rest)| rest.split_once("': HTTP error "));
    parts.is_some_and(|(url, _)| url.ends_with(".narinfo") || url.contains("/nar/"))
}

impl KnownError {
    /// All variants.
    #[cfg(test)]
    pub(super) const ALL: [Self; 16] = [
        Self::DiskFull,
        Self::ProcessLimit,
        Self::NoHandler,
        Self::EmulatorCrash,
        Self::Certificate,
        Self::DownloadTimeout,
        Self::Network,
        Self::CacheDamaged,
        Self::CacheFailed,
        Self::CacheForeign,
        Self::KeyUntrusted,
        Self::RootTooSmall,
        Self::FirmwareTooSmall,
        Self::WrongHash,
        Self::MissingProgram,
        Self::BuilderLost,
    ];

    /// Whether it may be an error of one binary cache, while another one has what is needed.
    pub(super) fn is_of_one_cache(self) -> bool {
        matches!(
            self,
            Self::Certificate
                | Self::DownloadTimeout
                | Self::Network
                | Self::CacheDamaged
                | Self::CacheFailed
                | Self::CacheForeign
        )
    }

    /// What to do about an error of a build or download, in addition to the failure's own hints. `first_error` is
    /// Nix's first error, `emulated` whether programs ran under emulation.
    pub(super) fn hint(self, first_error: &str, emulated: bool) -> Option<String> {
        let text = match self {
            Self::RootTooSmall => {
                "nixpkgs made the root file system too small for its content, which happens with very many small files. Leave \
                 some out (documentation.enable = false), or set sdImage.rootFilesystemCreator to a tool that reserves more \
                 space"
            }
            Self::FirmwareTooSmall => {
                "make the firmware partition larger: sdImage.firmwareSize = 60; (MiB)"
            }
            Self::EmulatorCrash => {
                "an emulated program crashed, which may be the emulator's fault. A build on a native engine \
                 (DOCKER_HOST) shows whether it is"
            }
            Self::WrongHash => return Some(wrong_hash_hint(first_error)),
            Self::NoHandler if !emulated => {
                "the build ran a program of another architecture, but this engine emulates none"
            }
            Self::NoHandler
            | Self::DiskFull
            | Self::ProcessLimit
            | Self::Certificate
            | Self::DownloadTimeout
            | Self::Network
            | Self::CacheDamaged
            | Self::CacheFailed
            | Self::CacheForeign
            | Self::KeyUntrusted
            | Self::BuilderLost
            | Self::MissingProgram => return None,
        };
        Some(text.to_owned())
    }
}

fn wrong_hash_hint(error: &str) -> String {
    match hashes(error) {
        Some((got, specified)) => {
            format!("if you trust what the server sends now, write {got} instead of {specified}")
        }
        None => "the server's file has changed, or the configuration's hash is wrong".to_owned(),
    }
}

/// The hash of the download and the expected one, from Nix's message about a hash mismatch.
fn hashes(error: &str) -> Option<(&str, &str)> {
    let word_after = |label: &str| error.split_once(label)?.1.split_whitespace().next();
    let (got, specified) = (word_after("got:")?, word_after("specified:")?);
    let is_hash = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+/=-:".contains(c);
        text.len() < 200 && text.chars().all(allowed)
    };
    (is_hash(got) && is_hash(specified)).then_some((got, specified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_recorded_lines() {
        for (line, error) in [
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
            assert_eq!(known_errors(line).collect::<Vec<_>>(), [error], "{line}");
        }
        let refused = "unable to download 'http://c/x.narinfo': HTTP error 500";
        assert_eq!(
            known_errors(refused).collect::<Vec<_>>(),
            [KnownError::CacheFailed]
        );
        for line in [
            "",
            "unable to download 'https://c/x': HTTP error 404",
            "Timeout was reached",
        ] {
            assert_eq!(known_errors(line).count(), 0, "{line}");
        }
    }
}
