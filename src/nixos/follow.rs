//! Follows the builder to its end: standard output is the result, standard error is Nix's log.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior};

use super::build_log::BuildLog;
use super::expensive_builds::ExpensiveBuilds;
use super::log::{Log, clean};
use super::warning::Warnings;
use crate::common::event::{Event, Events};
use crate::common::failure::Failure;
use crate::engine::{AttachedOutput, Container, Exit, Lines, OutputChunk};

/// How long the streams may be silent after the container's end before they count as ended: engines
/// are known to leave them open (bollard#251).
const SILENCE: Duration = Duration::from_secs(2);
/// And how long they may go on at all.
const DRAIN: Duration = Duration::from_secs(30);
/// How often the log file is brought up to date.
const FLUSH: Duration = Duration::from_secs(1);
/// How the entry says that it gives up native glue; the reason follows.
const FALLBACK: &str = "sdbuild: glue: emulated: ";
/// More lines than any result has; the rest is not kept.
const MOST_LINES: usize = 16;

/// How it ended, and what it printed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) exit: Exit,
    pub(super) out: Vec<String>,
}

/// Reads until the container has ended and its streams are drained.
pub(super) async fn follow(
    container: &Container,
    mut output: AttachedOutput,
    journal: &mut BuildLog,
    events: &Events,
) -> Result<Followed, Failure> {
    let mut reader = Reader::new(journal, events);
    let mut wait = pin!(container.wait());
    let mut ended: Option<(Exit, Instant)> = None;
    let mut open = true;
    let mut heard = Instant::now();
    let mut tick = tokio::time::interval(FLUSH);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if let Some((exit, end)) = &ended
            && (!open || heard.max(*end).elapsed() >= SILENCE || end.elapsed() >= DRAIN)
        {
            let exit = *exit;
            return Ok(Followed {
                exit,
                out: reader.finish(),
            });
        }
        tokio::select! {
            exit = &mut wait, if ended.is_none() => ended = Some((exit?, Instant::now())),
            chunk = output.next(), if open => match chunk {
                Some(Ok(chunk)) => {
                    heard = Instant::now();
                    reader.chunk(&chunk);
                }
                // The end, or a broken connection: `wait` tells which.
                Some(Err(_)) | None => open = false,
            },
            _ = tick.tick() => reader.journal.flush(),
        }
    }
}

/// Puts frames together to lines and hands them on.
struct Reader<'a> {
    journal: &'a mut BuildLog,
    events: &'a Events,
    log: Log,
    giants: ExpensiveBuilds,
    warnings: Warnings,
    stdout: Lines,
    stderr: Lines,
    out: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(journal: &'a mut BuildLog, events: &'a Events) -> Self {
        let (stdout, stderr) = (Lines::default(), Lines::default());
        Self {
            journal,
            events,
            log: Log::default(),
            giants: ExpensiveBuilds::default(),
            warnings: Warnings::default(),
            stdout,
            stderr,
            out: Vec::new(),
        }
    }

    fn chunk(&mut self, chunk: &OutputChunk) {
        match chunk {
            OutputChunk::Stdout(bytes) => {
                let lines = self.stdout.push(bytes);
                self.out.extend(lines);
                self.out.truncate(MOST_LINES);
            }
            OutputChunk::Stderr(bytes) => {
                for line in self.stderr.push(bytes) {
                    self.line(&line);
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix(FALLBACK) {
            // What failed until here is not what the run fails of.
            self.journal.begin_anew();
            let reason = clean(reason);
            self.events.notice(format!("without native glue: {reason}"));
        }
        if let Some(event) = self.log.line(line) {
            self.journal.note(&event, self.log.take_error());
            let giants = self.giants.note(&event);
            self.foretell(&giants);
            if let Some(warning) = self.warnings.hear(&event) {
                self.events.warn(warning);
            }
            self.events.emit(Event::Nix(event));
        }
    }

    fn foretell(&self, giants: &[String]) {
        if !giants.is_empty() {
            let giants = giants.join(", ");
            self.events.warn(format!(
                "not in the binary cache, so it is compiled here, which takes hours, and under \
                 emulation ten times as many: {giants}; \
                 stop it (Ctrl-C), then take what is cached: a released nixpkgs, \
                 boot.kernelPackages = pkgs.linuxPackages, no overlay below it"
            ));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if let Some(line) = self.stderr.finish() {
            self.line(&line);
        }
        self.out.extend(self.stdout.finish());
        let giants = self.giants.finish();
        self.foretell(&giants);
        self.out
    }
}
