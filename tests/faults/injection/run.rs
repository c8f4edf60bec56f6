//! One run: a build, a fault, the end, and the build after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::fault_kinds::{Expectation, Fault, HANG_LIMIT, expected};
use super::fixture::Fixture;
use super::invariants::{self, OutputDir};
use super::live_run::{End, LiveRun, StreamTarget};
use super::phases::{Phase, phase_of, wait_for};
use super::setup::{Setup, foreign_handlers};
use super::{Campaign, inject, private, terminal};
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
        let mut command = self
            .setup
            .user
            .build(&self.setup.arguments(self.setup.replaces));
        let mut streams = [StreamTarget::Harness, StreamTarget::Harness];
        let mut full = |stream: usize| {
            let full = self.setup.rng.bool() || self.setup.phase == Phase::Start;
            self.setup
                .variant
                .push_str(if full { "full" } else { "closed" });
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
        phase_of(
            &self.live,
            &self.campaign.durations,
            self.setup.needs_downloads,
        )
    }

    fn inject_at_moment(&mut self, fixture: &mut Fixture) {
        let moment = (self.setup.phase, self.setup.fraction);
        wait_for(
            &self.live,
            moment,
            &self.campaign.durations,
            self.setup.needs_downloads,
        );
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

    /// Waits for the end and checks it.
    fn end(&mut self) -> Option<(End, Duration)> {
        let mut ended = self.live.wait(HANG_LIMIT);
        if matches!(self.setup.kind.fault, Fault::Terminal | Fault::CtrlZ) {
            ended = self.end_on_the_terminal();
        }
        self.note("the run", &self.live.stderr());
        self.ids.extend(self.live.runs());
        let Some((end, at)) = ended else {
            self.violation("sdbuild hangs");
            return None;
        };
        self.end = Some(end);
        let after = at.saturating_sub(self.injected_at);
        let expectation = expected(self.setup.kind.fault, &self.setup.variant, self.phase);
        self.check_end(end, after, &expectation);
        self.end_of_others();
        Some((end, after))
    }

    /// Reads the exit code from the file to which the shell on the terminal writes it.
    fn end_on_the_terminal(&self) -> Option<(End, Duration)> {
        let in_a_shell = self.setup.kind.fault == Fault::CtrlZ;
        while self.live.age() < self.injected_at + HANG_LIMIT {
            let at = self.live.age();
            if let Some(code) = terminal::code(&self.setup.user, in_a_shell) {
                return Some((End::Code(code), at));
            }
            if self.live.processes().is_empty() {
                // The shell ended before it could write the exit code.
                return Some((End::Code(129), at));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn check_end(&mut self, end: End, after: Duration, expectation: &Expectation) {
        // The run ended before the fault could be injected.
        let early = self.live.ended().is_some_and(|(_, at)| at < self.moment);
        if !(expectation.end.contains(&end) || early && end == End::Code(0)) {
            self.violation(&format!(
                "it ended with {end:?}, expected one of {:?}",
                expectation.end
            ));
        }
        if after > expectation.within {
            self.violation(&format!(
                "it took {after:?} to end, the limit is {:?}",
                expectation.within
            ));
        }
        let stderr = self.live.stderr();
        let silent = matches!(self.setup.kind.fault, Fault::Stream(1) | Fault::Terminal);
        if let End::Code(code) = end
            && code != 0
            && !silent
        {
            let interrupted = code == 5 && stderr.contains("interrupted");
            if !stderr.contains("error: ") && !interrupted {
                self.violation("no error message");
            }
            if !stderr.to_lowercase().contains(expectation.mentions) {
                self.violation(&format!(
                    "the error does not contain `{}`",
                    expectation.mentions
                ));
            }
        }
        if stderr.contains("panicked") {
            self.violation("it panicked");
        }
        self.check_required_output(&stderr, end);
    }

    fn check_required_output(&mut self, stderr: &str, end: End) {
        if let Some(words) = self.required_words
            && !stderr.contains(words)
        {
            self.violation(&format!("standard error does not contain `{words}`"));
        }
        let stdout = terminal::stdout(&self.setup.user);
        if self.setup.variant == "stderr only"
            && end == End::Code(0)
            && !stdout.contains(self.setup.image)
        {
            self.violation("the image's path is not on standard output");
        }
        let mirror = matches!(
            self.setup.kind.fault,
            Fault::MirrorStalls | Fault::MirrorWrong | Fault::MirrorCuts
        );
        let fetched = end == End::Code(0);
        if mirror && fetched && !stderr.contains("127.0.0.1") {
            self.violation("the failing mirror is not reported");
        }
    }

    fn end_of_others(&mut self) {
        let mut others = std::mem::take(&mut self.others);
        let count = others.len();
        for (nth, (user, live)) in others.iter_mut().enumerate() {
            let end = live.wait(HANG_LIMIT).map(|(end, _)| end);
            let killed = self.killed && nth + 1 == count;
            let as_expected = end == Some(End::Code(0)) || killed && end == Some(End::Signal(9));
            if !as_expected {
                self.violation(&format!("build {} at the same time: {end:?}", nth + 2));
            }
            self.note("a build at the same time", &live.stderr());
            self.ids.extend(live.runs());
            let dir = OutputDir {
                out: &user.out(),
                image: self.setup.image,
                seed: self.setup.seed,
                succeeded: end == Some(End::Code(0)),
                replaces: false,
                orderly: !killed,
            };
            let found = dir.check();
            self.violations.extend(found);
        }
        self.others = others;
    }

    fn after_the_fault(&mut self, fixture: &mut Fixture) {
        let found = invariants::after_the_fault(self);
        self.violations.extend(found);
        if self.setup.kind.fault.needs_own_engine() {
            let lasting = self.setup.kind.fault == Fault::LastingEngine;
            fixture.engine(lasting).ensure_up();
        }
        if self.setup.kind.fault == (Fault::DoubleKill { clean: true }) {
            self.clean();
        }
    }

    /// Runs `clean`, which must list exactly what exists and remove all of it. No other run may be under way.
    fn clean(&mut self) {
        let _store = StoreInUse::hold();
        let left = invariants::objects_of(&self.ids);
        let existing = invariants::our_objects();
        let dry = run(&mut self.setup.user.sdbuild(&["clean", "--dry-run"]));
        self.note("clean --dry-run", &format!("{}{}", dry.stdout, dry.stderr));
        let listed = invariants::listed(&dry.stdout);
        if listed != existing {
            self.violation(&format!(
                "clean --dry-run lists {listed:?}, not {existing:?}"
            ));
        }
        if !left.iter().all(|name| dry.stdout.contains(name)) {
            self.violation(&format!("clean --dry-run does not list all of {left:?}"));
        }
        if existing != invariants::our_objects() {
            self.violation("clean --dry-run changed something");
        }
        let clean = run(&mut self.setup.user.sdbuild(&["clean", "--yes"]));
        self.note("clean", &format!("{}{}", clean.stdout, clean.stderr));
        if clean.code != Some(0) {
            self.violation(&format!("clean ended with {:?}", clean.code));
        }
        let left = invariants::our_objects();
        if !left.is_empty() {
            self.violation(&format!("clean left {left:?}"));
        }
    }

    fn follow_up(&mut self, fixture: &mut Fixture) {
        self.setup.repair(fixture);
        let user = &self.setup.user;
        let stale = invariants::objects_of(&self.ids);
        // Without an image, what a killed run left must not be in the way.
        let force = user.out().join(self.setup.image).exists();
        let mut next = LiveRun::start(
            &mut user.build(&self.setup.arguments(force)),
            user.state.path(),
            [StreamTarget::Harness; 2],
        );
        let end = next.wait(HANG_LIMIT).map(|(end, _)| end);
        let stderr = next.stderr();
        self.note("the next build", &stderr);
        self.ids.extend(next.runs());
        if end != Some(End::Code(0)) {
            self.violation(&format!("the next build: {end:?}"));
        }
        for name in stale
            .iter()
            .filter(|name| name.starts_with("sdbuild-aarch64-"))
        {
            if !stderr.contains(name.as_str()) {
                self.violation(&format!(
                    "the next build does not report that it swept {name}"
                ));
            }
        }
        let found = invariants::after_the_next_build(self, fixture, end == Some(End::Code(0)));
        self.violations.extend(found);
        if self.setup.is_private() {
            let registrars = &self.campaign.registrars;
            for live in [&self.live, &next] {
                self.violations
                    .extend(private::violations(live, registrars));
            }
        }
        self.tidy();
    }

    /// Removes what the harness itself made.
    fn tidy(&mut self) {
        self.unregister_foreign_handler();
        // The user of a killed companion starts no other build that would sweep.
        for name in invariants::objects_of(&self.ids) {
            run(Command::new("docker").args(["rm", "--force", "--volumes", &name]));
        }
        if let Some((name, image)) = self.foreign_container.take() {
            run(Command::new("docker").args(["rm", &name]));
            run(Command::new("docker").args(["rmi", &image]));
        }
    }

    /// Removes the foreign handler, as its owner would.
    pub fn unregister_foreign_handler(&mut self) {
        if let Some(name) = self.foreign_handler.take()
            && fs::write(format!("{BINFMT}/{name}"), "-1").is_err()
        {
            self.violation(&format!("the foreign handler {name} was gone"));
        }
    }

    pub fn violation(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    fn note(&mut self, who: &str, output: &str) {
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
