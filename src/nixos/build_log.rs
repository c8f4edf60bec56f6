//! The builder's log as a file for people, and what of it a failure needs: bounded, always.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::known_error::{KnownError, symptoms};
use super::log::NixError;
use super::shell_session::Derivation;
use crate::common::event::NixEvent;
use crate::common::failure::{Failure, OrFail};
use crate::common::text::truncate;
use crate::common::transcript::{Transcript, short_name};

/// Lines of a failed build that are shown.
pub(super) const TAIL: usize = 20;
/// Ended builds whose lines are kept: the message about a failure comes after the build's end.
const ENDED: usize = 64;
/// More builds than ever run at once; beyond this the table forgets instead of growing.
const MOST_RUNNING: usize = 1024;
/// Characters of a line that are kept for a failure; the file has the whole line.
const MAX_LINE_CHARS: usize = 2048;
/// Bytes of the log file; a whole system with all its compilers writes some ten million.
const LARGEST_FILE: u64 = 256 << 20;
/// Errors that are kept; the first one tells why, the others follow from it.
const COMPLAINTS: usize = 8;

/// A derivation that could not be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedBuild {
    /// Its name, without hash and `.drv`.
    pub name: String,
    /// Its store path, when it is one.
    pub derivation: Option<Derivation>,
    /// What Nix said of it.
    pub message: String,
    /// Its last lines.
    pub tail: Vec<String>,
    /// Troubles that its lines tell of.
    pub symptoms: BTreeSet<KnownError>,
}

/// What the log told that matters when the run failed.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The first derivation that failed.
    pub failed: Option<FailedBuild>,
    /// Nix's errors, the first one first.
    pub complaints: Vec<NixError>,
    /// The last lines that were not Nix's.
    pub others: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Running {
    derivation: String,
    tail: VecDeque<String>,
    symptoms: BTreeSet<KnownError>,
}

/// Writes the log file and remembers what a failure needs.
#[derive(Debug)]
pub(super) struct BuildLog {
    // Plain writes into the page cache: they do not block for long, and dropping it flushes it, also
    // when the run is cancelled.
    file: BufWriter<File>,
    /// How many bytes more the file may get; `None` once that was too few.
    room: Option<u64>,
    trouble: Option<std::io::Error>,
    transcript: Transcript,
    running: HashMap<u64, Running>,
    ended: VecDeque<Running>,
    findings: Findings,
}

impl BuildLog {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).or_environment(format!("make {}", dir.display()))?;
        }
        let file =
            File::create(path).or_environment(format!("write the log {}", path.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            room: Some(LARGEST_FILE),
            trouble: None,
            transcript: Transcript::default(),
            running: HashMap::new(),
            ended: VecDeque::new(),
            findings: Findings::default(),
        })
    }

    /// Takes note of one line: the event it became and the error it carried.
    pub(super) fn note(&mut self, event: &NixEvent, complaint: Option<NixError>) {
        if let Some(line) = self.transcript.line(event) {
            self.write(line);
        }
        match event {
            NixEvent::BuildStarted { id, derivation } => self.begin(*id, derivation),
            NixEvent::BuildLine { id, line } => self.build_line(*id, line),
            NixEvent::Stopped { id } => {
                self.ended.extend(self.running.remove(id));
                keep_last(&mut self.ended, ENDED);
            }
            NixEvent::Other(text) => {
                self.findings.others.push_back(text.clone());
                keep_last(&mut self.findings.others, TAIL);
            }
            NixEvent::Message { .. }
            | NixEvent::WillBuild { .. }
            | NixEvent::WillEmulate { .. }
            | NixEvent::WillFetch { .. }
            | NixEvent::FetchStarted { .. }
            | NixEvent::BuildPhase { .. }
            | NixEvent::Moved { .. }
            | NixEvent::Built { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::ToDownload { .. } => {}
        }
        if let Some(complaint) = complaint {
            self.complaint(complaint);
        }
    }

    /// Brings the file up to date: somebody may be reading along.
    pub(super) fn flush(&mut self) {
        let flushed = self.file.flush();
        self.check(flushed);
    }

    /// What was found, and the first error of writing the file, if any.
    pub(super) fn finish(mut self) -> (Findings, Option<std::io::Error>) {
        self.flush();
        (std::mem::take(&mut self.findings), self.trouble.take())
    }

    /// Forgets what was found: the work begins again in another way. The file keeps everything.
    pub(super) fn begin_anew(&mut self) {
        self.findings = Findings::default();
        self.running.clear();
        self.ended.clear();
    }

    fn begin(&mut self, id: u64, derivation: &str) {
        if self.running.len() >= MOST_RUNNING {
            self.running.clear();
        }
        let running = Running {
            derivation: derivation.to_owned(),
            ..Running::default()
        };
        self.running.insert(id, running);
    }

    fn build_line(&mut self, id: u64, line: &str) {
        if let Some(running) = self.running.get_mut(&id) {
            running.symptoms.extend(symptoms(line));
            running
                .tail
                .push_back(truncate(line, MAX_LINE_CHARS).into_owned());
            keep_last(&mut running.tail, TAIL);
        }
    }

    fn complaint(&mut self, complaint: NixError) {
        if self.findings.failed.is_none()
            && let Some(derivation) = failed_derivation(&complaint.summary)
        {
            let mut all = self.ended.iter().chain(self.running.values());
            let build = all.find(|b| b.derivation == derivation);
            self.findings.failed = Some(FailedBuild {
                name: short_name(derivation).to_owned(),
                derivation: Derivation::new(derivation),
                message: complaint.summary.clone(),
                tail: build
                    .map(|b| b.tail.iter().cloned().collect())
                    .unwrap_or_default(),
                symptoms: build.map(|b| b.symptoms.clone()).unwrap_or_default(),
            });
        }
        if self.findings.complaints.len() < COMPLAINTS {
            self.findings.complaints.push(complaint);
        }
    }

    fn write(&mut self, mut line: String) {
        let Some(room) = self.room else { return };
        line.push('\n');
        self.room = room.checked_sub(line.len() as u64);
        if self.room.is_none() {
            line = format!(
                "sdbuild: the log ends here: it has {} MiB\n",
                LARGEST_FILE >> 20
            );
        }
        let written = self.file.write_all(line.as_bytes());
        self.check(written);
    }

    /// A log that cannot be written is no reason to end a build; the first error is told later.
    fn check(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.trouble.get_or_insert(error);
        }
    }
}

/// The derivation of a message that says its builder failed: `builder for '….drv' failed with …`,
/// since Nix 2.30 `Cannot build '….drv'.` with `Reason: builder failed …`.
fn failed_derivation(summary: &str) -> Option<&str> {
    let new = summary.contains("Reason: builder failed");
    let rest = match summary.split_once("builder for '") {
        Some((_, rest)) => rest,
        None if new => summary.split_once("Cannot build '")?.1,
        None => return None,
    };
    rest.split_once('\'').map(|(derivation, _)| derivation)
}

fn keep_last<T>(queue: &mut VecDeque<T>, most: usize) {
    while queue.len() > most {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::Log;
    use super::*;

    const DRV: &str = "/nix/store/zj3nbl6gqm1pcms0y0k4nmf5a3hp4l1w-t-51.drv";

    fn read(lines: &[String]) -> (Findings, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/down/log");
        let mut journal = BuildLog::create(&path).unwrap();
        let mut log = Log::default();
        for line in lines {
            if let Some(event) = log.line(line) {
                journal.note(&event, log.take_error());
            }
        }
        let (findings, trouble) = journal.finish();
        assert!(trouble.is_none());
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
        lines.push(r#"@nix {"action":"stop","id":7}"#.into());
        lines.push(format!(r#"@nix {{"action":"msg","level":0,"msg":"error: builder for '{DRV}' failed with exit code 3","raw_msg":"builder for '{DRV}' failed with exit code 3"}}"#));
        lines.push(r#"@nix {"action":"msg","level":0,"msg":"error: 1 dependencies of derivation 'x' failed","raw_msg":"1 dependencies of derivation 'x' failed"}"#.into());
        lines
    }

    #[test]
    fn the_failed_build_keeps_its_last_lines() {
        let (findings, text) = read(&failing());
        let failed = findings.failed.unwrap();
        assert_eq!(failed.name, "t-51");
        assert_eq!(
            (
                failed.tail.len(),
                failed.tail[0].as_str(),
                failed.tail[19].as_str()
            ),
            (TAIL, "line 10", "line 29")
        );
        assert!(
            failed.symptoms.contains(&KnownError::DiskFull),
            "seen before the tail began"
        );
        assert_eq!(findings.complaints.len(), 2);
        assert!(text.contains("\nt-51> line 0\n"), "{text}");
        assert_eq!(text.lines().count(), 34);
    }

    #[test]
    fn a_flood_fills_neither_memory_nor_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut journal = BuildLog::create(&path).unwrap();
        journal.room = Some(1000);
        for id in 0..5000 {
            let derivation = DRV.to_owned();
            journal.note(&NixEvent::BuildStarted { id, derivation }, None);
            let line = "x".repeat(5000);
            journal.note(&NixEvent::BuildLine { id, line }, None);
        }
        assert!(journal.running.len() <= MOST_RUNNING);
        let kept = journal.running.values().flat_map(|build| &build.tail);
        assert!(kept.map(String::len).max().unwrap() < 3000);
        journal.finish();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.len() < 1100, "{}", text.len());
        assert_eq!(text.matches("the log ends here").count(), 1);
        assert!(text.ends_with("it has 256 MiB\n"), "{text}");
    }

    #[test]
    fn what_is_not_nix_is_kept_too() {
        let (findings, text) = read(&["GC Warning: x".into(), "@nix {".into()]);
        assert_eq!(text, "GC Warning: x\n@nix {\n");
        assert_eq!(findings.others.len(), 2);
    }

    #[test]
    fn failures_of_newer_nix_are_known() {
        let new = "Cannot build '/nix/store/x-a.drv'.\nReason: builder failed with exit code 1.";
        assert_eq!(failed_derivation(new), Some("/nix/store/x-a.drv"));
        assert_eq!(
            failed_derivation("Cannot build 'x'.\nReason: 1 dependency failed."),
            None
        );
    }
}
