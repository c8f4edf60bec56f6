//! What happens during a run, as data: modules emit events, a view of `ui` receives them.
//!
//! A sink must never block its caller.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::image_choice::ImageChoice;
use crate::nix_event::NixEvent;
use crate::text::without_os_errors;

/// The parts of a run that the user sees as one line each. In JSON, as in `--json-events`, their names are in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making a rented machine, and waiting for it.
    Rent,
    /// Giving a rented machine back.
    GiveBack,
    /// Checking engine, configuration, disk and output directory.
    Preflight,
    /// Downloading pinned packages.
    Fetch,
    /// Downloading nixpkgs.
    Nixpkgs,
    /// Assembling container images and loading them into the engine.
    ContainerImages,
    /// Pulling `--builder-image`.
    Pull,
    /// Trying the remote builders.
    Builders,
    /// Registering the handler and probing it.
    Emulation,
    /// Uploading the configuration and nixpkgs.
    Upload,
    /// Nix evaluates the configuration, and builds nothing.
    Evaluate,
    /// Nix evaluates and builds.
    Build,
    /// Copying the image out of the engine.
    CopyOut,
    /// Reading an existing image: hashing, decompressing, parsing.
    ReadImage,
    /// Removing what the run created in the engine.
    Release,
    /// Unpacking an image to boot it.
    Unpack,
    /// Copying an image into the emulator.
    CopyIn,
    /// The image boots, until a login over SSH succeeds.
    Boot,
    /// A command of the user runs on the machine that booted.
    Command,
    /// The machine that booted switches itself off.
    PowerOff,
    /// Writing an image to a disk.
    Flash,
    /// Reading the disk back.
    Verify,
    /// Listing what the engine has of sdbuild, with its sizes.
    Measure,
    /// Exporting a build to a binary cache.
    Export,
    /// Publishing an image to a cloud.
    Publish,
    /// Connecting to a board, and looking at its system.
    Look,
    /// Comparing a system with that of a board.
    Compare,
    /// Copying a system to a board.
    Send,
    /// Changing the system of a board, until that is confirmed.
    Switch,
}

/// Why a phase ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its work failed.
    Failed,
    /// A signal interrupted the run, which is no failure of the phase.
    Interrupted,
    /// The user is asked a question next. Its work begins again after the right answer.
    Question,
    /// Its work failed, and the run goes on: a warning says so, or an error at the end.
    Tolerated,
}

/// What a run is about, in the words of its first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// The configuration, as the user named it.
    pub configuration: String,
    /// The system of the image, such as `aarch64-linux`.
    pub system: String,
    /// The engine with its version, and where it is.
    pub engine: String,
    /// The nixpkgs that the configuration is built with.
    pub nixpkgs: String,
}

/// An image that is in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDone {
    /// The image file, absolute.
    pub path: PathBuf,
    /// The image file as the user would type it.
    pub shown: String,
    /// The length of the file in bytes.
    pub size: u64,
    /// The length of the decompressed image in bytes.
    pub raw_size: u64,
    /// Of what that length is, behind it: `on the card`.
    pub raw: &'static str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// How long the build took, from its first check.
    pub took: Duration,
    /// Whether it is booted next, which takes more time.
    pub is_booted_next: bool,
    /// Whether an earlier build wrote it, and nothing was written now.
    pub up_to_date: bool,
    /// The names and sizes of images that the configuration made before and that are not replaced.
    pub older: Vec<(String, u64)>,
    /// Commands to go on with, each with its purpose.
    pub next: Vec<(String, &'static str)>,
}

/// How long phases took, in milliseconds.
pub type PhaseTimes = BTreeMap<Phase, u64>;

/// What stands at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastLine {
    /// The result.
    Done(String),
    /// What to do with an image that was tested: commands, each with what it is for.
    Commands(Vec<(String, &'static str)>),
}

/// Something that happened during a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What follows is about this configuration, one of several.
    Configuration(String),
    /// The machine was looked at, and the run begins.
    RunStarted(RunSummary),
    /// The phases that follow, in their order, as far as it is certain that they will.
    ToCome(Vec<Phase>),
    /// A phase began.
    Started(Phase),
    /// A phase succeeded, in this time.
    Finished(Phase, Duration),
    /// A phase ended without success after this time, and why.
    Stopped(Phase, Duration, Stop),
    /// What a phase does or came to, in a few words; a later text replaces it, and an empty one removes it.
    Detail(Phase, String),
    /// The progress of a phase in bytes.
    Bytes {
        /// The phase that transfers them.
        phase: Phase,
        /// Bytes so far.
        done: u64,
        /// Bytes in all; `None` while unknown.
        total: Option<u64>,
    },
    /// How long the phases took in the last build of this configuration, or in the last boot of this image.
    LastTimes(PhaseTimes),
    /// Which image is built and who chose it, as soon as the configuration is evaluated.
    ImageChosen(ImageChoice),
    /// A line of Nix's log.
    Nix(NixEvent),
    /// Something that the user should know, although the run goes on.
    Warning(String),
    /// Something worth a line: which emulation, which mirror, what was swept.
    Notice(String),
    /// The file with the whole build log.
    LogFile(PathBuf),
    /// A line on the console of the machine that boots, without its control sequences.
    Console(String),
    /// The image that was built has its name.
    ImageDone(ImageDone),
    /// The end of a run that tested an image.
    Next(LastLine),
    /// The run is over, successful or not: a summary of its times may be shown.
    WorkEnded,
    /// From here on the terminal belongs to another program: no live line may be drawn.
    TerminalGiven,
    /// Another program gets the terminal for a while: the shell, because Ctrl-Z is about to stop the process, or a command.
    Suspended,
    /// It has ended, or the process goes on.
    Resumed,
}

/// The receiver of events: cheap to clone, never blocks, never fails.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Calls `sink` with each event, on the thread that emits it: it must return at once.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops all events.
    pub fn none() -> Self {
        Self::new(drop)
    }

    /// Calls the sink with `event`.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }

    /// Emits a [`Event::Detail`].
    pub fn detail(&self, phase: Phase, text: impl Into<String>) {
        self.emit(Event::Detail(phase, text.into()));
    }

    /// Emits a [`Event::Warning`].
    pub fn warn(&self, text: impl fmt::Display) {
        let text = text.to_string();
        self.emit(Event::Warning(without_os_errors(&text).into_owned()));
    }

    /// Emits a [`Event::Notice`].
    pub fn notice(&self, text: impl fmt::Display) {
        self.emit(Event::Notice(text.to_string()));
    }

    /// Emits the result of the run.
    pub fn done(&self, text: String) {
        self.emit(Event::Next(LastLine::Done(text)));
    }

    /// Emits the progress of `phase` in bytes.
    pub fn bytes(&self, phase: Phase, done: u64, total: Option<u64>) {
        self.emit(Event::Bytes { phase, done, total });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
