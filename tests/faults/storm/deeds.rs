//! The kinds of deeds: when each may be done, and what a run may end in after it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::live::End;
use super::moments::Phase::{self, *};

/// One bad thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
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

/// A deed with its name and the phases in which it can be done.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub deed: Deed,
    pub phases: &'static [Phase],
}

const ANY: &[Phase] = &super::moments::ALL;
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

const fn kind(name: &'static str, deed: Deed, phases: &'static [Phase]) -> Kind {
    Kind { name, deed, phases }
}

/// A run's kind is the one at its seed's remainder. New ones go to the end.
pub static KINDS: [Kind; 41] = [
    kind("INT", Deed::Signal(Signal::SIGINT), ANY),
    kind("TERM", Deed::Signal(Signal::SIGTERM), ANY),
    kind("HUP", Deed::Signal(Signal::SIGHUP), ANY),
    kind("QUIT", Deed::Signal(Signal::SIGQUIT), ANY),
    kind("KILL", Deed::Signal(Signal::SIGKILL), ANY),
    kind("INT again", Deed::Again, ANY),
    kind("engine stalls", Deed::EngineStalls, ANY),
    kind("STOP, CONT", Deed::Stop, ANY),
    kind("Ctrl-Z, fg", Deed::CtrlZ, ANY),
    kind("terminal closes", Deed::Terminal, ANY),
    kind("stdout broken", Deed::Stream(0), UNTIL_THE_END),
    kind("stderr broken", Deed::Stream(1), UNTIL_THE_END),
    kind("registrar stopped", Deed::Registrar(&["stop"]), HELD),
    kind("registrar killed", Deed::Registrar(&["kill"]), HELD),
    kind(
        "registrar removed",
        Deed::Registrar(&["rm", "--force"]),
        HELD,
    ),
    kind("registrar image gone", Deed::RegistrarImage, UNTIL_THE_END),
    kind("builder stopped", Deed::Builder(&["stop"]), BUILDER),
    kind("builder killed", Deed::Builder(&["kill"]), BUILDER),
    kind(
        "builder removed",
        Deed::Builder(&["rm", "--force"]),
        BUILDER_OR_ITS_REST,
    ),
    kind("builder paused", Deed::BuilderPaused, BUILD),
    kind("memory limit", Deed::Memory, BUILD),
    kind("process limit", Deed::Processes, BUILD),
    kind("engine TERM", Deed::Engine(Signal::SIGTERM), ANY),
    kind("engine KILL", Deed::Engine(Signal::SIGKILL), ANY),
    kind("engine, live-restore", Deed::LastingEngine, ANY),
    kind("output disk full", Deed::OutputFull, UNTIL_THE_END),
    kind("cache disk full", Deed::CacheFull, CACHE),
    kind("store volume full", Deed::StoreFull, STORE),
    kind("cache damaged", Deed::CacheDamaged, CACHE),
    kind("two fill a cache", Deed::TwoFillACache, FETCH),
    kind("mirror stalls", Deed::MirrorStalls, FETCH),
    kind("mirror slow", Deed::MirrorSlow, FETCH),
    kind("mirror wrong", Deed::MirrorWrong, FETCH),
    kind("mirror cuts", Deed::MirrorCuts, FETCH),
    kind(
        "double kill, build",
        Deed::DoubleKill { clean: false },
        HELD,
    ),
    kind("double kill, clean", Deed::DoubleKill { clean: true }, HELD),
    kind("foreign handler", Deed::ForeignHandler, ANY),
    kind("foreign container", Deed::ForeignContainer, ANY),
    kind("handler removed", Deed::HandlerRemoved, HELD),
    kind("two and four builds", Deed::ManyBuilds, ANY),
    kind("private, all killed", Deed::PrivateKill, BUILDER),
];

/// What a run may come to.
#[derive(Clone, Debug)]
pub struct May {
    pub end: Vec<End>,
    /// After the deed; what goes on working has the time that a build takes.
    pub within: Duration,
    /// What an error must speak of.
    pub says: &'static str,
}

const SOON: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(3);
pub const NEVER_HANGS: Duration = Duration::from_secs(120);

/// What may follow on `deed`, in its `variant`, done in `phase`.
pub fn may(deed: Deed, variant: &str, phase: Phase) -> May {
    let codes = |codes: &[i32], within, says| May {
        end: codes.iter().map(|code| End::Code(*code)).collect(),
        within,
        says,
    };
    match deed {
        Deed::Signal(signal) => by_signal(signal, phase, SOON),
        Deed::Again => by_signal(Signal::SIGINT, phase, SECOND),
        Deed::EngineStalls if variant.starts_with("INT") => {
            let within = if variant == "INT" { SOON } else { SECOND };
            let mut may = by_signal(Signal::SIGINT, phase, within);
            // What cannot be removed is told.
            may.end.push(End::Code(5));
            may
        }
        Deed::EngineStalls => codes(&[0, 3, 4, 5], NEVER_HANGS, ""),
        // The image is done; that nobody is left to read its path is no failure.
        Deed::Terminal if phase >= CopyOut => codes(&[0, 128 + 1], SOON, ""),
        Deed::Terminal => codes(&[128 + 1], SOON, ""),
        Deed::Registrar(_) => codes(&[0, 3, 4], NEVER_HANGS, "registrar"),
        // The build was given more work than it can do without the handler.
        Deed::Stop if variant == "held" => codes(&[3, 4], NEVER_HANGS, "handler"),
        Deed::Stop | Deed::HandlerRemoved => codes(&[0, 3, 4], NEVER_HANGS, "handler"),
        Deed::RegistrarImage => codes(&[0, 3], NEVER_HANGS, "image"),
        Deed::Builder(_) if phase == Build => codes(&[0, 3], SOON, "builder"),
        Deed::Builder(_) => codes(&[0, 3], NEVER_HANGS, "builder"),
        Deed::Memory => codes(&[3], NEVER_HANGS, "memory"),
        Deed::Processes => codes(&[0, 3], NEVER_HANGS, "process"),
        Deed::Engine(_) | Deed::LastingEngine => codes(&[0, 3, 5], SOON * 2, "engine"),
        Deed::OutputFull if phase < CopyOut => codes(&[3], NEVER_HANGS, "o space left"),
        Deed::OutputFull | Deed::CacheFull | Deed::StoreFull => {
            codes(&[0, 3], NEVER_HANGS, "o space left")
        }
        Deed::CacheDamaged if phase > Start || FOR_GOOD.contains(&variant) => {
            codes(&[0, 3], NEVER_HANGS, "cache")
        }
        Deed::Stream(0) => codes(&[0, 3], NEVER_HANGS, "standard output"),
        Deed::CtrlZ
        | Deed::Stream(_)
        | Deed::BuilderPaused
        | Deed::CacheDamaged
        | Deed::TwoFillACache
        | Deed::MirrorStalls
        | Deed::MirrorSlow
        | Deed::MirrorWrong
        | Deed::MirrorCuts
        | Deed::ForeignHandler
        | Deed::ForeignContainer
        | Deed::ManyBuilds => codes(&[0], NEVER_HANGS, ""),
        // Whatever the rest of it came to: sdbuild was killed.
        Deed::DoubleKill { .. } | Deed::PrivateKill => May {
            end: vec![End::Signal(Signal::SIGKILL as i32)],
            within: SOON,
            says: "",
        },
    }
}

/// Damages that no download mends.
const FOR_GOOD: [&str; 2] = ["read-only", "no permission"];

fn by_signal(signal: Signal, phase: Phase, within: Duration) -> May {
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
    May {
        end,
        within,
        says: "",
    }
}

impl Deed {
    /// Nobody was there to give anything back: the next run does.
    pub fn leaves_it_to_the_next(self) -> bool {
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
    pub fn keeps_the_leash(self) -> bool {
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
    pub fn wants_to_be_alone(self) -> bool {
        self == Self::DoubleKill { clean: true }
    }

    /// The cache has to be looked at.
    pub fn needs_a_lack(self) -> bool {
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
