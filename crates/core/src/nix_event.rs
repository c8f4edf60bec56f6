//! What Nix reports while it evaluates, fetches and builds.

use serde::Serialize;

/// One line of Nix's machine-readable log, reduced to what sdbuild uses. Its JSON is that of `--json-events`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum NixEvent {
    /// A message for users.
    #[serde(rename = "nix-message")]
    Message {
        /// Nix's verbosity level: 0 error, 1 warning, 2 notice, 3 info, and so on up to 7.
        level: u8,
        /// The message, without colour codes.
        text: String,
    },
    /// How many derivations Nix will build.
    WillBuild { derivations: u64 },
    /// How many of these derivations are built by programs of the image, under emulation.
    WillEmulate { derivations: u64 },
    /// How many store paths Nix will fetch.
    WillFetch {
        paths: u64,
        /// Bytes to download, rounded by Nix to hundredths of a MiB.
        download: u64,
        /// Bytes that they take in the store, rounded the same way.
        unpacked: u64,
    },
    /// What failed is tried in another way: the forecasts that follow replace the earlier ones.
    Restarted,
    /// The build of a derivation began.
    BuildStarted {
        id: u64,
        /// Store path of the derivation.
        derivation: String,
        /// The remote builder that builds it, as Nix names it; empty for this machine.
        machine: String,
    },
    /// The download of a store path began.
    FetchStarted {
        id: u64,
        path: String,
        /// URL of the binary cache; empty when Nix does not report it.
        cache: String,
    },
    /// The progress of a download, of a store path or within a build.
    #[serde(skip)]
    Moved {
        /// Activity number of the build or of the store path.
        id: u64,
        done: u64,
        /// Bytes in all; 0 while unknown.
        expected: u64,
    },
    /// The progress of a step within a build that makes a file system or an image.
    #[serde(skip)]
    Step {
        /// Activity number of the build.
        id: u64,
        /// Unit of the counters.
        unit: StepUnit,
        /// How many so far. A step that follows begins anew.
        done: u64,
        /// Expected total in `unit`.
        expected: u64,
    },
    /// An activity (build or download) ended.
    #[serde(rename = "ended")]
    Stopped { id: u64 },
    /// A line that a derivation's builder wrote.
    BuildLine { id: u64, line: String },
    /// The phase a builder is in (`unpackPhase`, …).
    BuildPhase {
        id: u64,
        #[serde(rename = "name")]
        phase: String,
    },
    /// Derivations built so far, of how many, in all processes of Nix together.
    Built {
        done: u64,
        #[serde(rename = "total")]
        expected: u64,
        /// Number of derivations being built.
        running: u64,
    },
    /// Store paths fetched so far, of how many, in all processes of Nix together.
    Fetched {
        done: u64,
        #[serde(rename = "total")]
        expected: u64,
    },
    /// The size of all store paths that Nix downloads, as far as it knows by now, in all its processes together.
    ToDownload {
        /// Bytes, including those that are downloaded already.
        bytes: u64,
    },
    /// Anything else on the builder's standard error.
    #[serde(skip)]
    Other(String),
}

/// What the steps of a build count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUnit {
    /// Bytes of an image that are written or read.
    Bytes,
    /// Store paths that are copied.
    Paths,
}
