//! What happens during a run, as data: modules emit events, a view of `ui` receives them.
//!
//! A sink must never block its caller.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// The stretches of a run that a user sees, one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Looking at engine, configuration, disk and output directory.
    Preflight,
    /// Downloading pinned packages.
    Fetch,
    /// Putting container images together and loading them.
    ContainerImages,
    /// Pulling `--builder-image`.
    Pull,
    /// Registering the handler and probing it.
    Emulation,
    /// Uploading the configuration and nixpkgs.
    Upload,
    /// Nix says what the configuration sets.
    Evaluate,
    /// Nix evaluates and builds.
    Build,
    /// Copying the image out of the engine.
    CopyOut,
    /// Reading an image that is there: hashing, decompressing, looking into it.
    ReadImage,
    /// Giving back what the run borrowed.
    Release,
    /// Unpacking an image to boot it.
    Unpack,
    /// Copying an image into the emulator.
    CopyIn,
    /// The image boots, until somebody is let in.
    Boot,
    /// Writing an image to a disk.
    Flash,
    /// Reading it back.
    Verify,
}

/// One fact about the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A phase began.
    Started(Phase),
    /// A phase ended well.
    Finished(Phase, Duration),
    /// How far a phase is, in bytes; `total` is `None` while unknown.
    Bytes {
        /// The phase that moves them.
        phase: Phase,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// What Nix said.
    Nix(NixEvent),
    /// A thing that the user should know, though the run goes on.
    Warning(String),
    /// A thing worth a line: which emulation, which mirror, what was swept.
    Notice(String),
    /// Where the whole log of the builder is kept.
    LogFile(PathBuf),
    /// A line on the console of the machine that boots, without its control sequences.
    Console(String),
    /// The work is over, well or badly: what took how long may be told.
    WorkEnded,
    /// From here on the terminal is another program's: no live line any more.
    TerminalGiven,
}

/// One line of Nix's machine-readable log, reduced to what we use.
#[derive(Clone, Debug, PartialEq)]
pub enum NixEvent {
    /// A message for people: 0 error, 1 warning, 2 notice, 3 info, and so on up to 7.
    Message {
        /// Nix's verbosity level.
        level: u8,
        /// Without colour codes.
        text: String,
    },
    /// The forecast: so many derivations will be built.
    WillBuild {
        /// Derivations.
        derivations: u64,
    },
    /// The forecast: so many of the derivations will be built by the image's programs, under emulation.
    WillEmulate {
        /// Derivations.
        derivations: u64,
    },
    /// The forecast: so many store paths will be fetched.
    WillFetch {
        /// Store paths.
        paths: u64,
        /// Bytes to download, as exact as Nix says it (hundredths of a MiB).
        download: u64,
        /// Bytes that they take in the store, as exact.
        unpacked: u64,
    },
    /// The build of a derivation began.
    BuildStarted {
        /// Activity number.
        id: u64,
        /// Store path of the derivation.
        derivation: String,
    },
    /// The download of a store path began.
    FetchStarted {
        /// Activity number.
        id: u64,
        /// Store path.
        path: String,
    },
    /// How far the download within a build or of a store path is.
    Moved {
        /// Activity number of the build or of the store path.
        id: u64,
        /// Bytes so far.
        done: u64,
        /// Bytes in all; 0 while unknown.
        expected: u64,
    },
    /// An activity (build or download) ended.
    Stopped {
        /// Activity number.
        id: u64,
    },
    /// A line that a derivation's builder wrote.
    BuildLine {
        /// Activity number.
        id: u64,
        /// Without colour codes.
        line: String,
    },
    /// The phase a builder is in (`unpackPhase`, …).
    BuildPhase {
        /// Activity number.
        id: u64,
        /// Name of the phase.
        phase: String,
    },
    /// Derivations built so far, of how many.
    Built {
        /// Built.
        done: u64,
        /// To build in all.
        expected: u64,
    },
    /// Store paths fetched so far, of how many.
    Fetched {
        /// Fetched.
        done: u64,
        /// To fetch in all.
        expected: u64,
    },
    /// How much the store paths are that are to be downloaded in all, as far as Nix knows by now.
    ToDownload {
        /// Bytes, of what is there already too.
        bytes: u64,
    },
    /// Anything else on the builder's standard error.
    Other(String),
}

/// Where events go: cheap to clone, never blocks, never fails.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Events that `sink` receives, on the caller's thread: it must return at once.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Events that nobody reads.
    pub fn none() -> Self {
        Self::new(drop)
    }

    /// Runs `work` as `phase`: emits [`Event::Started`], and [`Event::Finished`] with the time it took
    /// when it succeeds.
    pub async fn phase<T, E>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let start = Instant::now();
        self.emit(Event::Started(phase));
        let done = work.await?;
        self.emit(Event::Finished(phase, start.elapsed()));
        Ok(done)
    }

    /// The same as [`Events::phase`] for `work` that blocks its thread.
    pub fn blocking_phase<T, E>(
        &self,
        phase: Phase,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        self.emit(Event::Started(phase));
        let done = work()?;
        self.emit(Event::Finished(phase, start.elapsed()));
        Ok(done)
    }

    /// Hands `event` to the sink.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }

    /// Emits a [`Event::Warning`].
    pub fn warn(&self, text: impl fmt::Display) {
        self.emit(Event::Warning(text.to_string()));
    }

    /// Emits a [`Event::Notice`].
    pub fn notice(&self, text: impl fmt::Display) {
        self.emit(Event::Notice(text.to_string()));
    }

    /// Emits how far `phase` is.
    pub fn bytes(&self, phase: Phase, done: u64, total: Option<u64>) {
        self.emit(Event::Bytes { phase, done, total });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// How long the phases took that ended well, in their order.
#[derive(Clone, Debug, Default)]
pub struct Timings(Arc<Mutex<Vec<(Phase, Duration)>>>);

impl Timings {
    /// Events that are noted here on their way to `events`.
    pub fn listen(&self, events: &Events) -> Events {
        let (timings, events) = (self.clone(), events.clone());
        Events::new(move |event| {
            if let Event::Finished(phase, took) = event {
                timings.add(phase, took);
            }
            events.emit(event);
        })
    }

    /// Notes a phase; one that comes again takes the longer for it.
    pub fn add(&self, phase: Phase, took: Duration) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, all)) => *all += took,
            None => noted.push((phase, took)),
        }
    }

    /// What is noted so far.
    pub fn so_far(&self) -> Vec<(Phase, Duration)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.clone()
    }
}
