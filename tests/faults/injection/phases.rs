//! When a fault is injected: in a phase of the run, and how far into it.

use std::time::Duration;

use super::live_run::LiveRun;

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the first connection.
    Start,
    Preflight,
    Fetch,
    Images,
    Emulation,
    Upload,
    Build,
    CopyOut,
    Release,
    /// After everything was released.
    After,
}

use Phase::*;

pub const ALL: [Phase; 10] =
    [Start, Preflight, Fetch, Images, Emulation, Upload, Build, CopyOut, Release, After];

/// The lines that end a phase (their words are in `src/ui/words.rs`), with the phase that follows.
const ENDS: [(&str, Phase); 8] = [
    ("Checks: done", Fetch),
    ("Downloads: done", Images),
    ("Container images: done", Emulation),
    ("Emulation: done", Upload),
    ("Upload: done", Build),
    ("Build: done", CopyOut),
    ("Image: done", Release),
    ("Clean up: done", After),
];

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Start => "start",
            Preflight => "preflight",
            Fetch => "fetch",
            Images => "images",
            Emulation => "emulation",
            Upload => "upload",
            Build => "build",
            CopyOut => "copy-out",
            Release => "release",
            After => "after",
        }
    }

    /// Whether only a run that has something to download goes through this phase.
    pub fn needs_downloads(self) -> bool {
        matches!(self, Fetch | Images)
    }

    fn index(self) -> usize {
        ALL.iter().position(|phase| *phase == self).unwrap()
    }
}

/// How long each phase takes without a fault.
#[derive(Clone, Debug)]
pub struct PhaseDurations([Duration; ALL.len()]);

impl PhaseDurations {
    /// The durations in `live`, a run without a fault that has ended.
    pub fn measured_in(live: &LiveRun) -> Self {
        let mut durations = [Duration::ZERO; ALL.len()];
        let (mut phase, mut since) = (Preflight, Duration::ZERO);
        for (at, line) in live.lines() {
            if let Some(next) = after(&line) {
                durations[phase.index()] = at.saturating_sub(since);
                (phase, since) = (next, at);
            }
        }
        durations[After.index()] =
            live.ended().map_or(Duration::ZERO, |(_, at)| at.saturating_sub(since));
        // No line of output separates these two: the process reads its settings, then connects to the engine.
        durations[Start.index()] = durations[Preflight.index()].mul_f64(0.3);
        durations[Preflight.index()] -= durations[Start.index()];
        Self(durations)
    }

    pub fn of_phase(&self, phase: Phase) -> Duration {
        self.0[phase.index()]
    }
}

/// The phase that follows the one that ends with `line`.
fn after(line: &str) -> Option<Phase> {
    let found = ENDS.iter().find(|(words, _)| line.contains(words))?;
    Some(found.1)
}

/// The current phase of a run, and how long it has been in it.
pub fn phase_of(
    live: &LiveRun,
    durations: &PhaseDurations,
    needs_downloads: bool,
) -> (Phase, Duration) {
    let now = live.age();
    let seen = live.lines();
    let last = seen.iter().rev().find_map(|(at, l)| Some((after(l)?, *at)));
    match last {
        None if now < durations.of_phase(Start) => (Start, now),
        None => (Preflight, now.saturating_sub(durations.of_phase(Start))),
        Some((Fetch, at)) if !needs_downloads => (Emulation, now.saturating_sub(at)),
        Some((phase, at)) => (phase, now.saturating_sub(at)),
    }
}

/// Waits until `fraction` of the usual duration of `phase` has passed, or the run is past that phase or has ended.
pub fn wait_for(
    live: &LiveRun,
    (phase, fraction): (Phase, f64),
    durations: &PhaseDurations,
    needs_downloads: bool,
) {
    let goal = durations.of_phase(phase).mul_f64(fraction);
    while live.ended().is_none() {
        let (now, since) = phase_of(live, durations, needs_downloads);
        if now > phase || now == phase && since >= goal {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
