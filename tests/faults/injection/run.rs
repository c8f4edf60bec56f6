//! One run: a build, and a fault at some moment of it. `end` and `follow_up` have the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use super::fault_kinds::Fault;
use super::fixture::Fixture;
use super::invariants;
use super::live_run::{End, LiveRun, StreamTarget};
use super::phases::{Phase, phase_of, wait_for};
use super::setup::{Setup, foreign_handlers};
use super::{Campaign, inject, terminal};
use crate::support::*;

/// The result of one run.
pub struct Record {
    pub seed: u64,
    pub kind: &'static str,
    pub variant: String,
    /// Whether it ran with `--emulation private`.
    pub private: bool,
    /// The phase of the run at the moment of the fault.
    pub phase: Phase,
    /// How long the run had taken by then.
    pub moment: Duration,
    /// How it ended, and how long after the fault.
    pub end: Option<(End, Duration)>,
    pub violations: Vec<String>,
    /// The output of all builds.
    pub output: String,
}

/// A run under way.
pub struct Run<'a> {
    pub campaign: &'a Campaign,
    pub setup: Setup,
    pub live: LiveRun,
    pub phase: Phase,
    pub moment: Duration,
    /// The age of the run when the fault was injected that should end it.
    pub injected_at: Duration,
    pub end: Option<End>,
    /// Other builds at the same time; of four the last one is killed.
    pub others: Vec<(TestUser, LiveRun)>,
    pub killed: bool,
    pub foreign_handler: Option<String>,
    pub foreign_container: Option<(String, String)>,
    /// The handlers of other programs when the run began.
    pub foreign_handlers: BTreeMap<String, String>,
    pub anonymous: BTreeSet<String>,
    pub networks: Vec<String>,
    /// Words that standard error must contain.
    pub required_words: Option<&'static str>,
    /// The ids of all runs of this seed.
    pub ids: BTreeSet<String>,
    pub violations: Vec<String>,
    pub output: String,
}

/// Runs `seed` from its start to the end of the build that follows.
pub fn run_seed(campaign: &Campaign, seed: u64, fixture: &mut Fixture) -> Record {
    let setup = Setup::draw(seed, fixture, campaign);
    let anonymous = invariants::anonymous_volumes();
    // A placeholder until the build is started.
    let idle = LiveRun::start(
        &mut Command::new("true"),
        setup.user.state.path(),
        [StreamTarget::Harness; 2],
    );
    let mut run = Run {
        campaign,
        live: idle,
        phase: setup.phase,
        moment: Duration::ZERO,
        injected_at: Duration::ZERO,
        end: None,
        others: Vec::new(),
        killed: false,
        foreign_handler: None,
        foreign_container: None,
        foreign_handlers: foreign_handlers(""),
        anonymous,
        networks: invariants::networks(),
        required_words: None,
        ids: BTreeSet::new(),
        violations: Vec::new(),
        output: String::new(),
        setup,
    };
    inject::before(&mut run);
    run.start();
    run.inject_at_moment(fixture);
    let end = run.end();
    run.after_the_fault(fixture);
    run.follow_up(fixture);
    run.record(end)
}

impl Run<'_> {
    fn start(&mut self) {
        let mut command = self.setup.user.build(&self.setup.arguments(self.setup.replaces));
        let mut streams = [StreamTarget::Harness, StreamTarget::Harness];
        let mut full = |stream: usize| {
            let full = self.setup.rng.bool() || self.setup.phase == Phase::Start;
            self.setup.variant.push_str(if full { "full" } else { "closed" });
            if full {
                streams[stream] = StreamTarget::Full;
                self.setup.phase = Phase::Start;
            }
        };
        let user = &self.setup.user;
        let mut typed = None;
        match self.setup.kind.fault {
            Fault::Stream(stream) => full(stream),
            Fault::Terminal => {
                let to_a_file = self.setup.rng.bool();
                let stdout = if to_a_file { "stderr only" } else { "both" };
                self.setup.variant.push_str(stdout);
                command = terminal::that_closes(user, &command, to_a_file);
            }
            Fault::CtrlZ => typed = Some(std::mem::replace(&mut command, terminal::shell(user))),
            Fault::CacheDamaged if self.setup.damage.is_a_permission() => {
                command = without_dac_override(user, &command);
            }
            _ => {}
        }
        self.live = LiveRun::start(&mut command, user.state.path(), streams);
        if let Some(typed) = typed {
            terminal::type_command(&mut self.live, user, &typed);
        }
    }

    pub fn current_phase(&self) -> (Phase, Duration) {
        phase_of(&self.live, &self.campaign.durations, self.setup.needs_downloads)
    }

    fn inject_at_moment(&mut self, fixture: &mut Fixture) {
        let moment = (self.setup.phase, self.setup.fraction);
        wait_for(&self.live, moment, &self.campaign.durations, self.setup.needs_downloads);
        self.phase = self.current_phase().0;
        self.moment = self.live.age();
        self.injected_at = self.moment;
        inject::inject(self, fixture);
        self.injected_at = self.injected_at.max(self.moment);
        let fault = self.setup.kind.fault;
        if fault != Fault::Again && !fault.needs_own_engine() {
            self.injected_at = self.live.age();
        }
    }

    pub fn violation(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    pub fn note(&mut self, who: &str, output: &str) {
        write!(self.output, "--- {who}\n{output}").unwrap();
    }

    fn record(mut self, end: Option<(End, Duration)>) -> Record {
        Record {
            seed: self.setup.seed,
            kind: self.setup.kind.name,
            variant: std::mem::take(&mut self.setup.variant),
            private: self.setup.is_private(),
            phase: self.phase,
            moment: self.moment,
            end,
            violations: std::mem::take(&mut self.violations),
            output: std::mem::take(&mut self.output),
        }
    }
}

/// `command` without the capabilities by which root ignores the modes of files.
fn without_dac_override(user: &TestUser, command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(&user.environment)
        .current_dir(user.home.path())
        .stdin(std::process::Stdio::null());
    bound
}
