//! Follows the builder to its end: its standard output is the result, its standard error Nix's log.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::Failure;
use sdbuild_core::flake_caches::{CachePolicy, CacheUse};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::untrusted;
use sdbuild_engine::{Drain, Drained, EngineError, Exit, Lines, OutputChunk};
use sdbuild_nix::build_log::BuildLog;
use sdbuild_nix::causes::Changes;
use sdbuild_nix::check;
use sdbuild_nix::check::OwnDefinitions;
use sdbuild_nix::diagnosis::{Warnings, is_of_evaluation, silent_cache};
use sdbuild_nix::forecast::{CacheAnswer, Without};
use sdbuild_nix::layout;
use sdbuild_nix::log::{Log, clean};
use sdbuild_nix::reports::FlakeReport;
use sdbuild_nix::reports::{AsItIs, EntryReport, NoConfiguration, flake_report, image_choice};
use sdbuild_nix::slow_work::ExpensiveBuilds;
use sdbuild_nix::slow_work::SlowFetches;
use sdbuild_nix::slow_work::{Compilation, compile_warning};

/// How often the log file is flushed.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Lines about native glue that are shown: anything that the builder runs can write such lines. The log file has all of
/// them.
const MAX_GLUE_NOTICES: usize = 32;
/// What the builder says in place of the name of a derivation.
const NO_DERIVATIONS: [&str; 2] = ["the image", "the evaluation"];
/// Binary caches whose answers are kept.
const MAX_CACHES: usize = 32;
/// Lines of standard output that are kept: more than any result has.
const MAX_RESULT_LINES: usize = 16;

/// How the builder ended, and what it said.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) exit: Exit,
    /// Why output may be missing at the end.
    pub(super) incomplete: Option<EngineError>,
    pub(super) said: Said,
}

/// What the builder has said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The lines of its standard output.
    pub(super) out: Vec<String>,
    /// The flake that was evaluated.
    pub(super) flake: Option<FlakeReport>,
    /// The key of the evaluation, if it was pure.
    pub(super) evaluation: Option<Sha256Hash>,
    /// If an attribute of a flake is built which is not a configuration: what is instead of one.
    pub(super) as_it_is: Option<NoConfiguration>,
    /// Which image the evaluation chose.
    pub(super) image: Option<ImageChoice>,
    /// The most memory that the evaluator used, in bytes, if that was measured.
    pub(super) evaluator_memory: Option<u64>,
    /// The warnings of the evaluation, if the view keeps them.
    pub(super) kept_warnings: Vec<String>,
    /// What binary caches answered.
    pub(super) caches: Vec<CacheAnswer>,
    /// What the configuration changes of what they have, and what it would take without that.
    pub(super) changes: (Option<Changes>, Option<Without>),
}

/// How the log is understood and shown.
#[derive(Clone, Debug, Default)]
pub(super) struct LogView {
    /// How long the builder may wait for a server before that is reported.
    pub(super) slow: Duration,
    /// Whether the builder has no network.
    pub(super) offline: bool,
    /// The phase whose detail says that Nix copies a flake to its store, until the flake is reported.
    pub(super) copying_flake: Option<Phase>,
    /// Whether a flake is evaluated, which the builder reports before anything is built.
    pub(super) awaits_flake: bool,
    /// Whether the binary caches that it names are used.
    pub(super) caches: CachePolicy,
    /// The addresses of the binary caches that are used.
    pub(super) substituters: Vec<String>,
    /// Texts of the log, and what the user knows them as.
    pub(super) shown: Vec<(String, String)>,
    /// Receives the derivation of the image, where it is evaluated before the build.
    pub(super) image: Arc<OnceLock<String>>,
    /// What the user's files define.
    pub(super) definitions: OwnDefinitions,
    /// Whether warnings of the evaluation are kept for the caller instead of shown.
    pub(super) keeps_warnings: bool,
    /// The phase that is over when the builder has named its result, but for the end of the container.
    pub(super) naming_result: Option<Phase>,
}

/// A warning whose words the configuration chose.
pub(super) fn of_evaluation(warning: &str) -> String {
    format!("evaluation> {warning}")
}

/// What remains when a build has named its result.
const STOPPING: &str = "stopping the builder";

/// Reads the builder's output to its end: the log goes to `build_log` and, as events, to `events`.
pub(super) async fn follow(
    mut drain: Drain<'_>,
    build_log: &mut BuildLog,
    events: &Events,
    view: LogView,
) -> Result<Followed, Failure> {
    let mut reader = Reader::new(build_log, events, view);
    let mut flush = tokio::time::interval(FLUSH_INTERVAL);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            drained = drain.next() => match drained? {
                Drained::Chunk(chunk) => {
                    reader.chunk(&chunk);
                    if let Some(question) = reader.question.take() {
                        return Err(question);
                    }
                }
                // What is missing of the log does not change how the builder ended.
                Drained::End { exit, incomplete } => {
                    reader.finish();
                    reader.tell_stopping("");
                    return Ok(Followed {
                        exit,
                        incomplete,
                        said: reader.said,
                    });
                }
            },
            _ = flush.tick() => reader.tick(),
        }
    }
}

/// Assembles lines from chunks and interprets them.
struct Reader<'a> {
    build_log: &'a mut BuildLog,
    events: &'a Events,
    log: Log,
    expensive: ExpensiveBuilds,
    warnings: Warnings,
    slow: SlowFetches,
    stdout: Lines,
    stderr: Lines,
    said: Said,
    glue_notices: usize,
    restarts: usize,
    /// Whether derivations are built under emulation, and a binary cache has something.
    emulates: bool,
    is_answered: bool,
    /// The caches that did not answer.
    silent: BTreeSet<String>,
    is_checked: bool,
    /// Why the run ends before anything is built.
    question: Option<Failure>,
    view: LogView,
}

impl<'a> Reader<'a> {
    fn new(build_log: &'a mut BuildLog, events: &'a Events, view: LogView) -> Self {
        Self {
            build_log,
            events,
            log: Log::default(),
            expensive: ExpensiveBuilds::default(),
            warnings: Warnings::of_builder(view.offline),
            slow: SlowFetches::new(view.slow),
            stdout: Lines::default(),
            stderr: Lines::default(),
            said: Said::default(),
            glue_notices: 0,
            restarts: 0,
            emulates: false,
            is_answered: false,
            silent: BTreeSet::new(),
            is_checked: false,
            question: None,
            view,
        }
    }

    fn chunk(&mut self, chunk: &OutputChunk) {
        match chunk {
            OutputChunk::Stdout(bytes) => {
                let lines = self.stdout.push(bytes);
                self.said.out.extend(lines);
                self.said.out.truncate(MAX_RESULT_LINES);
                self.tell_stopping(STOPPING);
            }
            OutputChunk::Stderr(bytes) => {
                for line in self.stderr.push(bytes) {
                    self.line(&line);
                }
            }
        }
    }

    /// Says `text` about a build that has named its result: that the container ends takes another second.
    fn tell_stopping(&self, text: &str) {
        if let Some(phase) = self.view.naming_result
            && !self.said.out.is_empty()
        {
            self.events.detail(phase, text);
        }
    }

    fn tick(&mut self) {
        self.build_log.flush();
        if let Some(warning) = self.slow.tick(Instant::now()) {
            self.events.warn(warning);
        }
    }

    fn line(&mut self, line: &str) {
        if self.view.awaits_flake
            && let Some(report) = flake_report(line)
        {
            self.flake_report(report);
            return;
        }
        if check::is_trace(line) {
            self.configuration_facts(line);
            return;
        }
        if let Some(choice) = image_choice(line) {
            self.image_choice(choice);
            return;
        }
        if self.build_log.note_names(line) {
            return;
        }
        let shown = self.view.shown.iter();
        let line = shown.fold(line.to_owned(), |line, (text, shown)| {
            line.replace(text, shown)
        });
        match EntryReport::parse(&line) {
            Some(EntryReport::Machine(machine)) => {
                self.build_log.note_machine(machine, &line);
                return;
            }
            Some(report) => self.entry_report(report),
            None => {}
        }
        if let Some(event) = self.log.line(&line) {
            self.nix_event(event);
        }
    }

    /// Reports the first choice: an evaluation may be repeated, and what is built can write such lines too.
    fn image_choice(&mut self, choice: ImageChoice) {
        self.build_log.note_image(&choice);
        if self.said.image.is_none() {
            self.events.emit(Event::ImageChosen(choice.clone()));
            self.said.image = Some(choice);
        }
    }

    /// Reports once, except in `check`, what that would find: an evaluation may be repeated, and what is
    /// built can write such lines too.
    fn configuration_facts(&mut self, line: &str) {
        if self.view.keeps_warnings || std::mem::replace(&mut self.is_checked, true) {
            return;
        }
        let Some(facts) = check::traced_facts(line) else {
            return;
        };
        if let Some(option) = facts.missing_image() {
            self.build_log.note_missing_image(option);
        }
        let warnings = check::warnings(&facts, &self.view.definitions);
        for warning in &warnings {
            self.events.warn(clean(warning));
        }
        if !warnings.is_empty() {
            self.events
                .notice("hint: `sdbuild check` says what to add to the configuration");
        }
    }

    fn entry_report(&mut self, report: EntryReport<'_>) {
        match report {
            EntryReport::Image(derivation) => {
                self.view.image.get_or_init(|| derivation.to_owned());
            }
            EntryReport::PureEvaluation(key) => self.said.evaluation = Some(key),
            EntryReport::Machine(_) => {}
            EntryReport::Causes(json) => self.said.changes.0 = untrusted::json(json).ok(),
            EntryReport::Without(build, fetch) => {
                self.said.changes.1 = Some(Without { build, fetch });
            }
            EntryReport::Cache(url, paths) => {
                let url = clean(url);
                self.said.caches.push(CacheAnswer { url, paths });
                self.said.caches.truncate(MAX_CACHES);
            }
            EntryReport::CrossCompiled(platform) => {
                self.glue_notice("the configuration cross-compiles, without emulation, on", platform);
            }
            EntryReport::EvaluatorMemory(bytes) => self.said.evaluator_memory = Some(bytes),
            EntryReport::Retried(what) => {
                // The failures before this line are not those that the run ends with.
                self.build_log.reset_findings();
                self.restarted();
                // Of the image, the report that follows has the reason.
                if !NO_DERIVATIONS.contains(&what) {
                    self.glue_notice("failed natively, trying again under emulation", what);
                }
            }
            EntryReport::AllEmulated(reason) => self.glue_notice("all of the image is built under emulation, which is slower, because a native build is not possible", reason),
            EntryReport::AsItIs(AsItIs {
                text,
                configuration,
            }) => {
                let configuration = configuration.map(str::to_owned);
                self.said.as_it_is = Some(NoConfiguration { configuration });
                self.glue_notice("this is built as it is", text);
            }
            EntryReport::OneEmulated(name) => {
                // The rest is forecast anew.
                self.restarted();
                self.glue_notice("built under emulation, because it failed natively", name);
            }
        }
    }

    /// Notes what decides how a warning of long builds is worded.
    fn note_answers(&mut self, event: &NixEvent) {
        if let NixEvent::WillEmulate { derivations } = event {
            self.emulates = *derivations > 0;
        } else if matches!(
            event,
            NixEvent::FetchStarted { .. } | NixEvent::WillFetch { .. }
        ) {
            self.is_answered = true;
        } else if let NixEvent::Message { level: 1, text } = event
            && let Some(cache) = silent_cache(text)
            && self.silent.len() < MAX_CACHES
        {
            self.silent.insert(cache.to_owned());
        }
    }

    fn nix_event(&mut self, event: NixEvent) {
        self.note_answers(&event);
        self.build_log.note(&event, self.log.take_error());
        let expensive = self.expensive.note(&event);
        self.slow.note(&event);
        self.warn_of_expensive(&expensive);
        match self.warnings.note(&event) {
            Some(warning) if self.view.keeps_warnings && is_of_evaluation(&event) => {
                self.said.kept_warnings.push(warning);
            }
            Some(warning) if is_of_evaluation(&event) => self.events.warn(of_evaluation(&warning)),
            Some(warning) => self.events.warn(warning),
            None => {}
        }
        self.events.emit(Event::Nix(event));
    }

    /// Keeps the first report of a flake: the entry writes one, before anything is built. What is built there can write
    /// such lines too.
    fn flake_report(&mut self, mut report: FlakeReport) {
        if self.said.flake.is_some() {
            return;
        }
        if let Some(phase) = self.view.copying_flake {
            self.events.detail(phase, "");
        }
        let used = self.view.caches.of(&report.caches);
        report.uses_caches = used == CacheUse::Used;
        report.tell_caches(used, self.events);
        // Without a key, Nix takes nothing from them that is not signed by a trusted one.
        let caches = &report.caches;
        let is_offered = !caches.substituters.is_empty() && !caches.trusted_public_keys.is_empty();
        if used == CacheUse::Asked && is_offered {
            self.question = Some(report.ask_about_caches(&self.view.caches.flake));
        }
        // The files of a flake are in the store, those of a module in a directory: from here on that is the same.
        for (path, known) in [
            (&report.source, layout::CONFIG),
            (&report.expressions, layout::EXPRESSIONS),
        ] {
            let shown = (format!("{path}/"), format!("{known}/"));
            self.view.shown.push(shown);
        }
        self.said.flake = Some(report);
    }

    /// Shows a notice about native glue, if there have not been too many.
    fn glue_notice(&mut self, what: &str, of: &str) {
        self.glue_notices += 1;
        if self.glue_notices <= MAX_GLUE_NOTICES {
            // Anything that the builder runs can write such lines.
            self.events
                .notice(format!("builder> {what}: {}", clean(of)));
        }
    }

    fn restarted(&mut self) {
        self.restarts += 1;
        if self.restarts <= MAX_GLUE_NOTICES {
            self.events.emit(Event::Nix(NixEvent::Restarted));
        }
    }

    fn warn_of_expensive(&self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        let mut used = self.view.substituters.clone();
        if let Some(flake) = self.said.flake.as_ref().filter(|flake| flake.uses_caches) {
            used.extend(flake.caches.substituters.iter().cloned());
        }
        let is_silent = |url: &String| self.silent.contains(url.trim_end_matches('/'));
        let of = Compilation {
            caches: &used,
            is_answered: !self.view.offline && (self.is_answered || !used.iter().all(is_silent)),
            emulates: self.emulates,
            is_forecast: self.view.naming_result.is_none(),
        };
        self.events.warn(compile_warning(names, &of));
    }

    fn finish(&mut self) {
        if let Some(line) = self.stderr.finish() {
            self.line(&line);
        }
        self.said.out.extend(self.stdout.finish());
        let expensive = self.expensive.finish();
        self.warn_of_expensive(&expensive);
    }
}

#[cfg(test)]
mod tests;
