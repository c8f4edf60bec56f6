//! The builder's log as a readable file, and the parts of it that explain a failure. Both are limited in size.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::diagnosis::{FailedBuild, Findings, KnownError, Machine, TAIL_LINES, known_errors};
use crate::log::NixError;
use crate::shell_session::Derivation;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::text::truncate;
use sdbuild_core::transcript::{Transcript, short_name};

/// Ended builds whose last lines are kept: Nix reports a failure after the build has ended.
const MAX_ENDED_BUILDS: usize = 64;
/// More builds than run at the same time; at this number the table is cleared so that it cannot grow.
const MAX_RUNNING_BUILDS: usize = 512;
/// Characters of a line that are kept in memory; the file has the whole line.
const MAX_LINE_CHARS: usize = 500;
/// Downloads of store paths that are kept: more than are in progress at the same time.
const MAX_FETCHES: usize = 1024;
/// Errors of Nix that are kept; the first one is the cause, later ones follow from it.
const MAX_NIX_ERRORS: usize = 8;

/// The end of what bash says about itself after a failed build, in the place of the last line that would explain it.
const BASH_COMPLAINT: &str = "pop_var_context: head of shell_variables not a function context";

/// The function of nixpkgs' shell that runs the hooks of a failure: with `set -x` its commands would take the place of the lines
/// that explain it.
const AT_END: &str = "exitHandler";

/// The command in a line that `set -x` writes: `+ COMMAND`, with more `+` in subshells.
fn traced_command(line: &str) -> Option<&str> {
    line.trim_start_matches('+')
        .strip_prefix(' ')
        .filter(|_| line.starts_with('+'))
}

/// A build that runs or has just ended.
#[derive(Debug, Default)]
struct LoggedBuild {
    derivation: String,
    machine: String,
    phase: Option<String>,
    tail: VecDeque<String>,
    /// Whether a shell that traces its commands has begun to trace what it does at its end.
    is_ending: bool,
    known_errors: BTreeSet<KnownError>,
}

/// Writes the log file and collects the [`Findings`].
#[derive(Debug)]
pub struct BuildLog {
    file: LogFile,
    transcript: Transcript,
    running: HashMap<u64, LoggedBuild>,
    ended: VecDeque<LoggedBuild>,
    findings: Findings,
}

impl BuildLog {
    /// Creates the log file `path`, which only this user can read: a build may log anything.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            file: LogFile::create(path)?,
            transcript: Transcript::default(),
            running: HashMap::new(),
            ended: VecDeque::new(),
            findings: Findings::default(),
        })
    }

    /// Logs one line: its event and the error in it.
    pub fn note(&mut self, event: &NixEvent, nix_error: Option<NixError>) {
        if let Some(line) = self.transcript.line(event) {
            self.file.write(line);
        }
        let findings = &mut self.findings;
        if let NixEvent::BuildStarted {
            id,
            derivation,
            machine,
        } = event
        {
            self.begin(*id, derivation, machine);
        } else if let NixEvent::BuildPhase { id, phase } = event {
            if let Some(build) = self.running.get_mut(id) {
                build.phase = Some(truncate(phase, MAX_LINE_CHARS).into_owned());
            }
        } else if let NixEvent::BuildLine { id, line } = event {
            self.build_line(*id, line);
        } else if let NixEvent::FetchStarted { path, cache, .. } = event {
            findings.fetches.push_back((path.clone(), cache.clone()));
            keep_last(&mut findings.fetches, MAX_FETCHES);
        } else if let NixEvent::Stopped { id } = event {
            self.ended.extend(self.running.remove(id));
            keep_last(&mut self.ended, MAX_ENDED_BUILDS);
        } else if let NixEvent::Other(text) = event {
            findings.other_lines.push_back(text.clone());
            keep_last(&mut findings.other_lines, TAIL_LINES);
        }
        if let Some(nix_error) = nix_error {
            self.nix_error(nix_error);
        }
    }

    /// Keeps the names of packages in `line` of Nix's log; `false` if it has none. They are not for the file.
    pub fn note_names(&mut self, line: &str) -> bool {
        self.findings.packages.note(line)
    }

    /// Keeps what the entry says of the machine in `line`, which goes to the file.
    pub fn note_machine(&mut self, machine: Machine, line: &str) {
        self.file.write(line.to_owned());
        self.findings.machine = self.findings.machine.and(machine);
    }

    /// Keeps the image that is evaluated.
    pub fn note_image(&mut self, choice: &ImageChoice) {
        self.findings.image = Some(choice.clone());
    }

    /// Keeps the option that keeps the configuration from making an image.
    pub fn note_missing_image(&mut self, option: String) {
        self.findings.missing_image = Some(option);
    }

    /// Writes buffered lines to the file, for users who follow it.
    pub fn flush(&mut self) {
        self.file.flush();
    }

    /// The findings, and the first error of writing the file.
    pub fn finish(self) -> (Findings, Option<io::Error>) {
        (self.findings, self.file.finish())
    }

    /// Drops the findings because the build starts again in another way. The file keeps everything.
    pub fn reset_findings(&mut self) {
        self.findings = Findings::default();
        self.running.clear();
        self.ended.clear();
    }

    fn begin(&mut self, id: u64, derivation: &str, machine: &str) {
        if self.running.len() >= MAX_RUNNING_BUILDS {
            self.running.clear();
        }
        let build = LoggedBuild {
            derivation: derivation.to_owned(),
            machine: machine.to_owned(),
            ..LoggedBuild::default()
        };
        self.running.insert(id, build);
    }

    fn build_line(&mut self, id: u64, line: &str) {
        if let Some(build) = self.running.get_mut(&id) {
            build.known_errors.extend(known_errors(line));
            let traced = traced_command(line);
            build.is_ending |= traced == Some(AT_END);
            if line.ends_with(BASH_COMPLAINT) || build.is_ending && traced.is_some() {
                return;
            }
            build
                .tail
                .push_back(truncate(line, MAX_LINE_CHARS).into_owned());
            keep_last(&mut build.tail, TAIL_LINES);
        }
    }

    fn nix_error(&mut self, error: NixError) {
        if self.findings.failed.is_none()
            && let Some(derivation) = failed_derivation(&error.summary)
        {
            let mut all = self.ended.iter().chain(self.running.values());
            let build = all.find(|b| b.derivation == derivation);
            self.findings.failed = Some(FailedBuild {
                name: short_name(derivation).to_owned(),
                derivation: Derivation::new(derivation),
                message: error.summary.clone(),
                phase: build.and_then(|b| b.phase.clone()),
                machine: build.map(|b| b.machine.clone()).unwrap_or_default(),
                facts: None,
                tail: build
                    .map(|b| b.tail.iter().cloned().collect())
                    .unwrap_or_default(),
                known_errors: build.map(|b| b.known_errors.clone()).unwrap_or_default(),
            });
        }
        if self.findings.nix_errors.len() < MAX_NIX_ERRORS {
            self.findings.nix_errors.push(error);
        }
    }
}

/// The derivation in a message that its builder failed: `builder for '….drv' failed with …`, since Nix 2.30
/// `Cannot build '….drv'.` with `Reason: builder failed …`.
fn failed_derivation(summary: &str) -> Option<&str> {
    let is_new_form = summary.contains("Reason: builder failed");
    let rest = match summary.split_once("builder for '") {
        Some((_, rest)) => rest,
        None if is_new_form => summary.split_once("Cannot build '")?.1,
        None => return None,
    };
    rest.split_once('\'').map(|(derivation, _)| derivation)
}

/// Removes the first elements of `queue` until it has at most `max`.
fn keep_last<T>(queue: &mut VecDeque<T>, max: usize) {
    while queue.len() > max {
        queue.pop_front();
    }
}

/// Largest log file in bytes; a whole system with all its compilers writes some ten million.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A log file of limited size.
#[derive(Debug)]
struct LogFile {
    // Plain writes into the page cache do not block for long. Dropping the writer flushes it, also when the run is
    // cancelled.
    file: BufWriter<File>,
    /// Bytes that may still be written; `None` once a line did not fit.
    remaining: Option<u64>,
    error: Option<io::Error>,
}

impl LogFile {
    /// Creates the file `path`, which only this user can read.
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path);
        let file = file.or_environment(format!("create the log {}", path.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            remaining: Some(MAX_FILE_BYTES),
            error: None,
        })
    }

    /// Writes `line` and a line end.
    fn write(&mut self, mut line: String) {
        let Some(remaining) = self.remaining else {
            return;
        };
        line.push('\n');
        self.remaining = remaining.checked_sub(line.len() as u64);
        if self.remaining.is_none() {
            line = format!(
                "sdbuild: the log ends here: it has reached its limit of {} MiB\n",
                MAX_FILE_BYTES >> 20
            );
        }
        let written = self.file.write_all(line.as_bytes());
        self.keep_first(written);
    }

    /// Writes buffered lines.
    fn flush(&mut self) {
        let flushed = self.file.flush();
        self.keep_first(flushed);
    }

    /// The first error.
    fn finish(mut self) -> Option<io::Error> {
        self.flush();
        self.error
    }

    fn keep_first(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::log::Log;

    const DRV: &str = "/nix/store/zj3nbl6gqm1pcms0y0k4nmf5a3hp4l1w-t-51.drv";

    fn read(lines: &[String]) -> (Findings, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut build_log = BuildLog::create(&path).unwrap();
        let mut log = Log::default();
        for line in lines {
            if let Some(event) = log.line(line) {
                build_log.note(&event, log.take_error());
            }
        }
        let (findings, write_error) = build_log.finish();
        assert!(write_error.is_none());
        (findings, std::fs::read_to_string(path).unwrap())
    }

    fn failing() -> Vec<String> {
        let mut lines = vec![format!(
            r#"@nix {{"action":"start","fields":["{DRV}","",1,1],"id":7,"level":3,"type":105,"text":""}}"#
        )];
        lines.push(r#"@nix {"action":"result","fields":["disk: No space left on device"],"id":7,"type":101}"#.into());
        for n in 0..30 {
            lines.push(format!(
                r#"@nix {{"action":"result","fields":["line {n}"],"id":7,"type":101}}"#
            ));
        }
        lines.push(r#"@nix {"action":"result","fields":["/nix/store/x-bash/bin/bash: line 1: pop_var_context: head of shell_variables not a function context"],"id":7,"type":101}"#.into());
        lines.push(r#"@nix {"action":"stop","id":7}"#.into());
        lines.push(format!(r#"@nix {{"action":"msg","level":0,"msg":"error: builder for '{DRV}' failed with exit code 3","raw_msg":"builder for '{DRV}' failed with exit code 3"}}"#));
        lines.push(r#"@nix {"action":"msg","level":0,"msg":"error: 1 dependencies of derivation 'x' failed","raw_msg":"1 dependencies of derivation 'x' failed"}"#.into());
        lines
    }

    #[test]
    fn a_failed_build_keeps_its_last_lines() {
        let (findings, text) = read(&failing());
        let failed = findings.failed.unwrap();
        assert_eq!(failed.name, "t-51");
        assert_eq!(
            (
                failed.tail.len(),
                failed.tail[0].as_str(),
                failed.tail[19].as_str()
            ),
            (TAIL_LINES, "line 10", "line 29")
        );
        assert!(
            failed.known_errors.contains(&KnownError::DiskFull),
            "in a line before the tail"
        );
        assert_eq!(findings.nix_errors.len(), 2);
        assert!(text.contains("\nt-51> line 0\n"), "{text}");
        assert_eq!(text.lines().count(), 35);
    }

    /// A script of nixpkgs with `set -x`: what it does at its end filled the lines that are shown.
    #[test]
    fn traces_of_the_end_of_a_build_do_not_push_out_the_error() {
        let result = |kind: u8, text: &str| {
            format!(r#"@nix {{"action":"result","fields":["{text}"],"id":7,"type":{kind}}}"#)
        };
        let mut lines = failing();
        let traces = ["+ cp a b", "cp: cannot stat 'a'", "+ exitHandler"];
        let traces = traces.map(|line| result(101, line));
        let ending = (0..30).map(|n| result(101, &format!("++ local hook{n}")));
        let phase = result(104, "installPhase");
        let last = result(101, "build failed");
        let of_end = traces.into_iter().chain(ending).chain([last, phase]);
        lines.splice(32..32, of_end);
        let failed = read(&lines).0.failed.unwrap();
        let end = ["+ cp a b", "cp: cannot stat 'a'", "build failed"];
        assert_eq!(failed.tail[17..], end, "{:?}", failed.tail);
        assert_eq!(failed.phase.as_deref(), Some("installPhase"));
    }

    #[test]
    fn a_flood_of_builds_does_not_fill_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        for id in 0..2 * MAX_RUNNING_BUILDS as u64 {
            let derivation = DRV.to_owned();
            build_log.note(
                &NixEvent::BuildStarted {
                    id,
                    derivation,
                    machine: String::new(),
                },
                None,
            );
            let line = "x".repeat(5000);
            build_log.note(&NixEvent::BuildLine { id, line }, None);
        }
        assert!(build_log.running.len() <= MAX_RUNNING_BUILDS);
        let kept = build_log.running.values().flat_map(|build| &build.tail);
        assert!(kept.map(String::len).max().unwrap() < 3000);
    }

    #[test]
    fn recognises_failures_of_newer_nix() {
        let new = "Cannot build '/nix/store/x-a.drv'.\nReason: builder failed with exit code 1.";
        assert_eq!(failed_derivation(new), Some("/nix/store/x-a.drv"));
        assert_eq!(
            failed_derivation("Cannot build 'x'.\nReason: 1 dependency failed."),
            None
        );
    }

    #[test]
    fn the_file_is_private_and_limited() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = LogFile::create(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.remaining = Some(1000);
        for _ in 0..5 {
            file.write("x".repeat(300));
        }
        assert!(file.finish().is_none());
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.len() < 1100, "{}", text.len());
        assert_eq!(text.matches("the log ends here").count(), 1);
        assert!(text.ends_with("limit of 256 MiB\n"), "{text}");
    }
}
