//! When a fault is done: a phase of the run, and how far into it.

use std::time::Duration;

use super::live_run::LiveRun;

/// What a run goes through, from its start to its end.
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
    /// After the rename, and after everything was given back.
    After,
}

use Phase::*;

pub const ALL: [Phase; 10] = [
    Start, Preflight, Fetch, Images, Emulation, Upload, Build, CopyOut, Release, After,
];

/// The lines that end a phase (the words stand in `src/ui/words.rs`), with the phase that is next.
const ENDS: [(&str, Phase); 8] = [
    ("check this machine and the configuration: done", Fetch),
    ("fetch packages: done", Images),
    ("assemble container images: done", Emulation),
    ("set up emulation: done", Upload),
    ("upload the configuration: done", Build),
    ("build with Nix: done", CopyOut),
    ("copy the image out: done", Release),
    ("give back what was borrowed: done", After),
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

    /// Only a run that needs_downloads something goes through these.
    pub fn needs_downloads(self) -> bool {
        matches!(self, Fetch | Images)
    }

    fn index(self) -> usize {
        ALL.iter().position(|phase| *phase == self).unwrap()
    }
}

/// How long each phase takes when nobody disturbs it.
#[derive(Clone, Debug)]
pub struct PhaseDurations([Duration; ALL.len()]);

impl PhaseDurations {
    /// As in the undisturbed run `live`, which has ended.
    pub fn of(live: &LiveRun) -> Self {
        let mut durations = [Duration::ZERO; ALL.len()];
        let (mut phase, mut since) = (Preflight, Duration::ZERO);
        for (at, line) in live.lines() {
            if let Some(next) = after(&line) {
                durations[phase.index()] = at.saturating_sub(since);
                (phase, since) = (next, at);
            }
        }
        durations[After.index()] = live
            .ended()
            .map_or(Duration::ZERO, |(_, at)| at.saturating_sub(since));
        // Nothing tells when the process is about to connect; it reads its settings until then.
        durations[Start.index()] = durations[Preflight.index()].mul_f64(0.3);
        durations[Preflight.index()] -= durations[Start.index()];
        Self(durations)
    }

    pub fn lasts(&self, phase: Phase) -> Duration {
        self.0[phase.index()]
    }
}

/// The phase that follows the one that `line` ends.
fn after(line: &str) -> Option<Phase> {
    let found = ENDS.iter().find(|(words, _)| line.contains(words))?;
    Some(found.1)
}

/// Where a run is, and for how long.
pub fn phase_of(
    live: &LiveRun,
    durations: &PhaseDurations,
    needs_downloads: bool,
) -> (Phase, Duration) {
    let now = live.age();
    let seen = live.lines();
    let last = seen.iter().rev().find_map(|(at, l)| Some((after(l)?, *at)));
    match last {
        None if now < durations.lasts(Start) => (Start, now),
        None => (Preflight, now.saturating_sub(durations.lasts(Start))),
        Some((Fetch, at)) if !needs_downloads => (Emulation, now.saturating_sub(at)),
        Some((phase, at)) => (phase, now.saturating_sub(at)),
    }
}

/// Waits until the run is `fraction` into `phase`, or beyond, or over.
pub fn wait_for(
    live: &LiveRun,
    (phase, fraction): (Phase, f64),
    durations: &PhaseDurations,
    needs_downloads: bool,
) {
    let goal = durations.lasts(phase).mul_f64(fraction);
    while live.ended().is_none() {
        let (now, since) = phase_of(live, durations, needs_downloads);
        if now > phase || now == phase && since >= goal {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
