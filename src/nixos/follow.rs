//! Follows the builder to its end: its standard output is the result, its standard error Nix's log.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::build_log::BuildLog;
use super::diagnosis::Warnings;
use super::expensive_builds::ExpensiveBuilds;
use super::flake::FlakeReport;
use super::known_cache::cache_for;
use super::layout;
use super::log::{Log, clean};
use super::slow_fetch::SlowFetches;
use super::store_path::is_derivation;
use crate::common::event::{Event, Events};
use crate::common::failure::Failure;
use crate::common::flake_caches::{CacheAnswer, CachePolicy, CacheUse};
use crate::common::hash::Sha256Hash;
use crate::common::nix_event::NixEvent;
use crate::engine::{Drain, Drained, EngineError, Exit, Lines, OutputChunk};

/// How often the log file is flushed.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// How the entry reports that what failed before is tried in another way; its name follows.
const RETRY: &str = "sdbuild: glue: retried: ";
/// How it reports that everything is built under emulation; the reason follows.
const FALLBACK: &str = "sdbuild: glue: emulated: ";
/// How it reports that one derivation was built under emulation; its name follows.
const ONE_EMULATED: &str = "sdbuild: glue: one emulated: ";
/// Lines about native glue that are shown: anything that the builder runs can write such lines. The log file has all of
/// them.
const MAX_GLUE_NOTICES: usize = 32;
/// How the entry reports a flake that it has locked; a line of JSON follows.
const FLAKE: &str = "sdbuild: flake: ";
/// How it reports what is going to be built; the derivation of the image follows.
const IMAGE: &str = "sdbuild: image: ";
/// How the entry reports that the evaluation was pure; its key follows.
const PURE: &str = "sdbuild: evaluation: ";
/// Lines of standard output that are kept: more than any result has.
const MAX_RESULT_LINES: usize = 16;

/// How the builder ended, and the lines of its standard output.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) exit: Exit,
    pub(super) out: Vec<String>,
    /// Why output may be missing at the end.
    pub(super) incomplete: Option<EngineError>,
    /// The flake that was evaluated.
    pub(super) flake: Option<FlakeReport>,
    /// The key of the evaluation, if it was pure.
    pub(super) evaluation: Option<Sha256Hash>,
}

/// How the log is understood and shown.
#[derive(Clone, Debug, Default)]
pub(super) struct LogView {
    /// How long the builder may wait for a server before that is reported.
    pub(super) slow: Duration,
    /// Whether a flake is evaluated, which the builder reports before anything is built.
    pub(super) awaits_flake: bool,
    /// Whether the binary caches that it names are used.
    pub(super) caches: CachePolicy,
    /// The addresses of the binary caches that are used.
    pub(super) substituters: Vec<String>,
    /// Texts of the log, and what the user knows them as.
    pub(super) shown: Vec<(String, String)>,
    /// Receives the derivation of the image as soon as it is evaluated, where that is before the build.
    pub(super) image: watch::Sender<Option<String>>,
}

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
                    return Ok(Followed {
                        exit,
                        out: reader.out,
                        incomplete,
                        flake: reader.flake,
                        evaluation: reader.evaluation,
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
    out: Vec<String>,
    glue_notices: usize,
    restarts: usize,
    flake: Option<FlakeReport>,
    evaluation: Option<Sha256Hash>,
    /// Why the run ends before anything is built.
    question: Option<Failure>,
    view: LogView,
}

impl<'a> Reader<'a> {
    fn new(build_log: &'a mut BuildLog, events: &'a Events, view: LogView) -> Self {
        let (stdout, stderr) = (Lines::default(), Lines::default());
        Self {
            build_log,
            events,
            log: Log::default(),
            expensive: ExpensiveBuilds::default(),
            warnings: Warnings::default(),
            slow: SlowFetches::new(view.slow),
            stdout,
            stderr,
            out: Vec::new(),
            glue_notices: 0,
            restarts: 0,
            flake: None,
            evaluation: None,
            question: None,
            view,
        }
    }

    fn chunk(&mut self, chunk: &OutputChunk) {
        match chunk {
            OutputChunk::Stdout(bytes) => {
                let lines = self.stdout.push(bytes);
                self.out.extend(lines);
                self.out.truncate(MAX_RESULT_LINES);
            }
            OutputChunk::Stderr(bytes) => {
                for line in self.stderr.push(bytes) {
                    self.line(&line);
                }
            }
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
            && let Some(report) = line.strip_prefix(FLAKE).and_then(FlakeReport::parse)
        {
            self.flake_report(report);
            return;
        }
        if let Some(key) = line.strip_prefix(PURE) {
            self.evaluation = key.parse().ok();
        }
        let shown = self.view.shown.iter();
        let line = shown.fold(line.to_owned(), |line, (text, shown)| {
            line.replace(text, shown)
        });
        let line = line.as_str();
        if let Some(derivation) = line.strip_prefix(IMAGE).filter(|path| is_derivation(path)) {
            self.view.image.send_replace(Some(derivation.to_owned()));
        } else if line.starts_with(RETRY) {
            // The failures before this line are not those that the run ends with.
            self.build_log.reset_findings();
            self.restarted();
        } else if let Some(reason) = line.strip_prefix(FALLBACK) {
            self.glue_notice("without native glue", reason);
        } else if let Some(name) = line.strip_prefix(ONE_EMULATED) {
            // The rest is forecast anew.
            self.restarted();
            self.glue_notice("built under emulation, because it failed natively", name);
        }
        if let Some(event) = self.log.line(line) {
            self.build_log.note(&event, self.log.take_error());
            let expensive = self.expensive.note(&event);
            self.slow.note(&event);
            self.warn_of_expensive(&expensive);
            if let Some(warning) = self.warnings.note(&event) {
                self.events.warn(warning);
            }
            self.events.emit(Event::Nix(event));
        }
    }

    /// Keeps the first report of a flake: the entry writes one, before anything is built. What is built there can write
    /// such lines too.
    fn flake_report(&mut self, mut report: FlakeReport) {
        if self.flake.is_some() {
            return;
        }
        let used = self.view.caches.of(&report.caches);
        report.uses_caches = used == CacheUse::Used;
        report.tell_caches(used, self.events);
        if used == CacheUse::Asked && !report.caches.substituters.is_empty() {
            self.question = Some(question(&self.view.caches, &report));
        }
        // The files of a flake are in the store, those of a module in a directory: from here on that is the same.
        for (path, known) in [
            (&report.source, layout::CONFIG),
            (&report.expressions, layout::EXPRESSIONS),
        ] {
            let shown = (format!("{path}/"), format!("{known}/"));
            self.view.shown.push(shown);
        }
        self.flake = Some(report);
    }

    /// Shows a notice about native glue, if there have not been too many.
    fn glue_notice(&mut self, what: &str, of: &str) {
        self.glue_notices += 1;
        if self.glue_notices <= MAX_GLUE_NOTICES {
            self.events.notice(format!("{what}: {}", clean(of)));
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
        if let Some(flake) = self.flake.as_ref().filter(|flake| flake.uses_caches) {
            used.extend(flake.caches.substituters.iter().cloned());
        }
        let elsewhere = match cache_for(names, &used) {
            Some(cache) => format!("use a cache that may have it ({}), or ", cache.flags()),
            None => String::new(),
        };
        let names = names.join(", ");
        self.events.warn(format!(
            "not in the binary cache, so it is compiled here, which takes hours, and under \
             emulation ten times as many: {names}; \
             stop it (Ctrl-C), then {elsewhere}take what is cached: a released nixpkgs, \
             boot.kernelPackages = pkgs.linuxPackages, no overlay below it"
        ));
    }

    fn finish(&mut self) {
        if let Some(line) = self.stderr.finish() {
            self.line(&line);
        }
        self.out.extend(self.stdout.finish());
        let expensive = self.expensive.finish();
        self.warn_of_expensive(&expensive);
    }
}

/// The end of a run before the user is asked about the caches of a flake.
fn question(policy: &CachePolicy, report: &FlakeReport) -> Failure {
    let failure = Failure::usage("nobody has said whether the binary caches of the flake are used");
    let asks_about = CacheAnswer {
        flake: policy.flake.clone(),
        accepted: false,
        caches: report.caches.clone(),
    };
    Failure {
        asks_about: Some(Box::new(asks_about)),
        ..failure.hint("give --accept-flake-caches, if you trust who has their keys")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is kept after a build wrote reports of its own: references that are replaced in every later line, the report, and
    /// the number of warnings.
    fn read_reports(awaits_flake: bool) -> (usize, Option<FlakeReport>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        let warnings = Arc::new(Mutex::new(0));
        let count = Arc::clone(&warnings);
        let events = Events::new(move |event| {
            *count.lock().unwrap() += usize::from(matches!(event, Event::Warning(_)));
        });
        let view = LogView {
            awaits_flake,
            ..LogView::default()
        };
        let mut reader = Reader::new(&mut build_log, &events, view);
        let report = |letter: &str| {
            let path = format!("/nix/store/{}-source", letter.repeat(32));
            let hash = "A".repeat(43);
            format!(
                "{FLAKE}{{\"source\":\"{path}\",\"expressions\":\"{path}\",\"narHash\":\"sha256-{hash}=\",\
                 \"revision\":null,\"lock\":null,\"caches\":{{\"substituters\":[\"https://{letter}\"],\
                 \"trusted-public-keys\":[]}}}}"
            )
        };
        for letter in ["a", "b", "c", "d"] {
            reader.line(&report(letter));
        }
        let shown = reader.view.shown.len();
        reader.finish();
        let warnings = *warnings.lock().unwrap();
        (shown, reader.flake, warnings)
    }

    /// Lines of sdbuild itself are never dropped, so that a build must not cause any number of them.
    #[test]
    fn reports_that_a_build_forges_are_limited() {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        let told = Arc::new(Mutex::new(0));
        let count = Arc::clone(&told);
        let events = Events::new(move |event| {
            let of_sdbuild = !matches!(&event, Event::Nix(kind) if *kind != NixEvent::Restarted);
            *count.lock().unwrap() += usize::from(of_sdbuild);
        });
        let mut reader = Reader::new(&mut build_log, &events, LogView::default());
        for n in 0..1000 {
            for report in [RETRY, FALLBACK, ONE_EMULATED, IMAGE, PURE] {
                reader.line(&format!("{report}{n}"));
            }
            reader.line(&format!(
                r#"@nix {{"action":"msg","level":1,"msg":"warning: {n}"}}"#
            ));
            for (level, message) in [(3, "linux"), (3, "these 2 derivations will be built:")] {
                let path = format!("  /nix/store/{}-{message}-{n}.drv", "a".repeat(32));
                reader.line(&format!(
                    r#"@nix {{"action":"msg","level":{level},"msg":"{path}"}}"#
                ));
            }
            reader.line(&format!(
                r#"@nix {{"action":"start","fields":["/nix/store/x.drv"],"id":{n},"level":3,"type":105}}"#
            ));
        }
        reader.finish();
        let told = *told.lock().unwrap();
        assert!((2 * MAX_GLUE_NOTICES..200).contains(&told), "{told}");
    }

    #[test]
    fn a_cache_that_may_have_the_kernel_is_offered() {
        const CACHE: &str = "https://nixos-raspberrypi.cachix.org";
        let warning = |substituters: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
            let warnings = Arc::new(Mutex::new(Vec::new()));
            let collected = Arc::clone(&warnings);
            let events = Events::new(move |event| {
                if let Event::Warning(text) = event {
                    collected.lock().unwrap().push(text);
                }
            });
            let view = LogView {
                substituters: substituters.iter().map(|&url| url.to_owned()).collect(),
                ..LogView::default()
            };
            let mut reader = Reader::new(&mut build_log, &events, view);
            let name = "linux_rpi-bcm2712-6.12.47-stable_20250916";
            let path = format!("  /nix/store/{}-{name}.drv", "a".repeat(32));
            reader.line(&format!(
                r#"@nix {{"action":"msg","level":3,"msg":"{path}"}}"#
            ));
            reader.finish();
            let warnings = warnings.lock().unwrap();
            warnings.as_slice().first().cloned().unwrap()
        };
        let offered = warning(&["https://cache.nixos.org"]);
        assert!(offered.contains(&format!("--extra-substituters {CACHE}")));
        assert!(!warning(&[CACHE]).contains("--extra-substituters"));
    }

    /// Each was kept, and the last one was in the manifest.
    #[test]
    fn only_the_first_report_of_a_flake_counts() {
        let (shown, flake, warnings) = read_reports(true);
        assert!(flake.unwrap().source.contains("aaaa"));
        assert_eq!((shown, warnings), (2, 1));
        assert_eq!(read_reports(false), (0, None, 0), "of a module");
    }
}
