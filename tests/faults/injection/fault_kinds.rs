//! The kinds of faults: when each may be done, and what a run may end in after it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::live_run::End;
use super::phases::Phase::{self, *};

/// One bad thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Signal(Signal),
    /// INT twice, or ten times.
    Again,
    /// Stopped for longer than the registrar waits for a heartbeat.
    Stop,
    /// In a shell with job control, which `fg` continues it in.
    CtrlZ,
    /// Its terminal closes.
    Terminal,
    /// Standard output (0) or error (1) is a closed pipe, or a disk without room.
    Stream(usize),
    Registrar(&'static [&'static str]),
    RegistrarImage,
    Builder(&'static [&'static str]),
    BuilderPaused,
    Memory,
    Processes,
    /// It stays away for the rest of the run, or it comes back at once.
    Engine(Signal),
    /// It takes every request and answers none: for a while, or for as long as somebody waits.
    EngineStalls,
    /// The engine keeps its containers running while it is away.
    LastingEngine,
    OutputFull,
    CacheFull,
    StoreFull,
    CacheDamaged,
    TwoFillACache,
    MirrorStalls,
    MirrorSlow,
    MirrorWrong,
    MirrorCuts,
    /// Registrar and sdbuild at once; swept by `clean`, or by the next build.
    DoubleKill {
        clean: bool,
    },
    /// sdbuild and its private builder at once.
    PrivateKill,
    ForeignHandler,
    ForeignContainer,
    HandlerRemoved,
    /// Two, or four of which one is killed.
    ManyBuilds,
}

/// A fault with its name and the phases in which it can be done.
#[derive(Debug)]
pub struct FaultKind {
    pub name: &'static str,
    pub fault: Fault,
    pub phases: &'static [Phase],
}

const ANY: &[Phase] = &super::phases::ALL;
/// There is a registrar.
const HELD: &[Phase] = &[Emulation, Upload, Build];
/// There is a builder that will run or runs; one that has ended can still be removed.
const BUILDER: &[Phase] = &[Upload, Build];
const BUILDER_OR_ITS_REST: &[Phase] = &[Upload, Build, CopyOut];
/// The cache is looked at.
const CACHE: &[Phase] = &[Start, Preflight, Fetch, Images];
const FETCH: &[Phase] = &[Fetch];
const BUILD: &[Phase] = &[Build];
const UNTIL_THE_END: &[Phase] = &[
    Start, Preflight, Fetch, Images, Emulation, Upload, Build, CopyOut,
];
const STORE: &[Phase] = &[Start, Preflight, Emulation, Upload, Build];

const fn kind(name: &'static str, fault: Fault, phases: &'static [Phase]) -> FaultKind {
    FaultKind {
        name,
        fault,
        phases,
    }
}

/// A run's kind is the one at its seed's remainder. New ones go to the end.
pub static FAULT_KINDS: [FaultKind; 41] = [
    kind("INT", Fault::Signal(Signal::SIGINT), ANY),
    kind("TERM", Fault::Signal(Signal::SIGTERM), ANY),
    kind("HUP", Fault::Signal(Signal::SIGHUP), ANY),
    kind("QUIT", Fault::Signal(Signal::SIGQUIT), ANY),
    kind("KILL", Fault::Signal(Signal::SIGKILL), ANY),
    kind("INT again", Fault::Again, ANY),
    kind("engine stalls", Fault::EngineStalls, ANY),
    kind("STOP, CONT", Fault::Stop, ANY),
    kind("Ctrl-Z, fg", Fault::CtrlZ, ANY),
    kind("terminal closes", Fault::Terminal, ANY),
    kind("stdout broken", Fault::Stream(0), UNTIL_THE_END),
    kind("stderr broken", Fault::Stream(1), UNTIL_THE_END),
    kind("registrar stopped", Fault::Registrar(&["stop"]), HELD),
    kind("registrar killed", Fault::Registrar(&["kill"]), HELD),
    kind(
        "registrar removed",
        Fault::Registrar(&["rm", "--force"]),
        HELD,
    ),
    kind("registrar image gone", Fault::RegistrarImage, UNTIL_THE_END),
    kind("builder stopped", Fault::Builder(&["stop"]), BUILDER),
    kind("builder killed", Fault::Builder(&["kill"]), BUILDER),
    kind(
        "builder removed",
        Fault::Builder(&["rm", "--force"]),
        BUILDER_OR_ITS_REST,
    ),
    kind("builder paused", Fault::BuilderPaused, BUILD),
    kind("memory limit", Fault::Memory, BUILD),
    kind("process limit", Fault::Processes, BUILD),
    kind("engine TERM", Fault::Engine(Signal::SIGTERM), ANY),
    kind("engine KILL", Fault::Engine(Signal::SIGKILL), ANY),
    kind("engine, live-restore", Fault::LastingEngine, ANY),
    kind("output disk full", Fault::OutputFull, UNTIL_THE_END),
    kind("cache disk full", Fault::CacheFull, CACHE),
    kind("store volume full", Fault::StoreFull, STORE),
    kind("cache damaged", Fault::CacheDamaged, CACHE),
    kind("two fill a cache", Fault::TwoFillACache, FETCH),
    kind("mirror stalls", Fault::MirrorStalls, FETCH),
    kind("mirror slow", Fault::MirrorSlow, FETCH),
    kind("mirror wrong", Fault::MirrorWrong, FETCH),
    kind("mirror cuts", Fault::MirrorCuts, FETCH),
    kind(
        "double kill, build",
        Fault::DoubleKill { clean: false },
        HELD,
    ),
    kind(
        "double kill, clean",
        Fault::DoubleKill { clean: true },
        HELD,
    ),
    kind("foreign handler", Fault::ForeignHandler, ANY),
    kind("foreign container", Fault::ForeignContainer, ANY),
    kind("handler removed", Fault::HandlerRemoved, HELD),
    kind("two and four builds", Fault::ManyBuilds, ANY),
    kind("private, all killed", Fault::PrivateKill, BUILDER),
];

/// What a run may come to.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub end: Vec<End>,
    /// After the fault; what goes on working has the time that a build takes.
    pub within: Duration,
    /// What an error must speak of.
    pub says: &'static str,
}

const SOON: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(3);
pub const NEVER_HANGS: Duration = Duration::from_secs(120);

/// What may follow on `fault`, in its `variant`, done in `phase`.
pub fn expected(fault: Fault, variant: &str, phase: Phase) -> Expectation {
    let codes = |codes: &[i32], within, says| Expectation {
        end: codes.iter().map(|code| End::Code(*code)).collect(),
        within,
        says,
    };
    match fault {
        Fault::Signal(signal) => by_signal(signal, phase, SOON),
        Fault::Again => by_signal(Signal::SIGINT, phase, SECOND),
        Fault::EngineStalls if variant.starts_with("INT") => {
            let within = if variant == "INT" { SOON } else { SECOND };
            let mut may = by_signal(Signal::SIGINT, phase, within);
            // What cannot be removed is told.
            may.end.push(End::Code(5));
            may
        }
        Fault::EngineStalls => codes(&[0, 3, 4, 5], NEVER_HANGS, ""),
        // The image is done; that nobody is left to read its path is no failure.
        Fault::Terminal if phase >= CopyOut => codes(&[0, 128 + 1], SOON, ""),
        Fault::Terminal => codes(&[128 + 1], SOON, ""),
        Fault::Registrar(_) => codes(&[0, 3, 4], NEVER_HANGS, "registrar"),
        // The build was given more work than it can do without the handler.
        Fault::Stop if variant == "held" => codes(&[3, 4], NEVER_HANGS, "handler"),
        Fault::Stop | Fault::HandlerRemoved => codes(&[0, 3, 4], NEVER_HANGS, "handler"),
        Fault::RegistrarImage => codes(&[0, 3], NEVER_HANGS, "image"),
        Fault::Builder(_) if phase == Build => codes(&[0, 3], SOON, "builder"),
        Fault::Builder(_) => codes(&[0, 3], NEVER_HANGS, "builder"),
        Fault::Memory => codes(&[3], NEVER_HANGS, "memory"),
        Fault::Processes => codes(&[0, 3], NEVER_HANGS, "process"),
        Fault::Engine(_) | Fault::LastingEngine => codes(&[0, 3, 5], SOON * 2, "engine"),
        Fault::OutputFull if phase < CopyOut => codes(&[3], NEVER_HANGS, "o space left"),
        Fault::OutputFull | Fault::CacheFull | Fault::StoreFull => {
            codes(&[0, 3], NEVER_HANGS, "o space left")
        }
        Fault::CacheDamaged if phase > Start || FOR_GOOD.contains(&variant) => {
            codes(&[0, 3], NEVER_HANGS, "cache")
        }
        Fault::Stream(0) => codes(&[0, 3], NEVER_HANGS, "standard output"),
        Fault::CtrlZ
        | Fault::Stream(_)
        | Fault::BuilderPaused
        | Fault::CacheDamaged
        | Fault::TwoFillACache
        | Fault::MirrorStalls
        | Fault::MirrorSlow
        | Fault::MirrorWrong
        | Fault::MirrorCuts
        | Fault::ForeignHandler
        | Fault::ForeignContainer
        | Fault::ManyBuilds => codes(&[0], NEVER_HANGS, ""),
        // Whatever the rest of it came to: sdbuild was killed.
        Fault::DoubleKill { .. } | Fault::PrivateKill => Expectation {
            end: vec![End::Signal(Signal::SIGKILL as i32)],
            within: SOON,
            says: "",
        },
    }
}

/// Damages that no download mends.
const FOR_GOOD: [&str; 2] = ["read-only", "no permission"];

fn by_signal(signal: Signal, phase: Phase, within: Duration) -> Expectation {
    let mut end = vec![End::Signal(signal as i32)];
    // Too late to be asked, or the image was published in that moment.
    let late = if signal == Signal::SIGKILL {
        After
    } else {
        CopyOut
    };
    if phase >= late {
        end.push(End::Code(0));
    }
    Expectation {
        end,
        within,
        says: "",
    }
}

impl Fault {
    /// Nobody was there to give anything back: the next run does.
    pub fn is_swept_by_the_next_run(self) -> bool {
        matches!(
            self,
            Self::Signal(Signal::SIGKILL)
                | Self::DoubleKill { .. }
                | Self::PrivateKill
                | Self::Engine(_)
                | Self::EngineStalls
                | Self::LastingEngine
        )
    }

    /// The leash takes the handler away even then; an engine that stood still lets go of it when it goes
    /// on.
    pub fn keeps_the_watchdog(self) -> bool {
        !matches!(
            self,
            Self::DoubleKill { .. } | Self::Engine(_) | Self::LastingEngine
        )
    }

    /// On an engine that may be killed.
    pub fn needs_own_engine(self) -> bool {
        matches!(
            self,
            Self::Engine(_) | Self::EngineStalls | Self::LastingEngine
        )
    }

    /// What `clean` lists then is compared with all that is there: nobody else may run meanwhile.
    pub fn runs_alone(self) -> bool {
        self == Self::DoubleKill { clean: true }
    }

    /// The cache has to be looked at.
    pub fn needs_downloads(self) -> bool {
        matches!(
            self,
            Self::CacheFull
                | Self::CacheDamaged
                | Self::TwoFillACache
                | Self::MirrorStalls
                | Self::MirrorSlow
                | Self::MirrorWrong
                | Self::MirrorCuts
        )
    }
}
