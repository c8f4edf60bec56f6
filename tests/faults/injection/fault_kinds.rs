//! The kinds of faults: in which phases each is injected, and how a run may end after it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::live_run::End;
use super::phases::Phase::{self, *};

/// What is done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Signal(Signal),
    /// INT twice, or ten times.
    Again,
    /// Stopped for longer than the registrar waits for a heartbeat.
    Stop,
    /// Stopped by Ctrl-Z in a shell with job control, and continued by `fg`.
    CtrlZ,
    /// The terminal closes.
    Terminal,
    /// Standard output (0) or error (1) is a closed pipe, or a disk without room.
    Stream(usize),
    Registrar(&'static [&'static str]),
    RegistrarImage,
    Builder(&'static [&'static str]),
    BuilderPaused,
    Memory,
    Processes,
    /// Ended by the signal; it stays away for the rest of the run or is started again at once.
    Engine(Signal),
    /// Stopped: it accepts requests and answers none, for a while or until the run ends.
    EngineStalls,
    /// Ended with `--live-restore`: its containers run on meanwhile.
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
    /// Registrar and sdbuild killed at once; swept by `clean` or by the next build.
    DoubleKill {
        clean: bool,
    },
    /// sdbuild and its private builder killed at once.
    PrivateKill,
    ForeignHandler,
    ForeignContainer,
    HandlerRemoved,
    /// Two builds at once, or four of which one is killed.
    ManyBuilds,
}

/// A fault with its name and the phases in which it is injected.
#[derive(Debug)]
pub struct FaultKind {
    pub name: &'static str,
    pub fault: Fault,
    pub phases: &'static [Phase],
}

const ANY: &[Phase] = &super::phases::ALL;
/// A registrar exists.
const HELD: &[Phase] = &[Emulation, Upload, Build];
/// A builder exists that runs or is about to.
const BUILDER: &[Phase] = &[Upload, Build];
/// A builder exists; one that has ended can still be removed.
const BUILDER_OR_ENDED: &[Phase] = &[Upload, Build, CopyOut];
/// The cache is read.
const CACHE: &[Phase] = &[Start, Preflight, Fetch, Images];
const FETCH: &[Phase] = &[Fetch];
const BUILD: &[Phase] = &[Build];
const BEFORE_RELEASE: &[Phase] =
    &[Start, Preflight, Fetch, Images, Emulation, Upload, Build, CopyOut];
const STORE: &[Phase] = &[Start, Preflight, Emulation, Upload, Build];

const fn kind(name: &'static str, fault: Fault, phases: &'static [Phase]) -> FaultKind {
    FaultKind { name, fault, phases }
}

/// A run's kind is the one at its seed modulo the number of kinds. New kinds go to the end.
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
    kind("stdout broken", Fault::Stream(0), BEFORE_RELEASE),
    kind("stderr broken", Fault::Stream(1), BEFORE_RELEASE),
    kind("registrar stopped", Fault::Registrar(&["stop"]), HELD),
    kind("registrar killed", Fault::Registrar(&["kill"]), HELD),
    kind("registrar removed", Fault::Registrar(&["rm", "--force"]), HELD),
    kind("registrar image gone", Fault::RegistrarImage, BEFORE_RELEASE),
    kind("builder stopped", Fault::Builder(&["stop"]), BUILDER),
    kind("builder killed", Fault::Builder(&["kill"]), BUILDER),
    kind("builder removed", Fault::Builder(&["rm", "--force"]), BUILDER_OR_ENDED),
    kind("builder paused", Fault::BuilderPaused, BUILD),
    kind("memory limit", Fault::Memory, BUILD),
    kind("process limit", Fault::Processes, BUILD),
    kind("engine TERM", Fault::Engine(Signal::SIGTERM), ANY),
    kind("engine KILL", Fault::Engine(Signal::SIGKILL), ANY),
    kind("engine, live-restore", Fault::LastingEngine, ANY),
    kind("output disk full", Fault::OutputFull, BEFORE_RELEASE),
    kind("cache disk full", Fault::CacheFull, CACHE),
    kind("store volume full", Fault::StoreFull, STORE),
    kind("cache damaged", Fault::CacheDamaged, CACHE),
    kind("two fill a cache", Fault::TwoFillACache, FETCH),
    kind("mirror stalls", Fault::MirrorStalls, FETCH),
    kind("mirror slow", Fault::MirrorSlow, FETCH),
    kind("mirror wrong", Fault::MirrorWrong, FETCH),
    kind("mirror cuts", Fault::MirrorCuts, FETCH),
    kind("double kill, build", Fault::DoubleKill { clean: false }, HELD),
    kind("double kill, clean", Fault::DoubleKill { clean: true }, HELD),
    kind("foreign handler", Fault::ForeignHandler, ANY),
    kind("foreign container", Fault::ForeignContainer, ANY),
    kind("handler removed", Fault::HandlerRemoved, HELD),
    kind("two and four builds", Fault::ManyBuilds, ANY),
    kind("private, all killed", Fault::PrivateKill, BUILDER),
];

/// How a run may end.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub end: Vec<End>,
    /// The longest time from the fault to the end; a run that continues has the time that a build takes.
    pub within: Duration,
    /// A word that an error message must contain.
    pub mentions: &'static str,
}

const SOON: Duration = Duration::from_secs(10);
/// After a second signal, see `Cancel::received`.
const AT_ONCE: Duration = Duration::from_secs(6);
pub const HANG_LIMIT: Duration = Duration::from_mins(2);

/// How a run may end after `fault` in its `variant`, injected in `phase`.
pub fn expected(fault: Fault, variant: &str, phase: Phase) -> Expectation {
    let codes = |codes: &[i32], within, mentions| Expectation {
        end: codes.iter().map(|code| End::Code(*code)).collect(),
        within,
        mentions,
    };
    match fault {
        Fault::Signal(signal) => by_signal(signal, phase, SOON),
        Fault::Again => by_signal(Signal::SIGINT, phase, AT_ONCE),
        Fault::EngineStalls if variant.starts_with("INT") => {
            // An engine counts as silent after 15 s.
            let within = if variant == "INT" { SOON * 2 } else { AT_ONCE };
            let mut may = by_signal(Signal::SIGINT, phase, within);
            // What cannot be removed is reported with this code.
            may.end.push(End::Code(5));
            may
        }
        Fault::EngineStalls => codes(&[0, 3, 4, 5], HANG_LIMIT, ""),
        // The image is published; that its path cannot be written any more is not a failure.
        Fault::Terminal if phase >= CopyOut => codes(&[0, 128 + 1], SOON, ""),
        Fault::Terminal => codes(&[128 + 1], SOON, ""),
        Fault::Registrar(_) => codes(&[0, 3, 4], HANG_LIMIT, "regist"),
        // The build has more work than it can do without the handler.
        Fault::Stop if variant == "held" => codes(&[3, 4], HANG_LIMIT, "binfmt_misc"),
        Fault::Stop | Fault::HandlerRemoved => codes(&[0, 3, 4], HANG_LIMIT, "binfmt_misc"),
        Fault::RegistrarImage => codes(&[0, 3], HANG_LIMIT, "image"),
        Fault::Builder(_) if phase == Build => codes(&[0, 3], SOON, "builder"),
        Fault::Builder(_) => codes(&[0, 3], HANG_LIMIT, "builder"),
        Fault::Memory => codes(&[3], HANG_LIMIT, "memory"),
        Fault::Processes => codes(&[0, 3], HANG_LIMIT, "process"),
        Fault::Engine(_) | Fault::LastingEngine => codes(&[0, 3, 5], SOON * 2, "engine"),
        Fault::OutputFull if phase < CopyOut => codes(&[3], HANG_LIMIT, "o space left"),
        Fault::OutputFull | Fault::CacheFull | Fault::StoreFull => {
            codes(&[0, 3], HANG_LIMIT, "o space left")
        }
        Fault::CacheDamaged if phase > Start || PERMANENT.contains(&variant) => {
            codes(&[0, 3], HANG_LIMIT, "cache")
        }
        Fault::Stream(0) => codes(&[0, 3], HANG_LIMIT, "standard output"),
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
        | Fault::ManyBuilds => codes(&[0], HANG_LIMIT, ""),
        Fault::DoubleKill { .. } | Fault::PrivateKill => Expectation {
            end: vec![End::Signal(Signal::SIGKILL as i32)],
            within: SOON,
            mentions: "",
        },
    }
}

/// Damage that no download repairs.
const PERMANENT: [&str; 2] = ["read-only", "no permission"];

fn by_signal(signal: Signal, phase: Phase, within: Duration) -> Expectation {
    let mut end = vec![End::Signal(signal as i32)];
    // The signal came too late, or the image was published at that moment.
    let late = if signal == Signal::SIGKILL { After } else { CopyOut };
    if phase >= late {
        end.push(End::Code(0));
    }
    Expectation { end, within, mentions: "" }
}

impl Fault {
    /// Whether sdbuild could release nothing itself: the next run sweeps.
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

    /// Whether the agent in the registrar still removes the handler by itself; an engine that was stopped does so when
    /// it continues.
    pub fn agent_removes_handler(self) -> bool {
        !matches!(self, Self::DoubleKill { .. } | Self::Engine(_) | Self::LastingEngine)
    }

    /// Whether the run needs an engine that may be killed.
    pub fn needs_own_engine(self) -> bool {
        matches!(self, Self::Engine(_) | Self::EngineStalls | Self::LastingEngine)
    }

    /// Whether no other run may be under way: what `clean` lists is compared with everything that exists, and a build that has
    /// lost its handler would use that of another run.
    pub fn runs_alone(self) -> bool {
        matches!(self, Self::Stop | Self::DoubleKill { clean: true })
    }

    /// Whether the run must have something to download.
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
