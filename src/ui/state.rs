//! The state that every view shows, computed from the events: phase, progress, Nix activities, slowest builds. Pure.

mod activities;
mod bar;
mod fraction;
mod nix_counts;
mod pace;
mod rate;
mod step;
mod time_left;
mod transfer;
mod whole;

use std::time::Duration;

use crate::common::build_shares::{self, BuildShares, PlannedWork};
use crate::common::event::{EarlierBuilds, Event, Phase, Stop};
use crate::common::nix_event::NixEvent;
use crate::common::progress::Progress;
use activities::{Activities, is_count_of_dd};
pub(super) use activities::{Activity, ActivityKind};
pub(super) use bar::Bar;
pub(super) use fraction::{Fraction, WHOLE};
use nix_counts::NixCounts;
use pace::Pace;
use rate::Rate;
pub(super) use step::Step;
pub(super) use time_left::UnknownTimeLeft;
use transfer::Transfer;

/// Maximum characters of the last line of a builder or a console that are kept; no terminal shows more.
const MAX_LAST_LINE: usize = 500;
/// A phase that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) phase: Phase,
    pub(super) took: Duration,
    /// Why it did not succeed; `None` if it did.
    pub(super) stop: Option<Stop>,
}

/// The phase that runs.
#[derive(Debug)]
struct Current {
    phase: Phase,
    since: Duration,
    transfer: Option<Transfer>,
    detail: Option<Since>,
    console: Option<Since>,
    fraction: Fraction,
    bar: Bar,
    pace: Pace,
}

/// A text, and since when it is true.
#[derive(Debug)]
pub(super) struct Since {
    pub(super) text: String,
    pub(super) since: Duration,
}

/// The progress of a run. Times are relative to the start of the view.
#[derive(Debug, Default)]
pub(super) struct State {
    current: Option<Current>,
    nix: NixCounts,
    arriving: Rate,
    activities: Activities,
    shares: BuildShares,
    began: Option<Duration>,
    earlier: EarlierBuilds,
    to_come: Vec<Phase>,
    ended: Vec<Ended>,
}

impl State {
    /// Updates the state with `event`, which happened at the time `at`.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Started(phase) => {
                self.current = Some(Current {
                    phase: *phase,
                    since: at,
                    transfer: None,
                    detail: None,
                    console: None,
                    fraction: Fraction::default(),
                    bar: Bar::begin(at),
                    pace: Pace::begin(at),
                });
                let follows = |other: &Phase| other != phase && *phase != Phase::Release;
                self.to_come.retain(follows);
                self.began.get_or_insert(at);
                self.activities.clear();
            }
            Event::Finished(phase, took) => self.end(*phase, *took, None),
            Event::Stopped(phase, took, stop) => self.end(*phase, *took, Some(*stop)),
            Event::Bytes { phase, done, total } => {
                if let Some(current) = self.current_in(*phase) {
                    let (done, total) = (*done, *total);
                    let took = at.saturating_sub(current.since);
                    current.transfer = Some(Transfer { done, total, took });
                    if let Some(all) = total {
                        current.fraction.update(Progress { done, all }, at);
                    }
                }
            }
            Event::Detail(phase, text) => {
                if let Some(current) = self.current_in(*phase) {
                    let text = Some(text.clone()).filter(|text| !text.is_empty());
                    current.detail = text.map(|text| Since { text, since: at });
                }
            }
            Event::Console(line) if !line.trim().is_empty() => {
                if let Some(current) = self.current_in(Phase::Boot) {
                    let text = line.chars().take(MAX_LAST_LINE).collect();
                    current.console = Some(Since { text, since: at });
                }
            }
            Event::Nix(event) => self.apply_nix(event, at),
            Event::EarlierBuilds(earlier) => self.earlier = earlier.clone(),
            Event::ToCome(phases) => self.to_come.clone_from(phases),
            Event::RunStarted(_)
            | Event::AuthorizedKeys(_)
            | Event::ImageDone(_)
            | Event::Next(_)
            | Event::WorkEnded
            | Event::Warning(_)
            | Event::Notice(_)
            | Event::LogFile(_)
            | Event::Console(_)
            | Event::TerminalGiven
            | Event::Suspended
            | Event::Resumed => {}
        }
    }

    fn apply_nix(&mut self, event: &NixEvent, at: Duration) {
        self.shares.apply(event, at);
        let activities = &mut self.activities;
        match event {
            NixEvent::BuildStarted { id, derivation, .. } => {
                let last_time = build_shares::earlier_time(derivation, &self.earlier.times);
                activities.begin_build(*id, derivation, last_time, at);
            }
            NixEvent::FetchStarted { id, path, .. } => {
                activities.begin_fetch(*id, path, at);
            }
            NixEvent::Stopped { id } => {
                activities.stop(*id, at);
            }
            NixEvent::BuildLine { id, line } => activities.change(*id, at, |activity| {
                let line = Some(line).filter(|line| !is_count_of_dd(line));
                activity.last = line.map(|line| line.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::BuildPhase { id, phase } => activities.change(*id, at, |activity| {
                activity.phase = Some(phase.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::Moved { id, done, expected } => {
                let (nix, arriving) = (&mut self.nix, &mut self.arriving);
                activities.change(*id, at, |activity| {
                    let (done, all) = (*done, *expected);
                    let before = activity.moved.replace(Progress { done, all });
                    if activity.kind == ActivityKind::Fetch {
                        let more = done.saturating_sub(before.unwrap_or_default().done);
                        nix.add_downloaded(more);
                        arriving.add(more, at);
                    }
                });
            }
            NixEvent::Step {
                id,
                unit,
                done,
                expected,
            } => activities.change(*id, at, |activity| {
                // In place of the last line of its log.
                activity.step = Some(Step::new(*unit, *done, *expected));
                activity.last = None;
            }),
            NixEvent::Built { running, .. } => {
                activities.set_running(*running, at);
                self.nix.apply(event);
            }
            NixEvent::WillBuild { .. }
            | NixEvent::WillEmulate { .. }
            | NixEvent::WillFetch { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::ToDownload { .. } => self.nix.apply(event),
            NixEvent::Restarted => {
                self.nix.apply(event);
                self.restart(at);
            }
            NixEvent::Message { .. } | NixEvent::Other(_) => {}
        }
        let is_log = matches!(event, NixEvent::BuildLine { .. } | NixEvent::Message { .. });
        if !is_log {
            self.tick(at);
        }
    }

    /// Nix begins anew: what counts as done, and the estimate of the end, are for other work from now on.
    fn restart(&mut self, at: Duration) {
        let done = self.units(at).done;
        if let Some(current) = self.current_in(Phase::Build) {
            current.fraction.restart(done);
            current.pace.restart();
        }
    }

    /// Moves the share of a build, and what is shown of any share, on with the time, and estimates the end of a build anew.
    pub(super) fn tick(&mut self, at: Duration) {
        let by_last_time = self.share_by_last_time(at);
        let units = self.units(at);
        let work = self.shares.work(&self.earlier.times, self.nix.built, at);
        let Some(current) = self.current.as_mut() else {
            return;
        };
        if current.phase == Phase::Build {
            if units.all > 0 {
                current.fraction.update(units, at);
            }
            let by_rate = current.fraction.time_left(at);
            let by_rate = by_rate.filter(|_| self.nix.mostly_downloads(units));
            current.pace.update(&self.nix, work, by_rate, at);
        } else if let Some(share) = by_last_time {
            current.fraction.update(
                Progress {
                    done: share,
                    all: WHOLE,
                },
                at,
            );
        }
        if current.transfer.is_some() {
            current.bar.show(&current.fraction, at);
        } else {
            current.bar.follow(&current.fraction, at);
        }
    }

    /// The work of a build that is done, and all of it.
    fn units(&self, at: Duration) -> Progress {
        self.nix.units(self.planned(at))
    }

    fn planned(&self, at: Duration) -> PlannedWork {
        let (shares, built) = (&self.shares, self.nix.built);
        shares.planned(&self.earlier.times, built, at)
    }

    fn current_in(&mut self, phase: Phase) -> Option<&mut Current> {
        self.current.as_mut().filter(|c| c.phase == phase)
    }

    fn end(&mut self, phase: Phase, took: Duration, stop: Option<Stop>) {
        self.current.take_if(|current| current.phase == phase);
        if matches!(stop, Some(Stop::Failed | Stop::Refused | Stop::Interrupted)) {
            self.to_come.clear();
        }
        // After an answer a phase is done again.
        self.ended
            .retain(|ended| ended.stop.is_none() || ended.phase != phase);
        self.ended.push(Ended { phase, took, stop });
    }

    /// The current phase and when it started.
    pub(super) fn phase(&self) -> Option<(Phase, Duration)> {
        let current = self.current.as_ref()?;
        Some((current.phase, current.since))
    }

    /// The phases that follow, as far as they are known.
    pub(super) fn to_come(&self) -> &[Phase] {
        &self.to_come
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn active(&self) -> impl Iterator<Item = &Activity> {
        self.activities.iter()
    }

    /// The activity with this id, if it is known.
    pub(super) fn activity(&self, id: u64) -> Option<&Activity> {
        self.activities.get(id)
    }

    /// The phases that have ended, in order.
    pub(super) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The slowest derivations and their build times, slowest first.
    pub(super) fn slowest(&self) -> &[(String, Duration)] {
        self.activities.slowest()
    }

    /// When the first phase started.
    pub(super) fn began(&self) -> Option<Duration> {
        self.began
    }

    /// How much of the current phase is done, if that is known.
    pub(super) fn fraction(&self) -> Option<&Fraction> {
        Some(&self.current.as_ref()?.fraction).filter(|fraction| fraction.is_known())
    }

    /// How much of the current phase the live view shows as done, if that is known.
    pub(super) fn bar(&self) -> Option<&Bar> {
        let current = self.current.as_ref()?;
        current.fraction.is_known().then_some(&current.bar)
    }

    /// The bytes that the current phase has processed.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        self.current.as_ref()?.transfer
    }

    /// The bytes that Nix downloaded in the last seconds, and in which time.
    pub(super) fn arriving(&self, at: Duration) -> Option<(u64, Duration)> {
        self.arriving.latest(at)
    }

    /// What the current phase does or came to.
    pub(super) fn detail(&self) -> Option<&str> {
        Some(&self.current.as_ref()?.detail.as_ref()?.text)
    }

    /// When the machine that boots came to where it is: no number says how far that is.
    pub(super) fn reached(&self) -> Option<Duration> {
        let current = self.current.as_ref().filter(|c| c.phase == Phase::Boot)?;
        Some(current.detail.as_ref()?.since)
    }

    /// The last line on the console of the machine that boots, and when it came.
    pub(super) fn console(&self) -> Option<&Since> {
        self.current.as_ref()?.console.as_ref()
    }

    /// What Nix fetches and builds.
    pub(super) fn nix(&self) -> &NixCounts {
        &self.nix
    }
}

#[cfg(test)]
mod tests;
